// Ops that show the same elements in another shape or element type: forming kernels and writing them both look through
// these.
#ifndef COMPILER_CONVERSION_RESHAPES_H
#define COMPILER_CONVERSION_RESHAPES_H

#include "dialects/model/ir/Model.h"
#include "dialects/plan/ir/Plan.h"

namespace denim {

inline bool isReshape(mlir::Operation *op) {
  return mlir::isa_and_present<model::HeadsOp, model::FlattenOp, plan::CastOp>(op);
}

/// The value whose elements `value` shows in another shape.
inline mlir::Value withoutReshapes(mlir::Value value) {
  while (isReshape(value.getDefiningOp()))
    value = value.getDefiningOp()->getOperand(0);
  return value;
}

} // namespace denim

#endif // COMPILER_CONVERSION_RESHAPES_H
