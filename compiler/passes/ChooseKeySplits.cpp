#include "compiler/conversion/AttnToTile/KeyParts.h"
#include "compiler/passes/Passes.h"
#include "compiler/tuning/Choices.h"
#include "dialects/attn/ir/Attn.h"
#include "dialects/plan/ir/Plan.h"
#include "runtime/abi/Kernel.h"

using namespace mlir;

namespace denim {
#define GEN_PASS_DEF_CHOOSEKEYSPLITSPASS
#include "compiler/passes/Passes.h.inc"

namespace {

/// Parts of each token that there is memory for on a CUDA device. How many are made is chosen with the kernel.
constexpr int64_t kHeldParts = 8;

FailureOr<int64_t> chooseSplits(attn::AttendOp op) {
  if (plan::isForCuda(op))
    return kHeldParts;
  auto query = cast<RankedTensorType>(op.getQuery().getType());
  auto keys = cast<attn::CacheType>(op.getKeys().getType());
  tuning::KeySplits shape{keys.getShape()[0],
                          query.getDimSize(1),
                          query.getDimSize(2),
                          op.getValueWidth(),
                          int64_t(llvm::divideCeil(keys.getElementType().getIntOrFloatBitWidth(), 8)),
                          DENIM_PAGE_TOKENS,
                          kLeastPages,
                          /*latentRows=*/op.getKeys() == op.getValues() ? kLatentHeads : 0};
  tuning::Question question;
  question.choice = "attend_part.key_splits";
  question.shape = tuning::shapeText(
      {{"heads", shape.queryHeads}, {"kv_heads", shape.keyHeads}, {"dk", shape.keyDim}, {"dv", shape.valueDim}});
  question.candidates = {1, 2, 4, 8, 16, 32, 64};
  FailureOr<codegen::Target> target = tuning::cpuTargetOf(op);
  if (failed(target))
    return failure();
  question.predict = [=](int64_t splits) { return tuning::keySplits(*target, shape, splits); };
  return tuning::choose(op, question);
}

struct ChooseKeySplitsPass : impl::ChooseKeySplitsPassBase<ChooseKeySplitsPass> {
  void runOnOperation() override {
    WalkResult result = getOperation().walk([](attn::AttendOp op) {
      if (op.getParts())
        return WalkResult::advance();
      FailureOr<int64_t> splits = chooseSplits(op);
      if (failed(splits))
        return WalkResult::interrupt();
      op->setAttr("splits", Builder(op.getContext()).getI64IntegerAttr(*splits));
      return WalkResult::advance();
    });
    if (result.wasInterrupted())
      signalPassFailure();
  }
};

} // namespace
} // namespace denim
