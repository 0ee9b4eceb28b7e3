// What kernels of softmax attention do with tiles of scores, and with what they keep of the keys so far: the largest
// score m, the sum of weights l and the weighted sum of values, each relative to m.
#ifndef COMPILER_CONVERSION_ATTNTOTILE_SOFTMAXTILES_H
#define COMPILER_CONVERSION_ATTNTOTILE_SOFTMAXTILES_H

#include "compiler/conversion/AttnToTile/Emitter.h"
#include "compiler/conversion/AttnToTile/Scalars.h"
#include <limits>

namespace denim::softmax {

/// Running maximum, sum of weights and sum of weighted values.
using Running = llvm::SmallVector<mlir::Value>;

/// Of no key yet.
inline Running nothing(Emitter &e, int64_t rows, int64_t columns) {
  return {e.splat(-std::numeric_limits<double>::infinity(), rows, 1), e.splat(0, rows, 1), e.splat(0, rows, columns)};
}

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
/// exp(x - y)
inline mlir::Value faded(Emitter &e, tile::TileType type, mlir::Value x, mlir::Value y) {
  return e.map(type, {x, y}, [&](mlir::OpBuilder &b, mlir::ValueRange in) -> mlir::Value {
    return mlir::math::ExpOp::create(b, e.loc, minus(b, e.loc, in[0], in[1]));
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
    mlir::Value scaled = scale == 1 ? in[0] : times(b, e.loc, in[0], number(b, e.loc, scale));
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
/// The sum of weights l relative to 2^base, with one more logit for each row: that of head `first` and of those behind
/// it. Rows from `heads` on are not used.
inline mlir::Value withSinks(Emitter &e, mlir::Value l, mlir::Value base, mlir::Value sinks, mlir::Value first,
                             int64_t rows, int64_t heads) {
  Rows own{first, rows, {}, {}};
  if (rows != heads)
    own.lo = first, own.hi = e.add(first, e.index(heads));
  mlir::Value logits = e.load(sinks, own, e.index(0), 1);
  return e.map(llvm::cast<tile::TileType>(l.getType()), {l, logits, base},
               [&](mlir::OpBuilder &b, mlir::ValueRange in) {
                 mlir::Value x = times(b, e.loc, in[1], number(b, e.loc, kLog2E));
                 mlir::Value weight = mlir::math::Exp2Op::create(b, e.loc, minus(b, e.loc, x, in[2]));
                 return plus(b, e.loc, in[0], weight);
               });
}

} // namespace denim::softmax

#endif // COMPILER_CONVERSION_ATTNTOTILE_SOFTMAXTILES_H
