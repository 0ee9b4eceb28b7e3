#include "dialects/attn/transforms/Passes.h"

using namespace mlir;

namespace denim::attn {
#define GEN_PASS_DEF_SPLITKEYSPASS
#include "dialects/attn/transforms/Passes.h.inc"

namespace {
struct SplitKeysPass : impl::SplitKeysPassBase<SplitKeysPass> {
  using SplitKeysPassBase::SplitKeysPassBase;

  void runOnOperation() override {
    if (splits < 1 || splits > 64) {
      getOperation()->emitError() << "expected between 1 and 64 splits, but got " << int64_t(splits);
      return signalPassFailure();
    }
    if (splits == 1)
      return;
    getOperation()->walk([&](AttendOp op) {
      if (op.getParts())
        return;
      OpBuilder b(op);
      Value parts =
          AttendPartOp::create(b, op.getLoc(), op.getQuery(), op.getKeys(), op.getValues(), b.getI64IntegerAttr(splits),
                               op.getScaleAttr(), op.getWindowAttr(), op.getSoftcapAttr(), op.getColumnsAttr());
      op.getPartsMutable().assign(parts);
    });
  }
};
} // namespace
} // namespace denim::attn
