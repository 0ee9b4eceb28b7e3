//===- TemporaryDirectory.h - a folder for one test ---------------*- C++ -*-===//

#ifndef DENIM_TEST_FORMATS_TEMPORARYDIRECTORY_H
#define DENIM_TEST_FORMATS_TEMPORARYDIRECTORY_H

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

namespace denim::test {

/// A new folder, removed with all that is in it at the end.
class TemporaryDirectory {
public:
  TemporaryDirectory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "denim-test-XXXXXX").string();
    path = mkdtemp(pattern.data());
  }
  ~TemporaryDirectory() { std::filesystem::remove_all(path); }
  TemporaryDirectory(const TemporaryDirectory &) = delete;

  std::string file(const std::string &name) const { return path + "/" + name; }
  /// Writes a file and returns its path.
  std::string write(const std::string &name, const std::string &content) const {
    std::FILE *f = std::fopen(file(name).c_str(), "wb");
    if (!content.empty())
      std::fwrite(content.data(), content.size(), 1, f);
    std::fclose(f);
    return file(name);
  }

  std::string path;
};

} // namespace denim::test

#endif
