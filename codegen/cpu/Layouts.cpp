#include "codegen/cpu/Layouts.h"

using namespace mlir;
using namespace denim::codegen;
using namespace denim;

static tile::TileType typeOf(Value tile) {
  return cast<tile::TileType>(tile.getType());
}

/// Products whose result has at most so many rows take the dot form or stream rhs: nothing is transposed for them.
static constexpr int64_t fewRows = 8;

Layouts::Layouts(tile::KernelOp kernel) {
  kernel.walk<WalkOrder::PreOrder>([&](Operation *op) {
    if (auto load = dyn_cast<tile::LoadOp>(op)) {
      auto type = typeOf(load.getResult());
      if (load.getTransposed() && type.getRows() > 1 && type.getColumns() > 1)
        axes[load.getResult()] = Axis::rows;
    } else if (auto window = dyn_cast<tile::WindowOp>(op)) {
      if (axisOf(window.getSource()) == Axis::rows)
        axes[window.getResult()] = Axis::rows;
    } else if (auto map = dyn_cast<tile::MapOp>(op)) {
      int64_t byRows = 0, byColumns = 0;
      for (Value input : map.getInputs())
        if (typeOf(input).getRows() == typeOf(map.getResult()).getRows() &&
            typeOf(input).getColumns() == typeOf(map.getResult()).getColumns() && !input.getDefiningOp<tile::SplatOp>())
          (axisOf(input) == Axis::rows ? byRows : byColumns)++;
      if (byRows > byColumns)
        axes[map.getResult()] = Axis::rows;
    } else if (auto mma = dyn_cast<tile::MmaOp>(op)) {
      decide(mma);
    }
  });
}

Axis Layouts::axisOf(Value tile) const {
  auto it = axes.find(tile);
  return it == axes.end() ? naturalAxis(typeOf(tile)) : it->second;
}

/// Elements moved per run of the user. A copy that exists already, or that a loop around the user keeps, is nearly
/// free.
double Layouts::costOfTransposing(Value tile, Operation *user) const {
  double elements = double(typeOf(tile).getNumElements());
  bool kept = transposed.contains(tile) || tile.getParentRegion() != user->getParentRegion();
  return kept ? 0.1 * elements : elements;
}

/// Elements that users of the tile have to turn round when it comes by columns.
double Layouts::costOfColumns(Value tile, int depth) const {
  double elements = double(typeOf(tile).getNumElements()), cost = 0;
  for (Operation *user : tile.getUsers()) {
    if (isa<tile::ReduceOp>(user))
      continue;
    if (auto mma = dyn_cast<tile::MmaOp>(user)) {
      bool asRight = mma.getRhs() == tile && !mma.getTransposeRhs();
      cost += asRight || mma.getAcc() == tile ? elements : 0;
    } else if (auto map = dyn_cast<tile::MapOp>(user)) {
      if (depth == 0) {
        cost += elements;
        continue;
      }
      for (Value other : map.getInputs())
        if (other != tile && typeOf(other).getNumElements() == elements && axisOf(other) == Axis::columns &&
            !other.getDefiningOp<tile::SplatOp>())
          cost += elements;
      cost += costOfColumns(map.getResult(), depth - 1);
    } else if (auto solve = dyn_cast<tile::SolveOp>(user)) {
      cost += solve.getRhs() == tile ? elements : 0;
    } else {
      cost += elements;
    }
  }
  return cost;
}

void Layouts::decide(tile::MmaOp op) {
  bool lhsByRows = (axisOf(op.getLhs()) == Axis::rows) != op.getTransposeLhs();
  bool rhsByColumns = (axisOf(op.getRhs()) == Axis::columns) != op.getTransposeRhs();
  if (op.getM() <= fewRows || op.getN() <= fewRows)
    return;
  double byRows = rhsByColumns ? 0 : costOfTransposing(op.getRhs(), op);
  double byColumns = lhsByRows ? 0 : costOfTransposing(op.getLhs(), op);
  byColumns += costOfColumns(op.getResult(), 4);
  if (op.getAcc() && !op.getAcc().getDefiningOp<tile::SplatOp>() && axisOf(op.getAcc()) == Axis::columns)
    byColumns += 2.0 * op.getM() * op.getN();
  if (byColumns < byRows)
    axes[op.getResult()] = Axis::rows;
  // Copies are for what is transposed outside a loop or more than once; else panels of it are, inside the product.
  Value turned = byColumns < byRows ? (lhsByRows ? Value() : op.getLhs()) : (rhsByColumns ? Value() : op.getRhs());
  if (!turned || isa_and_nonnull<tile::SplatOp, tile::WindowOp>(turned.getDefiningOp()))
    return;
  bool kept = turned.getParentRegion() != op->getParentRegion();
  auto turnsIt = [&](Operation *user) {
    auto other = dyn_cast<tile::MmaOp>(user);
    return other && other != op && other.getM() > fewRows && other.getN() > fewRows && other.getRhs() == turned &&
           other.getTransposeRhs() == op.getTransposeRhs();
  };
  bool small = typeOf(turned).getNumElements() <= 64 * 1024;
  if (small && (kept || llvm::any_of(turned.getUsers(), turnsIt)))
    transposed.insert(turned);
}
