// Predicted microseconds of kernels, from their shape and the fields of a target. Plain functions, without MLIR.
//
// Below, first what all models of a machine are made of, then a model for each choice. A model names the workload that
// it predicts, and every number in it that is not the target's comes with the measurement it was taken from.
#ifndef COMPILER_TUNING_COSTMODEL_H
#define COMPILER_TUNING_COSTMODEL_H

#include "codegen/target/GpuTarget.h"
#include "codegen/target/Target.h"

namespace denim::tuning {

//===--------------------------------------------------------------------------------------------------------------===//
// What a machine takes
//===--------------------------------------------------------------------------------------------------------------===//

/// Blocks of threads that a multiprocessor holds at once, and what keeps it from holding more.
struct Occupancy {
  int64_t blocks = 0;
  llvm::StringRef limit; ///< "registers", "shared memory", "threads" or "blocks"
};
/// Of blocks with so many threads, registers of each and bytes of shared memory; the parameters of a launch are in.
Occupancy occupancyOf(const codegen::GpuTarget &target, int64_t threads, int64_t registers, int64_t sharedBytes);

/// A launch of equal items, each done by a block of threads of its own.
struct Grid {
  int64_t items = 1;
  int64_t blocks = 1;       ///< of them on a multiprocessor at once
  double bytes = 0;         ///< that an item reads from memory
  double bytesInFlight = 0; ///< that it keeps under way at most; 0: all of them
  double flops = 0;         ///< of an item, by matrix units
  double chain = 0;         ///< microseconds of its longest chain of dependent steps, however fast memory is
};
/// From the first item to the last: the longest of
///   chains    one behind the other in each place for a block, so one item more than there are places takes a wave more
///   memory    all bytes, at the rate of memory or no faster than what is under way can arrive in a latency
///   products  of the items of one multiprocessor, at its share of the matrix units
double microseconds(const codegen::GpuTarget &target, const Grid &grid);

//===--------------------------------------------------------------------------------------------------------------===//
// attend_part.key_splits
//===--------------------------------------------------------------------------------------------------------------===//

/// Attention of one new token of a sequence to the keys in its pages.
struct KeySplits {
  int64_t keyHeads, queryHeads, keyDim, valueDim;
  int64_t elementBytes;           ///< of pages
  int64_t pageTokens, leastPages; ///< pages below which a part is not made
  int64_t latentRows = 0;         ///< query heads of a tile over shared rows; then all of them read the same keys
};
/// One sequence of 8192 keys: where parts are needed most. Parts, and the kernel that merges them.
double keySplits(const codegen::GpuTarget &target, const KeySplits &shape, int64_t splits);
/// The same on a CPU. The module does not know its threads: the mean over 1, 2, 4, ... 64 of them, each relative to an
/// even share of the work.
double keySplits(const codegen::Target &target, const KeySplits &shape, int64_t splits);

/// Items that split keys should make over latents, in a step of any number of sequences: one for each multiprocessor at
/// most, for a part costs its sums, written and read again in f32. Sequences come in powers of two most often.
int64_t latentItems(const codegen::GpuTarget &target);

//===--------------------------------------------------------------------------------------------------------------===//
// softmax_whole.most_tokens
//===--------------------------------------------------------------------------------------------------------------===//

/// Steps of one new token of each of as many sequences as fill the machine, of 2048, 4096, ... 524288 tokens: those of
/// up to `most` by whole keys, longer ones in `parts` that are merged. The mean, each relative to reading its keys, for
/// 32768 tokens.
double wholeKeys(const codegen::GpuTarget &target, const KeySplits &shape, int64_t parts, int64_t most);

//===--------------------------------------------------------------------------------------------------------------===//
// softmax_whole.paired_sequences
//===--------------------------------------------------------------------------------------------------------------===//

/// Steps of one new token of each of `least` to `behind` - 1 sequences of 32768 tokens: whole keys, an item for each
/// key head, from `from` sequences on for two of them. The mean, each relative to reading its keys, for `least`.
double pairedKeys(const codegen::GpuTarget &target, const KeySplits &shape, int64_t least, int64_t behind,
                  int64_t from);

//===--------------------------------------------------------------------------------------------------------------===//
// linear.panel_columns
//===--------------------------------------------------------------------------------------------------------------===//

/// A product of 512 rows with weights [columns, inner] on a CPU, in items of a panel of columns each; the mean over 1
/// to 4 threads.
double linearPanel(const codegen::Target &target, int64_t columns, int64_t inner, int64_t panel);

//===--------------------------------------------------------------------------------------------------------------===//
// linear.dequantizing_rows
//===--------------------------------------------------------------------------------------------------------------===//

/// A weight [columns, inner] in blocks, of so many bytes to a row of `inner`.
struct BlockWeight {
  int64_t columns, inner, rowBytes;
};
/// Steps of 32, 64, 128 ... 4096 rows of bf16: those of up to `rows` by a kernel that makes numbers of the blocks for
/// each of its items, others by one that writes the weight as bf16 and a product with that. The sum.
double dequantizingRows(const codegen::GpuTarget &target, const BlockWeight &shape, int64_t rows);

//===--------------------------------------------------------------------------------------------------------------===//
// linear.few_columns
//===--------------------------------------------------------------------------------------------------------------===//

/// `products` weights [columns, inner] side by side, of bf16 or in blocks, and `rows` rows of bf16 of each of `inputs`,
/// all copied ahead in steps of `step` channels.
struct FewRows {
  int64_t columns, inner, products, inputs, rows, step;
  int64_t rowBytes = 0; ///< of a row of all weights together, where some are in blocks; 0: all are bf16

  bool inBlocks() const { return rowBytes != 0; }
  /// Blocks that should be on a multiprocessor together, of items of `width` columns: one begins and ends while the
  /// other multiplies. Two where there are more items than multiprocessors and room for three steps of both.
  int64_t blocks(const codegen::GpuTarget &target, int64_t width) const;
  /// Steps of such an item that shared memory holds, four at most (codegen/nvptx/Staging.cpp).
  int64_t slots(const codegen::GpuTarget &target, int64_t width) const;
};
/// By items of `width` columns of each product.
double fewRows(const codegen::GpuTarget &target, const FewRows &shape, int64_t width);

//===--------------------------------------------------------------------------------------------------------------===//
// recurrence.joined_tokens
//===--------------------------------------------------------------------------------------------------------------===//

struct StateShape;
/// 2048 tokens of one sequence by one thread of a CPU, with a decay per channel, in chunks of `joined` tokens whose
/// decay is split in the middle; or, when that is `length`, in chunks of blocks of 16 rows. `solves`: a token corrects
/// what it writes by what others wrote.
double joinedChunks(const codegen::Target &target, const StateShape &shape, bool solves, int64_t length,
                    int64_t joined);

//===--------------------------------------------------------------------------------------------------------------===//
// recurrence_few.value_columns, recurrence_few.blocks, recurrence_prepare.value_heads, recurrence_scan.value_columns,
// recurrence_scan.blocks, recurrence_scan.segments, recurrence_wide.*
//===--------------------------------------------------------------------------------------------------------------===//

/// The state of a linear recurrence: `heads` of keyDim x valueDim in f32.
struct StateShape {
  int64_t heads, keyDim, valueDim;
};
/// One new token of each of some sequences, by blocks of `threads` threads that have `columns` value columns of a head
/// each. A thread needs `beside` registers beside those of its part of the state, and has so many that `blocks` blocks
/// fit a multiprocessor.
double tokenStep(const codegen::GpuTarget &target, const StateShape &shape, int64_t beside, int64_t threads,
                 int64_t columns, int64_t blocks, int64_t sequences);
/// What does not depend on the state, for the chunks of one sequence of 8192 tokens and of four, by blocks that take
/// `together` value heads with the same keys and queries; `blocks` of them on a multiprocessor.
double prepareChunks(const codegen::GpuTarget &target, const StateShape &shape, int64_t together, int64_t blocks);
/// The state through 128 chunks of 64 tokens of one sequence, by blocks that have `columns` value columns of a head.
double stateScan(const codegen::GpuTarget &target, const StateShape &shape, int64_t columns);
/// The same for a diagonal recurrence in segments: the first, and beside it the sums that those between the first and
/// the last leave, and then the scan of all segments but the first. The first is `first` times as long as another.
double segmentScan(const codegen::GpuTarget &target, const StateShape &shape, int64_t columns, double first,
                   int64_t segments);
/// Bytes that a block reads of a chunk, where it makes results, and where it makes a state alone; whether what was
/// prepared comes as one block of vectors and matrices.
struct ScannedChunk {
  int64_t results, state;
  bool isOneBlock = false;
};
/// The same for a delta rule, by transitions of the segments between the first and the last: the first segment and the
/// transitions, the states that follow from them, and the scan of all segments but the first.
/// The first is `first` times as long as another.
double transitionScan(const codegen::GpuTarget &target, const StateShape &shape, int64_t columns,
                      const ScannedChunk &chunk, double first, int64_t segments);
/// The same for four sequences, where there is work for several `blocks` on each multiprocessor; a block reads
/// `chunkBytes` of a chunk, and copies ahead as far as its share of shared memory goes.
double scanBlocks(const codegen::GpuTarget &target, const StateShape &shape, int64_t columns, int64_t chunkBytes,
                  int64_t blocks);

//===--------------------------------------------------------------------------------------------------------------===//
// recurrence_many.chunk_tokens, recurrence_many.value_columns
//===--------------------------------------------------------------------------------------------------------------===//

/// How a block takes new tokens of a head where nothing is prepared for it: in chunks, with a part of the value
/// columns.
struct HeadChunks {
  int64_t tokens, columns;
  int64_t vectors;      ///< that a token has in the state's rows: key, query, those of a second write
  int64_t writes;       ///< of a token to the state: 1 or 2
  bool solves;          ///< what is written depends on what earlier tokens of the chunk wrote
  bool perChannel;      ///< each channel has a decay of its own
  int64_t operandTerms; ///< of bf16 that an operand of a product is the sum of
};
/// Bytes of shared memory that a block needs for operands of products: those that stand there at the same time, or some
/// more with a decay per channel.
int64_t chunkOperandBytes(const StateShape &shape, const HeadChunks &form);
/// 1024 tokens of one head by a block that is alone on its multiprocessor, as in a step of sequences enough to fill the
/// machine; parts of the value columns one behind the other. Whether the block fits is another question
/// (`chunkOperandBytes`).
double headChunks(const codegen::GpuTarget &target, const StateShape &shape, const HeadChunks &form);

//===--------------------------------------------------------------------------------------------------------------===//
// short_conv.rows, short_conv.columns, short_conv.blocks
//===--------------------------------------------------------------------------------------------------------------===//

/// A convolution of `taps` taps over 8192 tokens of 8192 channels in bf16, by items of `rows` x `columns`, each the
/// work of a block of at least four warps; `blocks` of them on a multiprocessor.
double shortConv(const codegen::GpuTarget &target, int64_t taps, int64_t rows, int64_t columns, int64_t blocks);

//===--------------------------------------------------------------------------------------------------------------===//
// experts.few_rows, experts.group_rows, experts.panel_columns, experts.step_channels
//===--------------------------------------------------------------------------------------------------------------===//

/// A mixture of `count` experts, of which each row takes `top`.
struct ExpertShape {
  int64_t count, top, hidden, inner;
  int64_t elementBytes; ///< of weights
};
/// Steps of 1, 2, 4 ... 64 rows, those of up to `few` rows by reading the experts of each, others in groups of rows
/// that have the same; experts of rows are independent of each other.
double expertFewRows(const codegen::GpuTarget &target, const ExpertShape &shape, int64_t few);
/// The same by one thread of a CPU.
double expertFewRows(const codegen::Target &target, const ExpertShape &shape, int64_t few);
/// 8192 rows in groups of up to `rows`, evenly among experts.
double expertGroupRows(const codegen::GpuTarget &target, const ExpertShape &shape, int64_t rows);
/// The same 8192 rows in groups of `rows`, by items that multiply with `innerColumns` rows of `gate` and as many of
/// `up`, and then by others with `outerColumns` rows of `down`, in steps along the contraction.
double expertPanels(const codegen::GpuTarget &target, const ExpertShape &shape, int64_t rows, int64_t innerColumns,
                    int64_t outerColumns, int64_t step);

} // namespace denim::tuning

#endif // COMPILER_TUNING_COSTMODEL_H
