// Kernels without matrix units: norms, gates, activations, short convolutions, a matrix times a vector at most. All
// they cost is reading and writing, so a thread asks for 16 bytes at a time. That is only a matter of which columns it
// has (Fragment.h): nothing here computes. Their sums over warps are completed where they are asked for, so that those
// which follow each other share a barrier.
//
// Weights of a convolution stand channel by channel, a few taps each, and are read as rows of one tap. Eight neighbours
// of a row are then one piece of memory for all taps: it is read once, and each row picks what is its own.
#include "codegen/nvptx/KernelLowering.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace denim;
using namespace denim::codegen::nvptx;

static constexpr int64_t kAccessBytes = 16;

/// Whether a product is a sum of products element by element.
bool KernelLowering::isOfVectors(tile::MmaOp op) {
  Form form = op.getBlocks() ? Form::slabs : formOf({op.getM(), op.getN(), op.getK()}, op.getTransposeRhs());
  return form == Form::outer || (form == Form::vector && !isStreamed(op));
}

/// How many groups all tiles of the kernel can join: four where no op minds and every tile has a multiple of them.
int64_t KernelLowering::joinedGroups() {
  int64_t joined = 4;
  kernel.walk([&](Operation *op) {
    // Ops that take a fragment for what it is elsewhere, and images of pages.
    auto mma = dyn_cast<tile::MmaOp>(op);
    if (mma && isOfVectors(mma)) // its matrix is f32, of which 16 bytes are four columns
      joined = std::min<int64_t>(joined, 2);
    else if (isa<tile::MmaOp, tile::SolveOp, tile::InverseOp, tile::CumsumOp, tile::SpreadOp, tile::FlattenOp,
                 tile::TransposeOp, tile::PageOp, tile::BlockOp, tile::StackedOp>(op))
      joined = 1;
    // A window of columns is a choice of registers where it takes whole joined groups.
    if (auto window = dyn_cast<tile::WindowOp>(op))
      while (joined > 1 && window.getColumn() % (8 * joined) != 0)
        joined /= 2;
    for (Value result : op->getResults())
      if (auto type = dyn_cast<tile::TileType>(result.getType()); type && type.getColumns() > 1) {
        Distribution shape{type.getRows(), type.getColumns(), chooseGrid(type.getRows(), type.getColumns(), warps)};
        while (joined > 1 && (shape.padsColumns() || shape.groups() % joined != 0))
          joined /= 2;
      }
  });
  return joined;
}

/// A row of a matrix of f32 as whole lines, where every tile has columns for as many lanes.
int64_t KernelLowering::lanesOfRow() {
  constexpr int64_t kUsual = 4, kOfLines = 8;
  bool multiplies = false, reads = false, fits = joined == 2;
  kernel.walk([&](Operation *op) {
    if (auto mma = dyn_cast<tile::MmaOp>(op))
      multiplies |= isOfVectors(mma);
    if (auto load = dyn_cast<tile::LoadOp>(op)) {
      auto type = typeOf(load.getResult());
      reads |= !load.getTransposed() && type.getRows() > 1 && type.getColumns() > 1 &&
               cast<tile::MemoryType>(load.getMemory().getType()).getElementType().isF32();
    }
    if (auto window = dyn_cast<tile::WindowOp>(op))
      fits &= window.getColumn() % (2 * kOfLines * joined) == 0;
    for (Value result : op->getResults())
      if (auto type = dyn_cast<tile::TileType>(result.getType()); type && type.getColumns() > 1) {
        WarpGrid grid = chooseGrid(type.getRows(), type.getColumns(), warps);
        fits &= type.getColumns() % (2 * kOfLines * joined * grid.across) == 0;
      }
  });
  return fits && multiplies && reads ? kOfLines : kUsual;
}

/// A row or column as a value and what is added to it.
static std::pair<Value, int64_t> splitSum(Value row) {
  int64_t add = 0;
  while (Operation *op = row.getDefiningOp()) {
    bool minus = isa<arith::SubIOp>(op);
    std::optional<int64_t> constant =
        minus || isa<arith::AddIOp>(op) ? getConstantIntValue(op->getOperand(1)) : std::nullopt;
    if (!constant)
      break;
    add += minus ? -*constant : *constant;
    row = op->getOperand(0);
  }
  return {row, add};
}

/// The value of a constant, and of a sum of constants.
static std::optional<int64_t> knownOf(Value value) {
  auto [rest, add] = splitSum(value);
  std::optional<int64_t> constant = getConstantIntValue(rest);
  return constant ? std::optional<int64_t>(*constant + add) : std::nullopt;
}

static SmallVector<Value> placeOf(tile::LoadOp load) {
  return {load.getMemory(), splitSum(load.getRow()).first, load.getColumn(), load.getLo(), load.getHi()};
}

/// Two windows of one place of a memory, rows apart, or (beside rows of eight lanes) a column that is part of a row of
/// memory: where every tile has the same rows and a thread several of them.
bool KernelLowering::hasNeighbouringRows() {
  if (joined == 1)
    return false;
  int64_t rows = 1;
  bool alike = true, overlap = false, column = false;
  SmallVector<tile::LoadOp> loads;
  kernel.walk([&](Operation *op) {
    for (Value result : op->getResults())
      if (auto type = dyn_cast<tile::TileType>(result.getType()); type && type.getRows() > 1) {
        alike &= rows == 1 || rows == type.getRows();
        rows = type.getRows();
      }
    auto load = dyn_cast<tile::LoadOp>(op);
    if (!load || typeOf(load.getResult()).getRows() == 1)
      return;
    column |= lanes > 4 && load.getTransposed() && typeOf(load.getResult()).getColumns() == 1;
    if (load.getTransposed())
      return;
    for (tile::LoadOp other : loads)
      overlap |=
          other->getBlock() == op->getBlock() && placeOf(other) == placeOf(load) && other.getRow() != load.getRow();
    loads.push_back(load);
  });
  Distribution shape{rows, 1, chooseGrid(rows, 1, warps), joined, /*sliding=*/false, lanes};
  return (overlap || column) && alike && !shape.padsRows() && shape.slabs() > 1;
}

/// Every row of the thread is read once, for all windows that have it: until something is stored to their memory.
Fragment KernelLowering::loadSliding(tile::LoadOp op) {
  View view = viewOf(op.getMemory());
  const Distribution shape = distributionOf(op.getResult());
  SmallVector<Value> place = placeOf(op);
  auto *it = llvm::find_if(slidingRows, [&](auto &entry) {
    return entry.first == place && entry.second.block == op->getBlock() && entry.second.columns == shape.columns;
  });
  if (it == slidingRows.end()) {
    Value first = code.add(i64Of(place[1]), code.toI64(rowOf(shape, 0, 0)));
    Value column = code.add(i64Of(op.getColumn()), code.toI64(columnOf(shape, 0, 0)));
    Value pointer = code.advance(view.pointer, code.add(code.mul(first, view.columns), column), view.stored);
    slidingRows.emplace_back(place, SlidingRows{op->getBlock(), shape.columns, first, pointer,
                                                llvm::DenseMap<std::pair<int64_t, int64_t>, SmallVector<Value>>()});
    it = &slidingRows.back();
  }
  SlidingRows &known = it->second;
  Distribution one = shape; // a row of one group's neighbours
  one.rows = 1, one.columns = shape.groupColumns() * shape.joined, one.grid = {warps, 1};
  Fragment to{shape, code.f32(), SmallVector<Value>(shape.registers())};
  int64_t above = splitSum(op.getRow()).second;
  for (int64_t slab = 0; slab < shape.slabs(); ++slab)
    for (int64_t half = 0; half < 2; ++half)
      for (int64_t group = 0; group < shape.groups(); group += shape.joined) {
        int64_t row = above + shape.rowAt(slab, half);
        SmallVector<Value> &elements = known.elements[{row, group}];
        if (elements.empty()) {
          Value inside = within(code.add(known.first, row), op.getLo(), op.getHi());
          int64_t plus = (row * view.columns + shape.columnAt(group, 0)) * Code::bytesOf(view.stored);
          elements = loadElements(
                         one, view.stored, shape.neighbours(),
                         [&](int64_t, int64_t, int64_t, int64_t) {
                           return Address{known.pointer, plus};
                         },
                         [&](int64_t, int64_t, int64_t, int64_t) { return inside; })
                         .values;
        }
        for (int64_t n = 0; n < shape.neighbours(); ++n)
          to.values[shape.at(slab, group + n / 2, half, n % 2)] = elements[n];
      }
  return to;
}

/// Whether the rows of a thread, which are neighbours, stand side by side in memory.
bool KernelLowering::isPartOfRow(tile::LoadOp op) {
  View view = viewOf(op.getMemory());
  Distribution shape = distributionOf(op.getResult());
  int64_t count = shape.slabs() * 2;
  return shape.sliding && op.getTransposed() && shape.oneColumn() && !shape.oneRow() && !view.imageRows &&
         llvm::isPowerOf2_64(count) && view.columns % count == 0 && divisorOf(op.getColumn()) % count == 0;
}

Fragment KernelLowering::loadPartOfRow(tile::LoadOp op) {
  View view = viewOf(op.getMemory());
  const Distribution shape = distributionOf(op.getResult());
  Value row = i64Of(op.getRow()), column = code.add(i64Of(op.getColumn()), code.toI64(rowOf(shape, 0, 0)));
  Value pointer = code.advance(view.pointer, code.add(code.mul(row, view.columns), column), view.stored);
  Distribution line = shape; // its elements as a thread's neighbours in a row
  line.rows = 1, line.joined = shape.slabs(), line.columns = line.groupColumns() * line.joined, line.grid = {warps, 1};
  Value inside = within(row, op.getLo(), op.getHi());
  Fragment elements = loadElements(
      line, view.stored, line.neighbours(),
      [&](int64_t, int64_t, int64_t, int64_t) {
        return Address{pointer, 0};
      },
      [&](int64_t, int64_t, int64_t, int64_t) { return inside; });
  return {shape, elements.element, std::move(elements.values)};
}

/// Elements of a row that are read or written by one access, or by several side by side: all neighbours of a thread, a
/// pair, or one.
int64_t KernelLowering::elementsAtOnce(const View &view, const Distribution &shape, int64_t divisor) {
  if (shape.oneColumn())
    return 1;
  auto divides = [&](int64_t count) {
    return shape.columns % count == 0 && view.columns % count == 0 && divisor % count == 0;
  };
  if (shape.joined > 1 && !view.imageRows && divides(shape.neighbours()))
    return shape.neighbours();
  return divides(2) ? 2 : 1;
}

/// Whether a row of one column of memory can be picked out of whole rows of that memory.
bool KernelLowering::isPickedOut(tile::LoadOp op) {
  View view = viewOf(op.getMemory());
  Distribution shape = distributionOf(op.getResult());
  return op.getTransposed() && shape.oneRow() && shape.joined > 1 && !op.getLo() && view.stored.isBF16() &&
         view.columns <= 8 && constants.contains(op.getMemory()) && knownOf(op.getColumn()) &&
         shape.neighbours() * view.columns * Code::bytesOf(view.stored) % kAccessBytes == 0 &&
         divisorOf(op.getRow()) % shape.neighbours() == 0;
}

Fragment KernelLowering::loadPickedOut(tile::LoadOp op) {
  View view = viewOf(op.getMemory());
  const Distribution shape = distributionOf(op.getResult());
  int64_t column = *knownOf(op.getColumn()), each = shape.neighbours() * view.columns / 2; // words
  PickedOut &known = pickedOut[{op.getMemory(), op.getRow()}];
  if (known.block != op->getBlock() || known.columns != shape.columns) {
    known = {op->getBlock(), shape.columns, {}};
    Value first = code.add(i64Of(op.getRow()), code.toI64(columnOf(shape, 0, 0)));
    Value base = code.advance(view.pointer, code.mul(first, view.columns), view.stored);
    for (int64_t group = 0; group < shape.groups(); group += shape.joined)
      for (int64_t word = 0; word < each; word += 4)
        llvm::append_range(
            known.words,
            code.loadWords(base, 4, Value(),
                           shape.columnAt(group, 0) * view.columns * Code::bytesOf(view.stored) + word * 4));
  }
  Fragment to{shape, code.f32(), SmallVector<Value>(shape.registers())};
  for (int64_t group = 0; group < shape.groups(); ++group)
    for (int64_t e = 0; e < 2; ++e) {
      int64_t element = (group % shape.joined * 2 + e) * view.columns + column;
      Value word = known.words[group / shape.joined * each + element / 2];
      to.values[shape.at(0, group, 0, e)] = code.unpackBrain(word, element % 2 == 1);
    }
  return to;
}
