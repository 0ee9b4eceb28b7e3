// Long sequences of a delta rule in segments, so that few heads keep a machine busy.
//
// What a run of tokens does to a state is affine: of the state at its start it makes
//
//     S_end^T = B^T + S_start^T P^T
//
// where B is what the run makes of a state of zeros, and P^T what it makes of the identity when nothing is written: a
// chunk is (RecurrencePrepare.cpp, with its names)
//
//     S^T <- f S^T + ((V^T - S^T K^T a) T^T c) K          every row of S^T for itself
//
// so that rows of the identity are scanned as columns of values are, with V = 0. A segment is a range of rows of the
// step, as in RecurrenceSegments.cpp; behind `prepare`, which hands over the same as for a scan of whole sequences,
// three kernels do them:
//
//   segment   does the segment that a sequence begins in, as a scan of the whole sequence would: results, and the state
//             behind it, B^T. Of segments between a sequence's first and last it leaves B^T and P^T.
//   fold      goes through the segments of each sequence, a product of two states for each, and leaves the states that
//             the next ones start from.
//   scan      does all segments that no sequence begins in, at once, from those states.
//
//     rows       0                   3584        5952        8192          one sequence in three segments
//     segment    | results, B        | B, P      |           |
//     scan       |                   | results   | results   |
//
// What is done twice is one segment of three, once for values and once for the identity, both without queries. The
// first is longer than the others (kFirstSegment): those between are twice as many items. States stand as their
// registers do between the kernels, P^T as a block of bf16 that products read: it is rounded once for each segment, as
// the state is in each product with a chunk.
//
// Sequences of about the same length fill a machine as they are (`whole`, SplitForms.cpp), and a step of few tokens is
// one segment.
#include "compiler/conversion/AttnToTile/Recurrence.h"
#include "compiler/conversion/AttnToTile/RecurrenceChoices.h"
#include "compiler/conversion/AttnToTile/Scalars.h"

using namespace mlir;
using namespace denim;

static constexpr int64_t kChunk = kRecurrenceChunk;

static tile::MemoryType stateMemory(plan::KernelOp kernel, const NormalForm &form) {
  return tile::MemoryType::get(kernel.getContext(), form.keyDim, Float32Type::get(kernel.getContext()));
}

SmallVector<Type> denim::transitionScratch(plan::KernelOp kernel, const NormalForm &form) {
  return {stateMemory(kernel, form), tile::PagesType::get(kernel.getContext(), form.valueHeads, form.keyDim,
                                                          form.keyDim, BFloat16Type::get(kernel.getContext()))};
}

SmallVector<Type> denim::transitionScratchTensors(plan::KernelOp kernel, const NormalForm &form) {
  MLIRContext *context = kernel.getContext();
  return {perSegment(form, form.keyDim * form.valueDim, Float32Type::get(context)),
          perSegment(form, form.keyDim * form.keyDim, BFloat16Type::get(context))};
}

SmallVector<Type> denim::foldScratch(plan::KernelOp kernel, const NormalForm &form) {
  return {stateMemory(kernel, form)};
}

SmallVector<Type> denim::foldScratchTensors(plan::KernelOp kernel, const NormalForm &form) {
  return {perSegment(form, form.keyDim * form.valueDim, Float32Type::get(kernel.getContext()))};
}

/// `load()`, or `otherwise`: a loop of one turn or none, for what is loaded only sometimes is no value of a branch that
/// threads could wait in.
Value RecurrenceWriter::loadIf(Value condition, Value otherwise, llvm::function_ref<Value()> load) {
  return e.loop(e.index(0), choose(condition, e.index(1), e.index(0)), 1, otherwise,
                [&](Value, ValueRange) -> SmallVector<Value> { return {load()}; })[0];
}

/// Rows of the identity from `row` on, [width, keyDim].
Value RecurrenceWriter::identityRows(Value row) {
  Value first = arith::IndexCastOp::create(e.b, e.loc, e.b.getI32Type(), row);
  return e.map(e.tileType(width, form.keyDim), ValueRange(), [&](OpBuilder &b, ValueRange) -> Value {
    Value i = tile::IndexOp::create(b, e.loc, b.getI32Type(), b.getI64IntegerAttr(0));
    Value j = tile::IndexOp::create(b, e.loc, b.getI32Type(), b.getI64IntegerAttr(1));
    Value own = arith::CmpIOp::create(b, e.loc, arith::CmpIPredicate::eq, arith::AddIOp::create(b, e.loc, i, first), j);
    return arith::SelectOp::create(b, e.loc, own, number(b, e.loc, 1), number(b, e.loc, 0));
  });
}

Value RecurrenceWriter::stateColumnsOf(Value states, Value number) {
  return tile::LoadOp::create(e.b, e.loc, e.tileType(width, form.keyDim), states, entryRow(number), e.index(0), Value(),
                              Value(), false);
}

void RecurrenceWriter::storeStateColumnsOf(Value columns, Value states, Value number) {
  tile::StoreOp::create(e.b, e.loc, columns, states, entryRow(number), e.index(0), Value(), Value());
}

tile::KernelOp RecurrenceWriter::writeTransitions() {
  FailureOr<int64_t> segments = scanSegments(kernel, form);
  if (failed(segments))
    return nullptr;
  int64_t ofValues = scanParts(kernel, form);
  beginScan(form.valueDim / ofValues);
  setOwnAnchor();
  int64_t ofKeys = form.keyDim / width;
  Value states = e.resultMemory(1), transitions = e.resultMemory(2);
  standsInFragments(states);
  forEachRun(*segments, ofValues + ofKeys, /*lastFirst=*/false, [&](const Run &run) {
    Value ofIdentity = e.less(e.index(ofValues - 1), part);
    Value zero = e.splat(0, width, form.keyDim);
    auto begun = [&] {
      e.branch(
          ofIdentity, [] {},
          [&] {
            Value after = scanChunks(startOfSequence(run.isNew), run.first, run.last, run.chunks, {});
            if (after)
              e.branch(
                  run.goesOn, [&] { storeStateColumnsOf(after, states, run.segment); },
                  [&] { storeStateColumns(after); });
          });
    };
    auto between = [&] {
      Value row = e.mul(e.sub(part, e.index(ofValues)), width);
      Value start = loadIf(ofIdentity, zero, [&] { return identityRows(row); });
      Value share = choose(ofIdentity, e.real(0), e.real(1));
      share = tile::SplatOp::create(e.b, e.loc, e.tileType(1, 1), share);
      Value left = scanChunks(start, run.first, run.last, run.chunks, {/*reads=*/false, share});
      if (!left)
        return;
      e.branch(
          ofIdentity,
          [&] {
            Value block = transitionOf(transitions, run.segment);
            tile::StoreOp::create(e.b, e.loc, left, block, row, e.index(0), Value(), Value());
          },
          [&] { storeStateColumnsOf(left, states, run.segment); });
    };
    e.branch(run.isFirst, begun, [&] { e.branch(run.goesOn, between); });
  });
  return e.failed() ? nullptr : e.tileKernel;
}

Value RecurrenceWriter::transitionOf(Value transitions, Value segment) {
  auto type = tile::MemoryType::get(e.b.getContext(), form.keyDim, e.b.getBF16Type());
  return tile::BlockOp::create(e.b, e.loc, type, transitions, segment, ownHead);
}

tile::KernelOp RecurrenceWriter::writeFold() {
  FailureOr<int64_t> segments = scanSegments(kernel, form);
  if (failed(segments))
    return nullptr;
  int64_t parts = scanParts(kernel, form);
  beginScan(form.valueDim / parts);
  takePart(e.item(), parts);
  auto taken = kernel.getBlock()->getArguments().take_back(2);
  Value states = e.memoryOf(taken[0]), transitions = e.memoryOf(taken[1]), starts = e.resultMemory(0);
  standsInFragments({states, starts});
  SegmentGrid grid = segmentGrid(*segments);
  Value sequences = tile::CountOp::create(e.b, e.loc, tile::CountKind::sequences);
  e.loop(e.index(0), sequences, 1, [&](Value s) {
    auto sequence = tile::SequenceOp::create(e.b, e.loc, s);
    begin = sequence.getBegin(), end = sequence.getEnd();
    Value tokens = e.sub(end, begin);
    Value lastChunk = e.mul(e.sub(e.ceilDiv(tokens, e.index(kChunk)), e.index(1)), kChunk);
    Value first = segmentOf(grid, begin), last = segmentOf(grid, e.add(begin, lastChunk));
    Value isLong = e.less(e.index(kRecurrenceLongTokens - 1), tokens);
    e.branch(bothOf(isLong, e.less(first, last)), [&] {
      Value left = stateColumnsOf(states, first);
      storeStateColumnsOf(left, starts, first);
      e.loop(e.add(first, e.index(1)), last, 1, left, [&](Value segment, ValueRange carried) -> SmallVector<Value> {
        auto whole = e.tileType(form.keyDim, form.keyDim);
        Value transition = tile::LoadOp::create(e.b, e.loc, whole, transitionOf(transitions, segment), e.index(0),
                                                e.index(0), Value(), Value(), false);
        Value after =
            e.mma(carried[0], transition, {false, false, stateColumnsOf(states, segment), tile::Triangle::none});
        storeStateColumnsOf(after, starts, segment);
        return {after};
      });
    });
  });
  return e.failed() ? nullptr : e.tileKernel;
}

tile::KernelOp RecurrenceWriter::writeTransitionScan() {
  FailureOr<int64_t> segments = scanSegments(kernel, form);
  if (failed(segments))
    return nullptr;
  int64_t parts = scanParts(kernel, form);
  beginScan(form.valueDim / parts);
  setOwnAnchor();
  Value starts = e.memoryOf(kernel.getBlock()->getArguments().back());
  standsInFragments(starts);
  forEachRun(*segments, parts, /*lastFirst=*/false, [&](const Run &run) {
    e.branch(
        run.isFirst, [] {},
        [&] {
          Value start = stateColumnsOf(starts, e.sub(run.segment, e.index(1)));
          Value after = scanChunks(start, run.first, run.last, run.chunks, {});
          if (after)
            e.branch(
                run.goesOn, [] {}, [&] { storeStateColumns(after); });
        });
  });
  return e.failed() ? nullptr : e.tileKernel;
}
