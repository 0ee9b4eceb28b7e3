#include "codegen/nvptx/SharedMemory.h"
#include "llvm/ADT/STLExtras.h"

using namespace denim::codegen::nvptx;

int64_t SharedMemory::allocate(int64_t bytes, int64_t alignment, int64_t limit) {
  auto firstFit = [&](llvm::SmallVector<Range> taken) {
    llvm::sort(taken, [](const Range &a, const Range &b) { return a.begin < b.begin; });
    int64_t offset = 0;
    for (const Range &range : taken) {
      if (offset + bytes <= range.begin)
        break;
      offset = llvm::alignTo(std::max(offset, range.end), alignment);
    }
    return offset;
  };
  llvm::SmallVector<Range> busy = held;
  for (const auto &ranges : {read, written, flying})
    busy.append(ranges.begin(), ranges.end());
  int64_t offset = limit ? firstFit(busy) : firstFit(held);
  if (limit && offset + bytes > limit)
    offset = firstFit(held);
  held.push_back({offset, offset + bytes});
  highest = std::max(highest, offset + bytes);
  return offset;
}

void SharedMemory::enterTeam(int64_t barrierNumber, int64_t threadsOfTeam) {
  number = barrierNumber, threads = threadsOfTeam, keeps = true;
  read.clear(), written.clear(), copied.clear(), flying.clear();
}

void SharedMemory::release(int64_t offset) {
  if (keeps)
    return;
  llvm::erase_if(held, [&](const Range &range) { return range.begin == offset; });
}

bool SharedMemory::overlap(llvm::ArrayRef<Range> ranges, int64_t begin, int64_t end) {
  return llvm::any_of(ranges, [&](const Range &range) { return range.begin < end && begin < range.end; });
}

void SharedMemory::barrier() {
  if (operandsWritten)
    code.fenceForProducts();
  code.barrier(number, threads);
  read.clear();
  written.clear();
  operandsWritten = false;
}

void SharedMemory::copies(int64_t offset, int64_t bytes) {
  writes(offset, bytes);
  copied.push_back(written.pop_back_val());
}

void SharedMemory::finishCopies() {
  if (copied.empty())
    return;
  code.awaitPieces();
  written.append(copied);
  copied.clear();
  operandsWritten = true;
}

void SharedMemory::awaits(int64_t offset, int64_t bytes) {
  if (overlap(copied, offset, offset + bytes))
    finishCopies();
  if (overlap(written, offset, offset + bytes))
    barrier();
}

void SharedMemory::reads(int64_t offset, int64_t bytes) {
  awaits(offset, bytes);
  read.push_back({offset, offset + bytes});
}

void SharedMemory::readsInGroup(int64_t offset, int64_t bytes, int64_t group) {
  reads(offset, bytes);
  flying.push_back({offset, offset + bytes, group});
}

void SharedMemory::groupsDone(int64_t upTo) {
  // A warp knows of its own products only: a barrier since they were issued says nothing about when they end.
  for (const Range &range : flying)
    if (range.group <= upTo)
      read.push_back({range.begin, range.end});
  llvm::erase_if(flying, [&](const Range &range) { return range.group <= upTo; });
}

void SharedMemory::writes(int64_t offset, int64_t bytes, bool operand) {
  int64_t group = 0;
  for (const Range &range : flying)
    if (overlap(range, offset, offset + bytes))
      group = std::max(group, range.group);
  if (group)
    finish(group);
  if (overlap(copied, offset, offset + bytes))
    finishCopies();
  if (overlap(written, offset, offset + bytes) || overlap(read, offset, offset + bytes))
    barrier();
  written.push_back({offset, offset + bytes});
  for (auto &turn : turns)
    turn.push_back({offset, offset + bytes});
  operandsWritten |= operand;
}

void SharedMemory::settle() {
  finishCopies();
  if (!read.empty() || !written.empty())
    barrier();
}

void SharedMemory::endTurn() {
  finishCopies();
  llvm::SmallVector<Range> all = turns.pop_back_val();
  if (!written.empty() || llvm::any_of(read, [&](const Range &range) { return overlap(all, range.begin, range.end); }))
    barrier();
}
