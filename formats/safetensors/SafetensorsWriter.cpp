//===- SafetensorsWriter.cpp - write tensors to a file --------------------===//

#include "formats/safetensors/SafetensorsWriter.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>
#include <unistd.h>

namespace denim::formats {

Error writeSafetensors(const std::string &path, const std::vector<Tensor> &tensors, const MakeTensor &make) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  uint64_t offset = 0;
  for (const Tensor &tensor : tensors) {
    uint64_t expected = bytes(tensor.type);
    for (int64_t dimension : tensor.shape)
      expected *= static_cast<uint64_t>(dimension);
    if (tensor.bytes != expected)
      return Error::of("'", path, "': tensor '", tensor.name, "': expected ", expected, " bytes for ",
                       name(tensor.type), shapeText(tensor.shape), ", but got ", tensor.bytes);
    if (header.contains(tensor.name))
      return Error::of("'", path, "': expected each name once, but got '", tensor.name, "' twice");
    header[tensor.name] = {{"dtype", std::string(name(tensor.type))},
                           {"shape", tensor.shape},
                           {"data_offsets", {offset, offset + tensor.bytes}}};
    offset += tensor.bytes;
  }
  std::string text = header.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  text.resize((text.size() + 7) / 8 * 8, ' '); // the data begins at a multiple of 8

  std::string partial = path + ".partial." + std::to_string(getpid());
  std::FILE *file = std::fopen(partial.c_str(), "wb");
  if (!file)
    return Error::of("cannot write '", path, "': ", std::strerror(errno));
  uint64_t headerBytes = text.size();
  bool good = std::fwrite(&headerBytes, 8, 1, file) == 1 && std::fwrite(text.data(), text.size(), 1, file) == 1;
  Error refused;
  std::vector<char> made;
  for (size_t i = 0; i < tensors.size() && good && !refused; ++i) {
    const Tensor &tensor = tensors[i];
    const void *data = tensor.data;
    if (!data && tensor.bytes > 0 && make) {
      refused = make(i, made);
      if (!refused && made.size() != tensor.bytes)
        refused = Error::of("'", path, "': tensor '", tensor.name, "': expected ", tensor.bytes, " bytes, but got ",
                            made.size());
      data = made.data();
    }
    good = refused || tensor.bytes == 0 || std::fwrite(data, tensor.bytes, 1, file) == 1;
  }
  if (refused) {
    std::fclose(file);
    std::remove(partial.c_str());
    return refused;
  }
  good = std::fclose(file) == 0 && good;
  good = good && std::rename(partial.c_str(), path.c_str()) == 0;
  if (!good) {
    int reason = errno;
    std::remove(partial.c_str());
    return Error::of("cannot write '", path, "': ", std::strerror(reason));
  }
  return {};
}

} // namespace denim::formats
