#include "dialects/attn/transforms/Passes.h"
#include "mlir/IR/Remarks.h"

using namespace mlir;

namespace denim::attn {
#define GEN_PASS_DEF_CHOOSECHUNKPASS
#include "dialects/attn/transforms/Passes.h.inc"

namespace {

/// Rows that a kernel handles together under a decay per channel (`spec/attention.md` 3.4): a chunk is a whole number
/// of them, or a power of two below.
constexpr int64_t decayBlock = 16;

struct ChooseChunkPass : impl::ChooseChunkPassBase<ChooseChunkPass> {
  using ChooseChunkPassBase::ChooseChunkPassBase;

  int64_t chunkFor(const NormalForm &form) {
    return form.decayKind == NormalForm::Decay::Channel ? std::min<int64_t>(length, channels) : int64_t(length);
  }

  void runOnOperation() override {
    if (length < 1 || length > 256) {
      getOperation()->emitError() << "expected a chunk length between 1 and 256, but got " << int64_t(length);
      return signalPassFailure();
    }
    if (channels < 1 || channels > 256 || (channels % decayBlock && !llvm::isPowerOf2_64(channels))) {
      getOperation()->emitError() << "expected a multiple of " << decayBlock
                                  << " up to 256 or a power of two as the length under a decay per channel, but got "
                                  << int64_t(channels);
      return signalPassFailure();
    }
    getOperation()->walk([&](RecurrenceOpInterface op) {
      auto options = remark::RemarkOpts::name("choose-chunk").category("attn");
      NormalForm form = op.getNormalForm();
      if (!form.outside.empty()) {
        remark::missed(op.getLoc(), options) << remark::reason("{0} keeps it token by token", form.outside);
        return;
      }
      if (!op->hasAttr("chunk"))
        op->setAttr("chunk", IntegerAttr::get(IntegerType::get(&getContext(), 64), chunkFor(form)));
      remark::passed(op.getLoc(), options)
          << remark::add("chunks of {0} tokens", op->getAttrOfType<IntegerAttr>("chunk").getInt());
    });
  }
};

} // namespace
} // namespace denim::attn
