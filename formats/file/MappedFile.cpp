//===- MappedFile.cpp - a file as memory ----------------------------------===//

#include "formats/file/MappedFile.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace denim::formats {

MappedFile::MappedFile(MappedFile &&other) noexcept {
  *this = std::move(other);
}

MappedFile &MappedFile::operator=(MappedFile &&other) noexcept {
  std::swap(begin, other.begin);
  std::swap(bytes, other.bytes);
  return *this;
}

MappedFile::~MappedFile() {
  if (bytes)
    munmap(const_cast<unsigned char *>(begin), bytes);
}

Error MappedFile::open(const std::string &path, MappedFile &out) {
  int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0)
    return Error::of("cannot open '", path, "': ", std::strerror(errno));
  struct stat info;
  if (fstat(file, &info) != 0 || !S_ISREG(info.st_mode)) {
    close(file);
    return Error::of("'", path, "': expected a regular file, but got ",
                     S_ISDIR(info.st_mode) ? "a directory" : "something else");
  }
  MappedFile mapped;
  if (info.st_size > 0) {
    void *memory = mmap(nullptr, info.st_size, PROT_READ, MAP_PRIVATE, file, 0);
    if (memory == MAP_FAILED) {
      int reason = errno;
      close(file);
      return Error::of("cannot map '", path, "': ", std::strerror(reason));
    }
    mapped.begin = static_cast<const unsigned char *>(memory);
    mapped.bytes = info.st_size;
  }
  close(file); // the mapping keeps the file
  out = std::move(mapped);
  return {};
}

} // namespace denim::formats
