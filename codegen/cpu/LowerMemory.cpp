// Loads, gathers and stores.
#include "codegen/cpu/KernelLowering.h"

using namespace mlir;
using namespace denim::codegen;
using namespace denim;

/// The part of a memory that begins at (row, column), as a place.
Place KernelLowering::memoryWindow(Value memory, Value row, Value column, int64_t rows, int64_t columns) {
  auto type = cast<tile::MemoryType>(memory.getType());
  if (blockFormatOf(type.getElementType()))
    return access.blocksOf(pointers.lookup(memory), type.getElementType(), type.getColumns(), row, column, rows,
                           columns);
  Place place;
  place.element = type.getElementType();
  place.rows = rows, place.columns = columns;
  place.rowStride = type.getColumns(), place.columnStride = 1;
  place.alignment = Code::bytesOf(place.element);
  Value offset = code.add(code.mul(row, type.getColumns()), column);
  place.base = code.advance(pointers.lookup(memory), offset, place.element);
  return place;
}

/// Whether a store to the memory comes after the load and not after the last use of what it loads. Two arguments of a
/// kernel are different memory, or the launch that passes them is wrong.
bool KernelLowering::isWrittenBefore(Value memory, Operation *load, int64_t lastUse) {
  int64_t begin = lifetimes.position(load);
  bool written = false;
  kernel.walk([&](Operation *op) {
    Value root = tile::writtenMemory(op);
    if (!root)
      return;
    int64_t at = lifetimes.position(op);
    while (Operation *def = root.getDefiningOp())
      root = def->getOperand(0);
    written |= root == roots.lookup(memory) && at > begin && at < lastUse;
  });
  return written;
}

/// The memory a result may be made in at once: its only use is a store of all its rows, and between the maker and that
/// store nobody reads what the store overwrites. An elementwise maker may read the very window it writes.
std::optional<Place> KernelLowering::storeTarget(Operation *maker, Axis axis) {
  Value result = maker->getResult(0);
  auto type = typeOf(result);
  if (!result.hasOneUse() || axis != Axis::columns || type.getColumns() % code.lanes)
    return std::nullopt;
  auto store = dyn_cast<tile::StoreOp>(*result.getUsers().begin());
  if (!store || store->getBlock() != maker->getBlock() || store.getLo() ||
      store.getMemory().getType().getElementType() != type.getElementType())
    return std::nullopt;
  for (Value v : {Value(store.getMemory()), Value(store.getRow()), Value(store.getColumn())})
    if (Operation *def = v.getDefiningOp(); def && def->getBlock() == maker->getBlock() && !def->isBeforeInBlock(maker))
      return std::nullopt;
  auto rootOf = [](Value memory) {
    while (Operation *def = memory.getDefiningOp())
      memory = def->getOperand(0);
    return memory;
  };
  Value root = rootOf(store.getMemory());
  int64_t now = lifetimes.position(maker), then = lifetimes.position(store);
  bool conflict = false;
  kernel.walk([&](Operation *op) {
    int64_t at = lifetimes.position(op);
    if (Value written = tile::writtenMemory(op)) {
      conflict |= op != store && rootOf(written) == root && at > now && at < then;
    } else if (isa<tile::LoadOp, tile::GatherOp>(op) && rootOf(op->getOperand(0)) == root) {
      int64_t last = lifetimes.lastUse(op->getResult(0));
      auto load = dyn_cast<tile::LoadOp>(op);
      bool sameWindow = load && isa<tile::MapOp>(maker) && !load.getTransposed() && load.getRow() == store.getRow() &&
                        load.getColumn() == store.getColumn() && load.getMemory() == store.getMemory() &&
                        typeOf(load.getResult()) == type;
      conflict |= at < now ? last > now || (last == now && !sameWindow) : at < then;
    }
  });
  if (conflict)
    return std::nullopt;
  forwarded.insert(store);
  return memoryWindow(store.getMemory(), i64Of(store.getRow()), i64Of(store.getColumn()), type.getRows(),
                      type.getColumns());
}

/// Which rows [first, last) of a window of `rows` rows beginning at `row` lie in [lo, hi).
std::pair<Value, Value> KernelLowering::rowsWithin(Value row, Value lo, Value hi, int64_t rows) {
  Value zero = code.constant(0), all = code.constant(rows);
  if (!lo)
    return {zero, all};
  Value first = code.max(zero, code.min(all, code.sub(i64Of(lo), row)));
  Value last = code.max(first, code.min(all, code.sub(i64Of(hi), row)));
  return {first, last};
}

/// Whether the tile's users take elements in blocks where they stand: products, also of windows of whole blocks.
static bool takesBlocks(Value tile, bool transposed) {
  return llvm::all_of(tile.getUsers(), [&](Operation *user) {
    auto window = dyn_cast<tile::WindowOp>(user);
    if (!window)
      return isa<tile::MmaOp>(user);
    auto type = cast<tile::TileType>(window.getResult().getType());
    int64_t first = transposed ? window.getRow() : window.getColumn();
    int64_t length = transposed ? type.getRows() : type.getColumns();
    return first % formats::kBlockElements == 0 && length % formats::kBlockElements == 0 &&
           takesBlocks(window.getResult(), transposed);
  });
}

void KernelLowering::lower(tile::LoadOp op) {
  auto type = typeOf(op.getResult());
  bool transposed = op.getTransposed();
  int64_t rows = transposed ? type.getColumns() : type.getRows();
  int64_t columns = transposed ? type.getRows() : type.getColumns();
  Value row = i64Of(op.getRow());
  Place from = memoryWindow(op.getMemory(), row, i64Of(op.getColumn()), rows, columns);
  // A column of a wider memory has its elements apart, which vectors cannot read: it is copied.
  bool apart = columns == 1 && rows > 1 && from.rowStride != 1;
  bool blocks = from.scales && !takesBlocks(op.getResult(), transposed);
  if (!op.getLo() && !apart && !blocks && !isWrittenBefore(op.getMemory(), op, lifetimes.lastUse(op.getResult()))) {
    bind(op.getResult(), transposed ? from.transposed() : from);
    return;
  }
  bool columnVector = rows > 1 && columns == 1;
  Axis axis = columnVector == transposed ? Axis::columns : Axis::rows;
  Place to = placeResult(op.getResult(), axis);
  if (transposed)
    to = to.transposed();
  auto [first, last] = rowsWithin(row, op.getLo(), op.getHi(), rows);
  Place zero;
  zero.splat = code.scalarConstant(type.getElementType(), 0);
  zero.rows = rows, zero.columns = columns;
  access.copyRows(zero, to, code.constant(0), first);
  access.copyRows(from, to, first, last);
  access.copyRows(zero, to, last, code.constant(rows));
}

void KernelLowering::lower(tile::GatherOp op) {
  auto type = typeOf(op.getResult());
  Place rows = placeOf(op.getRows());
  Place to = placeResult(op.getResult());
  Value column = i64Of(op.getColumn()), zero = code.constant(0);
  code.loop(0, type.getRows(), 1, [&](Value i) {
    Value row = code.toI64(access.scalar(rows, i, zero));
    Place from = memoryWindow(op.getMemory(), row, column, 1, type.getColumns());
    Place one = access.window(to, i, zero, 1, type.getColumns());
    one.padded = to.padded;
    access.copyRows(from, one, zero, code.constant(1));
  });
}

void KernelLowering::lower(tile::ScatterOp op) {
  auto type = typeOf(op.getValue());
  Place rows = placeOf(op.getRows());
  SmallVector<int> borrowed;
  Place from = type.getColumns() == 1 ? placeOf(op.getValue()) : along(Axis::columns, placeOf(op.getValue()), borrowed);
  Value column = i64Of(op.getColumn()), zero = code.constant(0), one = code.constant(1);
  code.loop(0, type.getRows(), 1, [&](Value i) {
    Value row = code.toI64(access.scalar(rows, i, zero));
    Place to = memoryWindow(op.getMemory(), row, column, 1, type.getColumns());
    // A row that is not there: none is copied.
    Value last = code.max(zero, code.min(one, code.add(row, one)));
    access.copyRows(access.window(from, i, zero, 1, type.getColumns()), to, zero, last);
  });
  for (int storage : borrowed)
    release(storage);
}

void KernelLowering::lower(tile::StoreOp op) {
  if (forwarded.contains(op))
    return;
  auto type = typeOf(op.getValue());
  Value row = i64Of(op.getRow());
  Place to = memoryWindow(op.getMemory(), row, i64Of(op.getColumn()), type.getRows(), type.getColumns());
  auto [first, last] = rowsWithin(row, op.getLo(), op.getHi(), type.getRows());
  SmallVector<int> borrowed;
  Place from = to.columns == 1 ? placeOf(op.getValue()) : along(Axis::columns, placeOf(op.getValue()), borrowed);
  access.copyRows(from, to, first, last);
  for (int storage : borrowed)
    release(storage);
}
