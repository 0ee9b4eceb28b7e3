#include "compiler/conversion/AttnToTile/RecurrenceChoices.h"
#include "compiler/conversion/AttnToTile/Recurrence.h"
#include "compiler/tuning/Choices.h"
#include "dialects/attn/ir/Attn.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace denim;

/// Threads of a block that holds a state of up to 128 x 64: four warps (codegen/nvptx/Fragment.h).
static constexpr int64_t kTokenThreads = 128;

/// Numbers of segments to choose from: any is right. Those behind the first are scanned at once.
static constexpr int64_t kSegments[] = {1, 2, 3, 4, 5, 6, 7, 9, 13, 17, 25, 33};

static double firstOfOthers(const NormalForm &form) {
  const SegmentLengths lengths = segmentLengths(form);
  return static_cast<double>(lengths.first) / static_cast<double>(lengths.other);
}

/// Longer chunks are asked for by nobody: what a token reads of its own chunk grows with them.
static constexpr int64_t kMostJoinedTokens = 128;

static tuning::StateShape stateShape(const NormalForm &form) {
  return {form.valueHeads, form.keyDim, form.valueDim};
}

static bool convolves(plan::KernelOp kernel) {
  return !kernel.getBlock()->getOps<attn::ShortConvOp>().empty();
}

/// Registers of a thread beside those of its part of the state: an estimate that agrees with the blocks which were
/// fastest on an H200, five (four to six are within 3 %, seven would still spill nothing) and, with a convolution
/// inside, three. What leads to the recurrence is vectors of a head; taps of a convolution are four rows instead of
/// one.
static int64_t registers(plan::KernelOp kernel) {
  return convolves(kernel) ? 128 : 56;
}

static std::string shapeText(const NormalForm &form) {
  StringRef decay = form.decayKind == NormalForm::Decay::Channel ? " decay=channel"
                    : form.decayKind == NormalForm::Decay::None  ? ""
                                                                 : " decay=head";
  std::string shape = tuning::shapeText({{"heads", form.valueHeads}, {"dk", form.keyDim}, {"dv", form.valueDim}});
  return shape + decay.str() + (form.p ? " delta" : "");
}

FailureOr<int64_t> denim::chooseJoinedTokens(plan::KernelOp kernel, const NormalForm &form, int64_t length) {
  FailureOr<codegen::Target> target = tuning::cpuTargetOf(kernel);
  if (failed(target))
    return failure();
  tuning::Question question{"recurrence.joined_tokens", shapeText(form), {length}, {}};
  for (int64_t joined = 2 * length; joined <= kMostJoinedTokens; joined *= 2)
    question.candidates.push_back(joined);
  question.predict = [&](int64_t joined) {
    return tuning::joinedChunks(*target, stateShape(form), bool(form.p), length, joined);
  };
  return tuning::choose(kernel, question);
}

/// Sequences of a step with many; and so many that no form of its own is worth it from there on.
static constexpr int64_t kManySequences = 32, kNoSequences = 128;

bool denim::isWideForm(plan::KernelOp kernel) {
  auto form = kernel->getAttrOfType<StringAttr>("form");
  return form && form.getValue() == "wide";
}

/// A step of so many sequences with the best number of blocks.
static double tokenStep(const codegen::GpuTarget &target, plan::KernelOp kernel, const NormalForm &form,
                        int64_t columns, int64_t sequences) {
  double best = 0;
  for (int64_t blocks = 1; blocks <= 8; ++blocks) {
    double time =
        tuning::tokenStep(target, stateShape(form), registers(kernel), kTokenThreads, columns, blocks, sequences);
    best = blocks == 1 ? time : std::min(best, time);
  }
  return best;
}

FailureOr<int64_t> denim::chooseTokenColumns(plan::KernelOp kernel, const NormalForm &form, bool wide) {
  FailureOr<codegen::GpuTarget> target = tuning::gpuTargetOf(kernel);
  if (failed(target))
    return failure();
  tuning::Question question{
      wide ? "recurrence_wide.value_columns" : "recurrence_few.value_columns", shapeText(form), {}, {}};
  // 32 columns of a row of the state are a line of memory.
  question.candidates = tuning::divisors(form.valueDim, 32, 32, 128);
  // One sequence has the fewest items.
  question.predict = [&](int64_t columns) {
    return tokenStep(*target, kernel, form, columns, wide ? kManySequences : 1);
  };
  return tuning::choose(kernel, question);
}

FailureOr<int64_t> denim::chooseWideSequences(plan::KernelOp kernel, const NormalForm &form) {
  // Taps of a convolution take the registers that larger parts need.
  if (convolves(kernel))
    return 0;
  FailureOr<codegen::GpuTarget> target = tuning::gpuTargetOf(kernel);
  FailureOr<int64_t> few = chooseTokenColumns(kernel, form, /*wide=*/false),
                     wide = chooseTokenColumns(kernel, form, /*wide=*/true);
  if (failed(target) || failed(few) || failed(wide))
    return failure();
  if (*few == *wide)
    return 0;
  tuning::Question question{"recurrence_wide.sequences", shapeText(form), {2, 4, 8, 16, 32, 64, kNoSequences}, {}};
  question.predict = [&](int64_t from) {
    double sum = 0;
    for (int64_t sequences = 1; sequences < kNoSequences; sequences *= 2)
      sum += tokenStep(*target, kernel, form, sequences < from ? *few : *wide, sequences);
    return sum;
  };
  FailureOr<int64_t> from = tuning::choose(kernel, question);
  return succeeded(from) && *from == kNoSequences ? FailureOr<int64_t>(0) : from;
}

FailureOr<int64_t> denim::chooseTokenBlocks(plan::KernelOp kernel, const NormalForm &form, int64_t columns, bool wide) {
  FailureOr<codegen::GpuTarget> target = tuning::gpuTargetOf(kernel);
  if (failed(target))
    return failure();
  tuning::Question question{wide ? "recurrence_wide.blocks" : "recurrence_few.blocks",
                            shapeText(form) + (convolves(kernel) ? " convolution" : ""),
                            {1, 2, 3, 4, 5, 6, 7, 8},
                            {}};
  question.predict = [&](int64_t blocks) {
    return tuning::tokenStep(*target, stateShape(form), registers(kernel), kTokenThreads, columns, blocks,
                             kManySequences);
  };
  return tuning::choose(kernel, question);
}

/// Fewer tokens are not solved (codegen/nvptx/LowerSolve.cpp).
static constexpr int64_t kLeastManyTokens = 16;

static SmallVector<int64_t> manyTokenCandidates(int64_t length) {
  SmallVector<int64_t> candidates{length};
  for (int64_t tokens = length; tokens % 2 == 0 && tokens / 2 >= kLeastManyTokens; tokens /= 2)
    candidates.insert(candidates.begin(), tokens / 2);
  return candidates;
}

static tuning::HeadChunks headChunks(plan::KernelOp kernel, const NormalForm &form, int64_t tokens, int64_t columns) {
  llvm::SmallSetVector<Value, 4> vectors;
  for (Value vector : {form.k.vector, form.query, form.p.vector, form.q.vector})
    if (vector)
      vectors.insert(vector);
  tuning::HeadChunks chunks;
  chunks.tokens = tokens, chunks.columns = columns;
  chunks.vectors = int64_t(vectors.size()), chunks.writes = form.p && !form.isDelta() ? 2 : 1;
  chunks.solves = bool(form.p), chunks.perChannel = form.decayKind == NormalForm::Decay::Channel;
  chunks.operandTerms = kernel->hasAttr("exact") ? 3 : 1;
  return chunks;
}

static std::string manyShape(plan::KernelOp kernel, const NormalForm &form, int64_t length) {
  return shapeText(form) + " chunk=" + std::to_string(length) + (kernel->hasAttr("exact") ? " exact" : "");
}

/// What tokens of a head take in such chunks; none: their operands do not fit.
static std::optional<double> timeOfChunks(const codegen::GpuTarget &target, const NormalForm &form,
                                          const tuning::HeadChunks &chunks) {
  if (tuning::chunkOperandBytes(stateShape(form), chunks) > target.sharedBytes)
    return std::nullopt;
  return tuning::headChunks(target, stateShape(form), chunks);
}

FailureOr<int64_t> denim::chooseManyTokens(plan::KernelOp kernel, const NormalForm &form, int64_t length,
                                           int64_t columns) {
  FailureOr<codegen::GpuTarget> target = tuning::gpuTargetOf(kernel);
  if (failed(target))
    return failure();
  tuning::Question question{
      "recurrence_many.chunk_tokens", manyShape(kernel, form, length) + " columns=" + std::to_string(columns), {}, {}};
  auto time = [&](int64_t tokens) { return timeOfChunks(*target, form, headChunks(kernel, form, tokens, columns)); };
  SmallVector<int64_t> all = manyTokenCandidates(length);
  llvm::copy_if(all, std::back_inserter(question.candidates), time);
  if (question.candidates.empty())
    return all.front();
  question.predict = [&](int64_t tokens) { return *time(tokens); };
  return tuning::choose(kernel, question);
}

FailureOr<int64_t> denim::chooseManyColumns(plan::KernelOp kernel, const NormalForm &form, int64_t length) {
  FailureOr<codegen::GpuTarget> target = tuning::gpuTargetOf(kernel);
  if (failed(target))
    return failure();
  // With the best number of tokens of those that fit; none: nothing fits.
  auto best = [&](int64_t columns) {
    std::optional<double> least;
    for (int64_t tokens : manyTokenCandidates(length))
      if (std::optional<double> time = timeOfChunks(*target, form, headChunks(kernel, form, tokens, columns)))
        least = std::min(least.value_or(*time), *time);
    return least;
  };
  tuning::Question question{"recurrence_many.value_columns", manyShape(kernel, form, length), {}, {}};
  SmallVector<int64_t> all = tuning::divisors(form.valueDim, 32, 32, form.valueDim);
  llvm::copy_if(all, std::back_inserter(question.candidates), best);
  if (question.candidates.empty())
    return all.front();
  question.predict = [&](int64_t columns) { return *best(columns); };
  return tuning::choose(kernel, question);
}

FailureOr<int64_t> denim::choosePrepareHeads(plan::KernelOp kernel, const NormalForm &form) {
  FailureOr<codegen::GpuTarget> target = tuning::gpuTargetOf(kernel);
  if (failed(target))
    return failure();
  int64_t group = form.valueHeads / form.keyHeads;
  tuning::Question question{"recurrence_prepare.value_heads",
                            shapeText(form) + " group=" + std::to_string(group),
                            tuning::divisors(group, 1, 1, group),
                            {}};
  question.predict = [&](int64_t together) {
    return tuning::prepareChunks(*target, stateShape(form), together, prepareBlocks(together));
  };
  return tuning::choose(kernel, question);
}

FailureOr<int64_t> denim::chooseScanColumns(plan::KernelOp kernel, const NormalForm &form) {
  FailureOr<codegen::GpuTarget> target = tuning::gpuTargetOf(kernel);
  if (failed(target))
    return failure();
  tuning::Question question{"recurrence_scan.value_columns", shapeText(form), {}, {}};
  // Columns of values are rows of the products there: a group of warps multiplies 64.
  question.candidates = tuning::divisors(form.valueDim, 64, 64, 256);
  question.predict = [&](int64_t columns) {
    if (!canSegment(form))
      return tuning::stateScan(*target, stateShape(form), columns);
    double best = 0; // of the numbers of segments
    for (int64_t segments : kSegments) {
      double time = tuning::segmentScan(*target, stateShape(form), columns, firstOfOthers(form), segments);
      best = segments == 1 ? time : std::min(best, time);
    }
    return best;
  };
  return tuning::choose(kernel, question);
}

/// What a scan reads of a chunk: values, what was handed over, and vectors where those are not part of it.
static tuning::ScannedChunk scannedChunk(const NormalForm &form, int64_t columns) {
  int64_t vectors = 2 * kRecurrenceChunk * form.keyDim;
  int64_t bytes = 2 * kRecurrenceChunk * columns, ofQueries = 0;
  bool isOneBlock = false;
  for (const HandedOver &handed : handedOver(form)) {
    int64_t own = handed.rows * handed.columns * (handed.isBlock() ? 2 : 4);
    bytes += own;
    isOneBlock |= handed.what == Handed::chunk;
    if (handed.what == Handed::weights || handed.what == Handed::queriesFromStart)
      ofQueries += own;
  }
  if (!isOneBlock) {
    bytes += 2 * vectors;
    ofQueries += vectors;
  }
  return {bytes, bytes - ofQueries, isOneBlock};
}

FailureOr<int64_t> denim::chooseScanBlocks(plan::KernelOp kernel, const NormalForm &form, int64_t columns) {
  FailureOr<codegen::GpuTarget> target = tuning::gpuTargetOf(kernel);
  if (failed(target))
    return failure();
  int64_t bytes = scannedChunk(form, columns).results;
  tuning::Question question{"recurrence_scan.blocks", shapeText(form), {1, 2}, {}};
  question.predict = [&](int64_t blocks) {
    return tuning::scanBlocks(*target, stateShape(form), columns, bytes, blocks);
  };
  return tuning::choose(kernel, question);
}

FailureOr<int64_t> denim::chooseScanSegments(plan::KernelOp kernel, const NormalForm &form) {
  FailureOr<codegen::GpuTarget> target = tuning::gpuTargetOf(kernel);
  if (failed(target))
    return failure();
  int64_t columns = form.valueDim / scanParts(kernel, form);
  tuning::Question question{"recurrence_scan.segments", shapeText(form), {}, {}};
  for (int64_t segments : kSegments)
    if (!form.p || segments != 2) // without a transition the chain of chunks is as long as before
      question.candidates.push_back(segments);
  const double first = firstOfOthers(form);
  question.predict = [&](int64_t segments) {
    return form.p ? tuning::transitionScan(*target, stateShape(form), columns, scannedChunk(form, columns), first,
                                           segments)
                  : tuning::segmentScan(*target, stateShape(form), columns, first, segments);
  };
  return tuning::choose(kernel, question);
}

FailureOr<int64_t> denim::scanSegments(plan::KernelOp kernel, const NormalForm &form) {
  if (canSegment(form))
    return chooseScanSegments(kernel, form);
  int64_t columns = form.valueDim / scanParts(kernel, form);
  // A state and its words, and what a chunk writes: more keys have not the registers.
  if (!form.p || form.keyDim > 128 || form.keyDim % columns)
    return int64_t(1);
  return chooseScanSegments(kernel, form);
}

bool denim::inSegments(plan::KernelOp kernel, const NormalForm &form) {
  FailureOr<int64_t> segments = scanSegments(kernel, form);
  return succeeded(segments) && *segments > 1;
}

int64_t denim::segmentItems(plan::KernelOp kernel, const NormalForm &form, StringRef name) {
  FailureOr<int64_t> segments = scanSegments(kernel, form);
  int64_t parts = scanParts(kernel, form), count = failed(segments) ? 1 : *segments;
  if (name == "scan" && !form.p)
    --count; // every run of the segment at row 0 begins its sequence
  if (name == "segment" && form.p)
    parts += form.keyDim * parts / form.valueDim;
  return count * form.valueHeads * parts;
}
