// Decay per channel inside one chunk of one head, all of its rows at once: for a machine on which a tile of 64 rows is
// one product. ChunkDecay.h says why such a decay does not leave the product, and how a pair of tokens is split at a
// row between them so that both exponents are at most 0. A CPU walks blocks of 16 rows; here every halving of the
// chunk, and of its halves, is one product over all rows,
//
//     half length 32: rows 32..63 with 0..31                               r = 31
//                 16: rows 16..31 with 0..15, 48..63 with 32..47           r = 15, 47
//                 ...
//                  1: rows 1 with 0, 3 with 2, ...                         r = 0, 2, ..., 62
//
// of which the pairs (i, j) are used whose i xor j has its highest bit there. Six halvings are six exponentials for
// each channel of a token, not 64. Up to half length 8 both sides stand in the same 16 rows: those products need no
// more than what a warp holds of its rows (`blocks` of tile.mma).
//
// The exponents of a halving are sums of log decays over a part of each group of rows, and the sums of the next one
// follow from them: with C the sums from the start of a half up to each row, and P the sum over all of the first half,
//
//     rows of the second half: C         rows of the first: P - C         sums over twice the length: C, or C + P
//
// No difference of long sums is taken, so a chunk that forgets quickly costs no digits.
//
// A decay that the text bounds (attn.log_decay at_least) may be split at one row in the middle of as many rows as keep
// both exponents small: one product in place of several, with the factors of a row and their inverses.
#ifndef COMPILER_CONVERSION_ATTNTOTILE_CHANNELDECAY_H
#define COMPILER_CONVERSION_ATTNTOTILE_CHANNELDECAY_H

#include "compiler/conversion/AttnToTile/Emitter.h"

namespace denim {

class ChannelDecay {
public:
  /// `g`: log decays, [length, dk], `length` a power of two; `least` what none of them is below, if the text says so.
  ChannelDecay(Emitter &e, mlir::Value g, std::optional<double> least);

  /// What tokens of the chunk read of what those before them wrote along y, [length, length].
  struct Reads {
    mlir::Value own;     ///< element (i, j): y_i . Diag(exp(G_i - G_j)) y_j for j < i, otherwise 0
    mlir::Value queries; ///< element (j, i): x_i . Diag(exp(G_i - G_j)) y_j for j <= i, otherwise 0
  };
  /// Makes the operands of these products (`own` only if asked for), and the products of rows that a warp holds. Once.
  void prepare(mlir::Value y, mlir::Value x, bool own);
  /// The other products, and all of them in one tile. What is emitted before needs no registers meanwhile.
  Reads finish();

  // Behind `prepare`:
  /// What is left at each token of the state at the start of the chunk.
  mlir::Value fromStart();
  /// y decayed from its token to the end of the chunk.
  mlir::Value toEnd(mlir::Value y);
  /// What the chunk leaves of the state, [1, dk].
  mlir::Value total();

private:
  /// Products, good for pairs in the same group of `rows`.
  struct Split {
    int64_t rows;
    mlir::Value own, queries;
  };
  mlir::Value faded(mlir::Value tile, mlir::Value factors);
  /// Products of operands of rows and columns; `group`: pairs of other groups are not used.
  mlir::Value product(mlir::Value rows, mlir::Value columns, int64_t group);
  /// Pairs within groups of `rows` from one product; within groups of `groupRows` from what is there of smaller ones and
  /// a product for each halving; and by the one or the other, as the numbers allow.
  Split splitInMiddle(int64_t rows, mlir::Value y, mlir::Value x);
  Split halved(Split pairs, mlir::Value y, mlir::Value x);
  Split splitOrHalved(mlir::Value y, mlir::Value x);
  /// Whether no channel of any group forgets so much that a factor leaves the range: known when the kernel runs.
  mlir::Value canSplit(int64_t rows);
  void halve(int64_t half, mlir::Value y, mlir::Value x);
  /// The sum over the first half of each group, for all of its rows.
  mlir::Value sumOfFirst(int64_t half);
  /// Goes on from sums over halves to sums over groups.
  void join(mlir::Value first, int64_t half);

  Emitter &e;
  int64_t length;
  int64_t groupRows; ///< rows that are split in the middle of their decay
  bool isBounded;    ///< the text says that it may be
  mlir::Value sum;   ///< from the start of each group so far to the row; in powers of two
  Split near;        ///< what is multiplied already
  /// Operands of what is not, for groups of `rows`.
  struct Operands {
    int64_t rows;
    mlir::Value y, x;
  };
  llvm::SmallVector<Operands> far;
  bool wantsOwn = false;
};

} // namespace denim

#endif // COMPILER_CONVERSION_ATTNTOTILE_CHANNELDECAY_H
