//===- Safetensors.h - tensors of a checkpoint, mapped ------------*- C++ -*-===//
//
// Reads safetensors: a file, or a checkpoint directory with `model.safetensors` or with
// `model.safetensors.index.json` and its shards. Nothing is copied: the data of a tensor points into the mapped
// file. Every number of the header is checked when opening, so what `find` returns can be read without a check.
//
//   u64 header bytes | header, JSON {"name": {"dtype": "BF16", "shape": [2, 3], "data_offsets": [0, 12]}} | data
//
// Owner and lifetime: the object owns its mappings; tensors and their data are valid as long as it lives, also when
// it was moved. Threads: immutable after `open`; any number may read.
//
//===----------------------------------------------------------------------===//

#ifndef DENIM_FORMATS_SAFETENSORS_SAFETENSORS_H
#define DENIM_FORMATS_SAFETENSORS_SAFETENSORS_H

#include "formats/file/Error.h"
#include "formats/file/MappedFile.h"
#include "formats/safetensors/ElementType.h"

#include <map>
#include <memory>
#include <string_view>

namespace denim::formats {

struct Tensor {
  std::string name;
  ElementType type;
  std::vector<int64_t> shape; ///< row-major; no dimension is negative; [] is one element
  const void *data;           ///< in the mapped file; often less aligned than its elements (headers have any length)
  size_t bytes;               ///< elements times bytes of one
};

class Safetensors {
public:
  /// |path| is a file or a checkpoint directory. On error |out| is as it was.
  static Error open(const std::string &path, Safetensors &out);

  /// Null when there is none of this name.
  const Tensor *find(std::string_view name) const;
  /// All tensors, by name.
  const std::map<std::string, Tensor, std::less<>> &tensors() const { return byName; }
  /// What was opened, for messages.
  const std::string &path() const { return source; }

private:
  Error openFile(const std::string &path);
  Error openIndex(const std::string &directory, const std::string &path);

  std::string source;
  std::vector<MappedFile> files;
  std::map<std::string, Tensor, std::less<>> byName;
};

} // namespace denim::formats

#endif
