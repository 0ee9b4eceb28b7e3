//===- SafetensorsWriter.cpp - write tensors to a file --------------------===//

#include "formats/safetensors/SafetensorsWriter.h"

#include <nlohmann/json.hpp>

namespace denim::formats {

Error writeSafetensors(const std::string &path, const std::vector<Tensor> &tensors, const MakeTensor &make) {
  OutputFile file;
  if (Error error = file.open(path))
    return error;
  return writeSafetensors(file, tensors, make);
}

Error writeSafetensors(OutputFile &file, const std::vector<Tensor> &tensors, const MakeTensor &make) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  uint64_t offset = 0;
  for (const Tensor &tensor : tensors) {
    uint64_t expected = bytes(tensor.type);
    for (int64_t dimension : tensor.shape)
      expected *= static_cast<uint64_t>(dimension);
    if (tensor.bytes != expected)
      return Error::of("'", file.name(), "': tensor '", tensor.name, "': expected ", expected, " bytes for ",
                       name(tensor.type), shapeText(tensor.shape), ", but got ", tensor.bytes);
    if (header.contains(tensor.name))
      return Error::of("'", file.name(), "': expected each name once, but got '", tensor.name, "' twice");
    header[tensor.name] = {{"dtype", std::string(name(tensor.type))},
                           {"shape", tensor.shape},
                           {"data_offsets", {offset, offset + tensor.bytes}}};
    offset += tensor.bytes;
  }
  std::string text = header.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  text.resize((text.size() + 7) / 8 * 8, ' '); // the data begins at a multiple of 8

  uint64_t headerBytes = text.size();
  if (Error error = file.write(&headerBytes, sizeof headerBytes))
    return error;
  if (Error error = file.write(text.data(), text.size()))
    return error;
  std::vector<char> made;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const Tensor &tensor = tensors[i];
    const void *data = tensor.data;
    if (!data && tensor.bytes > 0 && make) {
      if (Error refused = make(i, made))
        return refused;
      if (made.size() != tensor.bytes)
        return Error::of("'", file.name(), "': tensor '", tensor.name, "': expected ", tensor.bytes, " bytes, but got ",
                         made.size());
      data = made.data();
    }
    if (Error error = file.write(data, tensor.bytes))
      return error;
  }
  return file.keep();
}

} // namespace denim::formats
