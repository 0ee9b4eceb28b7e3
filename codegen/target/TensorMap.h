// A matrix that a kernel copies by cp.async.bulk.tensor, as its launch has to describe it (runtime/abi/Kernel.h).
#ifndef CODEGEN_TARGET_TENSORMAP_H
#define CODEGEN_TARGET_TENSORMAP_H

#include <cstdint>

namespace denim::codegen {

/// Elements are bf16; boxes stand in shared memory with the swizzle of 128 bytes.
struct TensorMap {
  int64_t memory;  ///< which argument of the kernel, from 0
  int64_t columns; ///< elements of a row
  int64_t boxRows, boxColumns;

  bool operator==(const TensorMap &other) const {
    return memory == other.memory && columns == other.columns && boxRows == other.boxRows &&
           boxColumns == other.boxColumns;
  }
};

} // namespace denim::codegen

#endif // CODEGEN_TARGET_TENSORMAP_H
