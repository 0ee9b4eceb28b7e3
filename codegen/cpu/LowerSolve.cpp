// tile.solve: forward substitution by blocks of rows. For a block of rows and a strip of columns, the products with the
// rows solved before are subtracted in registers, then the block's own rows one after the other, still in registers.
#include "codegen/cpu/KernelLowering.h"

using namespace mlir;
using namespace denim::codegen;
using namespace denim;

void KernelLowering::lower(tile::SolveOp op) {
  auto type = typeOf(op.getResult());
  Place lower = placeOf(op.getLower()), right = placeOf(op.getRhs());
  SmallVector<Value> reusable;
  if (op.getLower() != op.getRhs() && !isa_and_nonnull<tile::WindowOp>(op.getLower().getDefiningOp()))
    reusable.push_back(op.getRhs());
  Place result = placeResult(op.getResult(), reusable);
  if (!result.isContiguous(Axis::columns) || (type.getColumns() == 1 && type.getRows() > 1)) {
    // One column: its elements become the first lanes of rows.
    withScratch(type, Axis::columns, [&](const Place &rows) {
      access.copy(right, rows);
      solveRows(lower, rows, rows);
      access.copy(rows, result);
    });
    return;
  }
  if (lower.splat) {
    withScratch(typeOf(op.getLower()), Axis::columns, [&](const Place &copy) {
      access.copy(lower, copy);
      solveRows(copy, right, result);
    });
    return;
  }
  solveRows(lower, right, result);
}

/// result = (I + lower)^-1 right; result has its columns contiguous and may be right itself.
void KernelLowering::solveRows(const Place &lower, const Place &right, const Place &result) {
  int64_t n = result.rows, lanes = code.lanes;
  int64_t vectors = (result.columns + lanes - 1) / lanes, lastValid = result.columns - (vectors - 1) * lanes;
  int64_t width = std::min<int64_t>(2, vectors);
  int64_t block = std::min<int64_t>(n, std::min<int64_t>(8, (code.target.registers - width - 1) / width));
  Value zero = code.constant(0);

  auto blockAt = [&](Value row, int64_t rows, Value column, int64_t count, int64_t valid) {
    auto validOf = [&](int64_t j) { return j + 1 == count ? valid : lanes; };
    SmallVector<Value> x;
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < count; ++j)
        x.push_back(access.vector(right, Axis::columns, code.add(row, i), code.add(column, j * lanes), validOf(j)));
    x = code.loop(zero, row, 1, x, [&](Value k, ValueRange carried) {
      SmallVector<Value> next = llvm::to_vector(carried), solved;
      for (int64_t j = 0; j < count; ++j)
        solved.push_back(access.vector(result, Axis::columns, k, code.add(column, j * lanes), validOf(j)));
      for (int64_t i = 0; i < rows; ++i) {
        Value l = code.negf(code.broadcast(access.scalar(lower, code.add(row, i), k)));
        for (int64_t j = 0; j < count; ++j)
          next[i * count + j] = code.fma(l, solved[j], next[i * count + j]);
      }
      return next;
    });
    for (int64_t k = 0; k < rows; ++k)
      for (int64_t i = k + 1; i < rows; ++i) {
        Value l = code.negf(code.broadcast(access.scalar(lower, code.add(row, i), code.add(row, k))));
        for (int64_t j = 0; j < count; ++j)
          x[i * count + j] = code.fma(l, x[k * count + j], x[i * count + j]);
      }
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < count; ++j)
        access.setVector(result, Axis::columns, code.add(row, i), code.add(column, j * lanes), validOf(j),
                         x[i * count + j]);
  };
  auto strip = [&](Value column, int64_t count, int64_t valid) {
    int64_t full = n / block * block;
    code.loop(0, full, block, [&](Value row) { blockAt(row, block, column, count, valid); });
    if (full < n)
      blockAt(code.constant(full), n - full, column, count, valid);
  };
  int64_t full = vectors / width * width;
  if (lastValid != lanes && full == vectors)
    full -= width;
  code.loop(0, full * lanes, width * lanes, [&](Value column) { strip(column, width, lanes); });
  if (full < vectors)
    strip(code.constant(full * lanes), vectors - full, lastValid);
}
