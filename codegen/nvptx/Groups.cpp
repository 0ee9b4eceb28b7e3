// Products of warpgroups go on while the code behind them runs. Whoever asks for their result waits; until then softmax
// of one block overlaps the product of the next when the program has them in that order.
#include "codegen/nvptx/KernelLowering.h"

using namespace mlir;
using namespace denim;
using namespace denim::codegen::nvptx;

bool KernelLowering::alternates(Operation *product, bool first) {
  if (!kernel->hasAttr("tile.alternate") || workers() != 256 || !isa<scf::ForOp>(product->getParentOp()))
    return false;
  SmallVector<Operation *> issued;
  for (auto op : product->getBlock()->getOps<tile::MmaOp>())
    if (formOf(op) == Form::group && !waitsForPair(op))
      issued.push_back(op);
  return product == (first ? issued.front() : issued.back());
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
  for (Value tile : tiles)
    llvm::append_range(values, fragments[tile].values);
  SmallVector<Value> done = code.waitGroups(values, groupsIssued - group);
  ArrayRef<Value> rest = done;
  for (Value tile : tiles) {
    auto &registers = fragments[tile].values;
    llvm::copy(rest.take_front(registers.size()), registers.begin());
    rest = rest.drop_front(registers.size());
  }
  groupOf.remove_if([&](auto &entry) { return entry.second <= group; });
  groupsFinished = group;
  shared.groupsDone(group);
  for (auto &[barrier, own] : leaving)
    if (own <= group) {
      code.warpBarrier();
      code.arrive(barrier, code.equal(lane, code.constant32(0)));
    }
  llvm::erase_if(leaving, [&](auto &entry) { return entry.second <= group; });
}
