// Tile kernels to code for NVIDIA GPUs: the door of this room.
//
// A module of `tile.kernel`s becomes one PTX text with an entry of the kernel's name for each (runtime/abi/Kernel.h
// says with which parameters), and machine code when ptxas is there.
#ifndef CODEGEN_NVPTX_COMPILE_H
#define CODEGEN_NVPTX_COMPILE_H

#include "codegen/target/GpuTarget.h"
#include "codegen/target/TensorMap.h"
#include "llvm/Support/Error.h"
#include <memory>
#include <string>
#include <vector>

namespace mlir {
class ModuleOp;
class OpPassManager;
class Pass;
} // namespace mlir

namespace denim::codegen {

struct NvptxOptions {
  /// Products take operands as sums of two bf16, with errors near those of f32, at a third of the speed.
  bool exact = false;
  /// The assembler; empty: ptxas of PATH or of /usr/local/cuda/bin, or none. "-": none.
  std::string assembler;
};

struct NvptxKernel {
  std::string name;
  int64_t threads = 0;                    ///< of a block
  int64_t sharedBytes = 0;                ///< dynamic shared memory of a block
  int64_t registers = -1;                 ///< of a thread; -1 when no assembler was there to say
  int64_t spillBytes = -1;                ///< stored and loaded, of a thread
  bool overlaps = false;                  ///< waits itself for the kernel before, and may begin earlier
  std::vector<TensorMap> tensorMaps = {}; ///< parameters behind its memories
};

struct NvptxCode {
  std::string ptx;
  std::vector<char> cubin;           ///< empty without an assembler
  std::vector<std::string> warnings; ///< of the assembler
  std::vector<NvptxKernel> kernels;
};

/// Compiles all kernels of the module. The module is not changed.
llvm::Expected<NvptxCode> compileForNvptx(mlir::ModuleOp tileModule, const GpuTarget &target,
                                          const NvptxOptions &options = {});

/// `convert-tile-to-nvptx`: each tile.kernel becomes an llvm.func that says what a thread does. The threads of a block
/// and its shared memory are left on the function as `tile.threads` and `tile.shared_bytes`, and what its tensor copies
/// need as `tile.tensor_maps`: dictionaries with `memory`, `columns`, `box_rows` and `box_columns` (TensorMap).
std::unique_ptr<mlir::Pass> createConvertTileToNvptxPass(const GpuTarget &target, bool exact);
std::unique_ptr<mlir::Pass> createConvertTileToNvptxPass();

/// `nvptx-division`: divisions of f32 by the hardware.
std::unique_ptr<mlir::Pass> createNvptxDivisionPass();

/// `verify-nvptx-synchronization`: refuses what `convert-tile-to-nvptx` leaves if a barrier, a wait or a fence is
/// missing between threads that meet in shared memory (codegen/nvptx/verify).
std::unique_ptr<mlir::Pass> createVerifySynchronizationPass();

/// tile to the LLVM dialect: the passes above and the conversions of what it leaves.
void buildNvptxPipeline(mlir::OpPassManager &passes, const GpuTarget &target, bool exact);

/// Makes the pass and the pipeline `tile-to-nvptx` known to denim-opt.
void registerNvptxPasses();

/// Runs ptxas over `code.ptx` and adds what it makes and says; without an assembler nothing changes.
llvm::Error assemble(NvptxCode &code, const GpuTarget &target, const std::string &assembler);

} // namespace denim::codegen

#endif // CODEGEN_NVPTX_COMPILE_H
