#include "dialects/attn/transforms/Passes.h"

using namespace mlir;

namespace denim::attn {
#define GEN_PASS_DEF_SPLITKEYSPASS
#include "dialects/attn/transforms/Passes.h.inc"

namespace {
struct SplitKeysPass : impl::SplitKeysPassBase<SplitKeysPass> {
  using SplitKeysPassBase::SplitKeysPassBase;

  void runOnOperation() override {
    WalkResult result = getOperation()->walk([&](AttendOp op) {
      if (op.getParts())
        return WalkResult::advance();
      auto own = dyn_cast_or_null<IntegerAttr>(op->removeAttr("splits"));
      int64_t number = own ? own.getInt() : splits;
      if (number < 1 || number > 64) {
        op.emitOpError() << "expected between 1 and 64 splits, but got " << number;
        return WalkResult::interrupt();
      }
      if (number == 1)
        return WalkResult::advance();
      OpBuilder b(op);
      Value parts =
          AttendPartOp::create(b, op.getLoc(), op.getQuery(), op.getKeys(), op.getValues(), b.getI64IntegerAttr(number),
                               op.getScaleAttr(), op.getWindowAttr(), op.getBlockSizeAttr(), op.getLocalBlocksAttr(),
                               op.getGlobalTokensAttr(), op.getSoftcapAttr(), op.getColumnsAttr());
      op.getPartsMutable().assign(parts);
      return WalkResult::advance();
    });
    if (result.wasInterrupted())
      signalPassFailure();
  }
};
} // namespace
} // namespace denim::attn
