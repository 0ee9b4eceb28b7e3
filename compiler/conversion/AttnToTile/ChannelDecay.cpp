#include "compiler/conversion/AttnToTile/ChannelDecay.h"
#include "compiler/conversion/AttnToTile/Scalars.h"
#include <cmath>

using namespace mlir;
using namespace denim;

/// No chunk has more.
static constexpr int64_t kMostRows = 1024;
/// Rows of a group that is split where those of a warp forget too much: 29 a token, as a logarithm, is rare.
static constexpr int64_t kFewRows = 4;
/// Both exponents of a pair that is split in the middle of the decay of its group stay below, so that neither a factor
/// nor what a vector has on top of it leaves the range of f32 and bf16, 2^127.
static constexpr double kMostExponent = 64;

// Elements of a map.
static Value exp2(OpBuilder &b, Location loc, Value x) {
  return math::Exp2Op::create(b, loc, x);
}
static Value below(OpBuilder &b, Location loc, Value x, int64_t bound) {
  return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt, x, integer(b, loc, bound));
}
static Value indexOf(OpBuilder &b, Location loc, int64_t dimension) {
  return tile::IndexOp::create(b, loc, b.getI32Type(), b.getI64IntegerAttr(dimension));
}
/// Whether the element's row is of the second half of its group.
static Value isSecond(OpBuilder &b, Location loc, int64_t half) {
  Value bit = arith::AndIOp::create(b, loc, indexOf(b, loc, 0), integer(b, loc, half));
  return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ne, bit, integer(b, loc, 0));
}
static tile::TileType typeOf(Value tile) {
  return cast<tile::TileType>(tile.getType());
}

ChannelDecay::ChannelDecay(Emitter &e, Value g, std::optional<double> least) : e(e), length(typeOf(g).getRows()) {
  assert(llvm::isPowerOf2_64(length) && length >= kWarpRows && "a chunk is halved until groups of a warp are left");
  sum = e.map(typeOf(g), g,
              [&](OpBuilder &b, ValueRange in) -> Value { return times(b, e.loc, in[0], number(b, e.loc, kLog2E)); });
  bounded = isBounded(least);
  groupRows = std::clamp(rowsToSplit(least), int64_t(kWarpRows), length);
}

int64_t ChannelDecay::rowsToSplit(std::optional<double> least) {
  int64_t rows = 1;
  while (least && rows < kMostRows && 2 * rows * std::abs(*least) * kLog2E <= 2 * kMostExponent)
    rows *= 2;
  return rows;
}

Value ChannelDecay::faded(Value tile, Value factors) {
  return e.product(typeOf(tile), {tile, factors});
}

Value ChannelDecay::product(Value rows, Value columns, int64_t group) {
  return e.mma(rows, columns, {false, true, {}, tile::Triangle::none, group});
}

Value ChannelDecay::sumOfFirst(int64_t half) {
  return e.spread(sum, half - 1, 2 * half);
}

void ChannelDecay::join(Value first, int64_t half) {
  sum = e.map(typeOf(sum), {sum, first}, [&](OpBuilder &b, ValueRange in) -> Value {
    Value longer = arith::AddFOp::create(b, e.loc, in[0], in[1]);
    return arith::SelectOp::create(b, e.loc, isSecond(b, e.loc, half), longer, in[0]);
  });
}

void ChannelDecay::prepare(Value y, Value x, bool own) {
  wantsOwn = own;
  for (int64_t half = 1; half < groupRows; half *= 2)
    join(sumOfFirst(half), half);
  near = bounded ? splitInMiddle(groupRows, y, x) : splitOrHalved(y, x);
  for (int64_t half = groupRows; half < length; half *= 2)
    halve(half, y, x);
}

ChannelDecay::Split ChannelDecay::splitInMiddle(int64_t rows, Value y, Value x) {
  // Sums are those of groups that may be longer than these.
  SmallVector<Value> inputs{sum, e.spread(sum, rows - 1, rows)};
  if (rows < groupRows)
    inputs.push_back(e.spread(sum, 0, rows));
  auto factors = [&](bool reader) {
    return e.map(typeOf(sum), inputs, [&](OpBuilder &b, ValueRange in) -> Value {
      Value ends = in.size() > 2 ? arith::AddFOp::create(b, e.loc, in[1], in[2]).getResult() : in[1];
      Value middle = times(b, e.loc, ends, number(b, e.loc, 0.5));
      return exp2(b, e.loc, reader ? minus(b, e.loc, in[0], middle) : minus(b, e.loc, middle, in[0]));
    });
  };
  Value reading = factors(true), written = faded(y, factors(false));
  Value queries = product(written, faded(x, reading), rows);
  return {rows, wantsOwn ? product(faded(y, reading), written, rows) : Value(), queries};
}

Value ChannelDecay::canSplit(int64_t rows) {
  Value decay = e.spread(sum, rows - 1, rows);
  if (rows < groupRows)
    decay = e.map(typeOf(sum), {decay, e.spread(sum, 0, rows)},
                  [&](OpBuilder &b, ValueRange in) -> Value { return minus(b, e.loc, in[0], in[1]); });
  Value least = e.reduce(tile::Combiner::min, e.reduce(tile::Combiner::min, decay, 1), 0);
  Value known = tile::ExtractOp::create(e.b, e.loc, e.b.getF32Type(), least, 0, 0);
  return arith::CmpFOp::create(e.b, e.loc, arith::CmpFPredicate::OGE, known, e.real(-2 * kMostExponent));
}

ChannelDecay::Split ChannelDecay::splitOrHalved(Value y, Value x) {
  auto products = [&](const Split &split) {
    return wantsOwn ? SmallVector<Value>{split.queries, split.own} : SmallVector<Value>{split.queries};
  };
  auto halvedFrom = [&](const Split &split) { return products(halved(split, y, x)); };
  SmallVector<Value> made = e.choose(
      canSplit(groupRows), [&] { return products(splitInMiddle(groupRows, y, x)); },
      [&] {
        return e.choose(
            canSplit(kFewRows), [&] { return halvedFrom(splitInMiddle(kFewRows, y, x)); },
            [&] {
              return halvedFrom({1, {}, e.reduce(tile::Combiner::add, faded(y, x), 1)});
            });
      });
  return {groupRows, wantsOwn ? made[1] : Value(), made[0]};
}

ChannelDecay::Split ChannelDecay::halved(Split pairs, Value y, Value x) {
  for (int64_t half = pairs.rows; half < groupRows; half *= 2) {
    // Both sides are as far from the last row of the first half as their sums are.
    Value factors =
        e.map(typeOf(sum), {sum, e.spread(sum, half - 1, 2 * half)}, [&](OpBuilder &b, ValueRange in) -> Value {
          Value apart = math::AbsFOp::create(b, e.loc, minus(b, e.loc, in[0], in[1]));
          return exp2(b, e.loc, arith::NegFOp::create(b, e.loc, apart));
        });
    Value fadedY = faded(y, factors), fadedX = faded(x, factors);
    auto merged = [&](Value closer, Value others) {
      if (!closer) // nobody reads its own
        return others;
      return e.map(typeOf(others), {closer, others}, [&](OpBuilder &b, ValueRange in) -> Value {
        // The numbers within a warp's rows are enough, and the same for every 16 columns.
        Value apart = arith::XOrIOp::create(b, e.loc, indexOf(b, e.loc, 0), indexOf(b, e.loc, 1));
        apart = arith::AndIOp::create(b, e.loc, apart, integer(b, e.loc, kWarpRows - 1));
        return arith::SelectOp::create(b, e.loc, below(b, e.loc, apart, half), in[0], in[1]);
      });
    };
    Value queries = merged(pairs.queries, product(fadedY, fadedX, 2 * half));
    pairs = {2 * half, wantsOwn ? merged(pairs.own, product(fadedY, fadedY, 2 * half)) : Value(), queries};
  }
  return pairs;
}

void ChannelDecay::halve(int64_t half, Value y, Value x) {
  Value first = sumOfFirst(half);
  Value factors = e.map(typeOf(sum), {sum, first}, [&](OpBuilder &b, ValueRange in) -> Value {
    Value rest = minus(b, e.loc, in[1], in[0]);
    return exp2(b, e.loc, arith::SelectOp::create(b, e.loc, isSecond(b, e.loc, half), in[0], rest));
  });
  far.push_back({2 * half, faded(y, factors), faded(x, factors)});
  join(first, half);
}

ChannelDecay::Reads ChannelDecay::finish() {
  SmallVector<Split> splits{near};
  for (const Operands &operands : far)
    splits.push_back({operands.rows, wantsOwn ? product(operands.y, operands.y, operands.rows) : Value(),
                      product(operands.y, operands.x, operands.rows)});
  // A pair is in the smallest group that holds it: groups of n rows hold those whose numbers differ in bits below n.
  auto merged = [&](bool own) -> Value {
    SmallVector<Value> inputs;
    for (const Split &split : splits)
      inputs.push_back(own ? split.own : split.queries);
    return e.map(e.tileType(length, length), inputs, [&](OpBuilder &b, ValueRange in) -> Value {
      Value row = indexOf(b, e.loc, 0), column = indexOf(b, e.loc, 1);
      Value apart = arith::XOrIOp::create(b, e.loc, row, column);
      Value pair = in.back();
      for (int64_t i = int64_t(in.size()) - 2; i >= 0; --i)
        pair = arith::SelectOp::create(b, e.loc, below(b, e.loc, apart, splits[i].rows), in[i], pair);
      auto reads = own ? arith::CmpIPredicate::sgt : arith::CmpIPredicate::sle;
      Value isRead = arith::CmpIOp::create(b, e.loc, reads, row, column);
      return arith::SelectOp::create(b, e.loc, isRead, pair, number(b, e.loc, 0));
    });
  };
  return {wantsOwn ? merged(true) : Value(), merged(false)};
}

Value ChannelDecay::fromStart() {
  return e.map(typeOf(sum), sum, [&](OpBuilder &b, ValueRange in) -> Value { return exp2(b, e.loc, in[0]); });
}

Value ChannelDecay::toEnd(Value y) {
  return e.map(typeOf(y), {y, sum, e.spread(sum, length - 1, length)}, [&](OpBuilder &b, ValueRange in) -> Value {
    return times(b, e.loc, in[0], exp2(b, e.loc, minus(b, e.loc, in[2], in[1])));
  });
}

Value ChannelDecay::total() {
  return e.map(e.tileType(1, typeOf(sum).getColumns()), e.window(sum, length - 1, 0, 1, typeOf(sum).getColumns()),
               [&](OpBuilder &b, ValueRange in) -> Value { return exp2(b, e.loc, in[0]); });
}
