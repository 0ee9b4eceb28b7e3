#include "compiler/passes/Passes.h"
#include "compiler/planner/Slots.h"
#include "dialects/plan/ir/Plan.h"

using namespace mlir;

namespace denim {
#define GEN_PASS_DEF_ASSIGNSLOTSPASS
#include "compiler/passes/Passes.h.inc"

namespace {

int64_t elementBytes(Value value) {
  return llvm::divideCeil(cast<RankedTensorType>(value.getType()).getElementTypeBitWidth(), 8);
}

/// Bytes of one row of an activation; of what has as many elements in every step, all of them.
int64_t rowBytes(Value value) {
  auto type = cast<RankedTensorType>(value.getType());
  int64_t elements = 1;
  for (int64_t extent : type.getShape().drop_front(type.hasStaticShape() ? 0 : 1))
    elements *= extent;
  return elements * elementBytes(value);
}

StringRef nameOf(planner::Rows rows) {
  switch (rows) {
  case planner::Rows::tokens:
    return "tokens";
  case planner::Rows::outputs:
    return "outputs";
  case planner::Rows::once:
    return "once";
  }
  llvm_unreachable("all are named");
}

/// Values that `plan.merge` brings together are one value: its result.
Value mergedInto(Value value) {
  for (Operation *user : value.getUsers())
    if (auto merge = dyn_cast<plan::MergeOp>(user))
      return mergedInto(merge.getResult());
  return value;
}

struct AssignSlotsPass : impl::AssignSlotsPassBase<AssignSlotsPass> {
  void runOnOperation() override {
    SmallVector<plan::ScheduleOp> schedules(getOperation().getOps<plan::ScheduleOp>());
    if (schedules.size() != 1) {
      getOperation().emitError() << "expected one plan.schedule, but got " << schedules.size();
      return signalPassFailure();
    }
    OpBuilder b(&getContext());
    planner::SlotPool pool;
    int64_t logits = -1;
    for (auto program : getOperation().getOps<plan::ProgramOp>())
      if (failed(assign(program, pool, logits, b)))
        return signalPassFailure();
    SmallVector<Attribute> slots;
    for (const planner::Slot &slot : pool.slots) {
      SmallVector<NamedAttribute> entry{b.getNamedAttr("row_bytes", b.getI64IntegerAttr(slot.bytes)),
                                        b.getNamedAttr("rows", b.getStringAttr(nameOf(slot.rows)))};
      if (slot.width == 2)
        entry.push_back(b.getNamedAttr("type", b.getStringAttr("bf16")));
      slots.push_back(b.getDictionaryAttr(entry));
    }
    schedules[0].setSlotsAttr(b.getArrayAttr(slots));
    if (logits < 0) {
      schedules[0].emitOpError() << "expected a program that makes the logits";
      return signalPassFailure();
    }
    schedules[0].setLogits(logits);
  }

  /// Which rows a launch makes: its kernel says so, before and after it became a tile program.
  planner::Rows rowsOf(Value result, plan::LaunchOp launch) {
    if (cast<RankedTensorType>(result.getType()).hasStaticShape())
      return planner::Rows::once;
    Operation *kernel = SymbolTable::lookupNearestSymbolFrom(launch, launch.getKernelAttr());
    return kernel && kernel->hasAttr("rows") ? planner::Rows::outputs : planner::Rows::tokens;
  }

  LogicalResult assign(plan::ProgramOp program, planner::SlotPool &pool, int64_t &logits, OpBuilder &b) {
    Block *block = program.getBlock();
    Value input = block->getArgument(0), output = cast<plan::ReturnOp>(block->getTerminator()).getValue();
    planner::SlotProblem problem;
    llvm::DenseMap<Operation *, int64_t> time;
    for (auto [i, op] : llvm::enumerate(*block))
      time[&op] = i;
    auto lastUse = [&](Value value) {
      int64_t last = value.getDefiningOp() ? time[value.getDefiningOp()] : -1;
      for (Operation *user : value.getUsers())
        last = std::max(last, time[user]);
      return last;
    };
    bool isStream = cast<RankedTensorType>(input.getType()).getRank() == 2;
    if (isStream)
      problem.lifetimes.push_back(
          {-1, lastUse(input), rowBytes(input), planner::Rows::tokens, /*fixedSlot=*/0, elementBytes(input)});
    // A merged value lives from the first launch that writes it, whatever its condition, to the last that reads it.
    llvm::DenseMap<Value, int64_t> lifeOf;
    int64_t outputIndex = -1;
    for (auto launch : block->getOps<plan::LaunchOp>()) {
      for (Value result : launch.getResults()) {
        planner::Rows rows = rowsOf(result, launch);
        Value whole = mergedInto(result);
        auto [life, isNew] = lifeOf.try_emplace(whole, problem.lifetimes.size());
        if (!isNew)
          continue;
        bool isOutput = whole == output;
        if (isOutput)
          outputIndex = life->second;
        bool stays = isOutput && rows == planner::Rows::tokens;
        problem.lifetimes.push_back({time[launch], isOutput ? int64_t(time.size()) : lastUse(whole), rowBytes(whole),
                                     rows, stays ? 0 : -1, elementBytes(whole)});
      }
    }
    std::string problemError = problem.check();
    if (!problemError.empty())
      return program.emitOpError() << problemError;
    std::vector<int64_t> slots = planner::assignSlots(problem, pool);
    std::string answerError = problem.verify(slots, pool);
    if (!answerError.empty())
      return program.emitOpError() << answerError;
    for (auto launch : block->getOps<plan::LaunchOp>()) {
      SmallVector<int64_t> own;
      for (Value result : launch.getResults())
        own.push_back(slots[lifeOf[mergedInto(result)]]);
      if (!own.empty())
        launch.setSlotsAttr(b.getDenseI64ArrayAttr(own));
    }
    if (outputIndex >= 0 && problem.lifetimes[outputIndex].rows == planner::Rows::outputs)
      logits = slots[outputIndex];
    return success();
  }
};

} // namespace
} // namespace denim
