// Which rows of a tile anything asks for.
//
// The heads of a group are a few rows of a tile that a product of a warpgroup wants 64 of; the others are computed for
// nothing. Half of that can be saved: of the 16 rows that a warp has of a slab, each thread holds one of the first
// eight and one of the last (Fragment.h), so where only up to eight rows are stored in the end, every second register
// of every tile on the way there belongs to nobody.
//
//     tile.load  [64 x 128] --mma--> scores [64 x 64] --map--> weights --mma--> sums --map--> tile.store rows 0 to 3
//                    ^                   ^                        ^               ^              asks for 4 rows
//                    '------ 4 ----------'----------- 4 ----------'------ 4 ------'
//
// A store asks for its rows up to the last bound, if that is a constant number of rows behind the first; rows of a
// result ask for the same rows of what they are made of. What is not known asks for all.
#include "codegen/nvptx/KernelLowering.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace denim;
using namespace denim::codegen::nvptx;

static constexpr int64_t kAllRows = Distribution::kAllRows;

static std::optional<int64_t> constantOf(Value index) {
  auto constant = index.getDefiningOp<arith::ConstantIndexOp>();
  return constant ? std::optional(constant.value()) : std::nullopt;
}

/// How many rows of its tile a store writes, from the first on.
static int64_t storedRows(tile::StoreOp op) {
  if (!op.getHi())
    return kAllRows;
  std::optional<int64_t> row = constantOf(op.getRow()), behind = constantOf(op.getHi()), count;
  if (row && behind)
    count = *behind - *row;
  if (auto sum = op.getHi().getDefiningOp<arith::AddIOp>()) {
    if (sum.getLhs() == op.getRow())
      count = constantOf(sum.getRhs());
    else if (sum.getRhs() == op.getRow())
      count = constantOf(sum.getLhs());
  }
  return count ? std::max<int64_t>(*count, 0) : kAllRows;
}

int64_t KernelLowering::rowsAskedBy(OpOperand &use) {
  Operation *user = use.getOwner();
  int64_t rows = typeOf(use.get()).getRows();
  auto ofTile = [&](Value tile) { return usedRows.lookup(tile); };
  if (auto store = dyn_cast<tile::StoreOp>(user))
    return storedRows(store);
  if (auto map = dyn_cast<tile::MapOp>(user))
    return typeOf(map.getResult()).getRows() == rows ? ofTile(map.getResult()) : kAllRows;
  if (auto reduce = dyn_cast<tile::ReduceOp>(user))
    return reduce.getDimension() == 1 ? ofTile(reduce.getResult()) : kAllRows;
  if (auto mma = dyn_cast<tile::MmaOp>(user)) {
    bool isRow = use.get() != mma.getRhs() && !mma.getTransposeLhs();
    return isRow ? ofTile(mma.getResult()) : kAllRows;
  }
  if (auto loop = dyn_cast<scf::ForOp>(user)) {
    unsigned index = use.getOperandNumber() - loop.getNumControlOperands();
    return std::max(ofTile(loop.getRegionIterArg(index)), ofTile(loop.getResult(index)));
  }
  if (isa<scf::YieldOp>(user)) {
    Operation *parent = user->getParentOp();
    unsigned index = use.getOperandNumber();
    auto loop = dyn_cast<scf::ForOp>(parent);
    return std::max(ofTile(parent->getResult(index)), loop ? ofTile(loop.getRegionIterArg(index)) : 0);
  }
  return kAllRows;
}

void KernelLowering::findUsedRows() {
  SmallVector<Value> tiles;
  kernel.walk<WalkOrder::PreOrder>([&](Operation *op) {
    for (Region &region : op->getRegions())
      for (Block &block : region)
        llvm::copy_if(block.getArguments(), std::back_inserter(tiles),
                      [](Value v) { return isa<tile::TileType>(v.getType()); });
    llvm::copy_if(op->getResults(), std::back_inserter(tiles),
                  [](Value v) { return isa<tile::TileType>(v.getType()); });
  });
  // Backwards, until loops ask for no more.
  for (bool grows = true; grows;) {
    grows = false;
    for (Value tile : llvm::reverse(tiles)) {
      int64_t asked = 0;
      for (OpOperand &use : tile.getUses())
        asked = std::max(asked, rowsAskedBy(use));
      grows |= asked > std::exchange(usedRows[tile], asked);
    }
  }
}
