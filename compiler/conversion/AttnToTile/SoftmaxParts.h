// Where a token's keys are cut into parts on a machine on which a block of threads does a part: for the kernels that
// write parts, and for the one that merges them.
//
//     pages a token sees     first ........................ end
//     parts                  |  share  |  share  |  rest |         part p of token t stands in row t * count + p
#ifndef COMPILER_CONVERSION_ATTNTOTILE_SOFTMAXPARTS_H
#define COMPILER_CONVERSION_ATTNTOTILE_SOFTMAXPARTS_H

#include "compiler/conversion/AttnToTile/Emitter.h"
#include "compiler/conversion/AttnToTile/Softmax.h"
#include "runtime/abi/Kernel.h"

namespace denim::softmax {

/// Pages below which a part is not made.
inline constexpr int64_t kLeastPagesOfBlock = 2;

/// Parts that a token's keys are cut into at most. In a step of few tokens more than the op names: its memory holds
/// `splits` parts of every row that there may be, the rows of padding too, and T tokens use as many of these as there
/// are items for.
inline mlir::Value partCount(Emitter &e, const Attention &op, int64_t partItems) {
  mlir::Value tokens = tile::CountOp::create(e.b, e.loc, tile::CountKind::tokens);
  mlir::Value more = mlir::arith::DivUIOp::create(e.b, e.loc, e.index(op.splits * DENIM_ROW_PADDING), tokens);
  return e.min(e.add(more, e.index(op.splits)), e.index(partItems));
}

/// Pages of one of so many parts: all but the last used one have as many.
inline mlir::Value pagesPerPart(Emitter &e, const Pages &pages, mlir::Value parts) {
  return e.max(e.ceilDiv(e.sub(pages.end, pages.first), parts), e.index(kLeastPagesOfBlock));
}

} // namespace denim::softmax

#endif // COMPILER_CONVERSION_ATTNTOTILE_SOFTMAXPARTS_H
