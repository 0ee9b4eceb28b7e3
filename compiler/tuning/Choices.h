// Choices on the IR: answered, recorded, listed. README.md has the order in which answers are looked for.
#ifndef COMPILER_TUNING_CHOICES_H
#define COMPILER_TUNING_CHOICES_H

#include "compiler/tuning/Choice.h"
#include "compiler/tuning/CostModel.h"
#include "compiler/tuning/Table.h"
#include "mlir/IR/BuiltinOps.h"

namespace denim::tuning {

/// Says on the module what overrides predictions and the table in the compiler: first what the user forces.
void attachOverrides(mlir::ModuleOp module, llvm::ArrayRef<Entry> forced, const Table *table);

/// The target that a module is planned for; without `plan.target` the best of its machine. An error is reported.
mlir::FailureOr<codegen::GpuTarget> gpuTargetOf(mlir::Operation *op);
mlir::FailureOr<codegen::Target> cpuTargetOf(mlir::Operation *op);

/// The answer for a kernel (or an op that will be in one), recorded on it. An override that is no candidate of this
/// kernel does not count. Fails, with an error on the kernel, when its record says what it cannot have.
mlir::FailureOr<int64_t> choose(mlir::Operation *kernel, const Question &question);

/// What was chosen for `from`, and for ops inside of it, was chosen for `to` too.
void copyChoices(mlir::Operation *from, mlir::Operation *to);

/// All choices of the module's kernels as a table: equal ones once, with the names of the kernels they are in.
std::string choicesAsTable(mlir::ModuleOp module);

/// What the user forces and no kernel has, as `linear.panel_columns=50`.
llvm::SmallVector<std::string> unusedForced(mlir::ModuleOp module);

} // namespace denim::tuning

#endif // COMPILER_TUNING_CHOICES_H
