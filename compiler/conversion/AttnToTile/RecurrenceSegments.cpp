// Long sequences of a diagonal recurrence with one decay per head, in segments.
//
// Where nothing is corrected, what a run of tokens does to a state does not depend on the state:
//
//     S_end = exp(R) S_start + sum_j exp(R - G_j) beta_j k_j v_j^T          R: sum of the run's log decays
//
// So the tokens of a step are cut into segments of equal length, and two kernels do them all at once:
//
//   segment   leaves the sum (from zero, or from the state of the sequence where it begins there) and R, for every
//             segment behind which its last sequence goes on. It reads keys, values and gates only.
//   scan      folds what the segments before it left into the state at its start, a handful of states, and goes through
//             its chunks: the product of queries and keys that prepare would hand over (RecurrencePrepare.cpp) is made
//             in place, one product of five.
//
// A segment is a range of rows of the step, whatever sequences these belong to, so that all items have equally much to
// do in a step of one long sequence as in one of many. A chunk belongs to the segment that its first row lies in.
//
//     rows       0        512       1024      1536          segments of 512 rows
//     sequence   |---- a: 700 ----|b:90|-- c: 800 --|
//     chunks     0 .. 7 | 8 9 10 |0 1|0 1| 2 .. 9 |10 11 12
//                         ^ starts from what a left in segment 0     ^ from what c left in segments 1 and 2
//
// The last segment of a sequence writes its state, while others may not have begun: what they begin with is what
// `segment` left, the state of the sequence as it was before the step included.
//
// Sums in `segment` run backwards through the chunks, every token faded to the end of the segment, so that nothing has
// to fade what was added before. All exponents are at most 0.
#include "compiler/conversion/AttnToTile/Recurrence.h"
#include "compiler/conversion/AttnToTile/RecurrenceChoices.h"
#include "compiler/conversion/AttnToTile/Scalars.h"
#include <cmath>

using namespace mlir;
using namespace denim;

static constexpr int64_t kChunk = kRecurrenceChunk;

/// What a segment leaves: the state that its last sequence began with, if that began in it, and the state behind it.
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
  // Segment n leaves something if row (n + 1) kRecurrenceSegment exists: there are fewer than rows of so many.
  auto perToken = [&](int64_t ofHead) {
    return RankedTensorType::get(
        {ShapedType::kDynamic, int64_t(llvm::divideCeil(kEntries * form.valueHeads * ofHead, kRecurrenceSegment))},
        Float32Type::get(kernel.getContext()));
  };
  return {perToken(form.keyDim * form.valueDim), perToken(1)};
}

namespace {
/// Sums of log decays from the start of a chunk up to each token, as a column and as a row, and over the whole chunk.
struct Sums {
  Value column, row, total;
};
} // namespace

/// Chunks `first` to `last` of a sequence that lie in a segment.
struct RecurrenceWriter::Run {
  Value segment, begin; ///< its number, and its first row
  Value length;         ///< rows of a segment
  Value first, last, chunks;
  Value isFirst, goesOn; ///< from the start of the sequence; behind the segment
};

void RecurrenceWriter::forEachRun(int64_t segments, llvm::function_ref<void(const Run &)> body) {
  int64_t parts = form.valueDim / width;
  Run run;
  run.segment = arith::DivUIOp::create(e.b, e.loc, e.item(), e.index(form.valueHeads * parts));
  Value within = arith::RemUIOp::create(e.b, e.loc, e.item(), e.index(form.valueHeads * parts));
  ownHead = arith::DivUIOp::create(e.b, e.loc, within, e.index(parts));
  partColumn = parts > 1 ? e.mul(arith::RemUIOp::create(e.b, e.loc, within, e.index(parts)), width) : Value();
  keyHead = arith::DivUIOp::create(e.b, e.loc, ownHead, e.index(heads));

  Value tokens = tile::CountOp::create(e.b, e.loc, tile::CountKind::tokens);
  Value share = e.ceilDiv(e.ceilDiv(tokens, e.index(segments)), e.index(kChunk));
  run.length = e.max(e.mul(share, kChunk), e.index(kRecurrenceSegment));
  run.begin = arith::MulIOp::create(e.b, e.loc, run.segment, run.length);
  Value segmentEnd = e.add(run.begin, run.length);
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
    Value isLong = e.less(e.index(kRecurrenceLongTokens - 1), e.sub(end, begin));
    e.branch(arith::AndIOp::create(e.b, e.loc, isLong, e.less(run.first, run.last)), [&] {
      state =
          tile::SlotOp::create(e.b, e.loc, tile::MemoryType::get(e.b.getContext(), form.valueDim, e.b.getF32Type()),
                               e.memoryOf(cast<StatefulOpInterface>(op.getOperation()).getCachesMutable()[0].get()), s);
      body(run);
    });
  });
}

/// Row of an entry's state, of its number.
Value RecurrenceWriter::entryRow(Value entry) {
  Value row = e.mul(e.add(e.mul(entry, form.valueHeads), ownHead), form.valueDim);
  return partColumn ? e.add(row, partColumn) : row;
}
Value RecurrenceWriter::entryNumber(Value entry) {
  Value number = e.add(e.mul(entry, form.valueHeads), ownHead);
  return number;
}

/// Of a decay of the text nothing is read and nothing summed.
static Sums sumsOf(Emitter &e, const NormalForm &form, Value g, const Rows &rows) {
  if (!g)
    return {};
  if (form.decayKind != NormalForm::Decay::Constant) {
    Value column = tile::CumsumOp::create(e.b, e.loc, g.getType(), g), row = e.turned(column);
    return {column, row, e.window(row, 0, kChunk - 1, 1, 1)};
  }
  // Tokens that are there.
  Value count = e.min(e.sub(rows.hi, rows.row), e.index(kChunk));
  Value there = arith::IndexCastOp::create(e.b, e.loc, e.b.getI32Type(), count);
  auto tokens = [&](OpBuilder &b, Value n, Value g) -> Value {
    Value some = arith::MinSIOp::create(b, e.loc, n, there);
    return times(b, e.loc, arith::SIToFPOp::create(b, e.loc, b.getF32Type(), some), g);
  };
  auto along = [&](tile::TileType type, int64_t dimension) {
    return e.map(type, g, [&](OpBuilder &b, ValueRange in) -> Value {
      Value i = tile::IndexOp::create(b, e.loc, b.getI32Type(), b.getI64IntegerAttr(dimension));
      return tokens(b, arith::AddIOp::create(b, e.loc, i, integer(b, e.loc, 1)), in[0]);
    });
  };
  return {along(e.tileType(kChunk, 1), 0), along(e.tileType(1, kChunk), 1),
          e.map(e.tileType(1, 1), g,
                [&](OpBuilder &b, ValueRange in) -> Value { return tokens(b, integer(b, e.loc, kChunk), in[0]); })};
}

/// What the decay of a chunk is made of: of a constant one the number, of others one for each token.
Value RecurrenceWriter::chunkDecay(const Rows &rows) {
  if (form.decayKind == NormalForm::Decay::Constant)
    return constantOfHead(form.constantDecay, ownHead);
  return logDecay(rows, ownHead);
}

static Value exponential(OpBuilder &b, Location loc, Value x) {
  return math::ExpOp::create(b, loc, x);
}

Value RecurrenceWriter::transposedLoad(Value tile) {
  if (!tile)
    return {};
  auto type = cast<tile::TileType>(tile.getType());
  auto turned = e.tileType(type.getColumns(), type.getRows());
  auto load = tile.getDefiningOp<tile::LoadOp>();
  if (!load || load.getTransposed())
    return tile::TransposeOp::create(e.b, e.loc, turned, tile);
  return tile::LoadOp::create(e.b, e.loc, turned, load.getMemory(), load.getRow(), load.getColumn(), load.getLo(),
                              load.getHi(), true);
}

/// Numbers of tokens of the chunk after next: asked for first, computed with last.
SmallVector<Value> RecurrenceWriter::askedAhead(const Rows &rows, SmallVectorImpl<Operation *> &computed) {
  Operation *marker = e.index(0).getDefiningOp();
  SmallVector<Value> numbers;
  if (form.decayKind == NormalForm::Decay::Scalar)
    numbers.push_back(logDecay(rows, ownHead));
  if (!form.k.scales.empty())
    numbers.push_back(strength(form.k, rows, ownHead));
  if (e.failed())
    return {};
  for (auto op = marker->getIterator(); op != e.b.getInsertionPoint(); ++op)
    if (!isa<tile::LoadOp>(*op) && op->getNumResults() == 1 && isa<tile::TileType>(op->getResult(0).getType()))
      computed.push_back(&*op);
  return numbers;
}

/// Attributes that both kernels have.
bool RecurrenceWriter::beginSegments() {
  width = form.valueDim / scanParts(kernel, form);
  // Four warps for each 64 value columns: rows of one product.
  e.tileKernel->setAttr("tile.warps", e.b.getI64IntegerAttr(width / 16));
  e.tileKernel->setAttr("tile.ahead", e.b.getUnitAttr());
  if (width == 64)
    e.tileKernel->setAttr("tile.blocks", e.b.getI64IntegerAttr(2));
  return !e.failed();
}

tile::KernelOp RecurrenceWriter::writeSegment() {
  FailureOr<int64_t> segments = chooseScanSegments(kernel, form);
  if (failed(segments) || !beginSegments())
    return nullptr;
  Value entries = e.resultMemory(0), fades = e.resultMemory(1);
  auto panel = e.tileType(width, form.keyDim), one = e.tileType(1, 1);
  forEachRun(*segments, [&](const Run &run) {
    e.branch(run.goesOn, [&] {
      Value column = partColumn ? partColumn : e.index(0);
      Value entry = e.mul(run.segment, kEntries), behind = e.add(entry, e.index(1));
      auto store = [&](Value tile, Value memory, Value row) {
        tile::StoreOp::create(e.b, e.loc, tile, memory, row, e.index(0), Value(), Value());
      };
      e.branch(run.isFirst, [&] {
        store(tile::LoadOp::create(e.b, e.loc, panel, state, e.mul(ownHead, form.keyDim), column, Value(), Value(),
                                   /*transposed=*/true),
              entries, entryRow(entry));
        store(e.splat(0, 1, 1), fades, entryNumber(entry));
      });
      auto rowsOf = [&](Value c) { return Rows{e.add(begin, e.mul(c, kChunk)), kChunk, begin, end}; };
      auto chunkOf = [&](Value turn) { return e.sub(e.sub(run.last, e.index(1)), turn); };
      SmallVector<Operation *> ignored;
      SmallVector<Value> carried{e.splat(0, width, form.keyDim), e.splat(0, 1, 1)};
      llvm::append_range(carried, askedAhead(rowsOf(chunkOf(e.index(0))), ignored));
      auto body = [&](Value turn, ValueRange carried) -> SmallVector<Value> {
        Value acc = carried[0], later = carried[1];
        Rows rows = rowsOf(chunkOf(turn));
        // Behind the last stands the row before the segment, which may be another sequence's or none: it is not read.
        SmallVector<Operation *> computed;
        Rows before = rowsOf(e.sub(chunkOf(turn), e.index(1)));
        SmallVector<Value> next = askedAhead(before, computed);
        Value k = tileOf(form.k.vector, rows, ownHead);
        Value w = transposedLoad(valueOf(form.value, rows, ownHead));
        if (e.failed())
          return SmallVector<Value>(carried);
        ValueRange numbers = carried.drop_front(2);
        Value g = form.decayKind == NormalForm::Decay::Scalar     ? numbers.front()
                  : form.decayKind == NormalForm::Decay::Constant ? chunkDecay(rows)
                                                                  : Value();
        Sums sums = sumsOf(e, form, g, rows);
        SmallVector<Value> factors;
        if (g)
          factors.push_back(
              e.map(e.tileType(1, kChunk), {sums.total, sums.row, later}, [&](OpBuilder &b, ValueRange in) -> Value {
                return exponential(b, e.loc, plus(b, e.loc, minus(b, e.loc, in[0], in[1]), in[2]));
              }));
        if (!form.k.scales.empty())
          factors.push_back(e.turned(numbers.back()));
        else if (form.k.factor != 1)
          factors.push_back(e.splat(form.k.factor, 1, kChunk));
        SmallVector<Value> all{w};
        llvm::append_range(all, factors);
        acc = e.mma(e.product(cast<tile::TileType>(w.getType()), all), k, {false, false, acc, tile::Triangle::none});
        if (g)
          later = e.map(one, {later, sums.total},
                        [&](OpBuilder &b, ValueRange in) -> Value { return plus(b, e.loc, in[0], in[1]); });
        for (Operation *op : computed)
          op->moveBefore(e.b.getInsertionBlock(), e.b.getInsertionPoint());
        SmallVector<Value> yielded{acc, later};
        llvm::append_range(yielded, next);
        return yielded;
      };
      auto sum = e.loop(e.index(0), e.sub(run.last, run.first), 1, carried, body);
      if (e.failed())
        return;
      Value fade =
          e.map(one, sum[1], [&](OpBuilder &b, ValueRange in) -> Value { return exponential(b, e.loc, in[0]); });
      // The state from before the step, read anew: it would take the registers of another sum all along.
      Value own = e.min(run.first, e.index(1)); // 0 where the sequence begins here
      auto whole = e.loop(own, e.index(1), 1, sum[0], [&](Value, ValueRange carried) {
        Value before =
            tile::LoadOp::create(e.b, e.loc, panel, entries, entryRow(entry), e.index(0), Value(), Value(), false);
        return SmallVector<Value>{e.map(panel, {carried[0], before, fade}, [&](OpBuilder &b, ValueRange in) -> Value {
          return plus(b, e.loc, in[0], times(b, e.loc, in[1], in[2]));
        })};
      });
      store(whole[0], entries, entryRow(behind));
      store(fade, fades, entryNumber(behind));
    });
  });
  return e.failed() ? nullptr : e.tileKernel;
}

tile::KernelOp RecurrenceWriter::writeSegmentScan() {
  FailureOr<int64_t> segments = chooseScanSegments(kernel, form);
  if (failed(segments) || !beginSegments())
    return nullptr;
  e.setAnchor([&](Value value, const Rows &, const Window &window) -> Value {
    if (value != op->getResult(0) || window.columns != width)
      return e.fail(value.getDefiningOp(), "expected to be used one head at a time");
    return output;
  });
  forEachRun(*segments, [&](const Run &run) { writeSegmentScanned(run); });
  return e.failed() ? nullptr : e.tileKernel;
}

void RecurrenceWriter::writeSegmentScanned(const Run &run) {
  auto scratch = kernel.getBlock()->getArguments().take_back(2);
  Value entries = e.memoryOf(scratch[0]), fades = e.memoryOf(scratch[1]);
  Value column = partColumn ? partColumn : e.index(0), stateRow = e.mul(ownHead, form.keyDim);
  auto panel = e.tileType(width, form.keyDim), square = e.tileType(kChunk, kChunk);
  auto faded = [&](Value tile, Value factors) -> Value {
    if (!factors)
      return tile;
    return e.map(cast<tile::TileType>(tile.getType()), {tile, factors},
                 [&](OpBuilder &b, ValueRange in) -> Value { return times(b, e.loc, in[0], in[1]); });
  };
  auto choose = [&](Value condition, Value x, Value y) -> Value {
    return arith::SelectOp::create(e.b, e.loc, condition, x, y);
  };

  // The state at the start: of the sequence, where nobody else needs it, or what earlier segments left.
  Value none = arith::ConstantIntOp::create(e.b, e.loc, 1, 1);
  Value alone = arith::AndIOp::create(e.b, e.loc, run.isFirst, arith::XOrIOp::create(e.b, e.loc, run.goesOn, none));
  auto start = e.loop(e.index(0), choose(alone, e.index(1), e.index(0)), 1, e.splat(0, width, form.keyDim),
                      [&](Value, ValueRange) -> SmallVector<Value> {
                        return {tile::LoadOp::create(e.b, e.loc, panel, state, stateRow, column, Value(), Value(),
                                                     /*transposed=*/true)};
                      });
  Value own = e.mul(run.segment, kEntries);
  Value firstSegment = arith::DivUIOp::create(e.b, e.loc, begin, run.length);
  Value from = choose(run.isFirst, own, e.add(e.mul(firstSegment, kEntries), e.index(1)));
  Value to = choose(run.isFirst, choose(alone, own, e.add(own, e.index(1))), own);
  auto folded = e.loop(from, to, kEntries, start[0], [&](Value entry, ValueRange carried) -> SmallVector<Value> {
    Value left = tile::LoadOp::create(e.b, e.loc, panel, entries, entryRow(entry), e.index(0), Value(), Value(), false);
    Value fade = tile::LoadOp::create(e.b, e.loc, e.tileType(1, 1), fades, entryNumber(entry), e.index(0), Value(),
                                      Value(), false);
    return {e.map(panel, {carried[0], left, fade}, [&](OpBuilder &b, ValueRange in) -> Value {
      return plus(b, e.loc, in[1], times(b, e.loc, in[0], in[2]));
    })};
  });

  auto rowsOf = [&](Value c) { return Rows{e.add(begin, e.mul(c, kChunk)), kChunk, begin, end}; };
  SmallVector<Operation *> ignored;
  SmallVector<Value> initial{folded[0]};
  llvm::append_range(initial, askedAhead(rowsOf(run.first), ignored));
  auto body = [&](Value c, ValueRange carried) -> SmallVector<Value> {
    Rows rows = rowsOf(c);
    SmallVector<Operation *> computed;
    SmallVector<Value> next = askedAhead(rowsOf(e.add(c, e.index(1))), computed);
    Value k = tileOf(form.k.vector, rows, ownHead), q = tileOf(form.query, rows, ownHead);
    if (e.failed())
      return SmallVector<Value>(carried);
    Value s = carried[0];
    Value scores = e.mma(q, k, {false, true, {}, tile::Triangle::result});
    Value out = e.mma(s, q, {false, true, {}, tile::Triangle::none});
    Value w = transposedLoad(valueOf(form.value, rows, ownHead));
    if (e.failed())
      return SmallVector<Value>(carried);

    ValueRange numbers = carried.drop_front(1);
    Value g = form.decayKind == NormalForm::Decay::Scalar     ? numbers.front()
              : form.decayKind == NormalForm::Decay::Constant ? chunkDecay(rows)
                                                              : Value();
    Sums sums = sumsOf(e, form, g, rows);
    auto line = e.tileType(1, kChunk);
    Value strengths = form.k.scales.empty() ? (form.k.factor == 1 ? Value() : e.splat(form.k.factor, 1, kChunk))
                                            : e.turned(numbers.back());
    Value toEnd = strengths, fade, fromStart;
    double scale = form.readScale;
    if (g) {
      toEnd = e.map(line, {sums.total, sums.row}, [&](OpBuilder &b, ValueRange in) -> Value {
        return exponential(b, e.loc, minus(b, e.loc, in[0], in[1]));
      });
      toEnd = e.product(line, {toEnd, strengths});
      fade = e.map(e.tileType(1, 1), sums.total,
                   [&](OpBuilder &b, ValueRange in) -> Value { return exponential(b, e.loc, in[0]); });
      fromStart = e.map(line, sums.row, [&](OpBuilder &b, ValueRange in) -> Value {
        return times(b, e.loc, scale, exponential(b, e.loc, in[0]));
      });
    } else if (scale != 1) {
      fromStart = e.splat(scale, 1, kChunk);
    }
    Value state = e.mma(faded(w, toEnd), k, {false, false, faded(s, fade), tile::Triangle::none});

    SmallVector<Value> inputs{scores};
    if (g)
      inputs.append({sums.column, sums.row});
    if (strengths)
      inputs.push_back(strengths);
    Value weights = e.map(square, inputs, [&](OpBuilder &b, ValueRange in) -> Value {
      Value weight = times(b, e.loc, scale, in[0]);
      if (g) // what is above the diagonal may overflow and is not used
        weight = times(b, e.loc, weight, exponential(b, e.loc, minus(b, e.loc, in[1], in[2])));
      if (strengths)
        weight = times(b, e.loc, weight, in.back());
      Value i = tile::IndexOp::create(b, e.loc, b.getI32Type(), b.getI64IntegerAttr(0));
      Value j = tile::IndexOp::create(b, e.loc, b.getI32Type(), b.getI64IntegerAttr(1));
      Value reaches = arith::CmpIOp::create(b, e.loc, arith::CmpIPredicate::sge, i, j);
      return arith::SelectOp::create(b, e.loc, reaches, weight, number(b, e.loc, 0));
    });
    out = e.mma(w, weights, {false, true, faded(out, fromStart), tile::Triangle::none});
    Value turned = tile::TransposeOp::create(e.b, e.loc, e.tileType(kChunk, width), out);
    if (form.skip) {
      Value skipped = valueOf(form.skip.vector, rows, ownHead), skip = strength(form.skip, rows, ownHead);
      if (e.failed())
        return SmallVector<Value>(carried);
      turned = withSkip(turned, skip, skipped);
    }
    storeOutput(turned, rows, ownHead);
    for (Operation *op : computed)
      op->moveBefore(e.b.getInsertionBlock(), e.b.getInsertionPoint());
    SmallVector<Value> yielded{state};
    llvm::append_range(yielded, next);
    return yielded;
  };
  auto after = e.loop(run.first, run.last, 1, initial, body);
  if (e.failed())
    return;
  e.branch(
      run.goesOn, [] {},
      [&] {
        Value back = tile::TransposeOp::create(e.b, e.loc, e.tileType(form.keyDim, width), after[0]);
        tile::StoreOp::create(e.b, e.loc, back, state, stateRow, column, Value(), Value());
      });
}
