// Which kernels of a GPU let the next one begin while they run.
//
// A kernel that may begin early stands ready when the one before it ends: its blocks are there, and weights that nobody
// writes are under way. That is worth a microsecond a launch in steps of few tokens, whose kernels take a few of those.
// It is worth nothing beside long kernels, and not free: blocks that only wait have places that others could have (on
// an H200 delta rules of four sequences were 3 % slower, experts of 8192 tokens 7 %). So kernels that only run for few
// new tokens of each sequence, or for few rows, let the next one begin as soon as they wait for nobody themselves; all
// others at their end.
#include "compiler/conversion/Variants.h"
#include "compiler/passes/Passes.h"
#include "llvm/ADT/StringMap.h"

using namespace mlir;

namespace denim {
#define GEN_PASS_DEF_OVERLAPLAUNCHESPASS
#include "compiler/passes/Passes.h.inc"

namespace {

/// Whether there is a number of rows or new tokens above which it does not run.
bool isForFew(plan::LaunchOp launch) {
  auto when = launch->getAttrOfType<DictionaryAttr>("when");
  auto most = when ? when.getAs<IntegerAttr>("most") : IntegerAttr();
  return most && most.getInt() < kAnyNumber;
}

class OverlapLaunchesPass : public impl::OverlapLaunchesPassBase<OverlapLaunchesPass> {
public:
  void runOnOperation() override {
    auto machine = getOperation()->getAttrOfType<StringAttr>(plan::PlanDialect::getMachineAttrName());
    if (!machine || machine.getValue() != "cuda")
      return;
    llvm::StringMap<bool> few; // of kernels that are launched
    getOperation().walk(
        [&](plan::LaunchOp launch) { few.try_emplace(launch.getKernel(), true).first->second &= isForFew(launch); });
    for (auto kernel : getOperation().getOps<tile::KernelOp>())
      if (few.lookup(kernel.getSymName()))
        kernel->setAttr("tile.next_behind_wait", UnitAttr::get(&getContext()));
  }
};

} // namespace
} // namespace denim
