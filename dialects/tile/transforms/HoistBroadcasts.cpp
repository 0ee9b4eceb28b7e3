#include "dialects/tile/transforms/Passes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/IRMapping.h"

namespace denim::tile {
#define GEN_PASS_DEF_HOISTBROADCASTSPASS
#include "dialects/tile/transforms/Passes.h.inc"
} // namespace denim::tile

using namespace mlir;
using namespace denim::tile;

namespace {

/// On which coordinates of the element a value depends: bit 0 the row, bit 1 the column.
using Coordinates = unsigned;

/// Functions that cost more than reading their result from a tile.
bool isExpensive(Operation &op) {
  return isa<arith::DivFOp>(op) ||
         (isa<math::MathDialect>(op.getDialect()) && !isa<math::AbsFOp, math::FmaOp, math::FloorOp, math::CeilOp>(op));
}

void hoist(MapOp map) {
  auto type = cast<TileType>(map.getResult().getType());
  Coordinates all = (type.getRows() > 1 ? 1 : 0) | (type.getColumns() > 1 ? 2 : 0);
  Block &body = map.getBody().front();
  llvm::DenseMap<Value, Coordinates> depends;
  llvm::DenseSet<Value> expensive;
  for (auto [argument, input] : llvm::zip_equal(body.getArguments(), map.getInputs())) {
    auto from = cast<TileType>(input.getType());
    depends[argument] = (from.getRows() > 1 ? 1 : 0) | (from.getColumns() > 1 ? 2 : 0);
  }
  for (Operation &op : body.without_terminator()) {
    Coordinates c = 0;
    bool costs = isExpensive(op);
    if (auto index = dyn_cast<IndexOp>(op))
      c = index.getDimension() == 0 ? 1 : 2;
    for (Value operand : op.getOperands())
      c |= depends.lookup(operand), costs |= expensive.contains(operand);
    for (Value result : op.getResults()) {
      depends[result] = c & all;
      if (costs)
        expensive.insert(result);
    }
  }
  // The last values of their coordinates: what an op of more coordinates, or the yield, takes from them.
  llvm::SmallSetVector<Value, 4> frontier;
  for (Operation &op : body) {
    bool yields = op.hasTrait<OpTrait::IsTerminator>();
    for (Value operand : op.getOperands())
      if (operand.getDefiningOp() && expensive.contains(operand) && operand.getParentBlock() == &body &&
          depends.lookup(operand) != all && operand.getType().isF32() &&
          (yields || depends.lookup(op.getResult(0)) != depends.lookup(operand)))
        frontier.insert(operand);
  }
  if (frontier.empty())
    return;

  OpBuilder builder(map);
  for (Value value : frontier) {
    Coordinates c = depends.lookup(value);
    auto shape = type.withShape(c & 1 ? type.getRows() : 1, c & 2 ? type.getColumns() : 1);
    // What the value is computed from, in order.
    llvm::SmallSetVector<Value, 8> needed;
    needed.insert(value);
    SmallVector<Operation *> slice;
    for (Operation &op : llvm::reverse(body.without_terminator()))
      if (llvm::any_of(op.getResults(), [&](Value v) { return needed.contains(v); })) {
        slice.push_back(&op);
        needed.insert(op.operand_begin(), op.operand_end());
      }
    SmallVector<Value> inputs, arguments;
    for (auto [argument, input] : llvm::zip_equal(body.getArguments(), map.getInputs()))
      if (needed.contains(argument))
        inputs.push_back(input), arguments.push_back(argument);
    auto made = MapOp::create(builder, map.getLoc(), shape.withElement(value.getType()), inputs,
                              [&](OpBuilder &b, Location, ValueRange elements) {
                                IRMapping mapping;
                                mapping.map(arguments, elements);
                                for (Operation *op : llvm::reverse(slice))
                                  b.clone(*op, mapping);
                                return mapping.lookup(value);
                              });
    map.getInputsMutable().append(made.getResult());
    value.replaceAllUsesWith(body.addArgument(value.getType(), map.getLoc()));
  }
  // What is no longer used goes, from the end.
  SmallVector<Operation *> ops;
  for (Operation &op : body.without_terminator())
    ops.push_back(&op);
  for (Operation *op : llvm::reverse(ops))
    if (op->use_empty())
      op->erase();
}

struct HoistBroadcastsPass : denim::tile::impl::HoistBroadcastsPassBase<HoistBroadcastsPass> {
  void runOnOperation() override {
    SmallVector<MapOp> maps;
    getOperation()->walk([&](MapOp map) { maps.push_back(map); });
    for (MapOp map : maps)
      hoist(map);
  }
};

} // namespace
