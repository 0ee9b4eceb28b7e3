// Tile kernels to machine code for CPUs: the door of this room.
//
// A module of `tile.kernel`s becomes one shared object that exports, for each kernel, a function of the kernel's name
// and of type denim_kernel_fn (runtime/abi/Kernel.h). The object needs no library: exp and its kin are vector code.
#ifndef CODEGEN_CPU_COMPILE_H
#define CODEGEN_CPU_COMPILE_H

#include "codegen/target/Target.h"
#include "llvm/Support/Error.h"
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace mlir {
class ModuleOp;
class OpPassManager;
class Pass;
} // namespace mlir

namespace denim::codegen {

struct CpuOptions {
  /// Program that links; empty: ld.lld-22, ld.lld or clang, whichever PATH has first.
  std::string linker;
  /// LLVM's optimisation level, 0 to 3.
  int optimization = 3;
  /// Operands of products by a matrix unit (Target::matrix) are rounded to bf16 once: errors near 2^-9 of each term,
  /// and a third or a sixth of the tile products. Machines without one compute in f32 as ever.
  bool bf16Products = false;
};

struct CpuCode {
  std::vector<char> sharedObject;
  /// Bytes of scratch each kernel wants per thread, by the kernel's name.
  std::vector<std::pair<std::string, int64_t>> kernelScratch;
};

/// Compiles all kernels of the module. The module is not changed.
llvm::Expected<CpuCode> compileForCpu(mlir::ModuleOp tileModule, const Target &target, const CpuOptions &options = {});

enum class CpuText { llvm, assembly };

/// The optimised LLVM IR or the assembly text of the kernels.
llvm::Expected<std::string> printForCpu(mlir::ModuleOp tileModule, const Target &target, CpuText text,
                                        const CpuOptions &options = {});

/// `convert-tile-to-cpu`: each tile.kernel becomes an llvm.func whose body is scf, arith, math, vector and LLVM
/// pointers. The scratch bytes are left on the function as the attribute `tile.scratch_bytes`.
std::unique_ptr<mlir::Pass> createConvertTileToCpuPass(const Target &target, bool bf16Products = false);
std::unique_ptr<mlir::Pass> createConvertTileToCpuPass();

/// tile to the LLVM dialect: the pass above, expand-math (codegen/math) and the conversions of what they leave.
void buildCpuPipeline(mlir::OpPassManager &passes, const Target &target, bool bf16Products = false);

/// Makes the pass and the pipeline `tile-to-cpu` known to denim-opt.
void registerCpuPasses();

} // namespace denim::codegen

#endif // CODEGEN_CPU_COMPILE_H
