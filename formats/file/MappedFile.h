//===- MappedFile.h - a file as memory ----------------------------*- C++ -*-===//
//
// A whole file, mapped to read. The object owns the mapping: pointers into it are valid until it is destroyed,
// also after it was moved. Any number of threads may read. The file must not be cut short by others meanwhile:
// the system then ends a process that reads behind the new end (replacing the file by a new one is harmless).
//
//===----------------------------------------------------------------------===//

#ifndef DENIM_FORMATS_FILE_MAPPEDFILE_H
#define DENIM_FORMATS_FILE_MAPPEDFILE_H

#include "formats/file/Error.h"

#include <cstddef>

namespace denim::formats {

class MappedFile {
public:
  MappedFile() = default;
  MappedFile(MappedFile &&other) noexcept;
  MappedFile &operator=(MappedFile &&other) noexcept;
  ~MappedFile();

  static Error open(const std::string &path, MappedFile &out);

  /// Page aligned; not null, also for an empty file.
  const unsigned char *data() const { return begin; }
  size_t size() const { return bytes; }

private:
  const unsigned char *begin = reinterpret_cast<const unsigned char *>("");
  size_t bytes = 0;
};

} // namespace denim::formats

#endif
