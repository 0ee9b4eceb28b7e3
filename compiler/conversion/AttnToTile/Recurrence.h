// Writes the kernel of a linear recurrence from the normal form of its op.
//
// An item is one key head of one sequence, with all value heads that use it: they share what depends on keys and
// queries alone. A sequence with many new tokens runs in chunks, one with few token by token; the state stays in its
// slot and is updated there.
//
//   Recurrence.cpp         the frame: items, the state, the choice between the forms, operands of one head
//   RecurrenceChunk.cpp    a chunk of tokens
//   RecurrenceToken.cpp    one token, in the normal form or as its region says,
//   RecurrenceTokenOfBlock.cpp     by a block of threads that has one head
//   RecurrencePrepare.cpp  long sequences by two kernels: what is made for all chunks at once,
//   RecurrenceChannelPrepare.cpp   the same for a decay per channel,
//   RecurrenceScan.cpp     and the state through them,
//   RecurrenceChannelScan.cpp      of a chunk with a decay per channel
//   RecurrenceSegments.cpp the kernels of a diagonal recurrence, in segments and whole
//   RecurrenceTransitions.cpp      segments of a delta rule, which also leave what they make of any state
//   ChunkDecay.h           decayed products inside a chunk
#ifndef COMPILER_CONVERSION_ATTNTOTILE_RECURRENCE_H
#define COMPILER_CONVERSION_ATTNTOTILE_RECURRENCE_H

#include "compiler/conversion/AttnToTile/ChunkDecay.h"

namespace denim {

/// New tokens of a sequence from which on a kernel with a form works in chunks.
inline constexpr int64_t kRecurrenceManyTokens = 8;

/// New tokens of a sequence from which on two kernels do it, and the length of their chunks.
inline constexpr int64_t kRecurrenceLongTokens = 32, kRecurrenceChunk = 64;
/// Chunk c of a sequence that begins at row b is block b / kRecurrenceBlockStride + c: sequences of at least
/// kRecurrenceLongTokens tokens never share one, and a step of T tokens has at most T / kRecurrenceBlockStride.
inline constexpr int64_t kRecurrenceBlockStride = 32;

/// Blocks of `prepare` with one decay per head that a multiprocessor should hold, by its registers: for more value
/// heads than one the products that they share stay in them.
constexpr int64_t prepareBlocks(int64_t valueHeads) {
  return valueHeads > 1 ? 3 : 4;
}
/// Whether a recurrence is done by `prepare` and `scan` where both are there: one decay per head, no free rank.
bool canScan(const NormalForm &form, int64_t chunk);
/// Parts of the value columns that are scanned by blocks of threads of their own. What follows the recurrence in the
/// kernel may need a whole head.
int64_t scanParts(plan::KernelOp kernel, const NormalForm &form);
/// The same for tokens one by one, in steps with few sequences (form `few`), where small parts keep more of memory
/// busy, and with many (`wide`), where longer pieces of rows are read faster.
int64_t tokenParts(plan::KernelOp kernel, const NormalForm &form);
bool isTokenForm(llvm::StringRef form);
/// The same for many tokens in chunks of `chunk` tokens that nothing is prepared for (form `many`).
int64_t manyParts(plan::KernelOp kernel, const NormalForm &form, int64_t chunk);
/// Sequences of a step from which on it is one with many; 0: there is one form for all.
mlir::FailureOr<int64_t> wideTokenSequences(plan::KernelOp kernel, const NormalForm &form);

/// Rows for which a transition, or the sums of two segments, have room (RecurrenceSegments.cpp): 8 KB for each token at
/// 32 heads of 128 channels. A step that is not longer is one segment.
inline constexpr int64_t kRecurrenceSegment = 512;
/// The first segment is as long as first / other of the others, which have at least so many rows: fewer cost no more
/// than to leave a state and to read it.
struct SegmentLengths {
  int64_t first, other, least;
};
/// By what segments between a sequence's first and last cost beside it, for heads of 128 channels on an H200, all of
/// them ending together: those of a delta rule have a transition to make, in twice as many items as multiprocessors are
/// left for; those of a diagonal recurrence make no results, a chunk in 1.2 us instead of 1.5 to 2.1. Powers of two
/// divide into four such segments and a first.
constexpr SegmentLengths segmentLengths(const NormalForm &form) {
  return form.p ? SegmentLengths{3, 2, kRecurrenceSegment} : SegmentLengths{4, 7, 5 * kRecurrenceChunk};
}
/// New tokens of a step from which on it is cut. Of a delta rule, two launches more cost as much as the chunks of some
/// 800 tokens, and of the chain of chunks a first segment and another are left.
inline int64_t tokensInSegments(const NormalForm &form, int64_t segments) {
  if (!form.p)
    return kRecurrenceSegment + 1;
  const SegmentLengths lengths = segmentLengths(form);
  int64_t all = lengths.first + (segments - 1) * lengths.other, left = lengths.first + lengths.other;
  return segments > 2 ? 800 * all / (all - left) : 0;
}
/// Whether a recurrence that `canScan` is done without `prepare`: nothing to solve, one decay per head.
bool canSegment(const NormalForm &form);
/// Segments that a step of a recurrence that `canScan` is cut into (RecurrenceSegments.cpp, RecurrenceTransitions.cpp);
/// 1: it is not.
mlir::FailureOr<int64_t> scanSegments(plan::KernelOp kernel, const NormalForm &form);
/// Whether it is cut.
bool inSegments(plan::KernelOp kernel, const NormalForm &form);
/// Items of a kernel that does segments (`segment`, `scan`): segments by heads by parts of the value columns, and where
/// transitions are made, of the key columns. What scans a diagonal recurrence has none of the segment at row 0.
int64_t segmentItems(plan::KernelOp kernel, const NormalForm &form, llvm::StringRef name);

/// What `prepare` hands to `scan` for a chunk of a head (RecurrencePrepare.cpp has the formulas). A factor is a number
/// for each token, applied to what is read or written; where one does not suffice, it is the vectors themselves, a
/// block.
enum class Handed : uint8_t {
  inverse,          ///< block [C, C]: the part of the delta rule inside the chunk
  weights,          ///< block [C, C]: what a query reads of what tokens of the chunk wrote
  keysFromStart,    ///< factor: how keys read the state at the start of the chunk; a number is negative
  queriesFromStart, ///< factor: how queries read it
  keysToEnd,        ///< factor: what is left at the end of the chunk of what a token wrote
  fade,             ///< numbers: what is left then of the state at the start
  chunk,            ///< block: all blocks of a chunk side by side, where all are blocks (handedColumns)
};
struct HandedOver {
  Handed what;
  int64_t rows, columns; ///< of a head; one row: numbers in f32, otherwise a block in bf16
  bool isBlock() const { return rows > 1; }
};
/// Where a block stands in that of a chunk with a decay per channel: one copy brings all of them, and is waited for
/// once.
struct HandedColumns {
  int64_t first, count;
};
HandedColumns handedColumns(const NormalForm &form, Handed what);
llvm::SmallVector<HandedOver> handedOver(const NormalForm &form);
/// How the kernel of form `name` sees what `prepare` hands over, and the activations that hold it.
llvm::SmallVector<mlir::Type> preparedScratch(plan::KernelOp kernel, const NormalForm &form, llvm::StringRef name);
llvm::SmallVector<mlir::Type> preparedScratchTensors(plan::KernelOp kernel, const NormalForm &form);
/// Activations with `elements` of each value head for each segment.
mlir::RankedTensorType perSegment(const NormalForm &form, int64_t elements, mlir::Type type);
/// The same of what segments leave: of a diagonal recurrence, of a delta rule, and of the states that follow from that.
llvm::SmallVector<mlir::Type> segmentScratch(plan::KernelOp kernel, const NormalForm &form);
llvm::SmallVector<mlir::Type> segmentScratchTensors(plan::KernelOp kernel, const NormalForm &form);
llvm::SmallVector<mlir::Type> transitionScratch(plan::KernelOp kernel, const NormalForm &form);
llvm::SmallVector<mlir::Type> transitionScratchTensors(plan::KernelOp kernel, const NormalForm &form);
llvm::SmallVector<mlir::Type> foldScratch(plan::KernelOp kernel, const NormalForm &form);
llvm::SmallVector<mlir::Type> foldScratchTensors(plan::KernelOp kernel, const NormalForm &form);
/// The same of what form `maker` (`prepare`, `segment`, `fold`) of the kernel leaves, as form `seer` sees it.
llvm::SmallVector<mlir::Type> recurrenceScratch(plan::KernelOp kernel, const NormalForm &form, llvm::StringRef maker,
                                                llvm::StringRef seer);
llvm::SmallVector<mlir::Type> recurrenceScratchTensors(plan::KernelOp kernel, const NormalForm &form,
                                                       llvm::StringRef maker);

class RecurrenceWriter {
public:
  RecurrenceWriter(plan::KernelOp kernel, RecurrenceOpInterface op);
  tile::KernelOp write();
  llvm::ArrayRef<unsigned> extraOperands() const { return e.extraOperands(); }

private:
  using Value = mlir::Value;
  /// Tiles of vectors that all value heads of the item share.
  using Shared = llvm::SmallDenseMap<Value, Value, 4>;

  void writeChunk(Value row, int64_t length);
  /// The rows of several chunks of `length` as one of `joined`, where the decays of all channels allow it.
  void writeJoinedChunks(Value row, int64_t joined, int64_t length);
  struct ChunkVectors;
  ChunkVectors chunkVectors(const Rows &rows);
  /// Whether some vector reads the state as it is before the decay of its own token, so that a chunk's log decays are
  /// taken from the row in front of it on. Rows in front of a step have none of what a convolution would need.
  bool wantsFrontRow();
  /// Whether the kernel makes the value of a token from rows before it as well.
  bool isConvolved(mlir::Value value);
  /// `g`, `decay`: the log decays of the rows and what is made of them, if known already.
  void writeChunkOfHead(const Rows &rows, const ChunkVectors &shared, Value head, Value g, ChunkDecay *decay);
  /// The two kernels of a long sequence (RecurrencePrepare.cpp, RecurrenceScan.cpp).
  tile::KernelOp writePrepare();
  tile::KernelOp writeScan();
  /// Value heads of an item: they share the products of keys and queries.
  int64_t prepareHeads();
  void writePrepared(Value number, Value row, int64_t together);
  struct Gates {
    Value g, beta;
  };
  Gates askGates(const Rows &rows, Value head, llvm::SmallVectorImpl<mlir::Operation *> &computed);
  void moveHere(llvm::ArrayRef<mlir::Operation *> ops);
  /// Of a chunk, before any decay: queries and keys with keys, and 1 / norm of each; null where there is none.
  struct ChunkProducts {
    Value scores, keys, keyNorm, queryNorm;
  };
  /// Sums of log decays up to each token and up to the last, and what is left of a state at the start of the chunk by
  /// each token, and of what it wrote by the last; null without decay.
  struct Fades {
    Value sum, last, start, toEnd;
  };
  Fades fadesOf(Value g);
  void writePreparedHead(Value number, Value head, const Fades &fades, Value beta, const ChunkProducts &made,
                         llvm::function_ref<Value()> multiplyKeys);
  void writePreparedByChannel(Value number, Value row);
  int64_t channelPrepareWarps();
  /// The state at the start of a chunk, and what is left of it at the end.
  struct ScanChunk {
    Value number;
    Rows rows;
    Value state, fade;
  };
  /// The state behind a chunk, and what its queries read; columns of values by keys, by tokens.
  struct Scanned {
    Value state, read;
  };
  /// What a scan does with values: queries read behind them, or the state alone is wanted, of values times `share`.
  struct ScanMode {
    bool reads = true;
    Value share = {};
  };
  /// A kernel that holds so many columns of the state from chunk to chunk.
  void beginScan(int64_t columns);
  /// Head and columns of item `within` of heads by `parts` parts, of values first; those of keys behind them have
  /// columns of values as well.
  void takePart(Value within, int64_t parts);
  void setOwnAnchor();
  void writeScanned(tile::SequenceOp sequence);
  Value stateColumns();
  void storeStateColumns(Value columns);
  Value scanChunks(Value before, Value first, Value last, Value chunks, const ScanMode &mode);
  Scanned scanChunk(const ScanChunk &chunk, const ScanMode &mode);
  Scanned scanChannelChunk(const ScanChunk &chunk, const ScanMode &mode);
  void writeRead(const Rows &rows, Value read);
  /// tile * factors, of the shape of tile
  Value scaled(Value tile, Value factors);
  /// The two kernels where the sequence is cut into segments (RecurrenceSegments.cpp).
  tile::KernelOp writeSegment();
  tile::KernelOp writeSegmentScan();
  /// Rows of the first segment of the step, and of the others.
  struct SegmentGrid {
    Value first, length;
  };
  /// Chunks `first` to `last` of a sequence that lie in a segment.
  struct Run {
    Value segment, begin; ///< its number, and its first row
    SegmentGrid grid;     ///< of the step
    Value first, last, chunks;
    Value isFirst, goesOn; ///< from the start of the sequence; behind the segment
    Value isNew;           ///< the sequence has no tokens from before the step, and its state is zero
  };
  /// `body` for each run of the item's segment; items of a segment are heads by `parts` of `width` columns, and those
  /// of the first segment are the first, or with `lastFirst` those of the last.
  void forEachRun(int64_t segments, int64_t parts, bool lastFirst, llvm::function_ref<void(const Run &)> body);
  SegmentGrid segmentGrid(int64_t segments);
  Value segmentOf(const SegmentGrid &grid, Value row);
  std::pair<Value, Value> sumOfRun(const Run &run);
  Value scanSegment(llvm::function_ref<Value()> start, Value firstChunk, Value lastChunk);
  Value startOfRun(const Run &run, Value left, Value fades);
  Value startOfSequence(Value isNew);
  void beginSegments(int64_t columns);
  Value bothOf(Value x, Value y);
  Value notOf(Value x);
  Value choose(Value condition, Value x, Value y);
  /// Row of the item's columns of state `number` in a memory of states.
  Value entryRow(Value number);
  Value entryNumber(Value entry);
  void copiesColumns();
  void standsInFragments(mlir::ValueRange memories);
  /// The kernels of a delta rule in segments (RecurrenceTransitions.cpp).
  tile::KernelOp writeTransitions();
  tile::KernelOp writeFold();
  tile::KernelOp writeTransitionScan();
  Value identityRows(Value row);
  /// The item's columns of state `number` in a memory of states.
  Value stateColumnsOf(Value states, Value number);
  void storeStateColumnsOf(Value columns, Value states, Value number);
  Value transitionOf(Value transitions, Value segment);
  Value loadIf(Value condition, Value otherwise, llvm::function_ref<Value()> load);
  struct ChunkNumbers;
  llvm::SmallVector<Value> askNumbers(const Rows &rows, llvm::SmallVectorImpl<mlir::Operation *> &computed);
  llvm::SmallVector<Value> loadNumbers(const Rows &rows);
  llvm::SmallVector<Value> numbersOfLoads(const Rows &rows, mlir::ValueRange loads);
  ChunkNumbers numbersOf(mlir::ValueRange asked);
  ChunkNumbers turnedNumbersOf(mlir::ValueRange asked);
  ChunkNumbers numbersOfText();
  ChunkNumbers withText(ChunkNumbers numbers, const ChunkNumbers &text, const Rows &rows);
  Value fadeFromStart(Value sums);
  Value weightsInChunk(Value scores, const ChunkNumbers &numbers);
  Value fadeToEnd(Value total, Value sums, Value later);
  Value writtenToEnd(const ChunkNumbers &numbers, Value later);
  /// A tile of rows as columns; what was loaded is loaded that way.
  Value transposedLoad(Value tile);
  /// A vector as it stands in memory, and the norm that it is divided by: a factor of its own.
  struct Unnormed {
    Value vector;
    model::L2NormOp norm;
  };
  Unnormed withoutNorm(Value vector);
  /// Of a chunk that is prepared: logarithm of the decay, strength of the writes, keys and queries as memory has them.
  struct PrepareInputs {
    Unnormed key, query;
    Value g, beta, k, q;
  };
  PrepareInputs prepareInputs(const Rows &rows);
  /// 1 / norm of each row, [rows, 1].
  Value normFactor(model::L2NormOp norm, Value tile);
  /// What is handed over as `what`: memory of the kernel, null if it is not.
  Value handedMemory(Handed what);
  /// The block of it that belongs to a chunk and head, or the row of numbers.
  Value handedBlock(Handed what, Value number, Value head);
  /// The same for the item's head, loaded.
  Value loadHandedBlock(Handed what, Value number);
  Value handedNumbers(Handed what, Value number, int64_t count);
  int64_t manyTokens() const;
  void writeToken(Value row);
  /// The same for the one head of an item: the state behind the token.
  Value writeTokenOfBlock(Value row, Value state);
  /// What the region says, op by op: for a recurrence outside the normal form.
  void writeRegionToken(Value row);

  /// One op of the region on tiles of `rows` tokens (a state stands for one).
  Value emitStep(mlir::Operation *step, mlir::ValueRange tiles, int64_t rows);

  /// `body(head)` for each value head of the item.
  void forEachHead(llvm::function_ref<void(Value)> body);
  /// The vectors of the normal form, each once.
  llvm::SmallVector<Value> vectors() const;
  /// Tiles of those vectors that do not depend on the value head.
  Shared sharedVectors(const Rows &rows);
  /// A value of the form for value head `head`; null after an error.
  Value tileOf(Value value, const Rows &rows, Value head);
  /// The channels of a value that value head `head` uses.
  Window headWindow(Value value, Value head);
  /// A vector of the form, as a column.
  Value columnOf(Value vector, const Rows &rows, Value head);
  /// The same for a value of dv channels: those of the item's part.
  Value valueOf(Value value, const Rows &rows, Value head);
  Value headOf(int64_t count, Value head);
  Value vectorOf(Value vector, const Shared &shared, const Rows &rows, Value head);
  bool isShared(Value value);
  /// The operand behind an argument of the op's region; other values as they are.
  Value operandOf(Value value);
  /// The op that computes a value inside the region, or null.
  mlir::Operation *stepOf(Value value);
  /// factor * product(scales) of a factor, one number per row; zero behind the last token.
  Value strength(const Factor &factor, const Rows &rows, Value head);
  /// The log decay, zero behind the last token; null without decay.
  Value logDecay(const Rows &rows, Value head);
  /// A log decay per channel as a column.
  Value decayColumn(const Rows &rows, Value head);
  /// The number of the text for a head, [1, 1].
  Value constantOfHead(llvm::ArrayRef<double> numbers, Value head);
  /// output + skip * skipped
  Value withSkip(Value output, Value skip, Value skipped);
  Value zeroBehindEnd(Value tile, const Rows &rows);
  Value stateOf(Value head);
  void storeState(Value tile, Value head);
  void storeOutput(Value tile, const Rows &rows, Value head);

  bool perChannel() const { return form.decayKind == NormalForm::Decay::Channel; }
  Window valueWindow(Value head);

  plan::KernelOp kernel;
  NormalForm form;
  RecurrenceOpInterface op;
  int64_t heads;         ///< value heads per key head
  mlir::StringAttr only; ///< the form of a kernel that has one (split-forms); an item is then a value head
  Emitter e;
  int64_t width;    ///< value columns of an item
  Value part;       ///< the item's number among those of its head
  Value partColumn; ///< the first of them in its head; null for 0
  Value ownHead;    ///< of an item that is one value head
  Value result, keyHead, begin, end, state, output;
};

} // namespace denim

#endif // COMPILER_CONVERSION_ATTNTOTILE_RECURRENCE_H
