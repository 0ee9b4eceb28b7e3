// What each kernel takes of its machine, said where the kernel comes from.
#ifndef COMPILER_DRIVER_KERNELREMARKS_H
#define COMPILER_DRIVER_KERNELREMARKS_H

#include "codegen/package/ModuleWriter.h"
#include "mlir/IR/BuiltinOps.h"

namespace denim {

/// A remark for each kernel of `code`, at the `tile.kernel` of its name in `module`. On a GPU: threads, registers,
/// bytes of shared memory, and the blocks that a multiprocessor holds with what limits them; registers that spill make
/// a warning of it. On a CPU: bytes of scratch of a thread.
void remarkKernels(mlir::ModuleOp module, const codegen::ModulePlan &plan, const codegen::TargetCode &code);

} // namespace denim

#endif // COMPILER_DRIVER_KERNELREMARKS_H
