// Kernels in which everything is done element by element or as a sum of such: a matrix times a vector at most. No
// instruction there asks for elements in the order of the matrix units, so they are dealt as memory would have them
// read, 16 bytes of f32 to a lane (Distribution::quads). Their sums over warps are completed where they are asked for, so
// that those which follow each other share a barrier.
//
// It is a matter of the whole kernel: tiles that meet in one op must be dealt alike.
#include "codegen/nvptx/KernelLowering.h"

using namespace mlir;
using namespace denim;
using namespace denim::codegen::nvptx;

bool KernelLowering::canDealQuads() {
  if (!streamed.empty())
    return false;
  for (Value memory : kernel.getMemories())
    if (auto pages = dyn_cast<tile::PagesType>(memory.getType()); pages && isImage(pages))
      return false;
  auto fits = [&](Value value) {
    auto type = dyn_cast<tile::TileType>(value.getType());
    if (!type || type.getColumns() == 1)
      return true;
    WarpGrid grid = chooseGrid(type.getRows(), type.getColumns(), warps);
    return type.getColumns() % (16 * grid.across) == 0;
  };
  WalkResult all = kernel.getBody().walk([&](Operation *op) {
    if (!llvm::all_of(op->getResults(), fits))
      return WalkResult::interrupt();
    for (Region &region : op->getRegions())
      for (Block &block : region)
        if (isa<scf::ForOp>(op) && !llvm::all_of(block.getArguments(), fits))
          return WalkResult::interrupt();
    if (!isa<tile::TileDialect>(op->getDialect()))
      return WalkResult::advance();
    if (auto mma = dyn_cast<tile::MmaOp>(op)) {
      Form form = formOf(mma);
      return form == Form::vector || form == Form::outer ? WalkResult::advance() : WalkResult::interrupt();
    }
    bool simple = isa<tile::LoadOp, tile::StoreOp, tile::MapOp, tile::ReduceOp, tile::SplatOp, tile::YieldOp,
                      tile::IndexOp, tile::SequenceOp, tile::SlotOp, tile::CountOp, tile::StackedOp>(op);
    return simple ? WalkResult::advance() : WalkResult::interrupt();
  });
  return !all.wasInterrupted();
}
