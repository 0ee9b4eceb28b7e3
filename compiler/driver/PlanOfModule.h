// Reads the plan of a module file off the IR behind the tile phase.
#ifndef COMPILER_DRIVER_PLANOFMODULE_H
#define COMPILER_DRIVER_PLANOFMODULE_H

#include "codegen/package/ModuleWriter.h"
#include "mlir/IR/BuiltinOps.h"

namespace denim {
/// Fails with a diagnostic where programs, kernels and the schedule do not fit together.
mlir::FailureOr<codegen::ModulePlan> planOfModule(mlir::ModuleOp module);
} // namespace denim

#endif // COMPILER_DRIVER_PLANOFMODULE_H
