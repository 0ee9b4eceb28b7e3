#include "compiler/passes/Passes.h"
#include "dialects/attn/ir/Attn.h"
#include "dialects/model/ir/Model.h"
#include "dialects/plan/ir/Plan.h"

using namespace mlir;

namespace denim {
#define GEN_PASS_DEF_VERIFYPHASEPASS
#include "compiler/passes/Passes.h.inc"

namespace {

/// Why `op` may not be there behind `phase`; empty when it may.
StringRef whyGone(Operation *op, StringRef phase) {
  if (phase == "import") {
    if (isa<attn::CacheOp, attn::AppendOp, attn::RememberOp, attn::AttendOp, attn::AttendLatentOp, attn::AbsorbOp,
            model::SelectOp>(op))
      return "a model is written without caches or rows to select";
    if (op->getDialect() && op->getDialect()->getNamespace() == "plan")
      return "a model is written without launches";
    return {};
  }
  if (phase == "mix") {
    if (auto stateful = dyn_cast<StatefulOpInterface>(op))
      return stateful.getCachesMutable().empty() ? "it has no cache" : "";
    return {};
  }
  if (phase == "plan" || phase == "tile") {
    if (isa<model::BlockOp, model::NetworkOp>(op))
      return "it should have become a program";
    if (auto launch = dyn_cast<plan::LaunchOp>(op))
      if (launch.getNumResults() && !launch.getSlots())
        return "its results have no slots";
  }
  if (phase == "tile") {
    if (isa<plan::KernelOp>(op))
      return "it should have become a tile program";
    if (isa<model::ParamOp, attn::CacheOp>(op))
      return {};
    if (op->getDialect() && (op->getDialect()->getNamespace() == "attn" || op->getDialect()->getNamespace() == "model"))
      return "it should have become part of a tile program";
  }
  return {};
}

struct VerifyPhasePass : impl::VerifyPhasePassBase<VerifyPhasePass> {
  using VerifyPhasePassBase::VerifyPhasePassBase;

  void runOnOperation() override {
    if (!llvm::is_contained({"import", "mix", "plan", "tile"}, phase)) {
      getOperation().emitError() << "expected a phase import, mix, plan or tile, but got " << phase;
      return signalPassFailure();
    }
    bool failed = false;
    getOperation()->walk([&](Operation *op) {
      if (StringRef why = whyGone(op, phase); !why.empty()) {
        op->emitOpError() << "expected to be gone behind the phase " << phase << ": " << why;
        failed = true;
      }
    });
    if (failed)
      signalPassFailure();
  }
};

} // namespace
} // namespace denim
