// Products of warpgroups go on while the code behind them runs. Whoever asks for their result waits; until then softmax
// of one block overlaps the product of the next when the program has them in that order.
//
// Issuing a product holds a warpgroup until the matrix units have taken most of it, so of two warpgroups one should
// issue while the other has vectors to work on. Left alone they drift together and wait for each other's products. A
// kernel with `tile.alternate` has them take turns at the products of each loop:
//
//   warpgroup 0   products | softmax           | products | ...
//   warpgroup 1     ...    | products | softmax           | products
#include "codegen/nvptx/KernelLowering.h"

using namespace mlir;
using namespace denim;
using namespace denim::codegen::nvptx;

/// Barrier on which a warpgroup waits for its turn; the other one's is the next, or the one before.
static constexpr int64_t kTurnBarrier = 2;

/// The first turn is that of warpgroup 0: the other one gives it away before it has had its own.
void KernelLowering::beginAlternation() {
  if (!alternates())
    return;
  code.branch(code.lessThan(code.constant32(3), warp), {}, [&] {
    code.namedBarrier(code.constant32(kTurnBarrier), workers(), /*wait=*/false);
    return SmallVector<Value>();
  });
}

/// The products of a loop's turn that warpgroups issue in turns: the neighbours around `product` in the body of a loop.
/// None where a barrier of all computing warps may stand between them: who has the turn would wait there for who waits
/// for it.
SmallVector<Operation *> KernelLowering::productsOfTurn(Operation *product) {
  if (!alternates() || !isa<scf::ForOp>(product->getParentOp()))
    return {};
  SmallVector<Operation *> issued;
  for (auto op : product->getBlock()->getOps<tile::MmaOp>())
    if (!waitsForPair(op))
      issued.push_back(op);
  for (Operation *op = issued.front(); op != issued.back()->getNextNode(); op = op->getNextNode()) {
    if (auto mma = dyn_cast<tile::MmaOp>(op)) {
      if (formOf(mma) != Form::group || !lhsInRegisters(mma) || !staged.contains(heldFor(mma.getRhs())))
        return {};
    } else if (auto load = dyn_cast<tile::LoadOp>(op)) {
      if (!onlyShared.contains(load.getResult()) || !staged.contains(load.getResult()))
        return {};
    } else if (op->getNumRegions() != 0 || isa<tile::StoreOp, tile::ScatterOp, tile::ExtractOp>(op) ||
               llvm::any_of(op->getResultTypes(), llvm::IsaPred<tile::TileType>)) {
      return {};
    }
  }
  return issued;
}

void KernelLowering::awaitTurn(Operation *product) {
  auto all = productsOfTurn(product);
  if (!all.empty() && product == all.front())
    code.namedBarrier(code.add(code.divide(warp, 4), kTurnBarrier), workers(), /*wait=*/true);
}

void KernelLowering::passTurn(Operation *product) {
  auto all = productsOfTurn(product);
  if (!all.empty() && product == all.back())
    code.namedBarrier(code.sub(code.constant32(kTurnBarrier + 1), code.divide(warp, 4)), workers(), /*wait=*/false);
}

void KernelLowering::startGroup(Value tile) {
  ++groupsIssued;
  groupOf[tile] = groupsIssued;
}

void KernelLowering::finishGroups(int64_t group) {
  if (group <= groupsFinished)
    return;
  // The registers pass through the wait: no use of them can move above it. So do tiles that were made meanwhile and are
  // used later, or LLVM would move their computation behind the wait, next to their use, and nothing would overlap.
  SmallVector<Value> tiles, values;
  for (auto &[tile, own] : groupOf)
    if (own <= group)
      tiles.push_back(tile);
  auto usedLater = [&](Value tile) {
    return llvm::any_of(tile.getUsers(), [&](Operation *user) {
      Operation *own = current->getBlock()->findAncestorOpInBlock(*user);
      return !own || own == current || current->isBeforeInBlock(own);
    });
  };
  for (Value tile : besideGroups)
    if (!groupOf.contains(tile) && fragments[tile].element == code.f32() && usedLater(tile))
      tiles.push_back(tile);
  besideGroups.clear();
  // All that products have written; of other tiles what somebody asks for.
  SmallVector<Value *> registers;
  for (Value tile : tiles) {
    Fragment &own = fragments[tile];
    for (int64_t slab = 0; slab < own.shape.slabs(); ++slab)
      for (int64_t across = 0; across < own.shape.groups(); ++across)
        for (int64_t half = 0; half < own.shape.halves(); ++half)
          for (int64_t e = 0; e < own.shape.pairs(); ++e)
            if (groupOf.contains(tile) || own.shape.isUsed(slab, half))
              registers.push_back(&own.values[own.shape.at(slab, across, half, e)]);
  }
  for (Value *value : registers)
    values.push_back(*value);
  SmallVector<Value> done = code.waitGroups(values, groupsIssued - group);
  for (auto [value, behind] : llvm::zip(registers, done))
    *value = behind;
  groupOf.remove_if([&](auto &entry) { return entry.second <= group; });
  groupsFinished = group;
  shared.groupsDone(group);
  for (const Leaving &own : leaving)
    if (own.group <= group) {
      code.warpBarrier();
      leave(own.barrier, own.byLanes);
    }
  llvm::erase_if(leaving, [&](const Leaving &own) { return own.group <= group; });
}
