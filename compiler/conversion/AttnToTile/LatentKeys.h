// Keys and values of latent attention, made once for all queries of a pass (spec/attention.md 1.9).
//
// Each block of queries that makes keys and values of the latents for itself multiplies several times as much as
// attention does: r (dn + dv) for a key, against dn + dr + dv for each of 128 queries. So a kernel in front (`expand`)
// writes them for every key that a sequence sees, into scratch, and attention (`many`) reads them as it would read a
// cache of whole heads:
//
//     block n of a head     kLatentBlock rows, one for each token: [k_rope | W_UK[h] c | W_UV[h] c]
//
// Keys are the first dr + dn columns, values the last dv: both are panels of one image. k_rope is the same for all
// heads; a copy of it beside each is less than a tenth of what is written, and keys are one operand.
//
// The blocks of a sequence whose first new row is b are those from b / kLatentStride on. Scratch has a row for each new
// token, so a sequence of n new tokens has room for n / kLatentStride blocks, 128 / 32 = 4 times its new tokens: a
// prompt from nothing, or a piece of one behind three pieces of its size. What sees more keys takes another kernel
// (`far`), in which each block of queries expands for itself, as does an exact compilation, where scratch would be f32.
#ifndef COMPILER_CONVERSION_ATTNTOTILE_LATENTKEYS_H
#define COMPILER_CONVERSION_ATTNTOTILE_LATENTKEYS_H

#include "compiler/conversion/AttnToTile/Emitter.h"

namespace denim {

/// Tokens of a block, and new tokens for which scratch has one.
inline constexpr int64_t kLatentBlock = 128, kLatentStride = 32;

struct LatentKeys {
  explicit LatentKeys(attn::AttendLatentOp op);

  int64_t columns() const { return rope + nope + value; }
  /// What stands in scratch, and how kernels see it.
  tile::PagesType blocks(mlir::MLIRContext *context) const;
  mlir::RankedTensorType scratch(mlir::MLIRContext *context) const;

  int64_t heads, rope, nope, value, rank;
};

/// Whether keys and values of the op's heads may be made for all queries at once: latents are kept in bf16.
bool canExpandLatents(attn::AttendLatentOp op);

/// Blocks of all tokens of a sequence.
mlir::Value latentBlocksOf(Emitter &e, tile::SequenceOp sequence);
/// Whether scratch has room for them.
mlir::Value latentsFit(Emitter &e, tile::SequenceOp sequence);
/// A head of block `number` of the sequence.
mlir::Value latentBlock(Emitter &e, mlir::Value blocks, tile::SequenceOp sequence, mlir::Value number,
                        mlir::Value head);

/// The kernel that writes them.
tile::KernelOp emitLatentExpand(plan::KernelOp kernel, attn::AttendLatentOp op,
                                llvm::SmallVectorImpl<unsigned> &extras);

} // namespace denim

#endif // COMPILER_CONVERSION_ATTNTOTILE_LATENTKEYS_H
