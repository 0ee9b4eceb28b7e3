// Which kernels of a GPU let the next one begin while they run, and what a kernel that begins early may read at once.
//
// A kernel that may begin early stands ready when the one before it ends: its blocks are there, and weights that nobody
// writes are under way. That is worth a microsecond a launch in steps of few tokens, whose kernels take a few of those.
// It is worth nothing beside long kernels, and not free: blocks that only wait have places that others could have (on
// an H200 delta rules of four sequences were 3 % slower, experts of 8192 tokens 7 %). So kernels that only run for few
// new tokens of each sequence, or for few rows, let the next one begin as soon as they wait for nobody themselves; all
// others at their end.
//
// A kernel lets the next one begin behind its own wait at the earliest (codegen/nvptx/Overlap.cpp). So when a kernel
// begins, all launches but the one in front of it are done, and what that one does not write stands in memory:
//
//     prepare   writes a            done, for scan waited for it before it let merge begin
//     scan      reads a, writes b   may still run
//     merge     reads a and b       may read a at once: `tile.finished`
//
// The launch in front is not known where it may be left out of a pass in which the kernel runs. Then what those before
// it write counts as well, back to one that is not left out; where there is none, nothing is known to be finished. A
// library that may do a product says nothing about when it lets others begin.
#include "compiler/conversion/Variants.h"
#include "compiler/passes/Passes.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringMap.h"
#include <optional>

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

/// Whether a condition holds in all passes in which the other does: only the tokens that a pass has at least may be
/// fewer. Null: in every pass.
bool holdsWith(DictionaryAttr when, DictionaryAttr other) {
  if (!when || when == other)
    return true;
  if (!other)
    return false;
  auto tokens = [](DictionaryAttr condition) {
    auto least = condition.getAs<IntegerAttr>("tokens");
    return least ? least.getInt() : 0;
  };
  auto rest = [](DictionaryAttr condition) {
    NamedAttrList entries(condition);
    entries.erase("tokens");
    return entries.getDictionary(condition.getContext());
  };
  return rest(when) == rest(other) && tokens(when) <= tokens(other);
}

/// Whether the launch runs, with items, in all passes in which the other does.
bool runsWith(plan::LaunchOp launch, plan::LaunchOp other, SymbolTable &symbols) {
  auto kernel = symbols.lookup<tile::KernelOp>(launch.getKernel());
  auto otherKernel = symbols.lookup<tile::KernelOp>(other.getKernel());
  if (!kernel || !otherKernel)
    return false;
  auto when = launch->getAttrOfType<DictionaryAttr>("when"), otherWhen = other->getAttrOfType<DictionaryAttr>("when");
  tile::CountKind per = kernel.getItems().getPer();
  if (per != otherKernel.getItems().getPer()) {
    // Rows are counted as items are.
    auto of = when ? when.getAs<StringAttr>("of") : StringAttr();
    if (per != tile::CountKind::once || (of && of.getValue() == "rows"))
      return false;
  }
  return holdsWith(when, otherWhen);
}

/// The slot that a value stands in; none for arguments of the program, parameters, and what no launch writes.
std::optional<int64_t> slotOf(Value value) {
  if (auto merge = value.getDefiningOp<plan::MergeOp>())
    return slotOf(merge.getValues().front());
  auto launch = value.getDefiningOp<plan::LaunchOp>();
  if (!launch || !launch.getSlots())
    return std::nullopt;
  return (*launch.getSlots())[cast<OpResult>(value).getResultNumber()];
}

class OverlapLaunchesPass : public impl::OverlapLaunchesPassBase<OverlapLaunchesPass> {
public:
  void runOnOperation() override {
    if (!plan::isForCuda(getOperation()))
      return;
    llvm::StringMap<bool> few; // of kernels that are launched
    getOperation().walk(
        [&](plan::LaunchOp launch) { few.try_emplace(launch.getKernel(), true).first->second &= isForFew(launch); });
    SymbolTable symbols(getOperation());
    llvm::StringMap<llvm::SmallSetVector<int64_t, 8>> finished; // in all launches so far
    getOperation().walk([&](plan::LaunchOp launch) {
      llvm::SmallSetVector<int64_t, 8> own = finishedFor(launch, symbols);
      auto [entry, isNew] = finished.try_emplace(launch.getKernel(), own);
      entry->second.remove_if([&](int64_t number) { return !own.contains(number); });
    });
    for (auto kernel : getOperation().getOps<tile::KernelOp>()) {
      if (few.lookup(kernel.getSymName()))
        kernel->setAttr("tile.next_behind_wait", UnitAttr::get(&getContext()));
      if (const auto &numbers = finished[kernel.getSymName()]; !numbers.empty())
        kernel->setAttr("tile.finished", DenseI64ArrayAttr::get(&getContext(), numbers.getArrayRef()));
    }
  }

private:
  /// Numbers of the operands that no launch writes which may run when this one begins.
  static llvm::SmallSetVector<int64_t, 8> finishedFor(plan::LaunchOp launch, SymbolTable &symbols) {
    llvm::SmallDenseSet<int64_t> written;
    for (Operation *before = launch->getPrevNode();; before = before->getPrevNode()) {
      if (!before)
        return {};
      auto other = dyn_cast<plan::LaunchOp>(before);
      if (!other)
        continue;
      if (other->hasAttr("product") || (other.getNumResults() && !other.getSlots()))
        return {};
      if (other.getSlots())
        written.insert(other.getSlots()->begin(), other.getSlots()->end());
      if (runsWith(other, launch, symbols))
        break;
    }
    llvm::SmallSetVector<int64_t, 8> numbers;
    for (auto [number, operand] : llvm::enumerate(launch.getOperands())) {
      std::optional<int64_t> slot = slotOf(operand);
      if (slot && !written.contains(*slot))
        numbers.insert(int64_t(number));
    }
    return numbers;
  }
};

} // namespace
} // namespace denim
