// The shared memory of a block: who holds which bytes while code is written, and the barriers between the threads that
// write and those that read.
//
// A barrier is written when it is needed and not before: bytes that were written since the last one and are read now, or
// were read and are written now. Where control flow meets (begin and end of loops and branches) nothing may be
// outstanding, so that the code written once is right for every round.
#ifndef CODEGEN_NVPTX_SHAREDMEMORY_H
#define CODEGEN_NVPTX_SHAREDMEMORY_H

#include "codegen/nvptx/Code.h"

namespace denim::codegen::nvptx {

class SharedMemory {
public:
  explicit SharedMemory(Code &code) : code(code) {}

  /// Bytes that are held until released; the offset is a multiple of `alignment`, at most 1024.
  int64_t allocate(int64_t bytes, int64_t alignment = 128);
  void release(int64_t offset);

  /// Call before code that reads or writes the bytes; writes a barrier if one is due. `operand`: the bytes written are
  /// read by products.
  void reads(int64_t offset, int64_t bytes);
  void writes(int64_t offset, int64_t bytes, bool operand = false);
  /// A barrier if anything is outstanding.
  void settle();

  int64_t size() const { return highest; }

private:
  struct Range {
    int64_t begin, end;
  };
  void barrier();
  static bool overlap(llvm::ArrayRef<Range> ranges, int64_t begin, int64_t end);

  Code &code;
  llvm::SmallVector<Range> held, read, written;
  bool operandsWritten = false;
  int64_t highest = 0;
};

} // namespace denim::codegen::nvptx

#endif // CODEGEN_NVPTX_SHAREDMEMORY_H
