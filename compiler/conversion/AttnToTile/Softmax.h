// What the kernels of softmax attention share.
#ifndef COMPILER_CONVERSION_ATTNTOTILE_SOFTMAX_H
#define COMPILER_CONVERSION_ATTNTOTILE_SOFTMAX_H

#include "compiler/conversion/AttnToTile/SoftmaxPages.h"

namespace denim {

/// New tokens of a sequence from which on its queries are worked on in blocks.
inline constexpr int64_t kSoftmaxManyTokens = 8;
/// From which on units of work are dealt out by the hardware (SoftmaxBlocks.cpp). On an H200, 32 heads of 128 channels
/// and 8 or 32 key heads, in turn: items that go from unit to unit are 15 and 23 % faster at 2048 tokens, 5 and 2 % at
/// 8192, 1 to 5 % slower at 32768. With a window of 4096, whose units are short, 16 % faster at 8192 and 9 % at 32768.
/// No choice: that a unit begins beside another saves 2.9 us of it, that units are dealt out beforehand costs 3 % of
/// their turns. Both grow alike with the width of heads (of 64, 128 and 256 channels the two meet at 16000, 18000 and
/// 13000 tokens), and the number of heads is in both.
inline constexpr int64_t kSoftmaxLongTokens = 16384;

/// What both kinds of attention op say.
struct Attention {
  explicit Attention(attn::AttendOp op)
      : query(op.getQuery()), keys(op.getKeys()), values(op.getValues()), parts(op.getParts()), sinks(op.getSinks()),
        result(op.getResult()), splits(op.getSplits()), scale(op.getScale().convertToDouble()),
        visible(op.getVisibleKeys()), softcap(op.getSoftcap()), valueWidth(op.getValueWidth()) {}
  explicit Attention(attn::AttendPartOp op)
      : query(op.getQuery()), keys(op.getKeys()), values(op.getValues()), result(op.getResult()),
        splits(op.getSplits()), scale(op.getScale().convertToDouble()), visible(op.getVisibleKeys()),
        softcap(op.getSoftcap()), valueWidth(op.getValueWidth()), isPart(true) {}
  /// The expanded form: each query head has keys and values of its own, made of the latents.
  explicit Attention(attn::AttendLatentOp op)
      : query(op.getQuery()), keys(op.getLatents()), values(op.getLatents()), result(op.getResult()),
        scale(op.getScale().convertToDouble()),
        valueWidth(llvm::cast<mlir::RankedTensorType>(op.getResult().getType()).getDimSize(2)), kvB(op.getKvB()),
        qRope(op.getQRope()) {}

  int64_t queryHeads() const { return llvm::cast<mlir::RankedTensorType>(query.getType()).getDimSize(1); }
  int64_t keyHeads() const { return llvm::cast<attn::CacheType>(keys.getType()).getShape()[0]; }
  /// Query heads for each key head.
  int64_t group() const { return queryHeads() / keyHeads(); }
  /// One row of the cache is key and value at once.
  bool sharesRows() const { return keys == values; }
  bool hasBf16Keys() const { return llvm::cast<attn::CacheType>(keys.getType()).getElementType().isBF16(); }

  mlir::Value query, keys, values, parts, sinks, result;
  int64_t splits = 1;
  double scale;
  attn::VisibleKeys visible;
  std::optional<llvm::APFloat> softcap;
  int64_t valueWidth;
  bool isPart = false;
  mlir::Value kvB, qRope; ///< of the expanded form
};

/// The forms for sequences with many new tokens (SoftmaxBlocks.cpp), and whether long ones have one of their own.
bool hasLongForm(const Attention &op);
tile::KernelOp emitSoftmaxBlocks(plan::KernelOp kernel, const Attention &op, llvm::SmallVectorImpl<unsigned> &extras);

/// Few new tokens over whole keys, or over up to `parts` parts of them where the op is one of parts (SoftmaxWhole.cpp).
/// An item has `joined` key heads.
tile::KernelOp emitSoftmaxWhole(plan::KernelOp kernel, const Attention &op, int64_t parts, int64_t joined,
                                llvm::SmallVectorImpl<unsigned> &extras);
/// In which steps attention takes whole keys.
struct WholeSteps {
  int64_t sequences = 0; ///< at least; 0: the kernel has no such form
  int64_t longest = 0;   ///< tokens of a sequence
  /// Sequences from which on an item is two key heads, and from which on it is one again. Equal: always one.
  int64_t paired = 0, unpaired = 0;
};
/// Over keys that are split otherwise, where nothing is done with the result but to keep it.
llvm::FailureOr<WholeSteps> wholeSteps(plan::KernelOp kernel, attn::AttendOp op);

} // namespace denim

#endif // COMPILER_CONVERSION_ATTNTOTILE_SOFTMAX_H
