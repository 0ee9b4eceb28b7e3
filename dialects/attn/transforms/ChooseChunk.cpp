#include "dialects/attn/transforms/Passes.h"
#include "mlir/IR/Remarks.h"

using namespace mlir;

namespace denim::attn {
#define GEN_PASS_DEF_CHOOSECHUNKPASS
#include "dialects/attn/transforms/Passes.h.inc"

namespace {

/// Blocks of rows that a chunk is cut into under a decay per channel (`spec/attention.md` 3.4): a chunk is a whole
/// number of them, or a power of two below.
constexpr int64_t decayBlock = 16;

/// The longest chunk up to `length` that suits the form.
int64_t chunkFor(const NormalForm &form, int64_t length) {
  if (form.decayKind != NormalForm::Decay::Channel)
    return length;
  return length < decayBlock ? int64_t(llvm::bit_floor(uint64_t(length))) : length / decayBlock * decayBlock;
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
      NormalForm form = op.getNormalForm();
      if (!form.outside.empty()) {
        remark::missed(op.getLoc(), options) << remark::reason("{0} keeps it token by token", form.outside);
        return;
      }
      if (!op->hasAttr("chunk"))
        op->setAttr("chunk", IntegerAttr::get(IntegerType::get(&getContext(), 64), chunkFor(form, length)));
      remark::passed(op.getLoc(), options)
          << remark::add("chunks of {0} tokens", op->getAttrOfType<IntegerAttr>("chunk").getInt());
    });
  }
};

} // namespace
} // namespace denim::attn
