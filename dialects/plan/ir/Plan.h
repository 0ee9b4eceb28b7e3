// The plan language: programs of launches. See PlanOps.td.
#ifndef DIALECTS_PLAN_IR_PLAN_H
#define DIALECTS_PLAN_IR_PLAN_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "dialects/plan/ir/PlanDialect.h.inc"
#define GET_OP_CLASSES
#include "dialects/plan/ir/PlanOps.h.inc"

namespace denim::plan {
/// Whether the module around `op` is planned for a CUDA device.
bool isForCuda(mlir::Operation *op);
} // namespace denim::plan

#endif // DIALECTS_PLAN_IR_PLAN_H
