// Ops of a tile kernel that stand beside the tiles: arithmetic on counters, bounds and scalars taken out of tiles.
#ifndef CODEGEN_BUILDER_SCALAROPS_H
#define CODEGEN_BUILDER_SCALAROPS_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/IRMapping.h"

namespace denim::codegen {

/// Writes the op once more, over the values that stand for its operands in `scalars`. An error stands at an op that has
/// regions or works on tiles: it has no lowering.
mlir::LogicalResult cloneScalarOp(mlir::OpBuilder &builder, mlir::Operation &op, mlir::IRMapping &scalars);

} // namespace denim::codegen

#endif // CODEGEN_BUILDER_SCALAROPS_H
