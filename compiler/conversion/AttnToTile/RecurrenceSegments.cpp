// Long sequences of a diagonal recurrence with one decay per head, in segments.
//
// Where nothing is corrected, what a run of tokens does to a state does not depend on the state:
//
//     S_end = exp(R) S_start + sum_j exp(R - G_j) beta_j k_j v_j^T          R: sum of the run's log decays
//
// So the tokens of a step are cut into segments, and two kernels do them:
//
//   segment   does the segment that a sequence begins in: results, and the state behind it. Of segments between a
//             sequence's first and last it leaves the sum, from zero, and R: it reads keys, values and gates only.
//   scan      does all segments that no sequence begins in, at once: folds what the segments before left into the state
//             at the start, a handful of states, and goes through the chunks.
//
// In both, results are made from the state alone: the product of queries and keys that prepare would hand over
// (RecurrencePrepare.cpp) is made in place, one product of five. A chunk without results takes about half as long, so
// the first segment is the shorter (segmentLengths): those between end with it, and none of its rows is read twice.
//
// A segment is a range of rows of the step, whatever sequences these belong to. A chunk belongs to the segment that its
// first row lies in.
//
//     rows       0        320            832            1344          segments of 512 rows, the first of 320
//     sequence   |-------- a: 700 -------|b:90|------- c: 800 --------|
//     chunks     0 .. 4   |5 .. 10       |0 1 |0|1 .. 8       |9 .. 12
//     segment    results   b, c: results         sum
//     scan                 a: results            results       results
//
// The last segment of a sequence writes its state: in `scan`, when all that begin with it are done. A sequence without
// tokens from before the step has a state of zeros that nobody needs to read.
//
// Sequences of about the same length fill a machine as they are (`whole`, SplitForms.cpp), and a step of few tokens is
// one segment.
//
// States go from kernel to kernel in the order of their registers (codegen/nvptx/FragmentMemory.cpp): the last segment
// of five folds four of them before its first chunk. So its items are the first of `scan`, and there are none of the
// segment at row 0, in which every run begins its sequence: they would stand in the way until `segment` is done, and
// items that fold would begin behind them. Rows of all segments are asked for before `segment` is done
// (`tile.finished`).
//
// Sums in `segment` run backwards through the chunks, every token faded to the end of the segment, so that nothing has
// to fade what was added before. All exponents are at most 0, but for the rounding of a chunk's total, which is added
// up in another order than the sums up to its tokens.
//
// Where results are made, the product that makes the output goes in front of the one that makes the state: queries need
// it no sooner, but it is turned and stored while the other one runs. In front of both, weights are made of the scores
// while the state is multiplied with the queries.
#include "compiler/conversion/AttnToTile/Recurrence.h"
#include "compiler/conversion/AttnToTile/RecurrenceChoices.h"
#include "compiler/conversion/AttnToTile/Scalars.h"
#include <algorithm>
#include <cmath>

using namespace mlir;
using namespace denim;

static constexpr int64_t kChunk = kRecurrenceChunk;

/// What is left for each kRecurrenceSegment rows, at most: the first segment ends at row 192 at least, the others have
/// five chunks, and a step of two segments has more than kRecurrenceSegment rows.
static constexpr int64_t kEntries = 2;

bool denim::canSegment(const NormalForm &form) {
  // A norm would have to be made from chunk to chunk; `prepare` makes it a number of a token.
  auto isNormed = [](Value vector) {
    if (auto argument = dyn_cast<BlockArgument>(vector))
      if (auto recurrence = dyn_cast<attn::RecurrenceOp>(argument.getOwner()->getParentOp()))
        vector = recurrence.getInput(argument);
    return isa_and_nonnull<model::L2NormOp>(withoutReshapes(vector).getDefiningOp());
  };
  return !form.p && form.decayKind != NormalForm::Decay::Channel && form.keyDim <= 128 && !isNormed(form.k.vector) &&
         !isNormed(form.query);
}

SmallVector<Type> denim::segmentScratch(plan::KernelOp kernel, const NormalForm &form) {
  auto f32 = Float32Type::get(kernel.getContext());
  return {tile::MemoryType::get(kernel.getContext(), form.keyDim, f32),
          tile::MemoryType::get(kernel.getContext(), 1, f32)};
}

SmallVector<Type> denim::segmentScratchTensors(plan::KernelOp kernel, const NormalForm &form) {
  auto f32 = Float32Type::get(kernel.getContext());
  return {perSegment(form, kEntries * form.keyDim * form.valueDim, f32), perSegment(form, kEntries, f32)};
}

RankedTensorType denim::perSegment(const NormalForm &form, int64_t elements, Type type) {
  // Segment n leaves something if row (n + 1) * kRecurrenceSegment exists: there are fewer than rows of so many.
  return RankedTensorType::get(
      {ShapedType::kDynamic, int64_t(llvm::divideCeil(form.valueHeads * elements, kRecurrenceSegment))}, type);
}

/// What the tokens of a chunk are faded by, and how strongly they write. Null where there is nothing of it.
///
/// A row of 64 numbers is 16 in each thread, the same in 64 of them; a column is two. What waits for nothing else is
/// made of columns. Rows, which products need, are columns turned (through shared memory).
struct RecurrenceWriter::ChunkNumbers {
  Value column, row;              ///< sums of log decays from the start of the chunk up to each token
  Value total;                    ///< over the whole chunk
  Value strengths, rowOfStrength; ///< column, where they are read; row
  Value rate;                     ///< of a token, where the text has it
};

RecurrenceWriter::SegmentGrid RecurrenceWriter::segmentGrid(int64_t segments) {
  const SegmentLengths lengths = segmentLengths(form);
  Value tokens = tile::CountOp::create(e.b, e.loc, tile::CountKind::tokens);
  // first + (segments - 1) * length >= tokens, and first = length * lengths.first / lengths.other.
  Value parts = e.ceilDiv(e.mul(tokens, lengths.other), e.index(lengths.first + (segments - 1) * lengths.other));
  Value length = e.max(e.mul(e.ceilDiv(parts, e.index(kChunk)), kChunk), e.index(lengths.least));
  Value first = e.mul(e.ceilDiv(e.mul(length, lengths.first), e.index(lengths.other * kChunk)), kChunk);
  // A smaller step is one segment.
  return {choose(e.less(tokens, e.index(tokensInSegments(form, segments))), e.max(first, tokens), first), length};
}

Value RecurrenceWriter::segmentOf(const SegmentGrid &grid, Value row) {
  Value behind = arith::DivUIOp::create(e.b, e.loc, e.sub(e.max(row, grid.first), grid.first), grid.length);
  return choose(e.less(row, grid.first), e.index(0), e.add(behind, e.index(1)));
}

void RecurrenceWriter::forEachRun(int64_t segments, int64_t parts, bool lastFirst,
                                  llvm::function_ref<void(const Run &)> body) {
  Run run;
  run.segment = arith::DivUIOp::create(e.b, e.loc, e.item(), e.index(form.valueHeads * parts));
  if (lastFirst)
    run.segment = e.sub(e.index(segments - 1), run.segment);
  Value within = arith::RemUIOp::create(e.b, e.loc, e.item(), e.index(form.valueHeads * parts));
  takePart(within, parts);

  const SegmentGrid &grid = run.grid = segmentGrid(segments);
  Value segmentEnd = e.add(grid.first, arith::MulIOp::create(e.b, e.loc, run.segment, grid.length));
  run.begin = choose(e.less(run.segment, e.index(1)), e.index(0), e.sub(segmentEnd, grid.length));
  Value sequences = tile::CountOp::create(e.b, e.loc, tile::CountKind::sequences);
  e.loop(e.index(0), sequences, 1, [&](Value s) {
    auto sequence = tile::SequenceOp::create(e.b, e.loc, s);
    e.sequence = s;
    begin = sequence.getBegin();
    end = sequence.getEnd();
    auto chunksTo = [&](Value row) { return e.ceilDiv(e.sub(e.max(row, begin), begin), e.index(kChunk)); };
    run.chunks = chunksTo(end);
    run.first = chunksTo(run.begin);
    run.last = e.min(chunksTo(segmentEnd), run.chunks);
    run.isFirst = e.less(run.first, e.index(1));
    run.goesOn = e.less(run.last, run.chunks);
    run.isNew = e.less(sequence.getPast(), e.index(1));
    Value isLong = e.less(e.index(kRecurrenceLongTokens - 1), e.sub(end, begin));
    e.branch(arith::AndIOp::create(e.b, e.loc, isLong, e.less(run.first, run.last)), [&] {
      state =
          tile::SlotOp::create(e.b, e.loc, tile::MemoryType::get(e.b.getContext(), form.valueDim, e.b.getF32Type()),
                               e.memoryOf(cast<StatefulOpInterface>(op.getOperation()).getCachesMutable()[0].get()), s);
      body(run);
    });
  });
}

Value RecurrenceWriter::bothOf(Value x, Value y) {
  return arith::AndIOp::create(e.b, e.loc, x, y);
}
Value RecurrenceWriter::notOf(Value x) {
  return arith::XOrIOp::create(e.b, e.loc, x, arith::ConstantIntOp::create(e.b, e.loc, 1, 1));
}
Value RecurrenceWriter::choose(Value condition, Value x, Value y) {
  return arith::SelectOp::create(e.b, e.loc, condition, x, y);
}

/// Row of an entry's state, of its number.
Value RecurrenceWriter::entryRow(Value entry) {
  Value row = e.mul(e.add(e.mul(entry, form.valueHeads), ownHead), form.valueDim);
  return partColumn ? e.add(row, partColumn) : row;
}
Value RecurrenceWriter::entryNumber(Value entry) {
  return e.add(e.mul(entry, form.valueHeads), ownHead);
}

/// Logarithms are of base 2: one instruction each where all is faded.
static Value exponential(OpBuilder &b, Location loc, Value x) {
  return math::Exp2Op::create(b, loc, x);
}

/// What is read for the numbers of a chunk: asked for first, computed with last (`computed`).
SmallVector<Value> RecurrenceWriter::askNumbers(const Rows &rows, SmallVectorImpl<Operation *> &computed) {
  Operation *marker = e.index(0).getDefiningOp();
  SmallVector<Value> asked;
  if (form.decayKind == NormalForm::Decay::Scalar)
    asked.push_back(logDecay(rows, ownHead));
  if (!form.k.scales.empty())
    asked.push_back(strength(form.k, rows, ownHead));
  if (e.failed())
    return {};
  for (auto op = marker->getIterator(); op != e.b.getInsertionPoint(); ++op)
    if (!isa<tile::LoadOp>(*op) && op->getNumResults() == 1 && isa<tile::TileType>(op->getResult(0).getType()))
      computed.push_back(&*op);
  return asked;
}

/// The loads of it alone.
SmallVector<Value> RecurrenceWriter::loadNumbers(const Rows &rows) {
  Operation *marker = e.index(0).getDefiningOp();
  SmallVector<Operation *> computed;
  askNumbers(rows, computed);
  if (e.failed())
    return {};
  for (Operation *op : llvm::reverse(computed))
    op->erase();
  SmallVector<Value> loads;
  for (auto op = marker->getIterator(); op != e.b.getInsertionPoint(); ++op)
    if (auto load = dyn_cast<tile::LoadOp>(*op))
      loads.push_back(load.getResult());
  return loads;
}

/// What is read, made of loads that were asked for before.
SmallVector<Value> RecurrenceWriter::numbersOfLoads(const Rows &rows, ValueRange loads) {
  Operation *marker = e.index(0).getDefiningOp();
  SmallVector<Operation *> computed;
  SmallVector<Value> asked = askNumbers(rows, computed);
  if (e.failed())
    return {};
  for (auto op = marker->getIterator(); op != e.b.getInsertionPoint();)
    if (auto load = dyn_cast<tile::LoadOp>(*op++)) {
      std::replace(asked.begin(), asked.end(), Value(load.getResult()), loads.front());
      load.getResult().replaceAllUsesWith(loads.front());
      load.erase();
      loads = loads.drop_front();
    }
  return asked;
}

RecurrenceWriter::ChunkNumbers RecurrenceWriter::numbersOf(ValueRange asked) {
  ChunkNumbers numbers;
  if (form.decayKind == NormalForm::Decay::Scalar) {
    auto inBase2 = [&](Value tile) {
      return e.map(cast<tile::TileType>(tile.getType()), tile,
                   [&](OpBuilder &b, ValueRange in) -> Value { return times(b, e.loc, kLog2E, in[0]); });
    };
    // Both sums share a barrier.
    Value total = e.reduce(tile::Combiner::add, asked.front(), 0);
    numbers.column = inBase2(tile::CumsumOp::create(e.b, e.loc, asked.front().getType(), asked.front()));
    numbers.total = inBase2(total);
  }
  if (!form.k.scales.empty())
    numbers.strengths = asked.back();
  return numbers;
}

/// The same with rows.
RecurrenceWriter::ChunkNumbers RecurrenceWriter::turnedNumbersOf(ValueRange asked) {
  ChunkNumbers numbers = numbersOf(asked);
  if (numbers.column)
    numbers.row = e.turned(numbers.column);
  if (numbers.strengths)
    numbers.rowOfStrength = e.turned(numbers.strengths);
  return numbers;
}

/// Those that are the same for all chunks, but for the total of one that the sequence ends in.
RecurrenceWriter::ChunkNumbers RecurrenceWriter::numbersOfText() {
  ChunkNumbers numbers;
  if (form.decayKind == NormalForm::Decay::Constant) {
    SmallVector<double> rates;
    for (double rate : form.constantDecay)
      rates.push_back(rate * kLog2E);
    Value rate = numbers.rate = constantOfHead(rates, ownHead);
    auto sums = [&](tile::TileType type, int64_t dimension) {
      return e.map(type, rate, [&](OpBuilder &b, ValueRange in) -> Value {
        Value before = tile::IndexOp::create(b, e.loc, b.getI32Type(), b.getI64IntegerAttr(dimension));
        Value count = arith::AddIOp::create(b, e.loc, before, integer(b, e.loc, 1));
        return times(b, e.loc, arith::SIToFPOp::create(b, e.loc, b.getF32Type(), count), in[0]);
      });
    };
    numbers.column = sums(e.tileType(kChunk, 1), 0);
    numbers.row = sums(e.tileType(1, kChunk), 1);
  }
  if (form.k.scales.empty() && form.k.factor != 1)
    numbers.rowOfStrength = e.splat(form.k.factor, 1, kChunk);
  return numbers;
}

/// Adds to `numbers` what the text says, to `text` what was read.
RecurrenceWriter::ChunkNumbers RecurrenceWriter::withText(ChunkNumbers numbers, const ChunkNumbers &text,
                                                          const Rows &rows) {
  if (text.rowOfStrength)
    numbers.rowOfStrength = text.rowOfStrength;
  if (!text.column)
    return numbers;
  numbers.column = text.column, numbers.row = text.row;
  Value count = arith::IndexCastOp::create(e.b, e.loc, e.b.getI32Type(), e.min(e.sub(end, rows.row), e.index(kChunk)));
  numbers.total = e.map(e.tileType(1, 1), text.rate, [&](OpBuilder &b, ValueRange in) -> Value {
    return times(b, e.loc, arith::SIToFPOp::create(b, e.loc, b.getF32Type(), count), in[0]);
  });
  return numbers;
}

/// What is left of what tokens wrote behind the end of their chunk and `later` beyond, by their `sums`, a row or a
/// column; null for all.
Value RecurrenceWriter::fadeToEnd(Value total, Value sums, Value later) {
  if (!total)
    return {};
  SmallVector<Value> inputs{total, sums};
  if (later)
    inputs.push_back(later);
  // Sums of a decay of the text go on behind the last token.
  bool clamps = form.decayKind == NormalForm::Decay::Constant;
  return e.map(cast<tile::TileType>(sums.getType()), inputs, [&](OpBuilder &b, ValueRange in) -> Value {
    Value exponent = minus(b, e.loc, in[0], in[1]);
    if (clamps)
      exponent = arith::MinimumFOp::create(b, e.loc, exponent, number(b, e.loc, 0));
    return exponential(b, e.loc, in.size() > 2 ? plus(b, e.loc, exponent, in[2]) : exponent);
  });
}

/// That times the strengths, as a row. Where there are rows already it is made of them, without a barrier.
Value RecurrenceWriter::writtenToEnd(const ChunkNumbers &numbers, Value later) {
  auto line = e.tileType(1, kChunk), column = e.tileType(kChunk, 1);
  if (numbers.row || !numbers.column) {
    Value strengths = numbers.rowOfStrength || !numbers.strengths ? numbers.rowOfStrength : e.turned(numbers.strengths);
    return e.product(line, {fadeToEnd(numbers.total, numbers.row, later), strengths});
  }
  Value written = e.turned(e.product(column, {fadeToEnd(numbers.total, numbers.column, later), numbers.strengths}));
  return e.product(line, {written, numbers.rowOfStrength});
}

/// Items with `columns` value columns, whose rows are copied ahead.
void RecurrenceWriter::beginSegments(int64_t columns) {
  beginScan(columns);
  e.tileKernel->setAttr("tile.ahead", e.b.getUnitAttr());
  e.tileKernel->setAttr("tile.next_behind_copies", e.b.getUnitAttr());
}

/// Gates of a head are a column, each in another line of memory: copied ahead, they are there with the first rows,
/// which on an H200 is 2 % of a step in segments. Whole sequences are 0.7 % slower by the wait more.
void RecurrenceWriter::copiesColumns() {
  e.tileKernel->setAttr("tile.columns_ahead", e.b.getUnitAttr());
}

/// What segments leave goes from registers to registers.
void RecurrenceWriter::standsInFragments(ValueRange memories) {
  SmallVector<int64_t> numbers;
  for (Value memory : memories)
    numbers.push_back(cast<BlockArgument>(memory).getArgNumber());
  e.tileKernel->setAttr("tile.fragments", e.b.getDenseI64ArrayAttr(numbers));
}

/// The sum that the chunks of a run leave, faded to the end of the run, and what is left there of a state before it.
std::pair<Value, Value> RecurrenceWriter::sumOfRun(const Run &run) {
  auto one = e.tileType(1, 1);
  auto rowsOf = [&](Value c) { return Rows{e.add(begin, e.mul(c, kChunk)), kChunk, begin, end}; };
  auto chunkOf = [&](Value turn) { return e.sub(e.sub(run.last, e.index(1)), turn); };
  // How the tokens of a chunk are faded to the end of the segment is made while the products of the chunk behind it
  // run, of numbers that were asked for one chunk earlier still: a turn is shorter than memory takes. In front of
  // the first stand rows of another segment, or none: their numbers are not used.
  ChunkNumbers text = numbersOfText();
  auto zero = e.splat(0, 1, 1);
  auto factorOf = [&](ValueRange loads, Value turn, Value later) {
    Rows rows = rowsOf(chunkOf(turn));
    ChunkNumbers numbers = withText(numbersOf(numbersOfLoads(rows, loads)), text, rows);
    return std::pair(writtenToEnd(numbers, later), numbers.total ? numbers.total : zero);
  };
  auto loadsOf = [&](Value turn) { return loadNumbers(rowsOf(chunkOf(turn))); };
  SmallVector<Value> firstLoads = loadsOf(e.index(0)), nextLoads = loadsOf(e.index(1));
  if (e.failed())
    return {};
  auto [factor, total] = factorOf(firstLoads, e.index(0), zero);
  SmallVector<Value> carried{e.splat(0, width, form.keyDim), zero, total};
  if (factor)
    carried.push_back(factor);
  size_t fixed = carried.size();
  llvm::append_range(carried, nextLoads);
  auto body = [&](Value turn, ValueRange carried) -> SmallVector<Value> {
    Rows rows = rowsOf(chunkOf(turn));
    SmallVector<Value> next = loadsOf(e.add(turn, e.index(2)));
    Value k = tileOf(form.k.vector, rows, ownHead);
    Value w = transposedLoad(valueOf(form.value, rows, ownHead));
    if (e.failed())
      return SmallVector<Value>(carried);
    Value faded = e.product(cast<tile::TileType>(w.getType()), {w, fixed > 3 ? carried[3] : Value()});
    Value sum = e.mma(faded, k, {false, false, carried[0], tile::Triangle::none});
    Value later = e.map(one, {carried[1], carried[2]},
                        [&](OpBuilder &b, ValueRange in) -> Value { return plus(b, e.loc, in[0], in[1]); });
    auto [factor, total] = factorOf(carried.drop_front(fixed), e.add(turn, e.index(1)), later);
    SmallVector<Value> yielded{sum, later, total};
    if (factor)
      yielded.push_back(factor);
    llvm::append_range(yielded, next);
    return yielded;
  };
  auto sum = e.loop(e.index(0), e.sub(run.last, run.first), 1, carried, body);
  if (e.failed())
    return {};
  return {sum[0],
          e.map(one, sum[1], [&](OpBuilder &b, ValueRange in) -> Value { return exponential(b, e.loc, in[0]); })};
}

tile::KernelOp RecurrenceWriter::writeSegment() {
  FailureOr<int64_t> segments = scanSegments(kernel, form);
  if (failed(segments))
    return nullptr;
  int64_t parts = scanParts(kernel, form);
  beginSegments(form.valueDim / parts);
  setOwnAnchor();
  copiesColumns();
  Value left = e.resultMemory(1), fades = e.resultMemory(2);
  standsInFragments(left);
  forEachRun(*segments, parts, /*lastFirst=*/false, [&](const Run &run) {
    auto begun = [&] {
      Value after = scanSegment([&] { return startOfSequence(run.isNew); }, run.first, run.last);
      if (after)
        e.branch(
            run.goesOn, [&] { storeStateColumnsOf(after, left, run.segment); }, [&] { storeStateColumns(after); });
    };
    auto between = [&] {
      auto [sum, fade] = sumOfRun(run);
      if (!sum)
        return;
      storeStateColumnsOf(sum, left, run.segment);
      tile::StoreOp::create(e.b, e.loc, fade, fades, entryNumber(run.segment), e.index(0), Value(), Value());
    };
    e.branch(run.isFirst, begun, [&] { e.branch(run.goesOn, between); });
  });
  return e.failed() ? nullptr : e.tileKernel;
}

tile::KernelOp RecurrenceWriter::writeSegmentScan() {
  FailureOr<int64_t> segments = scanSegments(kernel, form);
  if (failed(segments))
    return nullptr;
  int64_t parts = scanParts(kernel, form);
  beginSegments(form.valueDim / parts);
  setOwnAnchor();
  copiesColumns();
  auto taken = kernel.getBlock()->getArguments().take_back(2);
  Value left = e.memoryOf(taken[0]), fades = e.memoryOf(taken[1]);
  standsInFragments(left);
  forEachRun(*segments, parts, /*lastFirst=*/true, [&](const Run &run) {
    auto resumed = [&] {
      auto start = [&] { return startOfRun(run, left, fades); };
      Value after = scanSegment(start, run.first, run.last);
      if (after)
        e.branch(
            run.goesOn, [] {}, [&] { storeStateColumns(after); });
    };
    e.branch(
        run.isFirst, [] {}, resumed);
  });
  return e.failed() ? nullptr : e.tileKernel;
}

/// What is left of the state at the start of a chunk by each token, times the scale of what is read.
Value RecurrenceWriter::fadeFromStart(Value sums) {
  return e.map(cast<tile::TileType>(sums.getType()), sums, [&](OpBuilder &b, ValueRange in) -> Value {
    return times(b, e.loc, form.readScale, exponential(b, e.loc, in[0]));
  });
}

/// What a query reads of what tokens of its chunk wrote, of the products of queries and keys.
Value RecurrenceWriter::weightsInChunk(Value scores, const ChunkNumbers &numbers) {
  // The scale of what is read goes into the sums of the reading token, where it costs nothing.
  double scale = form.readScale;
  SmallVector<Value> inputs{scores};
  if (numbers.total) {
    double inside = scale > 0 ? std::log2(scale) : 0;
    scale = scale > 0 ? 1 : scale;
    inputs.push_back(e.map(e.tileType(kChunk, 1), numbers.column, [&](OpBuilder &b, ValueRange in) -> Value {
      return plus(b, e.loc, in[0], number(b, e.loc, inside));
    }));
    inputs.push_back(numbers.row);
  }
  if (numbers.rowOfStrength)
    inputs.push_back(numbers.rowOfStrength);
  return e.map(e.tileType(kChunk, kChunk), inputs, [&](OpBuilder &b, ValueRange in) -> Value {
    Value weight = times(b, e.loc, scale, in[0]);
    if (numbers.total) // what is above the diagonal may overflow and is not used
      weight = times(b, e.loc, weight, exponential(b, e.loc, minus(b, e.loc, in[1], in[2])));
    if (numbers.rowOfStrength)
      weight = times(b, e.loc, weight, in.back());
    Value i = tile::IndexOp::create(b, e.loc, b.getI32Type(), b.getI64IntegerAttr(0));
    Value j = tile::IndexOp::create(b, e.loc, b.getI32Type(), b.getI64IntegerAttr(1));
    Value reaches = arith::CmpIOp::create(b, e.loc, arith::CmpIPredicate::sge, i, j);
    return arith::SelectOp::create(b, e.loc, reaches, weight, number(b, e.loc, 0));
  });
}

/// The state at the start of a run that no sequence begins in: what is left behind the first segment of the sequence,
/// and by those between.
Value RecurrenceWriter::startOfRun(const Run &run, Value left, Value fades) {
  Value first = segmentOf(run.grid, begin);
  auto fold = [&](Value segment, ValueRange carried) -> SmallVector<Value> {
    Value sum = stateColumnsOf(left, segment);
    Value fade = tile::LoadOp::create(e.b, e.loc, e.tileType(1, 1), fades, entryNumber(segment), e.index(0), Value(),
                                      Value(), false);
    return {
        e.map(cast<tile::TileType>(sum.getType()), {carried[0], sum, fade}, [&](OpBuilder &b, ValueRange in) -> Value {
          return plus(b, e.loc, in[1], times(b, e.loc, in[0], in[2]));
        })};
  };
  return e.loop(e.add(first, e.index(1)), run.segment, 1, stateColumnsOf(left, first), fold)[0];
}

/// The state that a sequence begins with.
Value RecurrenceWriter::startOfSequence(Value isNew) {
  return loadIf(notOf(isNew), e.splat(0, width, form.keyDim), [&] { return stateColumns(); });
}

/// Results of chunks `firstChunk` to `lastChunk`, and the state behind them; null after an error. `start` makes the
/// state in front of them.
Value RecurrenceWriter::scanSegment(llvm::function_ref<Value()> start, Value firstChunk, Value lastChunk) {
  auto rowsOf = [&](Value c) { return Rows{e.add(begin, e.mul(c, kChunk)), kChunk, begin, end}; };
  // Numbers of the first chunks are on their way while the state at the start is made.
  Rows firstRows = rowsOf(firstChunk), secondRows = rowsOf(e.add(firstChunk, e.index(1)));
  SmallVector<Value> firstLoads = loadNumbers(firstRows), secondLoads = loadNumbers(secondRows);
  if (e.failed())
    return {};
  SmallVector<Value> initial{start()};

  // Numbers of a chunk are made while the products of the one before run, of what was asked for one chunk earlier
  // still.
  ChunkNumbers text = numbersOfText();
  ChunkNumbers first = turnedNumbersOf(numbersOfLoads(firstRows, firstLoads));
  auto push = [](SmallVector<Value> &values, const ChunkNumbers &numbers) {
    for (Value value : {numbers.column, numbers.row, numbers.total, numbers.rowOfStrength})
      if (value)
        values.push_back(value);
  };
  push(initial, first);
  size_t fixed = initial.size();
  llvm::append_range(initial, numbersOfLoads(secondRows, secondLoads));
  if (e.failed())
    return {};
  auto body = [&](Value c, ValueRange carried) -> SmallVector<Value> {
    Rows rows = rowsOf(c);
    SmallVector<Operation *> computed;
    SmallVector<Value> next = askNumbers(rowsOf(e.add(c, e.index(2))), computed);
    Value s = carried[0];
    ChunkNumbers numbers;
    size_t taken = 1;
    for (auto [to, from] :
         {std::pair(&numbers.column, first.column), std::pair(&numbers.row, first.row),
          std::pair(&numbers.total, first.total), std::pair(&numbers.rowOfStrength, first.rowOfStrength)})
      if (from)
        *to = carried[taken++];
    numbers = withText(numbers, text, rows);
    Value k = tileOf(form.k.vector, rows, ownHead), q = tileOf(form.query, rows, ownHead);
    if (e.failed())
      return SmallVector<Value>(carried);
    // Of decays that stand in memory fades are made as columns, two numbers in a thread instead of sixteen. Rows of
    // them are read behind the barrier that the weights need.
    bool turns = form.decayKind == NormalForm::Decay::Scalar;
    Value fromStart = turns ? e.turned(fadeFromStart(numbers.column)) : Value();
    Value toEnd = turns ? e.turned(fadeToEnd(numbers.total, numbers.column, {})) : Value();
    // Scores first: what becomes of them is made while the state is multiplied.
    Value scores = e.mma(q, k, {false, true, {}, tile::Triangle::result});
    Value out = e.mma(s, q, {false, true, {}, tile::Triangle::none});
    Value w = transposedLoad(valueOf(form.value, rows, ownHead));
    if (e.failed())
      return SmallVector<Value>(carried);
    Value left = turns ? Value() : scaled(w, writtenToEnd(numbers, {}));
    Value fade;
    if (numbers.total)
      fade = e.map(e.tileType(1, 1), numbers.total,
                   [&](OpBuilder &b, ValueRange in) -> Value { return exponential(b, e.loc, in[0]); });
    Value weights = weightsInChunk(scores, numbers);
    if (!turns && numbers.total)
      fromStart = fadeFromStart(numbers.row);
    else if (!numbers.total && form.readScale != 1)
      fromStart = e.splat(form.readScale, 1, kChunk);
    // Behind the scores: an op on the state beside products that read it would have to wait for these.
    Value kept = scaled(s, fade);
    out = e.mma(w, weights, {false, true, scaled(out, fromStart), tile::Triangle::none});
    if (turns)
      left = scaled(w, e.product(e.tileType(1, kChunk), {toEnd, numbers.rowOfStrength}));
    Value state = e.mma(left, k, {false, false, kept, tile::Triangle::none});
    // Beside the products of the output and the state, when those of this chunk need no registers any more.
    ChunkNumbers following = turnedNumbersOf(carried.drop_front(fixed));
    for (Operation *op : computed)
      op->moveBefore(e.b.getInsertionBlock(), e.b.getInsertionPoint());
    Value turned = tile::TransposeOp::create(e.b, e.loc, e.tileType(kChunk, width), out);
    if (form.skip) {
      Value skipped = valueOf(form.skip.vector, rows, ownHead), skip = strength(form.skip, rows, ownHead);
      if (e.failed())
        return SmallVector<Value>(carried);
      turned = withSkip(turned, skip, skipped);
    }
    storeOutput(turned, rows, ownHead);
    SmallVector<Value> yielded{state};
    push(yielded, following);
    llvm::append_range(yielded, next);
    return yielded;
  };
  auto after = e.loop(firstChunk, lastChunk, 1, initial, body);
  return e.failed() ? Value() : after[0];
}
