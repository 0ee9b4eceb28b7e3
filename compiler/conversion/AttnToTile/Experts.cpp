// Mixture of experts: choosing, and the chosen products (spec/models.md sections 2 and 3).
#include "compiler/conversion/AttnToTile/Emitter.h"
#include <limits>

using namespace mlir;
using namespace denim;

static constexpr int64_t kRowBlock = 16;

/// The `top` largest probabilities of each row, one after the other; among equals the lowest index first.
static void writeRoute(Emitter &e, model::RouteOp op, const Rows &rows, const Rows &stored) {
  int64_t experts = channelsOf(op.getScores()), top = op.getTop();
  double infinity = std::numeric_limits<double>::infinity();
  auto all = e.tileType(rows.count, experts), column = e.tileType(rows.count, 1);
  auto i32 = e.b.getI32Type();
  Value scores = e.emit(op.getScores(), rows, Window::whole(experts));
  if (!scores)
    return;
  Value largest = e.reduce(tile::Combiner::max, scores, 1);
  Value exps = e.map(all, {scores, largest}, [&](OpBuilder &b, ValueRange in) -> Value {
    return math::ExpOp::create(b, e.loc, arith::SubFOp::create(b, e.loc, in[0], in[1]));
  });
  Value left = e.map(all, {exps, e.reduce(tile::Combiner::add, exps, 1)}, [&](OpBuilder &b, ValueRange in) -> Value {
    return arith::DivFOp::create(b, e.loc, in[0], in[1]);
  });
  SmallVector<Value> weights, chosen;
  Value sum = e.splat(0, rows.count, 1);
  for (int64_t j = 0; j < top; ++j) {
    Value best = e.reduce(tile::Combiner::max, left, 1);
    // Scores that are no numbers are never less than the largest: the row chooses different experts even so, which is
    // what sorting relies on.
    Value candidates = e.map(all.withElement(i32), {left, best}, [&](OpBuilder &b, ValueRange in) -> Value {
      Value notLess = arith::CmpFOp::create(b, e.loc, arith::CmpFPredicate::UGE, in[0], in[1]);
      Value gone = arith::ConstantOp::create(b, e.loc, b.getF32FloatAttr(-infinity));
      Value there = arith::CmpFOp::create(b, e.loc, arith::CmpFPredicate::UNE, in[0], gone);
      Value equal = arith::AndIOp::create(b, e.loc, notLess, there);
      Value index = tile::IndexOp::create(b, e.loc, i32, b.getI64IntegerAttr(1));
      Value none = arith::ConstantOp::create(b, e.loc, b.getI32IntegerAttr(experts - 1));
      return arith::SelectOp::create(b, e.loc, equal, index, none);
    });
    Value index = e.reduce(tile::Combiner::min, candidates, 1);
    weights.push_back(best);
    chosen.push_back(index);
    sum = e.map(column, {sum, best},
                [&](OpBuilder &b, ValueRange in) -> Value { return arith::AddFOp::create(b, e.loc, in[0], in[1]); });
    left = e.map(all, {left, index}, [&](OpBuilder &b, ValueRange in) -> Value {
      Value own = tile::IndexOp::create(b, e.loc, i32, b.getI64IntegerAttr(1));
      Value taken = arith::CmpIOp::create(b, e.loc, arith::CmpIPredicate::eq, own, in[1]);
      Value gone = arith::ConstantOp::create(b, e.loc, b.getF32FloatAttr(-infinity));
      return arith::SelectOp::create(b, e.loc, taken, gone, in[0]);
    });
  }
  for (int64_t j = 0; j < top; ++j) {
    Value weight = weights[j];
    if (op.getRenormalized())
      weight = e.map(column, {weight, sum}, [&](OpBuilder &b, ValueRange in) -> Value {
        return arith::DivFOp::create(b, e.loc, in[0], in[1]);
      });
    Window at{j, {}, 1, 1};
    e.store(weight, 0, stored, at);
    e.store(chosen[j], 1, stored, at);
  }
}

tile::KernelOp denim::emitRoute(plan::KernelOp kernel, SmallVectorImpl<unsigned> &extras) {
  auto op = *kernel.getBlock()->getOps<model::RouteOp>().begin();
  Emitter e(kernel, tile::ItemsAttr::get(kernel.getContext(), rowKind(kernel), kRowBlock, 1));
  Value lo = e.mul(e.item(), kRowBlock);
  Value hi = e.min(e.add(lo, e.index(kRowBlock)), tile::CountOp::create(e.b, e.loc, rowKind(kernel)));
  e.loop(lo, hi, 1, [&](Value row) { writeRoute(e, op, Rows{row, 1, {}, {}}, Rows{row, 1, {}, {}}); });
  extras.append(e.extraOperands().begin(), e.extraOperands().end());
  return e.failed() ? nullptr : e.tileKernel;
}

/// All 16 rows of an item at once; those behind the last are computed from padding and not stored.
tile::KernelOp denim::emitRouteOfBlock(plan::KernelOp kernel, SmallVectorImpl<unsigned> &extras) {
  auto op = *kernel.getBlock()->getOps<model::RouteOp>().begin();
  Emitter e(kernel, tile::ItemsAttr::get(kernel.getContext(), rowKind(kernel), kRowBlock, 1));
  Value lo = e.mul(e.item(), kRowBlock);
  Value hi = e.min(e.add(lo, e.index(kRowBlock)), tile::CountOp::create(e.b, e.loc, rowKind(kernel)));
  writeRoute(e, op, Rows{lo, kRowBlock, {}, {}}, Rows{lo, kRowBlock, lo, hi});
  extras.append(e.extraOperands().begin(), e.extraOperands().end());
  return e.failed() ? nullptr : e.tileKernel;
}

tile::KernelOp denim::emitExperts(plan::KernelOp kernel, SmallVectorImpl<unsigned> &extras) {
  if (auto form = kernel->getAttrOfType<StringAttr>("form"); form && form.getValue() != "few")
    return emitGroupedExperts(kernel, extras);
  auto op = *kernel.getBlock()->getOps<model::ExpertsOp>().begin();
  auto gate = cast<RankedTensorType>(op.getGate().getType());
  int64_t inner = gate.getDimSize(1), hidden = gate.getDimSize(2), top = channelsOf(op.getWeights());
  Emitter e(kernel, tile::ItemsAttr::get(kernel.getContext(), rowKind(kernel), 1, 1));
  Value row = e.item();
  auto i32 = tile::TileType::get(kernel.getContext(), 1, 1, e.b.getI32Type());
  Rows one{row, 1, {}, {}};
  Value x = e.load(e.memoryOf(op.getInput()), one, e.index(0), hidden);
  auto stacked = [&](Value stack, Value expert, int64_t rows, int64_t columns) {
    auto memory =
        tile::MemoryType::get(kernel.getContext(), columns, cast<RankedTensorType>(stack.getType()).getElementType());
    Value m = tile::StackedOp::create(e.b, e.loc, memory, e.memoryOf(stack), expert);
    return e.load(m, Rows{e.index(0), rows, {}, {}}, e.index(0), columns);
  };
  Emitter::MmaOptions rightTurned{false, true, {}, tile::Triangle::none};
  SmallVector<Value> sum = e.loop(e.index(0), e.index(top), 1, e.splat(0, 1, hidden), [&](Value j, ValueRange acc) {
    Value chosen =
        tile::LoadOp::create(e.b, e.loc, i32, e.memoryOf(op.getExperts()), row, j, Value(), Value(), UnitAttr());
    Value expert = e.firstAsIndex(chosen);
    Value weight = e.load(e.memoryOf(op.getWeights()), one, j, 1);
    Value g = e.mma(x, stacked(op.getGate(), expert, inner, hidden), rightTurned);
    Value u = e.mma(x, stacked(op.getUp(), expert, inner, hidden), rightTurned);
    Value h = e.map(e.tileType(1, inner), {g, u}, [&](OpBuilder &b, ValueRange in) -> Value {
      Value one = arith::ConstantOp::create(b, e.loc, b.getF32FloatAttr(1.0));
      Value s =
          arith::AddFOp::create(b, e.loc, one, math::ExpOp::create(b, e.loc, arith::NegFOp::create(b, e.loc, in[0])));
      return arith::MulFOp::create(b, e.loc, arith::DivFOp::create(b, e.loc, in[0], s), in[1]);
    });
    Value y = e.mma(h, stacked(op.getDown(), expert, hidden, inner), rightTurned);
    return SmallVector<Value>{
        e.map(e.tileType(1, hidden), {acc[0], y, weight}, [&](OpBuilder &b, ValueRange in) -> Value {
          return arith::AddFOp::create(b, e.loc, in[0], arith::MulFOp::create(b, e.loc, in[1], in[2]));
        })};
  });
  e.store(sum[0], 0, one, Window::whole(hidden));
  extras.append(e.extraOperands().begin(), e.extraOperands().end());
  return e.failed() ? nullptr : e.tileKernel;
}
