// Cases of tile kernels on their way to a machine with a GPU: what was compiled here, what it is given, and what the
// interpreter says must come out. One binary file, little endian, read and written by one machine's programs only.
#ifndef TEST_CODEGEN_NVPTX_CASEFILE_H
#define TEST_CODEGEN_NVPTX_CASEFILE_H

#include "runtime/base/TensorMap.h"
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

namespace denim::test {

struct GpuBuffer {
  std::string element;
  int64_t tables = 0; ///< parts, if the argument is a table of pointers
  std::vector<char> before, after;
};

struct GpuCase {
  std::string name, mode;
  double tolerance = 0;
  std::string code; ///< cubin, or PTX
  int64_t threads = 0, sharedBytes = 0, items = 0;
  std::vector<int32_t> tokens, positions, rowBegin, past, outputs, pages, pageBegin;
  std::vector<TensorMapInfo> tensorMaps; ///< what the kernel takes behind its buffers
  std::vector<GpuBuffer> buffers;
};

/// Writes or reads all fields in order; false when the file ends early.
class CaseFile {
public:
  CaseFile(std::FILE *file, bool writes) : file(file), writes(writes) {}
  bool transfer(GpuCase &c) {
    bool ok = bytes(c.name) && bytes(c.mode) && plain(c.tolerance) && bytes(c.code) && plain(c.threads) &&
              plain(c.sharedBytes) && plain(c.items);
    for (auto *list : {&c.tokens, &c.positions, &c.rowBegin, &c.past, &c.outputs, &c.pages, &c.pageBegin})
      ok = ok && bytes(*list);
    ok = ok && bytes(c.tensorMaps);
    uint64_t count = c.buffers.size();
    ok = ok && plain(count);
    if (!ok)
      return false;
    c.buffers.resize(count);
    for (GpuBuffer &b : c.buffers)
      ok = ok && bytes(b.element) && plain(b.tables) && bytes(b.before) && bytes(b.after);
    return ok;
  }

private:
  template <typename T> bool plain(T &value) {
    return (writes ? std::fwrite(&value, sizeof value, 1, file) : std::fread(&value, sizeof value, 1, file)) == 1;
  }
  template <typename List> bool bytes(List &list) {
    uint64_t count = list.size();
    if (!plain(count))
      return false;
    list.resize(count);
    size_t size = sizeof(typename List::value_type);
    return (writes ? std::fwrite(list.data(), size, count, file) : std::fread(list.data(), size, count, file)) == count;
  }
  std::FILE *file;
  bool writes;
};

} // namespace denim::test

#endif // TEST_CODEGEN_NVPTX_CASEFILE_H
