#include "dialects/attn/transforms/Passes.h"
#include "mlir/IR/Remarks.h"

using namespace mlir;

namespace denim::attn {
#define GEN_PASS_DEF_CHOOSECHUNKPASS
#include "dialects/attn/transforms/Passes.h.inc"

namespace {

/// The term that keeps a recurrence from the chunked forms this compiler derives, or nothing.
StringRef obstacle(const NormalForm &form) {
  if (form.decayKind == NormalForm::Decay::Channel)
    return "a decay per channel";
  if (form.p && !form.isDelta())
    return "a low-rank transition that is not of the delta family";
  if (!form.readAfter)
    return "a read before the write";
  return {};
}

struct ChooseChunkPass : impl::ChooseChunkPassBase<ChooseChunkPass> {
  using ChooseChunkPassBase::ChooseChunkPassBase;

  void runOnOperation() override {
    if (length < 1 || length > 256) {
      getOperation()->emitError() << "expected a chunk length between 1 and 256, but got " << int64_t(length);
      return signalPassFailure();
    }
    getOperation()->walk([&](RecurrenceOpInterface op) {
      auto options = remark::RemarkOpts::name("choose-chunk").category("attn");
      if (StringRef term = obstacle(op.getNormalForm()); !term.empty()) {
        remark::missed(op.getLoc(), options) << remark::reason("{0} keeps it token by token", term);
        return;
      }
      if (!op->hasAttr("chunk"))
        op->setAttr("chunk", IntegerAttr::get(IntegerType::get(&getContext(), 64), length));
      remark::passed(op.getLoc(), options) << remark::add("chunks of {0} tokens", int64_t(length));
    });
  }
};

} // namespace
} // namespace denim::attn
