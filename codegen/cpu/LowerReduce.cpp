// Reductions and prefix sums. Along the axis of the vectors a reduction folds vectors into one and then its lanes;
// across it, it is lane by lane.
#include "codegen/cpu/KernelLowering.h"
#include "mlir/IR/TypeUtilities.h"
#include "llvm/Support/MathExtras.h"
#include <cmath>

using namespace mlir;
using namespace denim::codegen;
using namespace denim;

static Value combine(Code &code, tile::Combiner combiner, Value a, Value b) {
  bool real = isa<FloatType>(getElementTypeOrSelf(a.getType()));
  switch (combiner) {
  case tile::Combiner::add:
    return real ? code.addf(a, b) : code.addi(a, b);
  case tile::Combiner::max:
    return real ? code.maxf(a, b) : code.maxi(a, b);
  case tile::Combiner::min:
    return real ? code.minf(a, b) : code.mini(a, b);
  }
  llvm_unreachable("all combiners are handled");
}

/// The value that changes nothing.
static Value neutral(Code &code, tile::Combiner combiner, Type element) {
  bool real = isa<FloatType>(element);
  switch (combiner) {
  case tile::Combiner::add:
    return code.scalarConstant(element, 0);
  case tile::Combiner::max:
    return code.scalarConstant(element, real ? -HUGE_VAL : double(INT32_MIN));
  case tile::Combiner::min:
    return code.scalarConstant(element, real ? HUGE_VAL : double(INT32_MAX));
  }
  llvm_unreachable("all combiners are handled");
}

/// All lanes of a vector into one scalar.
static Value foldLanes(Code &code, tile::Combiner combiner, Value vector) {
  for (int64_t half = code.lanes / 2; half > 0; half /= 2) {
    SmallVector<int64_t> mask;
    for (int64_t i = 0; i < code.lanes; ++i)
      mask.push_back((i + half) % code.lanes);
    vector = combine(code, combiner, vector, code.shuffle(vector, vector, mask));
  }
  return code.extract(vector, 0);
}

void KernelLowering::lower(tile::ReduceOp op) {
  Place from = placeOf(op.getSource());
  Place to = placeResult(op.getResult());
  Axis axis = from.isContiguous(Axis::columns) ? Axis::columns : Axis::rows;
  Axis along = op.getDimension() == 0 ? Axis::rows : Axis::columns;
  tile::Combiner combiner = op.getCombiner();
  Value start = neutral(code, combiner, typeOf(op.getResult()).getElementType()), zero = code.constant(0);
  auto at = [&](Value i, Value j) { return along == Axis::columns ? std::pair(j, i) : std::pair(i, j); }; // i along

  if (from.extent(along) == 1) {
    access.copy(from, to);
    return;
  }
  if (axis != along) {
    // Lane by lane: vectors lie across the reduction.
    int64_t across = from.extent(axis);
    auto strip = [&](Value j, int64_t valid) {
      auto sum =
          code.loop(zero, code.constant(from.extent(along)), 1, code.broadcast(start), [&](Value i, ValueRange sums) {
            auto [row, column] = at(i, j);
            Value x = access.vector(from, axis, row, column, valid);
            return SmallVector<Value>{combine(code, combiner, sums[0], x)};
          });
      auto [row, column] = at(zero, j);
      access.setVector(to, axis, row, column, valid, sum[0]);
    };
    int64_t full = from.padded || from.splat ? llvm::alignTo(across, code.lanes) : across / code.lanes * code.lanes;
    code.loop(0, full, code.lanes, [&](Value j) { strip(j, code.lanes); });
    if (full < across)
      strip(code.constant(full), across - full);
    return;
  }
  int64_t extent = from.extent(along), full = extent / code.lanes * code.lanes;
  code.loop(0, from.extent(otherAxis(along)), 1, [&](Value j) {
    auto sums = code.loop(zero, code.constant(full), code.lanes, code.broadcast(start), [&](Value i, ValueRange sums) {
      auto [row, column] = at(i, j);
      Value x = access.vector(from, axis, row, column, code.lanes);
      return SmallVector<Value>{combine(code, combiner, sums[0], x)};
    });
    Value sum = sums[0];
    if (full < extent) {
      auto [row, column] = at(code.constant(full), j);
      Value x = access.vector(from, axis, row, column, extent - full);
      x = code.select(code.laneMask(extent - full), x, code.broadcast(start));
      sum = combine(code, combiner, sum, x);
    }
    auto [row, column] = at(zero, j);
    access.setScalar(to, row, column, foldLanes(code, combiner, sum));
  });
}

void KernelLowering::lower(tile::CumsumOp op) {
  Place from = placeOf(op.getSource());
  Place to = placeResult(op.getResult(), op.getSource());
  Type element = typeOf(op.getResult()).getElementType();
  Value zero = code.constant(0), rows = code.constant(to.rows);
  auto plus = [&](Value a, Value b) { return combine(code, tile::Combiner::add, a, b); };
  if (to.columns == 1) {
    code.loop(zero, rows, 1, code.scalarConstant(element, 0), [&](Value row, ValueRange sums) {
      Value sum = plus(sums[0], access.scalar(from, row, zero));
      access.setScalar(to, row, zero, sum);
      return SmallVector<Value>{sum};
    });
    return;
  }
  bool whole = to.padded && (from.splat || (from.padded && from.isContiguous(Axis::columns)));
  // Several vectors side by side: each sum waits for the one above it.
  constexpr int64_t most = 8;
  SmallVector<std::pair<Value, int64_t>, most> group;
  auto writeGroup = [&] {
    SmallVector<Value> sums(group.size(), code.zero(element));
    code.loop(zero, rows, 1, sums, [&](Value row, ValueRange carried) {
      SmallVector<Value> sums;
      for (auto [sum, vector] : llvm::zip_equal(carried, group)) {
        auto [column, valid] = vector;
        sums.push_back(plus(sum, access.vector(from, Axis::columns, row, column, valid)));
        access.setVector(to, Axis::columns, row, column, valid, sums.back());
      }
      return sums;
    });
    group.clear();
  };
  for (int64_t column = 0; column < to.columns; column += code.lanes) {
    int64_t valid = whole ? code.lanes : std::min(code.lanes, to.columns - column);
    group.push_back({code.constant(column), valid});
    if (group.size() == most || column + code.lanes >= to.columns)
      writeGroup();
  }
}

void KernelLowering::lower(tile::SpreadOp op) {
  Place from = placeOf(op.getSource());
  if (from.splat)
    return bind(op.getResult(), from);
  Place to = placeResult(op.getResult(), op.getSource());
  // A group's row is read before any of the group is written: they may be the same place.
  auto forEachGroup = [&](llvm::function_ref<void(Value read, Value first)> body) {
    code.loop(0, to.rows, op.getGroup(), [&](Value first) { body(code.add(first, op.getRow()), first); });
  };
  if (to.columns == 1) {
    Value zero = code.constant(0);
    forEachGroup([&](Value read, Value first) {
      Value x = access.scalar(from, read, zero);
      code.loop(0, op.getGroup(), 1, [&](Value i) { access.setScalar(to, code.add(first, i), zero, x); });
    });
    return;
  }
  bool whole = to.padded && from.padded && from.isContiguous(Axis::columns);
  access.forEachVector(1, to.columns, Axis::columns, whole, [&](Value, Value column, int64_t valid) {
    forEachGroup([&](Value read, Value first) {
      Value x = access.vector(from, Axis::columns, read, column, valid);
      code.loop(0, op.getGroup(), 1,
                [&](Value i) { access.setVector(to, Axis::columns, code.add(first, i), column, valid, x); });
    });
  });
}
