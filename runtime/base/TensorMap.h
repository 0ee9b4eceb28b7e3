//===- TensorMap.h - what a kernel copies in boxes ----------------*- C++ -*-===//

#ifndef DENIM_RUNTIME_BASE_TENSORMAP_H
#define DENIM_RUNTIME_BASE_TENSORMAP_H

#include <array>
#include <cstdint>

namespace denim {

/// An argument of a kernel as a matrix of bf16 that it copies in boxes (CUDA; runtime/abi/Kernel.h).
struct TensorMapInfo {
  uint32_t argument;
  int64_t columns; ///< of the matrix
  uint32_t boxRows, boxColumns;

  /// As a driver is told: columns, rows. Rows are not counted, for kernels ask for boxes within their arguments, and
  /// which of them tokens of a later pass fill is not known here. Coordinates are of 32 bits with a sign.
  std::array<uint64_t, 2> dimensions() const { return {static_cast<uint64_t>(columns), INT32_MAX}; }
  uint64_t rowBytes() const { return 2 * static_cast<uint64_t>(columns); }
};

} // namespace denim

#endif
