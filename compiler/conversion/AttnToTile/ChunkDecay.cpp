#include "compiler/conversion/AttnToTile/ChunkDecay.h"
#include "compiler/conversion/AttnToTile/Scalars.h"
#include <limits>
#include <numeric>

using namespace mlir;
using namespace denim;

/// Both exponents of a pair that is split in the middle stay below 64 ln 2, so that neither a factor nor what a vector
/// has on top of it leaves the range of f32, 2^127.
static constexpr double kMostExponent = 64 / kLog2E;

// Elements of a map.
static Value exp(OpBuilder &b, Location loc, Value x) {
  return math::ExpOp::create(b, loc, x);
}
static Value rowNumber(OpBuilder &b, Location loc) {
  return tile::IndexOp::create(b, loc, b.getI32Type(), b.getI64IntegerAttr(0));
}
static Value columnNumber(OpBuilder &b, Location loc) {
  return tile::IndexOp::create(b, loc, b.getI32Type(), b.getI64IntegerAttr(1));
}
static Value compare(OpBuilder &b, Location loc, arith::CmpIPredicate predicate, Value x, Value y) {
  return arith::CmpIOp::create(b, loc, predicate, x, y);
}
static Value select(OpBuilder &b, Location loc, Value condition, Value x, Value y) {
  return arith::SelectOp::create(b, loc, condition, x, y);
}
static tile::TileType typeOf(Value tile) {
  return cast<tile::TileType>(tile.getType());
}

ChunkDecay::ChunkDecay(Emitter &e, Value g, Form form, int64_t length, bool hasFront)
    : e(e), g(g), form(form), length(length), rows(form == Form::perChannel ? std::gcd(length, int64_t(16)) : length) {
  if (!g)
    return;
  if (hasFront) {
    Value own = e.map(typeOf(g), g, [&](OpBuilder &b, ValueRange in) -> Value {
      Value isFront = compare(b, e.loc, arith::CmpIPredicate::eq, rowNumber(b, e.loc), integer(b, e.loc, 0));
      return select(b, e.loc, isFront, number(b, e.loc, 0), in[0]);
    });
    auto rowsFrom = [&](Value tile, int64_t row) { return e.window(tile, row, 0, length, typeOf(tile).getColumns()); };
    sums = tile::CumsumOp::create(e.b, e.loc, own.getType(), own);
    sum = rowsFrom(sums, 1), before = rowsFrom(sums, 0);
    this->g = rowsFrom(own, 1);
  } else {
    sum = tile::CumsumOp::create(e.b, e.loc, g.getType(), g);
  }
  last = e.window(sum, length - 1, 0, 1, typeOf(g).getColumns());
}

Value ChunkDecay::canSplit() {
  Value least = tile::ExtractOp::create(e.b, e.loc, e.b.getF32Type(), e.reduce(tile::Combiner::min, last, 1), 0, 0);
  return arith::CmpFOp::create(e.b, e.loc, arith::CmpFPredicate::OGE, least, e.real(-2 * kMostExponent));
}

Value ChunkDecay::part(Value tile, int64_t block) {
  return e.window(tile, block * rows, 0, rows, typeOf(tile).getColumns());
}

Value ChunkDecay::faded(Value tile, Value factors) {
  return e.product(typeOf(tile), {tile, factors});
}

/// G of the rows of a block as a reader takes it.
Value ChunkDecay::exponents(int64_t block, Reader reader) {
  if (reader == Reader::before && !before)
    before = e.map(typeOf(sum), {sum, g},
                   [&](OpBuilder &b, ValueRange in) -> Value { return minus(b, e.loc, in[0], in[1]); });
  return part(reader == Reader::behind ? sum : before, block);
}

/// x of a block, decayed since the row before the block; x itself, decayed since the start, in block 0.
Value ChunkDecay::toBlock(Value x, int64_t block, Reader reader, double scale) {
  SmallVector<Value> inputs{part(x, block), exponents(block, reader)};
  if (block > 0)
    inputs.push_back(e.window(sum, block * rows - 1, 0, 1, typeOf(sum).getColumns()));
  return e.map(typeOf(inputs[0]), inputs, [&](OpBuilder &b, ValueRange in) -> Value {
    Value exponent = block > 0 ? minus(b, e.loc, in[1], in[2]) : in[1];
    return times(b, e.loc, times(b, e.loc, scale, in[0]), exp(b, e.loc, exponent));
  });
}

/// y of all rows before a block, decayed up to the row before it.
Value ChunkDecay::toReference(Value y, int64_t block) {
  int64_t count = block * rows, columns = typeOf(sum).getColumns();
  SmallVector<Value> inputs{e.window(y, 0, 0, count, typeOf(y).getColumns()), e.window(sum, 0, 0, count, columns),
                            e.window(sum, count - 1, 0, 1, columns)};
  return e.map(typeOf(inputs[0]), inputs, [&](OpBuilder &b, ValueRange in) -> Value {
    return times(b, e.loc, in[0], exp(b, e.loc, minus(b, e.loc, in[2], in[1])));
  });
}

Value ChunkDecay::fromMiddle(Value x, Reader reader, double scale) {
  bool before = reader == Reader::before;
  Value &factors = readFactors[before], &known = readers[before][{x, llvm::bit_cast<int64_t>(scale)}];
  auto factorsOf = [&](Value sums) {
    return e.map(typeOf(sums), {sums, last}, [&](OpBuilder &b, ValueRange in) -> Value {
      return exp(b, e.loc, minus(b, e.loc, in[0], times(b, e.loc, 0.5, in[1])));
    });
  };
  if (!factors && sums) {
    Value all = factorsOf(sums);
    for (int64_t front : {0, 1})
      readFactors[front] = e.window(all, 1 - front, 0, length, typeOf(sums).getColumns());
  } else if (!factors) {
    factors = factorsOf(exponents(0, reader));
  }
  if (!known)
    known = e.map(typeOf(x), {x, factors}, [&](OpBuilder &b, ValueRange in) -> Value {
      return times(b, e.loc, times(b, e.loc, scale, in[0]), in[1]);
    });
  return known;
}

Value ChunkDecay::toMiddle(Value y) {
  Value &known = writers[y];
  if (!writeFactors)
    writeFactors = e.map(typeOf(sum), {sum, last}, [&](OpBuilder &b, ValueRange in) -> Value {
      return exp(b, e.loc, minus(b, e.loc, times(b, e.loc, 0.5, in[1]), in[0]));
    });
  if (!known)
    known = faded(y, writeFactors);
  return known;
}

Value ChunkDecay::halved(Value tile) {
  if (!half)
    half = e.turned(e.map(typeOf(last), last, [&](OpBuilder &b, ValueRange in) -> Value {
      return exp(b, e.loc, times(b, e.loc, 0.5, in[0]));
    }));
  return faded(tile, half);
}

Value ChunkDecay::ofState(Value x, Value state, int64_t block, Reader reader, double scale) {
  if (form == Form::inMiddle)
    return e.mma(fromMiddle(x, reader, scale), state);
  if (perChannel()) {
    // One table of exponentials for all readers.
    Value &fade = fades[reader == Reader::before][block];
    if (!fade)
      fade = e.map(typeOf(part(x, block)), exponents(block, reader),
                   [&](OpBuilder &b, ValueRange in) -> Value { return exp(b, e.loc, in[0]); });
    Value faded = e.map(typeOf(part(x, block)), {part(x, block), fade}, [&](OpBuilder &b, ValueRange in) -> Value {
      return times(b, e.loc, times(b, e.loc, scale, in[0]), in[1]);
    });
    return e.mma(faded, state);
  }
  Value read = e.mma(x, state);
  SmallVector<Value> inputs{read};
  if (g)
    inputs.push_back(exponents(block, reader));
  else if (scale == 1)
    return read;
  return e.map(typeOf(read), inputs, [&](OpBuilder &b, ValueRange in) -> Value {
    return g ? times(b, e.loc, times(b, e.loc, scale, exp(b, e.loc, in[1])), in[0]) : times(b, e.loc, scale, in[0]);
  });
}

Value ChunkDecay::withEarlier(Value x, Value y, int64_t block, Reader reader, double scale) {
  return e.mma(toBlock(x, block, reader, scale), toReference(y, block), {false, true, {}, tile::Triangle::none});
}

/// exp(G_i - G_j) on and below the diagonal; what is above never enters exp.
Value ChunkDecay::table(Reader reader) {
  Value &known = tables[reader == Reader::before];
  if (!known)
    known = e.map(
        e.tileType(length, length), {exponents(0, reader), e.turned(sum)}, [&](OpBuilder &b, ValueRange in) -> Value {
          Value below = compare(b, e.loc, arith::CmpIPredicate::sge, rowNumber(b, e.loc), columnNumber(b, e.loc));
          Value exponent = select(b, e.loc, below, minus(b, e.loc, in[0], in[1]),
                                  number(b, e.loc, -std::numeric_limits<double>::infinity()));
          return exp(b, e.loc, exponent);
        });
  return known;
}

/// The factors of one halving: exp(G_i - G_r) in second halves, exp(G_r - G_j) in first halves.
Value ChunkDecay::halving(int64_t block, int64_t half, Reader reader) {
  Value &known = halvings[reader == Reader::before][{block, half}];
  if (known)
    return known;
  Value own = part(sum, block);
  if (half == 1) // r = j: nothing is left for first halves, the token's own decay for second ones
    return known = e.map(typeOf(own), part(g, block), [&](OpBuilder &b, ValueRange in) -> Value {
      Value odd =
          compare(b, e.loc, arith::CmpIPredicate::ne,
                  arith::AndIOp::create(b, e.loc, rowNumber(b, e.loc), integer(b, e.loc, 1)), integer(b, e.loc, 0));
      Value own = reader == Reader::behind ? in[0] : number(b, e.loc, 0);
      return exp(b, e.loc, select(b, e.loc, odd, own, number(b, e.loc, 0)));
    });
  SmallVector<Value> inputs{exponents(block, reader), own};
  int64_t columns = typeOf(sum).getColumns();
  for (int64_t row = half - 1; row < rows; row += 2 * half)
    inputs.push_back(e.window(sum, block * rows + row, 0, 1, columns));
  known = e.map(typeOf(own), inputs, [&](OpBuilder &b, ValueRange in) -> Value {
    Value row = rowNumber(b, e.loc);
    Value reference = in.back();
    for (int64_t pair = int64_t(in.size()) - 4; pair >= 0; --pair)
      reference =
          select(b, e.loc, compare(b, e.loc, arith::CmpIPredicate::slt, row, integer(b, e.loc, (pair + 1) * 2 * half)),
                 in[2 + pair], reference);
    Value second = compare(b, e.loc, arith::CmpIPredicate::ne,
                           arith::AndIOp::create(b, e.loc, row, integer(b, e.loc, half)), integer(b, e.loc, 0));
    return exp(b, e.loc,
               select(b, e.loc, second, minus(b, e.loc, in[0], reference), minus(b, e.loc, reference, in[1])));
  });
  return known;
}

Value ChunkDecay::withinBlock(Value x, Value y, int64_t block, Reader reader, bool diagonal, double scale, Value xy) {
  auto square = e.tileType(rows, rows);
  auto lowest = diagonal ? arith::CmpIPredicate::sge : arith::CmpIPredicate::sgt;
  auto masked = [&](OpBuilder &b, Value weight) -> Value {
    Value below = compare(b, e.loc, lowest, rowNumber(b, e.loc), columnNumber(b, e.loc));
    return select(b, e.loc, below, weight, number(b, e.loc, 0));
  };
  if (!perChannel()) {
    if (form == Form::inMiddle) { // the reader has the scale
      xy = e.mma(fromMiddle(x, reader, scale), toMiddle(y), {false, true, {}, tile::Triangle::result});
      scale = 1;
    } else if (!xy) {
      xy = e.mma(x, y, {false, true, {}, tile::Triangle::result});
    }
    SmallVector<Value> inputs{xy};
    if (g && form == Form::perHead)
      inputs.push_back(table(reader));
    return e.map(square, inputs, [&](OpBuilder &b, ValueRange in) -> Value {
      return masked(b, times(b, e.loc, scale, in.size() > 1 ? times(b, e.loc, in[0], in[1]) : in[0]));
    });
  }

  Value ours = part(x, block), theirs = part(y, block);
  // The diagonal first, then half lengths 1, 2, 4, 8.
  SmallVector<Value> products{
      e.reduce(tile::Combiner::add,
               e.map(typeOf(ours), {ours, theirs},
                     [&](OpBuilder &b, ValueRange in) -> Value { return times(b, e.loc, in[0], in[1]); }),
               1)};
  for (int64_t half = 1; half < rows; half *= 2) {
    Value factors = halving(block, half, reader);
    products.push_back(e.mma(faded(ours, factors), faded(theirs, factors), {false, true, {}, tile::Triangle::result}));
  }
  return e.map(square, products, [&](OpBuilder &b, ValueRange in) -> Value {
    Value apart = arith::XOrIOp::create(b, e.loc, rowNumber(b, e.loc), columnNumber(b, e.loc));
    Value weight = in.back();
    for (int64_t i = int64_t(in.size()) - 2; i >= 0; --i)
      weight = select(b, e.loc, compare(b, e.loc, arith::CmpIPredicate::slt, apart, integer(b, e.loc, int64_t(1) << i)),
                      in[i], weight);
    return masked(b, times(b, e.loc, scale, weight));
  });
}

Value ChunkDecay::kept(Value state) {
  if (!g || form == Form::inMiddle)
    return state;
  Value total = form == Form::perHead ? last : e.turned(last);
  return e.map(typeOf(state), {state, total},
               [&](OpBuilder &b, ValueRange in) -> Value { return times(b, e.loc, exp(b, e.loc, in[1]), in[0]); });
}

Value ChunkDecay::addToState(Value y, Value w, int64_t block, Value acc) {
  if (form == Form::inMiddle) {
    y = toMiddle(y);
  } else if (y = part(y, block); g) {
    // One factor per row may stand on either side; one per channel stands with the channels.
    Value &faded = perChannel() ? y : w;
    faded = e.map(typeOf(faded), {faded, part(sum, block), last}, [&](OpBuilder &b, ValueRange in) -> Value {
      return times(b, e.loc, in[0], exp(b, e.loc, minus(b, e.loc, in[2], in[1])));
    });
  }
  return e.mma(y, w, {true, false, acc, tile::Triangle::none});
}
