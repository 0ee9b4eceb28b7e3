// A tensor map in the form of the fake driver: what a real one keeps to itself, as plain fields.
#ifndef TEST_CODEGEN_NVPTX_EMULATOR_TENSORMAP_H
#define TEST_CODEGEN_NVPTX_EMULATOR_TENSORMAP_H

#include <cstdint>

namespace denim::ptx {

/// A matrix of elements of two bytes; boxes of it stand in shared memory with the swizzle of 128 bytes.
struct TensorMap {
  static constexpr uint64_t kMagic = 0x70616d20656b6166; ///< nothing else that a kernel may take for a map begins so
  uint64_t magic = kMagic;
  uint64_t address = 0, columns = 0, rows = 0, rowBytes = 0;
  uint32_t boxColumns = 0, boxRows = 0;
};
constexpr int64_t kTensorMapBytes = 128, kTensorMapAlignment = 64;
static_assert(sizeof(TensorMap) <= kTensorMapBytes);

} // namespace denim::ptx

#endif // TEST_CODEGEN_NVPTX_EMULATOR_TENSORMAP_H
