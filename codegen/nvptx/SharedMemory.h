// The shared memory of a block: who holds which bytes while code is written, and the barriers between the threads that
// write and those that read.
//
// A barrier is written when it is needed and not before: bytes that were written since the last one and are read now,
// or were read and are written now. Where control flow meets (begin and end of loops and branches) nothing may be
// outstanding, so that the code written once is right for every round. Only what a loop reads and never writes may stay
// outstanding from one of its turns to the next.
#ifndef CODEGEN_NVPTX_SHAREDMEMORY_H
#define CODEGEN_NVPTX_SHAREDMEMORY_H

#include "codegen/nvptx/Code.h"
#include <functional>

namespace denim::codegen::nvptx {

class SharedMemory {
public:
  /// `threads` meet at a barrier. `finish` waits for products up to a group.
  SharedMemory(Code &code, int64_t threads, std::function<void(int64_t)> finish)
      : code(code), threads(threads), finish(std::move(finish)) {}

  /// Bytes that are held until released; the offset is a multiple of `alignment`, at most 1024. `limit`: where there is
  /// room below it, bytes that no thread may still be reading, so that they are written without a barrier.
  int64_t allocate(int64_t bytes, int64_t alignment = 128, int64_t limit = 0);
  void release(int64_t offset);

  /// Call before code that reads or writes the bytes; writes a barrier if one is due. `operand`: the bytes written are
  /// read by products.
  void reads(int64_t offset, int64_t bytes);
  /// The barrier of `reads` alone. Code that reads several ranges waits for all before it names the first: a barrier
  /// for the second would count as one behind the first's reads.
  void awaits(int64_t offset, int64_t bytes);
  void writes(int64_t offset, int64_t bytes, bool operand = false);
  /// The same for bytes that each thread copies in pieces (Code::copyPiece) and does not wait for: barriers for other
  /// bytes leave the pieces under way.
  void copies(int64_t offset, int64_t bytes);
  /// Waits for the pieces under way.
  void finishCopies();
  /// The bytes are read by products of a group that goes on behind the code: who writes them next waits for it first.
  void readsInGroup(int64_t offset, int64_t bytes, int64_t group);
  void groupsDone(int64_t upTo);
  /// A barrier for what does not stand here.
  void meet() { code.barrier(number, threads); }
  /// A barrier if anything is outstanding.
  void settle();
  /// Around the code of a loop's turn; begins with nothing outstanding. At its end, what was read may stay outstanding
  /// where no turn writes it.
  void beginTurn() { turns.emplace_back(); }
  void endTurn();

  /// Code from here on is that of other threads, at the same time as the code so far: nothing is released to them.
  void enterTeam(int64_t barrierNumber, int64_t threadsOfTeam);

  int64_t size() const { return highest; }

private:
  struct Range {
    int64_t begin, end, group = 0;
  };
  void barrier();
  static bool overlap(llvm::ArrayRef<Range> ranges, int64_t begin, int64_t end);

  Code &code;
  int64_t threads, number = 1; ///< of those who meet at a barrier, and its own
  bool keeps = false;
  std::function<void(int64_t)> finish;
  llvm::SmallVector<Range> held, read, written, copied, flying;
  llvm::SmallVector<llvm::SmallVector<Range>> turns; ///< all that is written in the loops around
  bool operandsWritten = false;
  int64_t highest = 0;
};

} // namespace denim::codegen::nvptx

#endif // CODEGEN_NVPTX_SHAREDMEMORY_H
