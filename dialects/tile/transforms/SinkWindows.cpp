#include "dialects/tile/transforms/Passes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/IRMapping.h"

namespace denim::tile {
#define GEN_PASS_DEF_SINKWINDOWSPASS
#include "dialects/tile/transforms/Passes.h.inc"
} // namespace denim::tile

using namespace mlir;
using namespace denim::tile;

static Value plus(OpBuilder &b, Location loc, Value index, int64_t add) {
  if (add == 0)
    return index;
  return arith::AddIOp::create(b, loc, index, arith::ConstantIndexOp::create(b, loc, add));
}

/// Memory may be written between a load and its window.
static bool mayMove(LoadOp load, Operation *to) {
  if (load->getBlock() != to->getBlock())
    return false;
  for (Operation *op = load->getNextNode(); op && op != to; op = op->getNextNode())
    if (writtenMemory(op) || op->getNumRegions() != 0)
      if (!isa<MapOp>(op))
        return false;
  return true;
}

/// Columns of the panels in which machines with matrix units keep an operand.
static constexpr int64_t kPanelColumns = 64;

/// First columns of what is loaded whole for others too, or panels of a block, as an operand of products: they read a
/// part of the operand that stands there already. A block that one kernel hands to another comes by one copy.
static bool isPartOfOperand(WindowOp window, LoadOp load) {
  bool block = load.getMemory().getDefiningOp<BlockOp>() && window.getColumn() % kPanelColumns == 0 &&
               cast<TileType>(window.getResult().getType()).getColumns() % kPanelColumns == 0;
  return window.getRow() == 0 && (window.getColumn() == 0 || block) && !load.getResult().hasOneUse() &&
         cast<TileType>(window.getResult().getType()).getRows() ==
             cast<TileType>(window.getSource().getType()).getRows() &&
         llvm::all_of(window.getResult().getUses(), [](OpOperand &use) {
           auto mma = dyn_cast<MmaOp>(use.getOwner());
           return mma && mma.getRhs() == use.get() && mma.getLhs() != use.get() && mma.getAcc() != use.get();
         });
}

/// Elements in blocks are loaded by whole blocks.
static bool isPartOfBlocks(WindowOp window, LoadOp load) {
  if (!denim::blockFormatOf(load.getMemory().getType().getElementType()))
    return false;
  auto part = cast<TileType>(window.getResult().getType());
  bool transposed = load.getTransposed();
  int64_t first = transposed ? window.getRow() : window.getColumn();
  int64_t length = transposed ? part.getRows() : part.getColumns();
  return first % denim::formats::kBlockElements != 0 || length % denim::formats::kBlockElements != 0;
}

static bool sink(WindowOp window) {
  Value source = window.getSource();
  auto type = cast<TileType>(window.getResult().getType()), from = cast<TileType>(source.getType());
  OpBuilder b(window);
  Location loc = window.getLoc();
  int64_t row = window.getRow(), column = window.getColumn();
  if (auto splat = source.getDefiningOp<SplatOp>()) {
    window.getResult().replaceAllUsesWith(SplatOp::create(b, loc, type, splat.getValue()));
  } else if (auto load = source.getDefiningOp<LoadOp>()) {
    if (isPartOfOperand(window, load) || isPartOfBlocks(window, load) || !mayMove(load, window))
      return false;
    int64_t down = load.getTransposed() ? column : row, across = load.getTransposed() ? row : column;
    Value made =
        LoadOp::create(b, loc, type, load.getMemory(), plus(b, loc, load.getRow(), down),
                       plus(b, loc, load.getColumn(), across), load.getLo(), load.getHi(), load.getTransposed());
    window.getResult().replaceAllUsesWith(made);
  } else if (auto map = source.getDefiningOp<MapOp>()) {
    bool onlyWindows = llvm::all_of(map.getResult().getUsers(), llvm::IsaPred<WindowOp>);
    if (!onlyWindows || (from.getRows() == 1 && from.getColumns() == 1))
      return false;
    SmallVector<Value> inputs;
    for (Value input : map.getInputs()) {
      auto own = cast<TileType>(input.getType());
      int64_t rows = own.getRows() == 1 ? 1 : type.getRows(), columns = own.getColumns() == 1 ? 1 : type.getColumns();
      if (rows == own.getRows() && columns == own.getColumns())
        inputs.push_back(input);
      else
        inputs.push_back(WindowOp::create(b, loc, own.withShape(rows, columns), input, own.getRows() == 1 ? 0 : row,
                                          own.getColumns() == 1 ? 0 : column));
    }
    auto made = MapOp::create(b, loc, type, inputs, [&](OpBuilder &inner, Location, ValueRange arguments) -> Value {
      IRMapping mapping;
      mapping.map(map.getBody().front().getArguments(), arguments);
      for (Operation &op : map.getBody().front().without_terminator()) {
        Operation *clone = inner.clone(op, mapping);
        auto index = dyn_cast<IndexOp>(clone);
        int64_t shift = !index ? 0 : index.getDimension() == 0 ? row : column;
        if (shift) {
          Value add = arith::ConstantOp::create(inner, loc, inner.getI32IntegerAttr(shift));
          mapping.map(op.getResult(0), arith::AddIOp::create(inner, loc, index.getResult(), add).getResult());
        }
      }
      return mapping.lookup(map.getBody().front().getTerminator()->getOperand(0));
    });
    window.getResult().replaceAllUsesWith(made.getResult());
  } else {
    return false;
  }
  window.erase();
  if (source.use_empty())
    source.getDefiningOp()->erase();
  return true;
}

namespace {

struct SinkWindowsPass : denim::tile::impl::SinkWindowsPassBase<SinkWindowsPass> {
  void runOnOperation() override {
    // A window that sinks through a map leaves windows of the map's operands: go on until nothing moves.
    for (bool changed = true; changed;) {
      changed = false;
      SmallVector<WindowOp> windows;
      getOperation()->walk([&](WindowOp op) { windows.push_back(op); });
      for (WindowOp window : windows)
        changed |= sink(window);
    }
  }
};

} // namespace
