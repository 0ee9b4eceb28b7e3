// The state through the chunks of a long sequence (RecurrencePrepare.cpp has the formulas and what was made before).
//
// The state is f32 and never leaves the registers: the scan is written for its transpose, columns of values by keys,
//
//     R^T = S^T K^T                       Y^T = S^T Q^T
//     W'^T = (V^T - R^T a) T^T            O^T = Y^T b + W'^T A^T         S^T <- f S^T + (W'^T c) K
//
// so that in all five products the left operand is what the threads hold already and the right one is a block as it
// stands in memory; a, b and c are numbers for each column. Nothing of the chain from chunk to chunk waits for shared
// memory to be written.
//
// The order of ops is the overlap. With one decay a head the state decays while R^T is multiplied; Y^T comes behind the
// product with T, which is the next of the chain; while the product with A runs, c W' is made; and while the state is
// updated, O is turned and stored. Four warps have some 600 instructions for a chunk, one warp for each scheduler, and
// issue them for as long as the products take: what is not on the chain costs as much as what is.
#include "compiler/conversion/AttnToTile/Recurrence.h"
#include "compiler/conversion/AttnToTile/RecurrenceChoices.h"

using namespace mlir;
using namespace denim;

static constexpr int64_t kChunk = kRecurrenceChunk;

/// Whether nothing in the kernel needs a whole head of what the recurrence leaves.
static bool isAlone(plan::KernelOp kernel, const NormalForm &form) {
  Value result = kernel.getBlock()->getTerminator()->getOperand(0);
  if (auto scratch = result.getDefiningOp<plan::ScratchOp>())
    result = scratch.getOf();
  return isa_and_nonnull<RecurrenceOpInterface>(withoutReshapes(result).getDefiningOp()) && !form.skip;
}

int64_t denim::scanParts(plan::KernelOp kernel, const NormalForm &form) {
  if (!isAlone(kernel, form) || form.valueDim % 64)
    return 1;
  FailureOr<int64_t> columns = chooseScanColumns(kernel, form);
  return failed(columns) ? 1 : form.valueDim / *columns;
}

/// Whether value columns of a head can be done apart by a kernel that computes itself what leads to them.
static bool hasParts(plan::KernelOp kernel, const NormalForm &form) {
  // Outside the normal form there is no one value that a state takes.
  if (!form.outside.empty())
    return false;
  // Values with a head each can be taken in parts.
  Value value = form.value;
  if (auto argument = dyn_cast<BlockArgument>(value))
    if (auto recurrence = dyn_cast<attn::RecurrenceOp>(argument.getOwner()->getParentOp()))
      value = recurrence.getInput(argument);
  auto type = cast<RankedTensorType>(value.getType());
  bool apart = type.getRank() == 3 && type.getDimSize(1) == form.valueHeads && form.valueDim % 32 == 0;
  return apart && isAlone(kernel, form);
}

bool denim::isTokenForm(StringRef form) {
  return form == "few" || form == "wide";
}

int64_t denim::tokenParts(plan::KernelOp kernel, const NormalForm &form) {
  if (!hasParts(kernel, form))
    return 1;
  FailureOr<int64_t> columns = chooseTokenColumns(kernel, form, isWideForm(kernel));
  return failed(columns) ? 1 : form.valueDim / *columns;
}

int64_t denim::manyParts(plan::KernelOp kernel, const NormalForm &form, int64_t chunk) {
  if (!chunk || !hasParts(kernel, form))
    return 1;
  FailureOr<int64_t> columns = chooseManyColumns(kernel, form, chunk);
  return failed(columns) ? 1 : form.valueDim / *columns;
}

FailureOr<int64_t> denim::wideTokenSequences(plan::KernelOp kernel, const NormalForm &form) {
  return hasParts(kernel, form) ? chooseWideSequences(kernel, form) : FailureOr<int64_t>(0);
}

int64_t RecurrenceWriter::manyTokens() const {
  auto chunk = op->getAttrOfType<IntegerAttr>("chunk");
  bool scans = kernel->hasAttr("scans");
  return scans && chunk ? kRecurrenceLongTokens : kRecurrenceManyTokens;
}

void RecurrenceWriter::beginScan(int64_t columns) {
  width = columns;
  // Four warps for each 64 value columns: rows of one product.
  e.tileKernel->setAttr("tile.warps", e.b.getI64IntegerAttr(width / 16));
}

void RecurrenceWriter::takePart(Value within, int64_t parts) {
  int64_t ofValues = form.valueDim / width;
  ownHead = arith::DivUIOp::create(e.b, e.loc, within, e.index(parts));
  part = arith::RemUIOp::create(e.b, e.loc, within, e.index(parts));
  Value ofHead = parts > ofValues ? arith::RemUIOp::create(e.b, e.loc, part, e.index(ofValues)) : part;
  partColumn = ofValues > 1 ? e.mul(ofHead, width) : Value();
  keyHead = arith::DivUIOp::create(e.b, e.loc, ownHead, e.index(heads));
}

tile::KernelOp RecurrenceWriter::writeScan() {
  int64_t parts = scanParts(kernel, form);
  if (canSegment(form))
    beginSegments(form.valueDim / parts);
  else
    beginScan(form.valueDim / parts);
  setOwnAnchor();
  Value s = arith::DivUIOp::create(e.b, e.loc, e.item(), e.index(form.valueHeads * parts));
  Value within = arith::RemUIOp::create(e.b, e.loc, e.item(), e.index(form.valueHeads * parts));
  takePart(within, parts);
  // A chain from chunk to chunk: two of them fill each other's waits, where both have the registers and room to copy
  // ahead.
  FailureOr<int64_t> blocks = width == 64 && !canSegment(form) ? chooseScanBlocks(kernel, form, width) : 1;
  if (failed(blocks))
    return nullptr;
  if (*blocks > 1)
    e.tileKernel->setAttr("tile.blocks", e.b.getI64IntegerAttr(*blocks));
  auto sequence = tile::SequenceOp::create(e.b, e.loc, s);
  e.sequence = s;
  begin = sequence.getBegin();
  end = sequence.getEnd();
  state = tile::SlotOp::create(e.b, e.loc, tile::MemoryType::get(e.b.getContext(), form.valueDim, e.b.getF32Type()),
                               e.memoryOf(cast<StatefulOpInterface>(op.getOperation()).getCachesMutable()[0].get()), s);
  Value isLong = e.less(e.index(kRecurrenceLongTokens - 1), e.sub(end, begin));
  e.branch(isLong, [&] { writeScanned(sequence); });
  return e.failed() ? nullptr : e.tileKernel;
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

Value RecurrenceWriter::handedNumbers(Handed what, Value number, int64_t count) {
  Value place = e.add(e.mul(number, form.valueHeads), ownHead);
  return tile::LoadOp::create(e.b, e.loc, e.tileType(1, count), handedMemory(what), place, e.index(0), Value(), Value(),
                              false);
}

Value RecurrenceWriter::loadHandedBlock(Handed what, Value number) {
  Value memory = handedBlock(what, number, ownHead);
  int64_t columns = cast<tile::MemoryType>(memory.getType()).getColumns();
  return tile::LoadOp::create(e.b, e.loc, e.tileType(kChunk, columns), memory, e.index(0), e.index(0), Value(), Value(),
                              false);
}

Value RecurrenceWriter::scaled(Value tile, Value factors) {
  return e.product(cast<tile::TileType>(tile.getType()), {tile, factors});
}

void RecurrenceWriter::writeRead(const Rows &rows, Value read) {
  Value turned = tile::TransposeOp::create(e.b, e.loc, e.tileType(kChunk, width), read);
  if (form.skip) {
    Value skipped = valueOf(form.skip.vector, rows, ownHead);
    Value skip = strength(form.skip, rows, ownHead);
    if (e.failed())
      return;
    turned = withSkip(turned, skip, skipped);
  }
  storeOutput(turned, rows, ownHead);
}

/// The item's columns of the state, as rows.
Value RecurrenceWriter::stateColumns() {
  return tile::LoadOp::create(e.b, e.loc, e.tileType(width, form.keyDim), state, e.mul(ownHead, form.keyDim),
                              partColumn ? partColumn : e.index(0), Value(), Value(), /*transposed=*/true);
}

void RecurrenceWriter::storeStateColumns(Value columns) {
  Value back = tile::TransposeOp::create(e.b, e.loc, e.tileType(form.keyDim, width), columns);
  tile::StoreOp::create(e.b, e.loc, back, state, e.mul(ownHead, form.keyDim), partColumn ? partColumn : e.index(0),
                        Value(), Value());
}

void RecurrenceWriter::writeScanned(tile::SequenceOp sequence) {
  Value chunks = arith::DivUIOp::create(e.b, e.loc, e.add(e.sub(end, begin), e.index(kChunk - 1)), e.index(kChunk));
  Value after;
  if (canSegment(form)) {
    auto start = [&] { return startOfSequence(e.less(sequence.getPast(), e.index(1))); };
    after = scanSegment(start, e.index(0), chunks);
  } else {
    after = scanChunks(stateColumns(), e.index(0), chunks, chunks, {});
  }
  if (after)
    storeStateColumns(after);
}

/// The state behind chunks `first` to `last` of the sequence, which has `chunks`; null after an error.
Value RecurrenceWriter::scanChunks(Value before, Value first, Value last, Value chunks, const ScanMode &mode) {
  Value firstBlock = arith::DivUIOp::create(e.b, e.loc, begin, e.index(kRecurrenceBlockStride));
  auto rowsOf = [&](Value c) { return Rows{e.add(begin, e.mul(c, kChunk)), kChunk, begin, end}; };

  int64_t fadeNumbers = perChannel() ? form.keyDim : 1;
  Value lastBlock = e.add(firstBlock, e.sub(chunks, e.index(1)));
  Value fade = handedNumbers(Handed::fade, e.add(firstBlock, first), fadeNumbers);
  auto after = e.loop(first, last, 1, {before, fade}, [&](Value c, ValueRange carried) {
    ScanChunk chunk{e.add(firstBlock, c), rowsOf(c), carried[0], carried[1]};
    // The next chunk's decay is on its way while this one is worked on; behind the last stands some other's. One number
    // is asked for at once, numbers of channels when registers are free for them.
    auto next = [&] {
      return handedNumbers(Handed::fade, e.min(e.add(chunk.number, e.index(1)), lastBlock), fadeNumbers);
    };
    Value nextFade = perChannel() ? Value() : next();
    Scanned scanned = perChannel() ? scanChannelChunk(chunk, mode) : scanChunk(chunk, mode);
    if (e.failed())
      return SmallVector<Value>(carried);
    if (!nextFade)
      nextFade = next();
    if (scanned.read)
      writeRead(chunk.rows, scanned.read);
    return SmallVector<Value>{scanned.state, nextFade};
  });
  return e.failed() ? Value() : after[0];
}

RecurrenceWriter::Scanned RecurrenceWriter::scanChunk(const ScanChunk &chunk, const ScanMode &mode) {
  Value s = chunk.state;
  auto factors = [&](Handed what) { return handedNumbers(what, chunk.number, kChunk); };
  auto block = [&](Handed what) { return loadHandedBlock(what, chunk.number); };
  auto byRows = [&](Value left, Value right, Value acc = {}) {
    return e.mma(left, right, {false, true, acc, tile::Triangle::none});
  };
  // In front of the products that read the state as it was: their words are made first, and the state then decays under
  // the products (KernelLowering::packReplaced).
  Value kept = scaled(s, chunk.fade);
  Value k = tileOf(withoutNorm(form.k.vector).vector, chunk.rows, ownHead);
  Value known = form.p ? byRows(s, k) : Value();
  Value w = transposedLoad(valueOf(form.value, chunk.rows, ownHead));
  if (e.failed())
    return {};
  // What queries read of the state waits until the chain has its next product.
  if (form.p) {
    SmallVector<Value> inputs{w, known, factors(Handed::keysFromStart)};
    if (mode.share)
      inputs.push_back(mode.share);
    Value own = e.map(cast<tile::TileType>(w.getType()), inputs, [&](OpBuilder &b, ValueRange in) -> Value {
      Value value = in.size() > 3 ? Value(arith::MulFOp::create(b, e.loc, in[0], in[3])) : in[0];
      return arith::AddFOp::create(b, e.loc, value, arith::MulFOp::create(b, e.loc, in[1], in[2]));
    });
    w = byRows(own, block(Handed::inverse));
  }
  Value read;
  if (mode.reads) {
    Value q = tileOf(withoutNorm(form.query).vector, chunk.rows, ownHead);
    read = scaled(byRows(s, q), factors(Handed::queriesFromStart));
    read = byRows(w, block(Handed::weights), read);
  }
  Value left = scaled(w, factors(Handed::keysToEnd));
  return {e.mma(left, k, {false, false, kept, tile::Triangle::none}), read};
}
