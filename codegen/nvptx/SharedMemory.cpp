#include "codegen/nvptx/SharedMemory.h"
#include "llvm/ADT/STLExtras.h"

using namespace denim::codegen::nvptx;

int64_t SharedMemory::allocate(int64_t bytes, int64_t alignment) {
  int64_t offset = 0;
  // First fit; `held` is sorted.
  auto it = held.begin();
  for (; it != held.end(); ++it) {
    if (offset + bytes <= it->begin)
      break;
    offset = llvm::alignTo(std::max(offset, it->end), alignment);
  }
  held.insert(it, {offset, offset + bytes});
  highest = std::max(highest, offset + bytes);
  return offset;
}

void SharedMemory::release(int64_t offset) {
  llvm::erase_if(held, [&](const Range &range) { return range.begin == offset; });
}

bool SharedMemory::overlap(llvm::ArrayRef<Range> ranges, int64_t begin, int64_t end) {
  return llvm::any_of(ranges, [&](const Range &range) { return range.begin < end && begin < range.end; });
}

void SharedMemory::barrier() {
  if (operandsWritten)
    code.fenceForProducts();
  code.barrier();
  read.clear();
  written.clear();
  operandsWritten = false;
}

void SharedMemory::reads(int64_t offset, int64_t bytes) {
  if (overlap(written, offset, offset + bytes))
    barrier();
  read.push_back({offset, offset + bytes});
}

void SharedMemory::writes(int64_t offset, int64_t bytes, bool operand) {
  if (overlap(written, offset, offset + bytes) || overlap(read, offset, offset + bytes))
    barrier();
  written.push_back({offset, offset + bytes});
  operandsWritten |= operand;
}

void SharedMemory::settle() {
  if (!read.empty() || !written.empty())
    barrier();
}
