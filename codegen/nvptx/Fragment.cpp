#include "codegen/nvptx/Fragment.h"

using namespace mlir;
using namespace denim;
using namespace denim::codegen::nvptx;

/// Registers one tile should take of a thread: several live at once.
static constexpr int64_t kTileRegisters = 64;
static constexpr int64_t kLeastWarps = 4, kMostWarps = 16;

WarpGrid denim::codegen::nvptx::chooseGrid(int64_t rows, int64_t columns, int64_t warps) {
  // One row is held by all warps alike, so that it broadcasts to tiles of any grid with all their columns; a long one
  // would take too many registers.
  if (rows == 1)
    return columns / 4 <= 2 * kTileRegisters ? WarpGrid{warps, 1} : WarpGrid{1, warps};
  int64_t down = std::min<int64_t>(warps, llvm::PowerOf2Ceil(llvm::divideCeil(rows, 16)));
  return {down, warps / down};
}

int64_t denim::codegen::nvptx::chooseWarps(tile::KernelOp kernel) {
  if (auto wanted = kernel->getAttrOfType<IntegerAttr>("tile.warps"))
    return std::clamp<int64_t>(llvm::PowerOf2Ceil(wanted.getInt()), 1, kMostWarps);
  int64_t largest = 1;
  kernel.walk([&](Operation *op) {
    for (Value value : op->getResults())
      if (auto type = dyn_cast<tile::TileType>(value.getType()); type && type.getRows() > 1 && type.getColumns() > 1)
        largest = std::max<int64_t>(largest, llvm::alignTo(type.getRows(), 16) * llvm::alignTo(type.getColumns(), 8));
  });
  int64_t warps = llvm::PowerOf2Ceil(llvm::divideCeil(largest, 32 * kTileRegisters));
  return std::clamp(warps, kLeastWarps, kMostWarps);
}
