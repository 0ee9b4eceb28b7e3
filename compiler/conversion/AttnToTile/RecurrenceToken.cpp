// One token: S <- Diag(a) S + sum of k w^T. The state is read for all products before it is written, so what the output
// reads of the new state is put together from the old one:  S_t^T q = S_(t-1)^T (a o q) + sum of (k.q) w.
#include "compiler/conversion/AttnToTile/Recurrence.h"
#include "compiler/conversion/AttnToTile/Scalars.h"

using namespace mlir;
using namespace denim;

void RecurrenceWriter::writeToken(Value row) {
  Rows rows{row, 1, begin, end};
  Shared shared = sharedVectors(rows);
  if (e.failed())
    return;
  bool delta = form.isDelta(), freeRank = form.p && !delta;
  auto line = e.tileType(1, width), across = e.tileType(1, form.keyDim);

  // Products of vectors, and keys as columns, once for all heads that share them.
  llvm::SmallDenseMap<Value, std::pair<Value, Value>, 2> known;
  auto keyOf = [&](Value vector, Value head) -> std::pair<Value, Value> {
    if (head && known.count(vector))
      return known.lookup(vector);
    Value x = vectorOf(vector, shared, rows, head);
    Value dot = form.readAfter
                    ? e.mma(x, vectorOf(form.query, shared, rows, head), {false, true, {}, tile::Triangle::none})
                    : Value();
    return {dot, e.turned(x)};
  };
  for (Value vector : {form.k.vector, freeRank ? form.p.vector : Value()})
    if (vector && shared.count(vector) && (shared.count(form.query) || !form.readAfter))
      known[vector] = keyOf(vector, {});

  forEachHead([&](Value head) {
    Value g = logDecay(rows, head), beta = strength(form.k, rows, head);
    Value v = valueOf(form.value, rows, head);
    Value gain = freeRank ? strength(form.p, rows, head) : Value();
    if (e.failed())
      return;
    Value a = g ? e.map(perChannel() ? across : e.tileType(1, 1), g,
                        [&](OpBuilder &b, ValueRange in) -> Value { return math::ExpOp::create(b, e.loc, in[0]); })
                : Value();
    Value s = stateOf(head);
    // x^T S, or x^T Diag(a) S.
    auto read = [&](Value vector, bool decayed) -> Value {
      Value x = vectorOf(vector, shared, rows, head);
      if (!a || !decayed)
        return e.mma(x, s);
      if (perChannel())
        return e.mma(
            e.map(across, {x, a}, [&](OpBuilder &b, ValueRange in) -> Value { return times(b, e.loc, in[0], in[1]); }),
            s);
      return e.map(line, {e.mma(x, s), a},
                   [&](OpBuilder &b, ValueRange in) -> Value { return times(b, e.loc, in[1], in[0]); });
    };

    // Lines to add, each with its vector.
    SmallVector<std::pair<Value, Value>, 2> writes;
    if (delta)
      writes.push_back(
          {form.k.vector, e.map(line, {v, read(form.k.vector, true), beta}, [&](OpBuilder &b, ValueRange in) -> Value {
             return times(b, e.loc, in[2], arith::SubFOp::create(b, e.loc, in[0], in[1]));
           })});
    else
      writes.push_back({form.k.vector, e.map(line, {v, beta}, [&](OpBuilder &b, ValueRange in) -> Value {
                          return times(b, e.loc, in[1], in[0]);
                        })});
    if (freeRank)
      writes.push_back(
          {form.p.vector, e.map(line, {read(form.q.vector, form.q.decayed), gain},
                                [&](OpBuilder &b, ValueRange in) -> Value { return times(b, e.loc, in[1], in[0]); })});

    SmallVector<Value> stateInputs{s}, outputInputs{read(form.query, form.readAfter)};
    if (a)
      stateInputs.push_back(perChannel() ? e.turned(a) : a);
    for (auto [vector, w] : writes) {
      auto [dot, column] = keyOf(vector, head);
      stateInputs.append({column, w});
      if (form.readAfter)
        outputInputs.append({dot, w});
    }
    Value next = e.map(cast<tile::TileType>(s.getType()), stateInputs, [&](OpBuilder &b, ValueRange in) -> Value {
      Value sum = a ? times(b, e.loc, in[1], in[0]) : in[0];
      for (size_t i = a ? 2 : 1; i < in.size(); i += 2)
        sum = plus(b, e.loc, sum, times(b, e.loc, in[i], in[i + 1]));
      return sum;
    });
    storeState(next, head);
    Value out = e.map(line, outputInputs, [&](OpBuilder &b, ValueRange in) -> Value {
      Value sum = in[0];
      for (size_t i = 1; i < in.size(); i += 2)
        sum = plus(b, e.loc, sum, times(b, e.loc, in[i], in[i + 1]));
      return times(b, e.loc, arith::ConstantOp::create(b, e.loc, b.getF32FloatAttr(form.readScale)), sum);
    });
    if (form.skip) {
      Value skipped = valueOf(form.skip.vector, rows, head), skip = strength(form.skip, rows, head);
      if (e.failed())
        return;
      out = withSkip(out, skip, skipped);
    }
    storeOutput(out, rows, head);
  });
}

//===--------------------------------------------------------------------------------------------------------------===//
// A region as it is written
//===--------------------------------------------------------------------------------------------------------------===//

Value RecurrenceWriter::emitStep(Operation *step, ValueRange tiles, int64_t rows) {
  auto type = cast<RankedTensorType>(step->getResult(0).getType());
  auto result = type.getRank() == 2 ? e.tileType(type.getDimSize(0), type.getDimSize(1))
                                    : e.tileType(rows, type.getRank() == 1 ? type.getDimSize(0) : 1);
  if (auto decay = dyn_cast<attn::DecayOp>(step)) {
    Value g = tiles[1];
    if (cast<tile::TileType>(g.getType()).getColumns() > 1)
      g = e.turned(g);
    return e.map(result, {tiles[0], g}, [&](OpBuilder &b, ValueRange in) -> Value {
      return times(b, e.loc, math::ExpOp::create(b, e.loc, in[1]), in[0]);
    });
  }
  if (isa<attn::ReadOp>(step))
    return e.mma(tiles[1], tiles[0]);
  if (isa<attn::WriteOp>(step))
    return e.map(result, {tiles[0], e.turned(tiles[1]), tiles[2]}, [&](OpBuilder &b, ValueRange in) -> Value {
      return plus(b, e.loc, in[0], times(b, e.loc, in[1], in[2]));
    });
  return e.map(result, tiles, [&](OpBuilder &b, ValueRange in) -> Value {
    if (isa<attn::AddOp>(step))
      return plus(b, e.loc, in[0], in[1]);
    if (isa<attn::SubOp>(step))
      return arith::SubFOp::create(b, e.loc, in[0], in[1]);
    if (isa<attn::MulOp>(step))
      return times(b, e.loc, in[0], in[1]);
    double factor = cast<attn::ScaleOp>(step).getFactor().convertToDouble();
    return times(b, e.loc, in[0], arith::ConstantOp::create(b, e.loc, b.getF32FloatAttr(factor)));
  });
}

void RecurrenceWriter::writeRegionToken(Value row) {
  Rows rows{row, 1, begin, end};
  auto recurrence = cast<attn::RecurrenceOp>(op.getOperation());
  Block *block = recurrence.getBlock();
  forEachHead([&](Value head) {
    llvm::DenseMap<Value, Value> tiles;
    tiles[block->getArgument(0)] = stateOf(head);
    for (BlockArgument argument : block->getArguments().drop_front())
      tiles[argument] = tileOf(argument, rows, head);
    if (e.failed())
      return;
    for (Operation &step : block->without_terminator()) {
      SmallVector<Value> operands;
      for (Value operand : step.getOperands())
        operands.push_back(tiles.lookup(operand));
      if (auto decay = dyn_cast<attn::DecayOp>(step); decay && decay.getRates())
        operands.push_back(constantOfHead(*decay.getRates(), head));
      tiles[step.getResult(0)] = emitStep(&step, operands, 1);
    }
    auto yield = cast<attn::YieldOp>(block->getTerminator());
    storeState(tiles.lookup(yield.getState()), head);
    storeOutput(tiles.lookup(yield.getOutput()), rows, head);
  });
}
