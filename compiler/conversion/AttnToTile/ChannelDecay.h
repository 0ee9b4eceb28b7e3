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
// No difference of sums over more than a half is taken, so a chunk that forgets quickly costs few digits. Within the 16
// rows of a warp the sums over all of them are there first, and both sides are |C - C_r| away from row r.
//
// Pairs of a group in which no channel forgets more than 2^-128 take one product in place of several: split in the
// middle of what the channel forgets there, with the factors of a row and their inverses, up to 2^64 each. A decay that
// the text bounds (attn.log_decay at_least) says so for some number of rows. Any other is asked when the kernel runs,
// once for all channels of the chunk, and either way is right for all numbers:
//
//     16 rows forget no more than that      one product
//      4 rows do not                        one for groups of 4, two halvings
//     otherwise                             four halvings
//
// On an H200 (8192 tokens, 32 heads) the mixer as a whole takes 0.49, 0.63 and 0.68 ms so.
#ifndef COMPILER_CONVERSION_ATTNTOTILE_CHANNELDECAY_H
#define COMPILER_CONVERSION_ATTNTOTILE_CHANNELDECAY_H

#include "compiler/conversion/AttnToTile/Emitter.h"

namespace denim {

class ChannelDecay {
public:
  /// `g`: log decays, [length, dk], `length` a power of two; `least` what none of them is below, if the text says so.
  ChannelDecay(Emitter &e, mlir::Value g, std::optional<double> least);

  /// Whether groups of a warp's rows can be split with such a bound, and nothing is asked when the kernel runs.
  static bool isBounded(std::optional<double> least) { return rowsToSplit(least) >= kWarpRows; }

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
  /// Rows that a warp holds: products of up to so many rows with themselves cost no exchange.
  static constexpr int64_t kWarpRows = 16;
  /// Rows of the largest group that never forgets too much with such a bound, a power of two.
  static int64_t rowsToSplit(std::optional<double> least);

  /// Products, good for pairs in the same group of `rows`.
  struct Split {
    int64_t rows;
    mlir::Value own, queries;
  };
  mlir::Value faded(mlir::Value tile, mlir::Value factors);
  /// Products of operands of rows and columns; `group`: pairs of other groups are not used.
  mlir::Value product(mlir::Value rows, mlir::Value columns, int64_t group);
  /// Pairs within groups of `rows` from one product; within groups of `groupRows` from what is there of smaller ones
  /// and a product for each halving; and by the one or the other, as the numbers allow.
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
  bool bounded;      ///< the text says that they may be
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
