// Sums, largest and smallest along a dimension, and prefix sums. Registers first, then lanes, then warps.
#include "codegen/nvptx/KernelLowering.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include <limits>

using namespace mlir;
using namespace denim;
using namespace denim::codegen::nvptx;

Value KernelLowering::combine(tile::Combiner combiner, Value a, Value b) {
  switch (combiner) {
  case tile::Combiner::add:
    return a.getType() == code.f32() ? code.addf(a, b) : code.add(a, b);
  case tile::Combiner::max:
    return a.getType() == code.f32() ? code.maxf(a, b) : code.maxi(a, b);
  case tile::Combiner::min:
    return a.getType() == code.f32() ? code.minf(a, b) : code.mini(a, b);
  }
  llvm_unreachable("all combiners are named");
}

static Value identityOf(Code &code, tile::Combiner combiner, Type element) {
  bool real = element == code.f32();
  double infinity = std::numeric_limits<double>::infinity();
  switch (combiner) {
  case tile::Combiner::add:
    return real ? code.number(0) : code.constant32(0);
  case tile::Combiner::max:
    return real ? code.number(-infinity) : code.constant32(std::numeric_limits<int32_t>::min());
  case tile::Combiner::min:
    return real ? code.number(infinity) : code.constant32(std::numeric_limits<int32_t>::max());
  }
  llvm_unreachable("all combiners are named");
}

void KernelLowering::lower(tile::ReduceOp op) {
  WarpGrid grid = distributionOf(op.getResult()).grid;
  if (auto known = squares.find(op.getResult()); known != squares.end()) {
    bind(op.getResult(), convert(known->second, grid));
    squares.erase(known);
    return;
  }
  Fragment sum;
  Rest rest = reduce(fragmentOf(op.getSource()), op.getCombiner(), op.getDimension() == 1, sum);
  // A number that is asked for behind the barrier of what follows needs none of its own.
  bool isNumber = !staged.empty() && typeOf(op.getResult()).getRows() == 1 && typeOf(op.getResult()).getColumns() == 1;
  if (rest && (joined > 1 || isNumber))
    bindLater(op.getResult(), [=] { return convert(rest(), grid); });
  else
    bind(op.getResult(), convert(rest ? rest() : sum, grid));
}

void KernelLowering::finish(Value tile) {
  Rest rest = std::move(unfinished.find(tile)->second);
  unfinished.erase(tile);
  bind(tile, rest());
}

/// The result is held by the warps that held the source.
KernelLowering::Rest KernelLowering::reduce(const Fragment &from, tile::Combiner combiner, bool overColumns,
                                            Fragment &sum) {
  Distribution shape = from.shape, partial = shape;
  (overColumns ? partial.columns : partial.rows) = 1;
  if (overColumns ? shape.oneColumn() : shape.oneRow()) {
    sum = from;
    return {};
  }

  auto inside = [&](Value value, Value predicate) {
    return predicate ? code.select(predicate, value, identityOf(code, combiner, from.element)) : value;
  };
  Fragment result{partial, from.element, {}};
  auto reduceLanes = [&](Value value, int64_t first, int64_t behind) {
    for (int64_t mask = first; mask < behind; mask *= 2)
      value = combine(combiner, value, code.shuffleXor(value, mask));
    return value;
  };
  if (overColumns) {
    for (int64_t slab = 0; slab < shape.slabs(); ++slab)
      for (int64_t half = 0; half < shape.halves(); ++half) {
        if (!shape.isUsed(slab, half)) {
          result.values.push_back(identityOf(code, combiner, from.element));
          continue;
        }
        // Two chains: additions that wait for each other cost more than their number.
        Value sums[2];
        for (int64_t group = 0; group < shape.groups(); ++group)
          for (int64_t e = 0; e < 2; ++e) {
            Value value = inside(from.at(slab, group, half, e), columnInside(shape, columnOf(shape, group, e)));
            sums[e] = sums[e] ? combine(combiner, sums[e], value) : value;
          }
        result.values.push_back(reduceLanes(combine(combiner, sums[0], sums[1]), 1, shape.lanes));
      }
  } else {
    for (int64_t group = 0; group < shape.groups(); ++group)
      for (int64_t e = 0; e < shape.pairs(); ++e) {
        Value sum;
        for (int64_t slab = 0; slab < shape.slabs(); ++slab)
          for (int64_t half = 0; half < 2; ++half) {
            Value value = inside(from.at(slab, group, half, e), rowInside(shape, rowOf(shape, slab, half)));
            sum = sum ? combine(combiner, sum, value) : value;
          }
        result.values.push_back(reduceLanes(sum, shape.lanes, 32));
      }
  }

  // Warps that hold other parts: each leaves its own, all combine them in the same order.
  sum = result;
  int64_t parts = overColumns ? shape.grid.across : shape.grid.down;
  if (parts == 1)
    return {};
  int64_t length =
      overColumns ? partial.slabs() * shape.slabRows() * shape.grid.down : shape.grid.across * partial.columnsOfWarp();
  int64_t bytes = parts * length * 4, offset = shared.allocate(bytes, 128, roomForFew());
  Value part = overColumns ? warpAcross(shape.grid) : warpDown(shape.grid);
  Value writer = code.equal(overColumns ? laneColumn : laneRow, code.constant32(0));
  auto place = [=](int64_t slab, int64_t group, int64_t half, int64_t e) {
    return code.mul(overColumns ? rowOf(shape, slab, half) : columnOf(shape, group, e), 4);
  };
  auto forEach = [=](llvm::function_ref<void(int64_t, int64_t, int64_t, int64_t)> body) {
    for (int64_t slab = 0; slab < partial.slabs(); ++slab)
      for (int64_t group = 0; group < partial.groups(); ++group)
        for (int64_t half = 0; half < partial.halves(); ++half)
          for (int64_t e = 0; e < partial.pairs(); ++e)
            body(slab, group, half, e);
  };
  shared.writes(offset, bytes);
  Value own = code.add(code.mul(part, length * 4), offset);
  forEach([&](int64_t slab, int64_t group, int64_t half, int64_t e) {
    code.storeShared({code.bitsOf(result.at(slab, group, half, e))}, code.add(own, place(slab, group, half, e)),
                     writer);
  });
  Type element = from.element;
  return [=] {
    Fragment whole{partial, element, SmallVector<Value>(partial.registers())};
    shared.reads(offset, bytes);
    forEach([&](int64_t slab, int64_t group, int64_t half, int64_t e) {
      Value all, at = place(slab, group, half, e);
      for (int64_t p = 0; p < parts; ++p) {
        Value value = code.ofType(code.loadShared(code.add(at, offset + p * length * 4), 1)[0], element);
        all = all ? combine(combiner, all, value) : value;
      }
      whole.values[partial.at(slab, group, half, e)] = all;
    });
    shared.release(offset);
    return whole;
  };
}

void KernelLowering::lower(tile::CumsumOp op) {
  const Fragment from = fragmentOf(op.getSource());
  const Distribution &shape = from.shape;
  Fragment result = from;
  if (shape.oneRow())
    return bind(op.getResult(), result);
  // Inside a slab: rows g, then rows g + 8. `totals` is the sum of a slab's 16 rows.
  SmallVector<SmallVector<Value>> totals(shape.slabs());
  for (int64_t slab = 0; slab < shape.slabs(); ++slab)
    for (int64_t group = 0; group < shape.groups(); ++group)
      for (int64_t e = 0; e < shape.pairs(); ++e) {
        // Eight rows at a time, both halves side by side; then the second is moved by the sum of the first, from the
        // lane that holds its last row in the same column.
        Value sums[2], last[2];
        for (int64_t half = 0; half < 2; ++half) {
          Value sum = from.at(slab, group, half, e);
          if (Value inside = rowInside(shape, rowOf(shape, slab, half)))
            sum = code.select(inside, sum, code.number(0));
          sums[half] = sum;
        }
        for (int64_t distance : {1, 2, 4})
          for (Value &sum : sums) {
            Value other = code.shuffleUp(sum, 4 * distance);
            Value has = code.lessThan(code.constant32(distance - 1), laneRow);
            sum = code.addf(sum, code.select(has, other, code.number(0)));
          }
        for (int64_t half = 0; half < 2; ++half)
          last[half] = code.shuffleIndex(sums[half], code.add(laneColumn, 28));
        result.values[shape.at(slab, group, 0, e)] = sums[0];
        result.values[shape.at(slab, group, 1, e)] = code.addf(sums[1], last[0]);
        Value before = code.addf(last[1], last[0]);
        totals[slab].push_back(before);
      }
  // Slabs before this one: in the order of their rows, those of all warps down for each step of this warp's.
  int64_t down = shape.grid.down,
          width = shape.groups() * shape.pairs() * (shape.oneColumn() ? 1 : 4) * shape.grid.across;
  int64_t count = shape.slabs() * down;
  if (count > 1) {
    int64_t bytes = count * width * 4, offset = shared.allocate(bytes, 128, roomForFew());
    shared.writes(offset, bytes);
    Value writer = code.equal(laneRow, code.constant32(0));
    auto columnPlace = [&](int64_t index) { // of a register among a slab's columns
      Value place = code.constant32(index);
      if (!shape.oneColumn())
        place = code.add(code.mul(laneColumn, shape.groups() * 2), place);
      if (shape.grid.across > 1)
        place = code.add(code.mul(warpAcross(shape.grid), width / shape.grid.across), place);
      return code.mul(place, 4);
    };
    for (int64_t slab = 0; slab < shape.slabs(); ++slab) {
      Value number = code.add(warpDown(shape.grid), slab * down);
      Value base = code.add(code.mul(number, width * 4), offset);
      for (auto [i, total] : llvm::enumerate(totals[slab]))
        code.storeShared({code.bitsOf(total)}, code.add(base, columnPlace(i)), writer);
    }
    shared.reads(offset, bytes);
    int64_t columns = shape.groups() * shape.pairs();
    for (int64_t i = 0; i < columns; ++i) {
      Value place = columnPlace(i), before = code.number(0);
      SmallVector<Value> sums; // of all slabs before number n
      for (int64_t n = 0; n < count; ++n) {
        sums.push_back(before);
        if (n + 1 < count)
          before = code.addf(before, code.realOf(code.loadShared(code.add(place, offset + n * width * 4), 1)[0]));
      }
      for (int64_t slab = 0; slab < shape.slabs(); ++slab) {
        Value mine = sums[slab * down];
        for (int64_t d = 1; d < down; ++d)
          mine = code.select(code.equal(warpDown(shape.grid), code.constant32(d)), sums[slab * down + d], mine);
        for (int64_t half = 0; half < 2; ++half) {
          Value &value = result.values[shape.at(slab, i / shape.pairs(), half, i % shape.pairs())];
          value = code.addf(value, mine);
        }
      }
    }
    shared.release(offset);
  }
  bind(op.getResult(), std::move(result));
}

void KernelLowering::lower(tile::SpreadOp op) {
  const Fragment from = fragmentOf(op.getSource());
  const Distribution &shape = from.shape;
  int64_t group = op.getGroup(), row = op.getRow();
  if (group == 1)
    return bind(op.getResult(), from);
  Fragment result{shape, from.element, SmallVector<Value>(from.values.size())};
  if (16 % group == 0) {
    // From a lane of the same column. Groups of 16 have their row in one half, smaller ones in each.
    int64_t lanes = std::min<int64_t>(group, 8) * 4;
    Value source = code.add(code.modulo(lane, 4), row % 8 * 4);
    if (lanes < 32)
      source = code.add(source, code.mul(code.divide(lane, lanes), lanes));
    auto moved = [&](Value value) { return code.ofType(code.shuffleIndex(code.bitsOf(value), source), from.element); };
    for (int64_t slab = 0; slab < shape.slabs(); ++slab)
      for (int64_t g = 0; g < shape.groups(); ++g)
        for (int64_t e = 0; e < shape.pairs(); ++e)
          for (int64_t half = 0; half < 2; ++half) {
            Value &value = result.values[shape.at(slab, g, half, e)];
            value = group == 16 && half == 1 ? result.values[shape.at(slab, g, 0, e)]
                                             : moved(from.at(slab, g, group == 16 ? row / 8 : half, e));
          }
    return bind(op.getResult(), std::move(result));
  }
  // The rows that are asked for, one behind the other in shared memory.
  int64_t pitch = shape.oneColumn() ? 1 : shape.grid.across * shape.columnsOfWarp();
  int64_t bytes = shape.rows / group * pitch * 4, offset = shared.allocate(bytes);
  Value divisor = code.constant32(group), writer = isWriter(shape);
  auto placeOf = [&](Value number) {
    return code.add(code.mul(number, pitch * 4), code.add(code.mul(columnOf(shape, 0, 0), 4), offset));
  };
  shared.writes(offset, bytes);
  for (int64_t slab = 0; slab < shape.slabs(); ++slab)
    for (int64_t half = 0; half < 2; ++half) {
      Value own = rowOf(shape, slab, half);
      Value asked = code.equal(arith::RemUIOp::create(code.builder, code.loc, own, divisor), code.constant32(row));
      Value predicate = code.both(code.both(writer, rowInside(shape, own)), asked);
      Value place = placeOf(arith::DivUIOp::create(code.builder, code.loc, own, divisor));
      for (int64_t g = 0; g < shape.groups(); ++g) {
        SmallVector<Value> words;
        for (int64_t e = 0; e < shape.pairs(); ++e)
          words.push_back(code.bitsOf(from.at(slab, g, half, e)));
        code.storeShared(words, place, predicate, g * 32);
      }
    }
  shared.reads(offset, bytes);
  for (int64_t slab = 0; slab < shape.slabs(); ++slab)
    for (int64_t half = 0; half < 2; ++half) {
      bool sameAsBefore = half == 1 && group % 16 == 0;
      Value number = arith::DivUIOp::create(code.builder, code.loc, rowOf(shape, slab, half), divisor);
      if (shape.padsRows())
        number = code.mini(number, code.constant32(shape.rows / group - 1));
      Value place = placeOf(number);
      for (int64_t g = 0; g < shape.groups(); ++g) {
        auto words = sameAsBefore ? SmallVector<Value, 4>() : code.loadShared(place, shape.pairs(), g * 32);
        for (int64_t e = 0; e < shape.pairs(); ++e)
          result.values[shape.at(slab, g, half, e)] =
              sameAsBefore ? result.values[shape.at(slab, g, 0, e)] : code.ofType(words[e], from.element);
      }
    }
  shared.release(offset);
  bind(op.getResult(), std::move(result));
}
