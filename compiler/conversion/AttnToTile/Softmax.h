// What the kernels of softmax attention share.
#ifndef COMPILER_CONVERSION_ATTNTOTILE_SOFTMAX_H
#define COMPILER_CONVERSION_ATTNTOTILE_SOFTMAX_H

#include "compiler/conversion/AttnToTile/Emitter.h"

namespace denim {

/// New tokens of a sequence from which on its queries are worked on in blocks.
inline constexpr int64_t kSoftmaxManyTokens = 8;

/// What both kinds of attention op say.
struct Attention {
  explicit Attention(attn::AttendOp op)
      : query(op.getQuery()), keys(op.getKeys()), values(op.getValues()), parts(op.getParts()), result(op.getResult()),
        splits(op.getSplits()), scale(op.getScale().convertToDouble()), window(op.getWindow()),
        softcap(op.getSoftcap()) {}
  explicit Attention(attn::AttendPartOp op)
      : query(op.getQuery()), keys(op.getKeys()), values(op.getValues()), result(op.getResult()),
        splits(op.getSplits()), scale(op.getScale().convertToDouble()), window(op.getWindow()),
        softcap(op.getSoftcap()), isPart(true) {}

  mlir::Value query, keys, values, parts, result;
  int64_t splits;
  double scale;
  std::optional<uint64_t> window;
  std::optional<llvm::APFloat> softcap;
  bool isPart = false;
};

/// The form for sequences with many new tokens (SoftmaxBlocks.cpp).
tile::KernelOp emitSoftmaxBlocks(plan::KernelOp kernel, const Attention &op, llvm::SmallVectorImpl<unsigned> &extras);

} // namespace denim

#endif // COMPILER_CONVERSION_ATTNTOTILE_SOFTMAX_H
