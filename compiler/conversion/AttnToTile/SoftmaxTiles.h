// What kernels of softmax attention do with tiles of scores, and with what they keep of the keys so far: the largest
// score m, the sum of weights l and the weighted sum of values, each relative to m.
#ifndef COMPILER_CONVERSION_ATTNTOTILE_SOFTMAXTILES_H
#define COMPILER_CONVERSION_ATTNTOTILE_SOFTMAXTILES_H

#include "compiler/conversion/AttnToTile/Emitter.h"
#include "compiler/conversion/AttnToTile/Scalars.h"
#include <limits>

namespace denim::softmax {

inline mlir::Value maximum(Emitter &e, tile::TileType type, mlir::Value x, mlir::Value y) {
  return e.map(type, {x, y}, [&](mlir::OpBuilder &b, mlir::ValueRange in) -> mlir::Value {
    return mlir::arith::MaximumFOp::create(b, e.loc, in[0], in[1]);
  });
}
/// x * factor + y
inline mlir::Value added(Emitter &e, tile::TileType type, mlir::Value x, mlir::Value factor, mlir::Value y) {
  return e.map(type, {x, factor, y}, [&](mlir::OpBuilder &b, mlir::ValueRange in) -> mlir::Value {
    return plus(b, e.loc, times(b, e.loc, in[0], in[1]), in[2]);
  });
}
/// x / y, of the shape of x
inline mlir::Value divided(Emitter &e, mlir::Value x, mlir::Value y) {
  return e.map(llvm::cast<tile::TileType>(x.getType()), {x, y}, [&](mlir::OpBuilder &b, mlir::ValueRange in) {
    return mlir::arith::DivFOp::create(b, e.loc, in[0], in[1]);
  });
}
/// cap * tanh(x * scale / cap)
inline mlir::Value capped(Emitter &e, tile::TileType type, mlir::Value x, double scale, double cap) {
  return e.map(type, x, [&](mlir::OpBuilder &b, mlir::ValueRange in) -> mlir::Value {
    mlir::Value small = times(b, e.loc, in[0], number(b, e.loc, scale / cap));
    return times(b, e.loc, mlir::math::TanhOp::create(b, e.loc, small), number(b, e.loc, cap));
  });
}
/// What exponents are relative to: `scale` m. A row that has seen no key yet has m = -inf: its weights are
/// 2^(-inf - 0) = 0.
inline mlir::Value baseOf(Emitter &e, tile::TileType type, mlir::Value m, double scale) {
  return e.map(type, m, [&](mlir::OpBuilder &b, mlir::ValueRange in) -> mlir::Value {
    mlir::Value least = number(b, e.loc, -std::numeric_limits<double>::infinity());
    mlir::Value none = mlir::arith::CmpFOp::create(b, e.loc, mlir::arith::CmpFPredicate::OEQ, in[0], least);
    mlir::Value scaled = times(b, e.loc, in[0], number(b, e.loc, scale));
    return mlir::arith::SelectOp::create(b, e.loc, none, number(b, e.loc, 0), scaled);
  });
}
/// 2^(scale x - base)
inline mlir::Value power(Emitter &e, tile::TileType type, mlir::Value x, mlir::Value base, double scale) {
  return e.map(type, {x, base}, [&](mlir::OpBuilder &b, mlir::ValueRange in) -> mlir::Value {
    mlir::Value scaled = times(b, e.loc, in[0], number(b, e.loc, scale));
    return mlir::math::Exp2Op::create(b, e.loc, minus(b, e.loc, scaled, in[1]));
  });
}

} // namespace denim::softmax

#endif // COMPILER_CONVERSION_ATTNTOTILE_SOFTMAXTILES_H
