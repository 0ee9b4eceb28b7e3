// Arithmetic of elements, for the bodies of tile maps.
#ifndef COMPILER_CONVERSION_ATTNTOTILE_SCALARS_H
#define COMPILER_CONVERSION_ATTNTOTILE_SCALARS_H

#include "mlir/Dialect/Arith/IR/Arith.h"

namespace denim {

/// exp(x) = 2^(kLog2E x)
inline constexpr double kLog2E = 1.44269504088896341;

inline mlir::Value number(mlir::OpBuilder &b, mlir::Location loc, double x) {
  return mlir::arith::ConstantOp::create(b, loc, b.getF32FloatAttr(x));
}
inline mlir::Value integer(mlir::OpBuilder &b, mlir::Location loc, int64_t x) {
  return mlir::arith::ConstantOp::create(b, loc, b.getI32IntegerAttr(x));
}
inline mlir::Value times(mlir::OpBuilder &b, mlir::Location loc, mlir::Value x, mlir::Value y) {
  return mlir::arith::MulFOp::create(b, loc, x, y);
}
inline mlir::Value times(mlir::OpBuilder &b, mlir::Location loc, double x, mlir::Value y) {
  return x == 1 ? y : times(b, loc, number(b, loc, x), y);
}
inline mlir::Value plus(mlir::OpBuilder &b, mlir::Location loc, mlir::Value x, mlir::Value y) {
  return mlir::arith::AddFOp::create(b, loc, x, y);
}
inline mlir::Value minus(mlir::OpBuilder &b, mlir::Location loc, mlir::Value x, mlir::Value y) {
  return mlir::arith::SubFOp::create(b, loc, x, y);
}

} // namespace denim

#endif // COMPILER_CONVERSION_ATTNTOTILE_SCALARS_H
