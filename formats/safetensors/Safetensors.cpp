//===- Safetensors.cpp - tensors of a checkpoint, mapped ------------------===//

#include "formats/safetensors/Safetensors.h"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <sys/stat.h>

namespace denim::formats {

namespace {

using nlohmann::json;

// The bound of the reference implementation; a longer header is a damaged length.
constexpr uint64_t kMaxHeaderBytes = 100'000'000;

/// Parses one JSON object without exceptions. The parser keeps the last of two equal keys; here a second key in the
/// outer object is an error, for the two tensors could differ.
Error parseObject(const std::string &path, std::string_view what, const char *begin, size_t size, json &out) {
  std::set<std::string> names;
  std::string duplicate;
  json::parser_callback_t noteKey = [&](int depth, json::parse_event_t event, json &value) {
    if (event == json::parse_event_t::key && depth == 1 && !names.insert(value.get<std::string>()).second)
      duplicate = value.get<std::string>();
    return true;
  };
  out = json::parse(begin, begin + size, noteKey, /*allow_exceptions=*/false);
  if (!out.is_object())
    return Error::of("'", path, "': expected ", what, " to be a JSON object, but got ",
                     out.is_discarded() ? "text that is no JSON" : out.type_name());
  if (!duplicate.empty())
    return Error::of("'", path, "': expected each name once in ", what, ", but got '", duplicate, "' twice");
  return {};
}

/// One entry of the header; |data| is what follows the header.
Error readTensor(const std::string &path, const std::string &name, const json &entry, const unsigned char *data,
                 uint64_t dataBytes, Tensor &out) {
  auto wrong = [&](const auto &...parts) { return Error::of("'", path, "': tensor '", name, "': ", parts...); };
  if (!entry.is_object())
    return wrong("expected an object, but got ", entry.type_name());
  auto dtype = entry.find("dtype"), shape = entry.find("shape"), offsets = entry.find("data_offsets");
  if (dtype == entry.end() || !dtype->is_string())
    return wrong("expected \"dtype\" to be a string, but got ", dtype == entry.end() ? "none" : dtype->type_name());
  std::optional<ElementType> type = elementTypeOf(dtype->get_ref<const std::string &>());
  if (!type)
    return wrong("expected a known element type, but got '", dtype->get_ref<const std::string &>(), "'");
  if (shape == entry.end() || !shape->is_array())
    return wrong("expected \"shape\" to be a list, but got ", shape == entry.end() ? "none" : shape->type_name());

  uint64_t expected = bytes(*type);
  out.shape.clear();
  for (const json &dimension : *shape) {
    if (!dimension.is_number_unsigned() || dimension.get<uint64_t>() > INT64_MAX)
      return wrong("expected dimensions to be whole numbers, but got ", dimension.dump(-1, ' ', true));
    out.shape.push_back(static_cast<int64_t>(dimension.get<uint64_t>()));
    if (__builtin_mul_overflow(expected, dimension.get<uint64_t>(), &expected))
      return wrong("expected a size below 2^64 bytes, but got shape ", shape->dump());
  }
  if (offsets == entry.end() || !offsets->is_array() || offsets->size() != 2 || !(*offsets)[0].is_number_unsigned() ||
      !(*offsets)[1].is_number_unsigned())
    return wrong("expected \"data_offsets\" to be two whole numbers, but got ",
                 offsets == entry.end() ? "none" : offsets->dump(-1, ' ', true));
  uint64_t begin = (*offsets)[0].get<uint64_t>(), end = (*offsets)[1].get<uint64_t>();
  if (begin > end || end > dataBytes)
    return wrong("expected data_offsets in ascending order within ", dataBytes, " bytes, but got [", begin, ", ", end,
                 "]");
  if (end - begin != expected)
    return wrong("expected ", expected, " bytes for ", formats::name(*type), shapeText(out.shape), ", but got ",
                 end - begin);
  out.name = name;
  out.type = *type;
  out.data = data + begin;
  out.bytes = end - begin;
  return {};
}

bool isDirectory(const std::string &path) {
  struct stat info;
  return stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

bool exists(const std::string &path) {
  struct stat info;
  return stat(path.c_str(), &info) == 0;
}

} // namespace

Error Safetensors::open(const std::string &path, Safetensors &out) {
  Safetensors read;
  read.source = path;
  Error error;
  if (!isDirectory(path)) {
    error = read.openFile(path);
  } else if (exists(path + "/model.safetensors")) {
    error = read.openFile(path + "/model.safetensors");
  } else if (exists(path + "/model.safetensors.index.json")) {
    error = read.openIndex(path, path + "/model.safetensors.index.json");
  } else {
    error = Error::of("'", path, "': expected model.safetensors or model.safetensors.index.json, but got neither");
  }
  if (!error)
    out = std::move(read);
  return error;
}

const Tensor *Safetensors::find(std::string_view name) const {
  auto it = byName.find(name);
  return it == byName.end() ? nullptr : &it->second;
}

Error Safetensors::openFile(const std::string &path) {
  MappedFile file;
  if (Error error = MappedFile::open(path, file))
    return error;
  if (file.size() < 8)
    return Error::of("'", path, "': expected a safetensors file of at least 8 bytes, but got ", file.size());
  uint64_t headerBytes;
  std::memcpy(&headerBytes, file.data(), 8);
  uint64_t limit = std::min<uint64_t>(kMaxHeaderBytes, file.size() - 8);
  if (headerBytes > limit)
    return Error::of("'", path, "': expected a header of at most ", limit, " bytes, but got ", headerBytes,
                     "; cut short, or not a safetensors file");
  json header;
  const char *text = reinterpret_cast<const char *>(file.data()) + 8;
  if (Error error = parseObject(path, "the header", text, headerBytes, header))
    return error;

  const unsigned char *data = file.data() + 8 + headerBytes;
  uint64_t dataBytes = file.size() - 8 - headerBytes;
  std::vector<const Tensor *> inOrder;
  for (auto &[name, entry] : header.items()) {
    if (name == "__metadata__")
      continue;
    Tensor tensor;
    if (Error error = readTensor(path, name, entry, data, dataBytes, tensor))
      return error;
    auto it = byName.emplace(name, std::move(tensor)).first;
    inOrder.push_back(&it->second);
  }

  // The format leaves no holes: each tensor begins where the one before ends, and the last ends the file. What
  // deviates is damaged or cut short, or hides something.
  auto offset = [&](const Tensor *t) {
    return static_cast<uint64_t>(static_cast<const unsigned char *>(t->data) - data);
  };
  std::sort(inOrder.begin(), inOrder.end(), [&](const Tensor *a, const Tensor *b) {
    return std::make_pair(offset(a), a->bytes) < std::make_pair(offset(b), b->bytes);
  });
  uint64_t end = 0;
  for (const Tensor *tensor : inOrder) {
    if (offset(tensor) != end)
      return Error::of("'", path, "': tensor '", tensor->name, "': expected data at offset ", end, ", but got ",
                       offset(tensor), offset(tensor) < end ? "; it overlaps another" : "; it leaves a hole");
    end += tensor->bytes;
  }
  if (end != dataBytes)
    return Error::of("'", path, "': expected ", end, " bytes of data, but got ", dataBytes);
  files.push_back(std::move(file));
  return {};
}

Error Safetensors::openIndex(const std::string &directory, const std::string &path) {
  MappedFile file;
  if (Error error = MappedFile::open(path, file))
    return error;
  json index;
  if (Error error = parseObject(path, "the index", reinterpret_cast<const char *>(file.data()), file.size(), index))
    return error;
  auto map = index.find("weight_map");
  if (map == index.end() || !map->is_object())
    return Error::of("'", path, "': expected an object \"weight_map\", but got ",
                     map == index.end() ? "none" : map->type_name());

  std::map<std::string, std::vector<std::string>> namesOfShard;
  for (auto &[name, shard] : map->items()) {
    if (!shard.is_string())
      return Error::of("'", path, "': tensor '", name, "': expected the name of a file, but got ", shard.type_name());
    // An index may only speak of its own directory.
    const std::string &fileName = shard.get_ref<const std::string &>();
    if (fileName.empty() || fileName.find('/') != std::string::npos || fileName.find('\0') != std::string::npos)
      return Error::of("'", path, "': tensor '", name, "': expected a file beside the index, but got '", fileName, "'");
    namesOfShard[fileName].push_back(name);
  }
  std::map<std::string, Tensor, std::less<>> listed;
  const std::string prefix = directory + "/";
  for (auto &[shard, names] : namesOfShard) {
    byName.clear();
    if (Error error = openFile(std::string(prefix).append(shard)))
      return error;
    for (const std::string &name : names) {
      auto it = byName.find(name);
      if (it == byName.end())
        return Error::of("'", path, "': expected tensor '", name, "' in '", shard, "', but got a file without it");
      listed.insert(std::move(*it));
    }
  }
  byName = std::move(listed);
  return {};
}

} // namespace denim::formats
