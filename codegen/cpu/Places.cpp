#include "codegen/cpu/Places.h"
#include "mlir/IR/TypeUtilities.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace denim::codegen;
using namespace denim;

//===--------------------------------------------------------------------------------------------------------------===//
// Access
//===--------------------------------------------------------------------------------------------------------------===//

Value Access::address(const Place &place, Value row, Value column) {
  if (place.scales)
    return addressInBlock(place, row, column);
  Value pointer = place.base;
  if (place.rows != 1)
    pointer = code.advance(pointer, code.mul(row, place.rowStride), place.element);
  if (place.columns != 1)
    pointer = code.advance(pointer, code.mul(column, place.columnStride), place.element);
  return pointer;
}

Value Access::scalar(const Place &place, Value row, Value column) {
  if (place.splat)
    return place.splat;
  if (place.scales)
    return elementOfBlock(place, row, column, /*vector=*/false);
  Type stored = code.storageOf(place.element);
  return code.widen(code.load(stored, address(place, row, column), Code::bytesOf(place.element)), place.element);
}

void Access::setScalar(const Place &place, Value row, Value column, Value value) {
  code.store(code.narrow(value, place.element), address(place, row, column), Code::bytesOf(place.element));
}

int64_t Access::vectorAlignment(const Place &place, Axis axis) {
  int64_t bytes = Code::bytesOf(place.element);
  Axis across = otherAxis(axis);
  int64_t alignment = std::min(place.alignment, code.lanes * bytes);
  if (place.extent(across) > 1)
    alignment = llvm::MinAlign(alignment, place.stride(across) * bytes);
  return std::max(alignment, bytes);
}

Value Access::vector(const Place &place, Axis axis, Value row, Value column, int64_t valid) {
  if (place.splat || place.extent(axis) == 1)
    return code.broadcast(scalar(place, row, column));
  if (place.scales && axis == place.blockAxis())
    return elementOfBlock(place, row, column, /*vector=*/true);
  if (place.scales) {
    Value result = code.zero(code.f32());
    for (int64_t i = 0; i < std::min(valid, code.lanes); ++i)
      result = code.insert(scalar(place, axis == Axis::rows ? code.add(row, i) : row,
                                  axis == Axis::columns ? code.add(column, i) : column),
                           result, i);
    return result;
  }
  Type stored = code.vectorOf(code.storageOf(place.element));
  if (place.stride(axis) == 1) {
    Value pointer = address(place, row, column);
    int64_t alignment = vectorAlignment(place, axis);
    Value bits = place.padded || valid >= code.lanes
                     ? code.load(stored, pointer, alignment)
                     : code.maskedLoad(stored, pointer, code.laneMask(valid), alignment);
    return code.widen(bits, place.element);
  }
  // Elements apart: one by one.
  Value pointer = address(place, row, column), result = code.zero(code.storageOf(place.element));
  for (int64_t i = 0; i < std::min(valid, code.lanes); ++i) {
    Value at = code.advance(pointer, i * place.stride(axis), place.element);
    Value one = code.load(code.storageOf(place.element), at, Code::bytesOf(place.element));
    result = code.insert(one, result, i);
  }
  return code.widen(result, place.element);
}

void Access::setVector(const Place &place, Axis axis, Value row, Value column, int64_t valid, Value value) {
  Value bits = code.narrow(value, place.element), pointer = address(place, row, column);
  // One lane goes as a scalar: LLVM 22 stores 0 for a masked store of one truncated lane under AVX-512.
  bool whole = place.padded || valid >= code.lanes;
  if (place.stride(axis) == 1 && (whole || (place.extent(axis) > 1 && valid > 1))) {
    int64_t alignment = vectorAlignment(place, axis);
    if (whole)
      code.store(bits, pointer, alignment);
    else
      code.maskedStore(bits, pointer, code.laneMask(valid), alignment);
    return;
  }
  for (int64_t i = 0; i < std::min(valid, code.lanes); ++i)
    code.store(code.extract(bits, i), code.advance(pointer, i * place.stride(axis), place.element),
               Code::bytesOf(place.element));
}

Place Access::window(const Place &place, Value row, Value column, int64_t rows, int64_t columns) {
  if (place.scales)
    return windowOfBlocks(place, row, column, rows, columns);
  Place p = place;
  p.rows = rows, p.columns = columns;
  if (place.splat)
    return p;
  p.base = address(place, row, column);
  int64_t bytes = Code::bytesOf(place.element);
  auto align = [&](Value offset, int64_t stride, int64_t extent) {
    if (extent == 1)
      return;
    auto known = Code::constantOf(offset);
    p.alignment = llvm::MinAlign(p.alignment, (known ? *known : 1) * stride * bytes);
  };
  align(row, place.rowStride, place.rows);
  align(column, place.columnStride, place.columns);
  // A window's last vector may run into the source's other elements, which reads may and writes must not touch;
  // windows are only read. It must still end inside the source's padding.
  Axis axis = place.columnStride == 1 ? Axis::columns : Axis::rows;
  auto begin = Code::constantOf(axis == Axis::columns ? column : row);
  int64_t end = begin ? *begin + llvm::alignTo(p.extent(axis), code.lanes) : INT64_MAX;
  p.padded = place.padded && end <= int64_t(llvm::alignTo(place.extent(axis), code.lanes));
  return p;
}

void Access::forEachVector(int64_t rows, int64_t columns, Axis axis, bool whole,
                           function_ref<void(Value, Value, int64_t)> body) {
  int64_t along = axis == Axis::rows ? rows : columns, across = axis == Axis::rows ? columns : rows;
  int64_t full = whole ? llvm::alignTo(along, code.lanes) : along / code.lanes * code.lanes;
  code.loop(0, across, 1, [&](Value j) {
    auto at = [&](Value i, int64_t valid) {
      if (axis == Axis::columns)
        body(j, i, valid);
      else
        body(i, j, valid);
    };
    code.loop(0, full, code.lanes, [&](Value i) { at(i, code.lanes); });
    if (full < along)
      at(code.constant(full), along - full);
  });
}

/// Exchanges halves of ever smaller groups of rows: after the step for `half`, lane bit `half` and row bit `half` have
/// changed places.
SmallVector<Value> denim::codegen::transposeSquare(Code &code, SmallVector<Value> rows) {
  int64_t lanes = code.lanes;
  for (int64_t half = lanes / 2; half > 0; half /= 2) {
    SmallVector<int64_t> low, high;
    for (int64_t i = 0; i < lanes; ++i) {
      bool second = i & half;
      low.push_back(second ? lanes + (i ^ half) : i);
      high.push_back(second ? lanes + i : i ^ half);
    }
    SmallVector<Value> next(lanes);
    for (int64_t i = 0; i < lanes; ++i)
      if (!(i & half)) {
        next[i] = code.shuffle(rows[i], rows[i | half], low);
        next[i | half] = code.shuffle(rows[i], rows[i | half], high);
      }
    rows = next;
  }
  return rows;
}

void Access::copyRows(const Place &from, const Place &to, Value low, Value high) {
  if (to.columns == 1) {
    code.loop(low, high, 1, [&](Value row) {
      Value zero = code.constant(0);
      setScalar(to, row, zero, scalar(from, row, zero));
    });
    return;
  }
  bool whole = to.padded && (from.padded || from.splat || from.columns == 1);
  code.loop(low, high, 1, [&](Value row) {
    forEachVector(1, to.columns, Axis::columns, whole, [&](Value, Value column, int64_t valid) {
      setVector(to, Axis::columns, row, column, valid, vector(from, Axis::columns, row, column, valid));
    });
  });
}

void Access::copy(const Place &from, const Place &to) {
  Axis axis = !to.isContiguous(Axis::columns) || (to.columns == 1 && to.rowStride == 1 && to.rows > 1) ? Axis::rows
                                                                                                       : Axis::columns;
  bool readable = from.splat || from.isContiguous(axis) || from.extent(axis) == 1;
  if (!readable && from.stride(otherAxis(axis)) == 1)
    return copyTransposed(axis == Axis::columns ? from : from.transposed(),
                          axis == Axis::columns ? to : to.transposed());
  bool whole = to.padded && (from.splat || (from.padded && from.isContiguous(axis)));
  forEachVector(to.rows, to.columns, axis, whole, [&](Value row, Value column, int64_t valid) {
    setVector(to, axis, row, column, valid, vector(from, axis, row, column, valid));
  });
}

/// `from` has its rows contiguous, `to` its columns: squares of lanes x lanes are read, turned in registers and
/// written.
void Access::copyTransposed(const Place &from, const Place &to) {
  int64_t lanes = code.lanes;
  auto square = [&](Value row, int64_t rows, Value column, int64_t columns) {
    SmallVector<Value> lines;
    for (int64_t j = 0; j < lanes; ++j)
      lines.push_back(j < columns ? vector(from, Axis::rows, row, code.add(column, j), rows)
                                  : code.zero(getElementTypeOrSelf(lines.front().getType())));
    lines = transposeSquare(code, lines);
    for (int64_t i = 0; i < rows; ++i)
      setVector(to, Axis::columns, code.add(row, i), column, columns, lines[i]);
  };
  // bf16 goes in pairs along the rows, as i32: half the exchanges, and widening is a shift or a mask.
  bool pairs = from.element.isBF16() && to.element.isF32();
  auto squareOfPairs = [&](Value row, Value column) {
    SmallVector<Value> lines;
    for (int64_t j = 0; j < lanes; ++j)
      lines.push_back(code.load(code.vectorOf(code.i32()), address(from, row, code.add(column, j)), 2));
    lines = transposeSquare(code, lines);
    for (int64_t i = 0; i < lanes; ++i)
      for (bool second : {false, true})
        setVector(to, Axis::columns, code.add(row, 2 * i + second), column, lanes, code.widenPair(lines[i], second));
  };
  int64_t fullRows = to.rows / lanes * lanes, fullColumns = to.columns / lanes * lanes;
  auto rowsAt = [&](Value column, int64_t columns) {
    int64_t paired = pairs && columns == lanes ? to.rows / (2 * lanes) * (2 * lanes) : 0;
    code.loop(0, paired, 2 * lanes, [&](Value row) { squareOfPairs(row, column); });
    code.loop(paired, fullRows, lanes, [&](Value row) { square(row, lanes, column, columns); });
    if (fullRows < to.rows)
      square(code.constant(fullRows), to.rows - fullRows, column, columns);
  };
  code.loop(0, fullColumns, lanes, [&](Value column) { rowsAt(column, lanes); });
  if (fullColumns < to.columns)
    rowsAt(code.constant(fullColumns), to.columns - fullColumns);
}

//===--------------------------------------------------------------------------------------------------------------===//
// Scratch
//===--------------------------------------------------------------------------------------------------------------===//

int64_t Scratch::allocate(int64_t bytes) {
  bytes = llvm::alignTo(bytes, 64);
  for (auto it = holes.begin(); it != holes.end(); ++it)
    if (it->second - it->first >= bytes) {
      int64_t offset = it->first;
      it->first += bytes;
      if (it->first == it->second)
        holes.erase(it);
      return offset;
    }
  // A hole that reaches the top grows.
  int64_t offset = top;
  if (!holes.empty() && holes.back().second == top) {
    offset = holes.back().first;
    holes.pop_back();
  }
  top = offset + bytes;
  highWater = std::max(highWater, top);
  return offset;
}

void Scratch::release(int64_t offset, int64_t bytes) {
  int64_t end = offset + llvm::alignTo(bytes, 64);
  auto it = holes.begin();
  while (it != holes.end() && it->first < offset)
    ++it;
  it = holes.insert(it, {offset, end});
  if (it + 1 != holes.end() && it->second == (it + 1)->first) {
    it->second = (it + 1)->second;
    holes.erase(it + 1);
  }
  if (it != holes.begin() && (it - 1)->second == it->first) {
    (it - 1)->second = it->second;
    holes.erase(it);
  }
}

//===--------------------------------------------------------------------------------------------------------------===//
// Lifetimes
//===--------------------------------------------------------------------------------------------------------------===//

Lifetimes::Lifetimes(tile::KernelOp kernel, function_ref<Operation *(Operation *)> writtenAt) {
  number(*kernel.getBlock());
  // Windows come behind their sources, so going backwards a window's own last use is known when it is needed.
  for (Value value : llvm::reverse(tiles)) {
    int64_t last = 0;
    Block *block = value.getParentBlock();
    for (Operation *user : value.getUsers()) {
      Operation *ancestor = block->findAncestorOpInBlock(*writtenAt(user));
      int64_t use = positions.lookup(ancestor);
      if (auto window = dyn_cast<tile::WindowOp>(user)) {
        // The window's last use is numbered in the window's block; lift it when that is a deeper one.
        if (ancestor == user)
          use = std::max(use, lastUses.lookup(window.getResult()));
      }
      last = std::max(last, use);
    }
    lastUses[value] = last;
  }
}

void Lifetimes::number(Block &block) {
  for (Value argument : block.getArguments())
    if (isa<tile::TileType>(argument.getType()))
      tiles.push_back(argument);
  for (Operation &op : block) {
    if (!isa<tile::MapOp>(op))
      for (Region &region : op.getRegions())
        for (Block &inner : region)
          number(inner);
    positions[&op] = next++;
    for (Value result : op.getResults())
      if (isa<tile::TileType>(result.getType()))
        tiles.push_back(result);
  }
}
