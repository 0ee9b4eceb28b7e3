//===- OutputFile.cpp - a file that appears when it is complete -----------===//

#include "formats/file/OutputFile.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <sys/stat.h>
#include <unistd.h>

namespace denim::formats {

OutputFile::~OutputFile() {
  if (!file)
    return;
  std::fclose(file);
  if (!partial.empty())
    std::remove(partial.c_str());
}

Error OutputFile::failure() const {
  return Error::of("cannot write '", path, "': ", std::strerror(errno));
}

Error OutputFile::open(const std::string &name) {
  path = target = name;
  if (path.empty()) {
    errno = ENOENT;
    return failure();
  }
  struct stat status = {};
  bool exists = ::stat(path.c_str(), &status) == 0;
  if (exists && S_ISDIR(status.st_mode)) {
    errno = EISDIR;
    return failure();
  }
  if (exists) {
    std::unique_ptr<char, decltype(&std::free)> resolved(::realpath(path.c_str(), nullptr), &std::free);
    if (resolved)
      target = resolved.get();
  }
  if (exists && !S_ISREG(status.st_mode))
    return ::access(target.c_str(), W_OK) == 0 ? Error() : failure();
  partial = target + ".partial." + std::to_string(::getpid());
  size_t slash = target.rfind('/');
  std::string folder = slash == std::string::npos ? "." : target.substr(0, slash + 1);
  return ::access(folder.c_str(), W_OK | X_OK) == 0 ? Error() : failure();
}

Error OutputFile::create() {
  if (!file)
    file = std::fopen(partial.empty() ? target.c_str() : partial.c_str(), "wb");
  return file ? Error() : failure();
}

Error OutputFile::write(const void *data, size_t bytes) {
  if (Error error = create())
    return error;
  return bytes == 0 || std::fwrite(data, bytes, 1, file) == 1 ? Error() : failure();
}

Error OutputFile::keep() {
  if (Error error = create())
    return error;
  bool complete = std::fclose(file) == 0;
  file = nullptr;
  if (!partial.empty())
    complete = complete && std::rename(partial.c_str(), target.c_str()) == 0;
  if (complete)
    return {};
  Error error = failure();
  if (!partial.empty())
    std::remove(partial.c_str());
  return error;
}

Error OutputFile::keep(const std::string &content) {
  if (Error error = write(content.data(), content.size()))
    return error;
  return keep();
}

} // namespace denim::formats
