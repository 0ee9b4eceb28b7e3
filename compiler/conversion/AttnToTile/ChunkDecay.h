// Decay inside one chunk of one head, and the decayed products that a chunk is made of.
//
// Let G_i be the sum of log decays from the start of the chunk up to token i. A token i sees what token j <= i wrote
// through
//
//     x_i . Diag(exp(G_i - G_j)) y_j                                                         (one pair)
//
// One decay per head leaves the product: (x_i . y_j) exp(G_i - G_j), one matrix product and one table of exponentials.
//
// A decay per channel does not, and exp(G_i) exp(-G_j) overflows as soon as a channel forgets quickly. So the chunk is
// cut into blocks of 16 rows, and each pair is split at a row r with j <= r < i:
//
//     exp(G_i - G_j) = exp(G_i - G_r) exp(G_r - G_j),       both exponents at most 0
//
//   * i and j in different blocks: r is the last row before the block of i. (x o exp(G - G_r)) (y o exp(G_r - G))^T is
//     one product of a block of rows with all rows before it.
//   * i and j in one block: halve the block; r is the last row of the first half. The halves are halved in turn.
//     Every pair below the diagonal is parted by exactly one halving, that of the highest bit of i xor j, so 4
//     products, each over the whole block, hold them all:
//
//       half length 8: rows 8..15 with 0..7                       r = 7
//                   4: rows 4..7 with 0..3, 12..15 with 8..11     r = 3, 11
//                   2: rows 2..3 with 0..1, 6..7 with 4..5, ...   r = 1, 5, 9, 13
//                   1: rows 1 with 0, 3 with 2, ...               r = 0, 2, ..., 14
//
// Factors lie between 0 and 1, so operands may be rounded to bf16 for a matrix unit, and what underflows has decayed.
// The halvings take 4 * 16 exponentials for each channel of a block, its pairs would take 15 * 16 / 2. Both sides use
// the same G_r, so its rounding cancels.
//
// Where no channel forgets more than 2^-128 of what stood at the start of the chunk, all of its pairs can be split in
// the middle of what the channel forgets, m = G_C / 2, by factors of 2^-64 to 2^64:
//
//     exp(G_i - G_j) = exp(G_i - m) exp(m - G_j)
//
// One product for all pairs and two exponentials for each channel of a token, whatever the length: as if the decay were
// one per head. What a row reads of the start and leaves at the end are the same factors times exp(m), which stands
// with the channels of the state: S exp(m) is read, the chunk's writes are added to it, and the sum times exp(m) is the
// state at the end. A reader that reads before its own token's decay takes the factor of the row before, so both kinds
// share a table of one row more. The numbers say whether all this may be done, when the kernel runs (`canSplit`).
// Elements of vectors and of the state between 2^-62 and 2^63 in size stay within f32; smaller ones may be lost, as if
// they were 0.
#ifndef COMPILER_CONVERSION_ATTNTOTILE_CHUNKDECAY_H
#define COMPILER_CONVERSION_ATTNTOTILE_CHUNKDECAY_H

#include "compiler/conversion/AttnToTile/Emitter.h"

namespace denim {

class ChunkDecay {
public:
  /// What a reader sees of the decay of its own token: it reads behind it, or before it.
  enum class Reader { behind, before };
  /// How a decay is split between reader and writer.
  enum class Form {
    perHead,    ///< not at all: one number for each pair
    perChannel, ///< at a row between them
    inMiddle,   ///< per channel, in the middle of the decay of the chunk: only where `canSplit`
  };

  /// `g`: log decays of `length` tokens, [length, 1], or [length, dk] per channel; null for no decay. Where `hasFront`,
  /// a row stands in front of them that means nothing, for readers before their token's decay.
  ChunkDecay(Emitter &e, mlir::Value g, Form form, int64_t length, bool hasFront = false);

  /// Whether no channel of the chunk forgets so much that a factor of `inMiddle` leaves the range.
  mlir::Value canSplit();

  /// Rows are handled in `blocks()` blocks of `blockRows()`; one block unless the decay is split between rows.
  int64_t blocks() const { return length / rows; }
  int64_t blockRows() const { return rows; }
  /// Block `block` of a tile with a row per token.
  mlir::Value part(mlir::Value tile, int64_t block);

  /// [rows, dv]: what rows x of `block` read of the state at the start of the chunk, times `scale`.
  mlir::Value ofState(mlir::Value x, mlir::Value state, int64_t block, Reader reader, double scale);
  /// [rows, block * rows]: x of `block` with y of all rows before the block, times `scale`.
  mlir::Value withEarlier(mlir::Value x, mlir::Value y, int64_t block, Reader reader, double scale);
  /// [rows, rows]: x with y inside `block`, times `scale`: pairs j < i, and j = i when `diagonal`; 0 elsewhere. `xy` is
  /// x y^T below the diagonal if it is known already; used without a decay per channel only.
  mlir::Value withinBlock(mlir::Value x, mlir::Value y, int64_t block, Reader reader, bool diagonal, double scale,
                          mlir::Value xy);
  /// Whether the state is to be what `halved` makes of it while the chunk is handled, for `ofState`, `kept` and
  /// `addToState`, and what comes of that is to be halved again.
  bool halvesState() const { return form == Form::inMiddle; }
  /// Rows of a tile of the state, times exp(m) of their channels.
  mlir::Value halved(mlir::Value tile);
  /// The state at the end of the chunk, as far as it comes from the start: Diag(exp(G_C)) state.
  mlir::Value kept(mlir::Value state);
  /// `acc` + (exp(G_C - G) o y)^T w over the rows of `block`.
  mlir::Value addToState(mlir::Value y, mlir::Value w, int64_t block, mlir::Value acc);

private:
  bool perChannel() const { return form == Form::perChannel; }
  mlir::Value exponents(int64_t block, Reader reader);
  mlir::Value faded(mlir::Value tile, mlir::Value factors);
  mlir::Value table(Reader reader);
  mlir::Value halving(int64_t block, int64_t half, Reader reader);
  mlir::Value toBlock(mlir::Value x, int64_t block, Reader reader, double scale);
  mlir::Value toReference(mlir::Value y, int64_t block);
  /// Split in the middle: x exp(G - m) of readers, times `scale`, and y exp(m - G) of writers.
  mlir::Value fromMiddle(mlir::Value x, Reader reader, double scale);
  mlir::Value toMiddle(mlir::Value y);

  Emitter &e;
  mlir::Value g, sum;
  mlir::Value before; ///< sum - g
  mlir::Value sums;   ///< `before` and `sum` in one tile, if there is a row in front
  mlir::Value last;
  Form form;
  int64_t length, rows;
  // What is made once, by reader.
  mlir::Value tables[2];
  llvm::DenseMap<int64_t, mlir::Value> fades[2];
  llvm::DenseMap<std::pair<int64_t, int64_t>, mlir::Value> halvings[2];
  mlir::Value readFactors[2], writeFactors, half; ///< exp(G - m), exp(m - G), exp(m) [dk, 1]
  llvm::DenseMap<mlir::Value, mlir::Value> writers;
  llvm::DenseMap<std::pair<mlir::Value, int64_t>, mlir::Value> readers[2]; ///< by x and the bits of the scale
};

} // namespace denim

#endif // COMPILER_CONVERSION_ATTNTOTILE_CHUNKDECAY_H
