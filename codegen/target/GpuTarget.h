// What a GPU can do. Code generation asks these fields and never compares names; the runtime accepts code for a target
// when the device's compute capability is the target's.
#ifndef CODEGEN_TARGET_GPUTARGET_H
#define CODEGEN_TARGET_GPUTARGET_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <cstdint>
#include <string>

namespace denim::codegen {

struct GpuTarget {
  std::string name;               ///< "sm_90a"; what the user writes, what a module records, LLVM's and ptxas' name.
  std::string features;           ///< LLVM feature string: the version of PTX.
  int64_t sharedBytes;            ///< Shared memory one block may have.
  int64_t registers;              ///< 32-bit registers of a multiprocessor.
  int64_t multiprocessors;        ///< Of the chip the target is named for; what grids are shaped for.
  int64_t sharedOfMultiprocessor; ///< Bytes of shared memory that its blocks have together, 1 KiB of each unseen.
  int64_t residentThreads;        ///< Of a multiprocessor.
  int64_t residentBlocks;         ///< Of a multiprocessor.
  double memoryRate;              ///< Bytes that memory gives in a microsecond.
  double memoryLatency;           ///< Microseconds until the first of them are there.
  double matrixRate;              ///< Operations of bf16 products in a microsecond, by all multiprocessors.
  bool warpgroupProduct;          ///< Has products of four warps with operands in shared memory (wgmma).
  bool matrixStore;               ///< Stores 8x8 matrices from fragments (stmatrix).
  bool bulkCopy; ///< Has copies of whole ranges that complete on a barrier in shared memory (cp.async.bulk).
};

/// Names that findGpuTarget takes, newest first.
llvm::ArrayRef<llvm::StringRef> gpuTargetNames();

llvm::Expected<GpuTarget> findGpuTarget(llvm::StringRef name);

} // namespace denim::codegen

#endif // CODEGEN_TARGET_GPUTARGET_H
