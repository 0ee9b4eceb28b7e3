#include "codegen/cpu/Layouts.h"

using namespace mlir;
using namespace denim::codegen;
using namespace denim;

static tile::TileType typeOf(Value tile) {
  return cast<tile::TileType>(tile.getType());
}

/// Products whose result has at most so many rows take the dot form or stream rhs: nothing is transposed for them.
static constexpr int64_t fewRows = 8;

Layouts::Layouts(tile::KernelOp kernel, const Target &target, bool bf16Products)
    : target(target), bf16Products(bf16Products) {
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
  keepTiles(kernel);
}

OperandUse Layouts::leftUse(tile::MmaOp op) const {
  bool byRows = axisOf(op.getResult()) == Axis::columns;
  return {Side::left, byRows ? op.getTransposeLhs() : !op.getTransposeRhs()};
}
OperandUse Layouts::rightUse(tile::MmaOp op) const {
  bool byRows = axisOf(op.getResult()) == Axis::columns;
  return {Side::right, byRows ? op.getTransposeRhs() : !op.getTransposeLhs()};
}

ArrayRef<OperandUse> Layouts::tiledUses(Value tile) const {
  auto it = tiled.find(tile);
  return it == tiled.end() ? ArrayRef<OperandUse>() : ArrayRef<OperandUse>(it->second);
}

/// Tiles of an operand are kept where they serve more than once: in rounds of a loop, or for several products.
void Layouts::keepTiles(tile::KernelOp kernel) {
  llvm::DenseMap<Value, SmallVector<std::pair<OperandUse, tile::MmaOp>>> uses;
  kernel.walk([&](tile::MmaOp op) {
    if (!usesMatrixUnit(op))
      return;
    uses[leftOf(op)].push_back({leftUse(op), op});
    uses[rightOf(op)].push_back({rightUse(op), op});
  });
  for (auto &[tile, products] : uses) {
    if (isa_and_nonnull<tile::SplatOp, tile::WindowOp>(tile.getDefiningOp()))
      continue;
    for (auto &product : products) {
      OperandUse use = product.first;
      int64_t alike = llvm::count_if(products, [&](auto &other) { return other.first == use; });
      // The right operand stays for all rows of the left one.
      bool kept = alike > 1 || use.side == Side::right || tile.getParentRegion() != product.second->getParentRegion();
      if (kept && !llvm::is_contained(tiledUses(tile), use))
        tiled[tile].push_back(use);
    }
  }
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
  // The operand whose elements are read one by one is widened before, each time.
  auto costOfWidening = [](Value tile) {
    return storedElement(tile).isF32() ? 0.0 : double(typeOf(tile).getNumElements());
  };
  byRows += costOfWidening(op.getLhs());
  byColumns += costOfWidening(op.getRhs());
  // The matrix unit wants the left operand along k as well; what is kept is made once either way.
  auto costOf = [&](Value tile, bool turned) {
    return OperandCost{termsOf(tile), tile.getParentRegion() != op->getParentRegion(), turned};
  };
  if (matrixUnitPays(target, op.getM(), op.getN(), op.getK(), costOf(op.getLhs(), lhsByRows),
                     costOf(op.getRhs(), !rhsByColumns))) {
    matrixProducts.insert(op);
    byRows += lhsByRows ? costOfTransposing(op.getLhs(), op) : 0;
    byColumns += rhsByColumns ? costOfTransposing(op.getRhs(), op) : 0;
    // And brings it into tiles for each strip of the result.
    byRows += costOfTransposing(op.getLhs(), op);
    byColumns += costOfTransposing(op.getRhs(), op);
  }
  if (op.getAcc() && !op.getAcc().getDefiningOp<tile::SplatOp>() && axisOf(op.getAcc()) == Axis::columns)
    byColumns += 2.0 * op.getM() * op.getN();
  if (byColumns < byRows)
    axes[op.getResult()] = Axis::rows;
  if (usesMatrixUnit(op))
    return;
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
  bool small = typeOf(turned).getNumElements() * 4 <= target.turnedBytes;
  if (small && (kept || llvm::any_of(turned.getUsers(), turnsIt)))
    transposed.insert(turned);
}
