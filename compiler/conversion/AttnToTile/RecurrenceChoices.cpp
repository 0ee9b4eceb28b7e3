#include "compiler/conversion/AttnToTile/RecurrenceChoices.h"
#include "compiler/conversion/AttnToTile/Recurrence.h"
#include "compiler/tuning/Choices.h"
#include "dialects/attn/ir/Attn.h"

using namespace mlir;
using namespace denim;

/// Threads of a block that holds a state of up to 128 x 64: four warps (codegen/nvptx/Fragment.h).
static constexpr int64_t kTokenThreads = 128;

/// Numbers of segments to choose from: any is right.
static constexpr int64_t kSegments[] = {1, 2, 3, 4, 5, 6, 8, 12, 16, 24, 32};

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

FailureOr<int64_t> denim::chooseTokenColumns(plan::KernelOp kernel, const NormalForm &form) {
  FailureOr<codegen::GpuTarget> target = tuning::gpuTargetOf(kernel);
  if (failed(target))
    return failure();
  tuning::Question question{"recurrence_few.value_columns", shapeText(form), {}, {}};
  // 32 columns of a row of the state are a line of memory.
  question.candidates = tuning::divisors(form.valueDim, 32, 32, 128);
  // One sequence has the fewest items.
  question.predict = [&](int64_t columns) {
    double best = 0; // of the numbers of blocks
    for (int64_t blocks = 1; blocks <= 8; ++blocks) {
      double time = tuning::tokenStep(*target, stateShape(form), registers(kernel), kTokenThreads, columns, blocks, 1);
      best = blocks == 1 ? time : std::min(best, time);
    }
    return best;
  };
  return tuning::choose(kernel, question);
}

FailureOr<int64_t> denim::chooseTokenBlocks(plan::KernelOp kernel, const NormalForm &form, int64_t columns) {
  FailureOr<codegen::GpuTarget> target = tuning::gpuTargetOf(kernel);
  if (failed(target))
    return failure();
  tuning::Question question{"recurrence_few.blocks",
                            shapeText(form) + (convolves(kernel) ? " convolution" : ""),
                            {1, 2, 3, 4, 5, 6, 7, 8},
                            {}};
  question.predict = [&](int64_t blocks) {
    return tuning::tokenStep(*target, stateShape(form), registers(kernel), kTokenThreads, columns, blocks, 32);
  };
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
      double time = tuning::segmentScan(*target, stateShape(form), columns, segments);
      best = segments == 1 ? time : std::min(best, time);
    }
    return best;
  };
  return tuning::choose(kernel, question);
}

FailureOr<int64_t> denim::chooseScanBlocks(plan::KernelOp kernel, const NormalForm &form, int64_t columns) {
  FailureOr<codegen::GpuTarget> target = tuning::gpuTargetOf(kernel);
  if (failed(target))
    return failure();
  // What the scan reads of a chunk: values, what was handed over, and vectors where those are not part of it.
  int64_t bytes = 2 * kRecurrenceChunk * columns;
  if (form.decayKind != NormalForm::Decay::Channel)
    bytes += 2 * 2 * kRecurrenceChunk * form.keyDim;
  for (const HandedOver &handed : handedOver(form))
    bytes += handed.rows * handed.columns * (handed.isBlock() ? 2 : 4);
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
  llvm::append_range(question.candidates, kSegments);
  question.predict = [&](int64_t segments) {
    return tuning::segmentScan(*target, stateShape(form), columns, segments);
  };
  return tuning::choose(kernel, question);
}

int64_t denim::segmentItems(plan::KernelOp kernel, const NormalForm &form, StringRef name) {
  FailureOr<int64_t> segments = chooseScanSegments(kernel, form);
  int64_t parts = name == "segment" ? form.valueDim / kRecurrenceSegmentColumns : scanParts(kernel, form);
  return (failed(segments) ? 1 : *segments) * form.valueHeads * parts;
}
