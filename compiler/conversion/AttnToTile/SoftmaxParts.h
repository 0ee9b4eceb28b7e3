// Where a token's keys are cut into parts on a machine on which a block of threads does a part: for the kernels that
// write parts, and for the one that merges them.
//
//     pages a token sees     first ........................ end
//     parts                  |  share  |  share  |  rest |         part p of token t stands in row t * count + p
#ifndef COMPILER_CONVERSION_ATTNTOTILE_SOFTMAXPARTS_H
#define COMPILER_CONVERSION_ATTNTOTILE_SOFTMAXPARTS_H

#include "compiler/conversion/AttnToTile/Emitter.h"
#include "compiler/conversion/AttnToTile/Softmax.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

namespace denim::softmax {

/// Pages below which a part is not made.
inline constexpr int64_t kLeastPagesOfBlock = 2;
/// The same as kLatentHeads of bf16 latents, which a block of threads copies ahead: what products of warpgroups take,
/// 64 x 512 over two of them.
inline constexpr int64_t kLatentHeadsOfBlock = 64;

/// Parts that are merged at once.
inline constexpr int64_t kMostParts = 64;

/// The largest number up to `most` that divides `whole`.
int64_t largestDivisor(int64_t whole, int64_t most);
/// Query heads of a key head that are one tile. `ofBlock`: an item is what a block of threads does.
int64_t headsOfTile(const Attention &op, bool ofBlock);

/// Into how many parts keys are cut.
struct PartItems {
  int64_t most = 1;        ///< parts that a token has items for
  int64_t latentItems = 0; ///< over latents: items of a step from which on keys are not cut, one to a multiprocessor
};

/// Parts that a token's keys are cut into at most. In a step of few tokens more than the op names: its memory holds
/// `splits` parts of every row that there may be, the rows of padding too, and T tokens use as many of these as there
/// are items for.
mlir::Value partCount(Emitter &e, const Attention &op, int64_t partItems);

/// Pages of one of so many parts: all but the last used one have as many.
mlir::Value pagesPerPart(Emitter &e, const Pages &pages, mlir::Value parts);
/// Pages of one of the parts that an op's keys are cut into.
mlir::Value pagesPerPart(Emitter &e, const Attention &op, const Pages &pages, PartItems items);
/// Parts that hold keys of the query at `position`.
mlir::Value usedParts(Emitter &e, const Attention &op, mlir::Value position, PartItems items);

/// Items that are cut into pieces where a step has few of them: `items` for each sequence, each into as many as make
/// `wanted` of them all, `most` at most. The runtime cuts so (`tile.parts`).
struct CutItems {
  int64_t items, most, wanted;
  /// Number of the piece that this item of the kernel is, and the item of which it is one.
  std::pair<mlir::Value, mlir::Value> pieceAndItem(Emitter &e) const;
  /// Pieces of an item.
  mlir::Value pieces(Emitter &e) const;
};

/// Merges the parts of few tokens, each by blocks of threads (SoftmaxMerge.cpp).
tile::KernelOp emitSoftmaxMerge(plan::KernelOp kernel, const Attention &op, PartItems items,
                                llvm::SmallVectorImpl<unsigned> &extras);

} // namespace denim::softmax

#endif // COMPILER_CONVERSION_ATTNTOTILE_SOFTMAXPARTS_H
