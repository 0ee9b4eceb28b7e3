// One token: S <- Diag(a) S + sum of k w^T. The state is read for all products before it is written, so what the output
// reads of the new state is put together from the old one:  S_t^T q = S_(t-1)^T (a o q) + sum of (k.q) w.
#include "compiler/conversion/AttnToTile/Recurrence.h"

using namespace mlir;
using namespace denim;

static Value times(OpBuilder &b, Location loc, Value x, Value y) {
  return arith::MulFOp::create(b, loc, x, y);
}
static Value plus(OpBuilder &b, Location loc, Value x, Value y) {
  return arith::AddFOp::create(b, loc, x, y);
}

void RecurrenceWriter::writeToken(Value row) {
  Rows rows{row, 1, begin, end};
  Shared shared = sharedVectors(rows);
  if (e.failed())
    return;
  bool delta = form.isDelta(), freeRank = form.p && !delta;
  auto line = e.tileType(1, form.valueDim);

  // Products of vectors, and keys as columns, once for all heads that share them.
  llvm::SmallDenseMap<Value, std::pair<Value, Value>, 2> known;
  auto keyOf = [&](Value vector, const Shared &from, Value head) -> std::pair<Value, Value> {
    if (head && known.count(vector))
      return known.lookup(vector);
    Value x = vectorOf(vector, from, rows, head);
    Value dot = form.readAfter
                    ? e.mma(x, vectorOf(form.query, from, rows, head), {false, true, {}, tile::Triangle::none})
                    : Value();
    return {dot, e.turned(x)};
  };
  for (Value vector : {form.k.vector, freeRank ? form.p.vector : Value()})
    if (vector && shared.count(vector) && (shared.count(form.query) || !form.readAfter))
      known[vector] = keyOf(vector, shared, {});

  forEachHead([&](Value head) {
    Value g = logDecay(rows, head), beta = strength(form.k, rows, head);
    Value v = tileOf(form.value, rows, head);
    Value gain = freeRank ? strength(form.p, rows, head) : Value();
    Value pull = freeRank ? strength(form.q, rows, head) : Value();
    if (e.failed())
      return;
    Value a = g ? e.map(e.tileType(1, perChannel() ? form.keyDim : 1), g,
                        [&](OpBuilder &b, ValueRange in) -> Value { return math::ExpOp::create(b, e.loc, in[0]); })
                : Value();
    Value s = stateOf(head);
    // x^T S, or x^T Diag(a) S.
    auto read = [&](Value vector, bool decayed) -> Value {
      Value x = vectorOf(vector, shared, rows, head);
      if (!a || !decayed)
        return e.mma(x, s);
      if (perChannel())
        return e.mma(e.map(e.tileType(1, form.keyDim), {x, a},
                           [&](OpBuilder &b, ValueRange in) -> Value { return times(b, e.loc, in[0], in[1]); }),
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
      writes.push_back({form.p.vector, e.map(line, {read(form.q.vector, form.q.decayed), gain, pull},
                                             [&](OpBuilder &b, ValueRange in) -> Value {
                                               return times(b, e.loc, times(b, e.loc, in[1], in[2]), in[0]);
                                             })});

    SmallVector<Value> stateInputs{s}, outputInputs{read(form.query, form.readAfter)};
    if (a)
      stateInputs.push_back(perChannel() ? e.turned(a) : a);
    for (auto [vector, w] : writes) {
      auto [dot, column] = keyOf(vector, shared, head);
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
    storeOutput(out, rows, head);
  });
}
