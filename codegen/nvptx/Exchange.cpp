// Where a thread's elements are, and how fragments that are dealt in one way become ones that are dealt in another.
#include "codegen/nvptx/KernelLowering.h"

using namespace mlir;
using namespace denim;
using namespace denim::codegen::nvptx;

Value KernelLowering::warpDown(const WarpGrid &grid) {
  return grid.down == warps ? warp : code.modulo(warp, grid.down);
}
Value KernelLowering::warpAcross(const WarpGrid &grid) {
  return grid.across == 1 ? code.constant32(0) : code.divide(warp, grid.down);
}

Value KernelLowering::rowOf(const Distribution &shape, int64_t slab, int64_t half) {
  if (shape.oneRow())
    return code.constant32(0);
  Value row = shape.sliding ? code.mul(laneRow, 2 * shape.slabs()) : laneRow;
  if (shape.grid.down > 1)
    row = code.add(code.mul(warpDown(shape.grid), shape.slabRows() * (shape.sliding ? shape.slabs() : 1)), row);
  return code.add(row, shape.rowAt(slab, half));
}

Value KernelLowering::columnOf(const Distribution &shape, int64_t group, int64_t element) {
  if (shape.oneColumn())
    return code.constant32(0);
  Value column = code.mul(laneColumn, 2 * shape.joined);
  if (shape.grid.across > 1)
    column = code.add(code.mul(warpAcross(shape.grid), shape.columnsOfWarp()), column);
  return code.add(column, shape.columnAt(group, element));
}

Value KernelLowering::rowInside(const Distribution &shape, Value row) {
  return shape.padsRows() ? code.lessThan(row, code.constant32(shape.rows)) : Value();
}
Value KernelLowering::columnInside(const Distribution &shape, Value column) {
  return shape.padsColumns() ? code.lessThan(column, code.constant32(shape.columns)) : Value();
}

Value KernelLowering::isWriter(const Distribution &shape) {
  Value writer;
  Value zero = code.constant32(0);
  if (shape.oneRow()) {
    writer = code.equal(laneRow, zero);
    if (shape.grid.down > 1)
      writer = code.both(writer, code.equal(warpDown(shape.grid), zero));
  }
  if (shape.oneColumn()) {
    writer = code.both(writer, code.equal(laneColumn, zero));
    if (shape.grid.across > 1)
      writer = code.both(writer, code.equal(warpAcross(shape.grid), zero));
  }
  return writer;
}

Fragment KernelLowering::splat(Value value, const Distribution &shape) {
  return {shape, value.getType(), SmallVector<Value>(shape.registers(), value)};
}

void KernelLowering::spill(const Fragment &from, Value offset, int64_t pitch, int64_t firstRow, int64_t rows) {
  const Distribution &shape = from.shape;
  Value writer = isWriter(shape);
  bool all = rows >= shape.rows;
  // Whether some warp has one of the rows there.
  auto has = [&](int64_t slab, int64_t half) {
    if (shape.sliding)
      return true;
    for (int64_t down = 0; down < shape.grid.down; ++down) {
      int64_t row = (slab * shape.grid.down + down) * shape.slabRows() + half * shape.laneRows();
      if (row < firstRow + rows && row + shape.laneRows() > firstRow)
        return true;
    }
    return false;
  };
  auto baseOf = [&](Value row) {
    return code.add(offset, code.add(code.mul(row, pitch * 4), code.mul(columnOf(shape, 0, 0), 4)));
  };
  Value base = all ? baseOf(rowOf(shape, 0, 0)) : Value();
  for (int64_t slab = 0; slab < shape.slabs(); ++slab)
    for (int64_t half = 0; half < shape.halves(); ++half) {
      if (!all && !has(slab, half))
        continue;
      Value row = rowOf(shape, slab, half);
      Value rowPredicate = code.both(writer, rowInside(shape, row));
      int64_t plus = shape.rowAt(slab, half) * pitch * 4;
      if (!all) {
        rowPredicate = code.both(rowPredicate, code.both(code.lessThan(code.constant32(firstRow - 1), row),
                                                         code.lessThan(row, code.constant32(firstRow + rows))));
        // Of threads that have one of the rows an address within: what an instruction adds must not undo a wrap.
        base = baseOf(code.sub(row, code.constant32(firstRow))), plus = 0;
      }
      for (int64_t group = 0; group < shape.groups(); ++group)
        for (int64_t e = 0; e < shape.pairs(); ++e)
          code.storeShared({code.bitsOf(from.at(slab, group, half, e))}, base,
                           code.both(rowPredicate, columnInside(shape, columnOf(shape, group, e))),
                           plus + shape.columnAt(group, e) * 4);
    }
}

/// Words between rows of a spilled tile: an odd number keeps eight rows of a column in different banks.
static int64_t pitchOf(int64_t columns) {
  return columns == 1 ? 1 : columns | 1;
}

Fragment KernelLowering::exchange(const Fragment &from, const Distribution &to, bool transposed, int64_t firstRow,
                                  int64_t firstColumn) {
  return beginExchange(from, to, transposed, firstRow, firstColumn)();
}

KernelLowering::Rest KernelLowering::beginExchange(const Fragment &from, const Distribution &to, bool transposed,
                                                   int64_t firstRow, int64_t firstColumn, int64_t limit) {
  assert((!transposed || firstRow == 0) && "a transpose is of all rows");
  // Only the rows that are read: one row of a large tile is little memory.
  int64_t rows = transposed ? from.shape.rows : to.rows;
  int64_t pitch = pitchOf(from.shape.columns), bytes = rows * pitch * 4;
  int64_t offset = shared.allocate(bytes, 128, limit);
  shared.writes(offset, bytes);
  spill(from, code.constant32(offset), pitch, firstRow, rows);
  Type element = from.element;
  int64_t columns = from.shape.columns;
  return [=] {
    shared.reads(offset, bytes);
    Fragment result{to, element, {}};
    Value row0 = rowOf(to, 0, 0), column0 = columnOf(to, 0, 0);
    if (transposed)
      std::swap(row0, column0);
    Value base = code.add(code.mul(row0, pitch * 4), code.mul(column0, 4));
    for (int64_t slab = 0; slab < to.slabs(); ++slab)
      for (int64_t group = 0; group < to.groups(); ++group)
        for (int64_t half = 0; half < to.halves(); ++half)
          for (int64_t e = 0; e < to.pairs(); ++e) {
            if (to.padsRows() || to.padsColumns()) { // padding reads what some other element has
              Value row = rowOf(to, slab, half), column = columnOf(to, group, e);
              if (transposed)
                std::swap(row, column);
              row = code.mini(row, code.constant32(rows - 1));
              column = code.mini(code.add(column, firstColumn), code.constant32(columns - 1));
              Value address = code.add(code.mul(row, pitch * 4), code.add(code.mul(column, 4), offset));
              result.values.push_back(code.ofType(code.loadShared(address, 1)[0], element));
              continue;
            }
            int64_t i = to.rowAt(slab, half), j = to.columnAt(group, e);
            if (transposed)
              std::swap(i, j);
            int64_t plus = i * pitch * 4 + (firstColumn + j) * 4 + offset;
            result.values.push_back(code.ofType(code.loadShared(base, 1, plus)[0], element));
          }
    shared.release(offset);
    return result;
  };
}

Fragment KernelLowering::convert(const Fragment &from, const WarpGrid &grid) {
  Distribution to = from.shape;
  to.grid = grid;
  bool sameRows = to.oneRow() || from.shape.grid.down == grid.down;
  bool sameColumns = to.oneColumn() || from.shape.grid.across == grid.across;
  if (sameRows && sameColumns) {
    Fragment same = from;
    same.shape = to;
    return same;
  }
  if (!sameRows || from.shape.grid.across != 1)
    return exchange(from, to, false, 0, 0);
  // All columns are here; each warp picks its own.
  Fragment result{to, from.element, {}};
  Value across = warpAcross(grid);
  for (int64_t slab = 0; slab < to.slabs(); ++slab)
    for (int64_t group = 0; group < to.groups(); ++group)
      for (int64_t half = 0; half < to.halves(); ++half)
        for (int64_t e = 0; e < to.pairs(); ++e) {
          Value picked;
          for (int64_t w = 0; w < grid.across; ++w) {
            int64_t source = std::min(w * to.groups() + group, from.shape.groups() - 1);
            Value candidate = from.at(slab, source, half, e);
            picked = picked ? code.select(code.equal(across, code.constant32(w)), candidate, picked) : candidate;
          }
          result.values.push_back(picked);
        }
  return result;
}
