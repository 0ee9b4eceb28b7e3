// Long sequences on a machine with many processors: two kernels.
//
// What a chunk does to the state is linear, so all that does not depend on the state is made for all chunks at once
// (`prepare`, an item is one head of one chunk), and what is left between chunks is short (`scan`, an item is one head,
// or some value columns of it, of one sequence). With the names of RecurrenceChunk.cpp and T = (I + beta L)^-1
// (spec/attention.md 3.1, 3.3),
//
//   prepare   U = T beta V     K+ = T beta exp(G) K     Q+ = scale exp(G) Q     K- = exp(G_C - G) K     A = D o Q K^T
//   scan      W = U - K+ S     O = Q+ S + A W           S <- exp(G_C) S + K-^T W
//
// A diagonal recurrence has no K+ and U = beta V. All blocks are bf16, the state is f32 and never leaves the registers:
// the scan is written for its transpose, columns of values by keys,
//
//             W^T = U^T - S^T K+^T     O^T = S^T Q+^T + W^T A^T      S^T <- exp(G_C) S^T + W^T K-
//
// so that in all four products the left operand is what the threads hold already and the right one is a block as it
// stands in memory. Nothing of the chain from chunk to chunk waits for shared memory to be written.
#include "compiler/conversion/AttnToTile/Recurrence.h"
#include "compiler/conversion/AttnToTile/RecurrenceChoices.h"

using namespace mlir;
using namespace denim;

static constexpr int64_t kChunk = kRecurrenceChunk;

bool denim::canScan(const NormalForm &form, int64_t chunk) {
  bool diagonalOrDelta = !form.p || form.isDelta();
  return form.outside.empty() && chunk == kChunk && diagonalOrDelta && form.readAfter &&
         form.decayKind != NormalForm::Decay::Channel && form.keyDim % 64 == 0 && form.keyDim <= 256 &&
         form.valueDim % 64 == 0 && form.valueDim <= 256;
}

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

int64_t denim::tokenParts(plan::KernelOp kernel, const NormalForm &form) {
  // Values with a head each can be taken in parts; 32 columns of a state of 128 rows are 32 registers of four warps.
  constexpr int64_t columns = 32;
  auto type = cast<RankedTensorType>(form.value.getType());
  bool apart = type.getRank() == 3 && type.getDimSize(1) == form.valueHeads && form.outside.empty() &&
               form.valueDim % columns == 0;
  return apart && isAlone(kernel, form) ? form.valueDim / columns : 1;
}

/// Heads, rows and columns of a block for each thing handed over; the decay is apart.
static SmallVector<std::array<int64_t, 3>> blocksOf(plan::KernelOp kernel, const NormalForm &form) {
  int64_t parts = scanParts(kernel, form), heads = form.valueHeads;
  SmallVector<std::array<int64_t, 3>> blocks{{heads * parts, form.valueDim / parts, kChunk}, // U^T
                                             {heads, kChunk, form.keyDim},                   // Q+
                                             {heads, kChunk, form.keyDim},                   // K-
                                             {heads, kChunk, kChunk}};                       // A
  if (form.p)
    blocks.push_back({heads, kChunk, form.keyDim}); // K+
  return blocks;
}

SmallVector<Type> denim::scanScratch(plan::KernelOp kernel, const NormalForm &form) {
  MLIRContext *context = kernel.getContext();
  SmallVector<Type> types;
  for (auto [heads, rows, columns] : blocksOf(kernel, form))
    types.push_back(tile::PagesType::get(context, heads, rows, columns, BFloat16Type::get(context)));
  types.push_back(tile::MemoryType::get(context, form.valueHeads, Float32Type::get(context)));
  return types;
}

SmallVector<Type> denim::scanScratchTensors(plan::KernelOp kernel, const NormalForm &form) {
  MLIRContext *context = kernel.getContext();
  SmallVector<Type> types;
  for (auto [heads, rows, columns] : blocksOf(kernel, form))
    types.push_back(RankedTensorType::get({ShapedType::kDynamic, heads * rows * columns / kRecurrenceBlockStride},
                                          BFloat16Type::get(context)));
  types.push_back(RankedTensorType::get({ShapedType::kDynamic, form.valueHeads}, Float32Type::get(context)));
  return types;
}

int64_t RecurrenceWriter::manyTokens() const {
  auto chunk = op->getAttrOfType<IntegerAttr>("chunk");
  bool scans = kernel->hasAttr("scans");
  return scans && chunk ? kRecurrenceLongTokens : kRecurrenceManyTokens;
}

static Value blockOf(Emitter &e, Value pages, Value number, Value head) {
  auto type = cast<tile::PagesType>(pages.getType());
  auto memory = tile::MemoryType::get(e.b.getContext(), type.getColumns(), type.getElementType());
  return tile::BlockOp::create(e.b, e.loc, memory, pages, number, head);
}

tile::KernelOp RecurrenceWriter::writePrepare() {
  Value number = arith::DivUIOp::create(e.b, e.loc, e.item(), e.index(form.valueHeads));
  ownHead = arith::RemUIOp::create(e.b, e.loc, e.item(), e.index(form.valueHeads));
  keyHead = arith::DivUIOp::create(e.b, e.loc, ownHead, e.index(heads));
  // Many tiles live side by side here: eight warps hold half as much each as four.
  e.tileKernel->setAttr("tile.warps", e.b.getI64IntegerAttr(8));
  e.tileKernel->setAttr("tile.blocks", e.b.getI64IntegerAttr(2));
  Value sequences = tile::CountOp::create(e.b, e.loc, tile::CountKind::sequences);
  e.loop(e.index(0), sequences, 1, [&](Value s) {
    auto sequence = tile::SequenceOp::create(e.b, e.loc, s);
    e.sequence = s;
    begin = sequence.getBegin();
    end = sequence.getEnd();
    Value first = arith::DivUIOp::create(e.b, e.loc, begin, e.index(kRecurrenceBlockStride));
    Value row = e.add(begin, e.mul(e.sub(number, first), kChunk));
    Value isLong = e.less(e.index(kRecurrenceLongTokens - 1), e.sub(end, begin));
    Value here = arith::AndIOp::create(e.b, e.loc, e.less(e.sub(begin, e.index(1)), row), e.less(row, end));
    e.branch(arith::AndIOp::create(e.b, e.loc, isLong, here), [&] { writePrepared(number, row); });
  });
  return e.failed() ? nullptr : e.tileKernel;
}

void RecurrenceWriter::writePrepared(Value number, Value row) {
  using Reader = ChunkDecay::Reader;
  Rows rows{row, kChunk, begin, end};
  Value head = ownHead;
  Shared shared = sharedVectors(rows);
  Value g = logDecay(rows, head), beta = strength(form.k, rows, head);
  Value k = vectorOf(form.k.vector, shared, rows, head), q = vectorOf(form.query, shared, rows, head);
  if (e.failed())
    return;
  ChunkDecay decay(e, g, /*perChannel=*/false, kChunk);
  auto write = [&](Value tile, unsigned index, Value head) {
    tile::StoreOp::create(e.b, e.loc, tile, blockOf(e, e.resultMemory(index), number, head), e.index(0), e.index(0),
                          Value(), Value());
  };
  auto weighted = [&](Value tile) {
    return e.map(cast<tile::TileType>(tile.getType()), {beta, tile},
                 [&](OpBuilder &b, ValueRange in) -> Value { return arith::MulFOp::create(b, e.loc, in[0], in[1]); });
  };
  // In an order that lets each tile die soon.
  write(decay.toEnd(k), 2, head);
  Value lower, reads;
  if (form.p) {
    lower = weighted(decay.withinBlock(k, k, 0, Reader::behind, /*diagonal=*/false, 1, {}));
    reads = weighted(decay.fromStart(k, Reader::behind, 1));
    write(tile::SolveOp::create(e.b, e.loc, reads.getType(), lower, reads), 4, head);
  }
  Value v = tileOf(form.value, rows, head);
  if (e.failed())
    return;
  Value u = weighted(v);
  if (form.p)
    u = tile::SolveOp::create(e.b, e.loc, u.getType(), lower, u);
  int64_t parts = scanParts(kernel, form), width = form.valueDim / parts;
  for (int64_t part = 0; part < parts; ++part) {
    Value columns = parts == 1 ? u : e.window(u, 0, part * width, kChunk, width);
    Value turned = tile::TransposeOp::create(e.b, e.loc, e.tileType(width, kChunk), columns);
    write(turned, 0, e.add(e.mul(head, parts), e.index(part)));
  }
  write(decay.fromStart(q, Reader::behind, form.readScale), 1, head);
  write(decay.withinBlock(q, k, 0, Reader::behind, /*diagonal=*/true, form.readScale, {}), 3, head);
  unsigned last = blocksOf(kernel, form).size();
  tile::StoreOp::create(e.b, e.loc, decay.total(), e.resultMemory(last), number, head, Value(), Value());
}

tile::KernelOp RecurrenceWriter::writeScan() {
  int64_t parts = scanParts(kernel, form), width = form.valueDim / parts;
  Value s = arith::DivUIOp::create(e.b, e.loc, e.item(), e.index(form.valueHeads * parts));
  Value within = arith::RemUIOp::create(e.b, e.loc, e.item(), e.index(form.valueHeads * parts));
  ownHead = arith::DivUIOp::create(e.b, e.loc, within, e.index(parts));
  Value part = arith::RemUIOp::create(e.b, e.loc, within, e.index(parts));
  keyHead = arith::DivUIOp::create(e.b, e.loc, ownHead, e.index(heads));
  // Four warps for each 64 value columns: rows of one product.
  e.tileKernel->setAttr("tile.warps", e.b.getI64IntegerAttr(width / 16));
  auto sequence = tile::SequenceOp::create(e.b, e.loc, s);
  e.sequence = s;
  begin = sequence.getBegin();
  end = sequence.getEnd();
  state = tile::SlotOp::create(e.b, e.loc, tile::MemoryType::get(e.b.getContext(), form.valueDim, e.b.getF32Type()),
                               e.memoryOf(cast<StatefulOpInterface>(op.getOperation()).getCachesMutable()[0].get()), s);
  e.setAnchor([&](Value value, const Rows &, const Window &window) -> Value {
    if (value != op->getResult(0) || window.columns != width)
      return e.fail(value.getDefiningOp(), "expected to be used one head at a time");
    return output;
  });
  SmallVector<Value> scratch;
  unsigned count = blocksOf(kernel, form).size() + 1;
  for (BlockArgument argument : kernel.getBlock()->getArguments().take_back(count))
    scratch.push_back(e.memoryOf(argument));
  Value isLong = e.less(e.index(kRecurrenceLongTokens - 1), e.sub(end, begin));
  Value column = e.mul(part, width);
  auto panel = e.tileType(width, form.keyDim), one = e.tileType(1, 1), across = e.tileType(width, kChunk);

  e.branch(isLong, [&] {
    Value stateRow = e.mul(ownHead, form.keyDim);
    Value before = tile::LoadOp::create(e.b, e.loc, panel, state, stateRow, column, Value(), Value(),
                                        /*transposed=*/true);
    Value firstBlock = arith::DivUIOp::create(e.b, e.loc, begin, e.index(kRecurrenceBlockStride));
    Value chunks = arith::DivUIOp::create(e.b, e.loc, e.add(e.sub(end, begin), e.index(kChunk - 1)), e.index(kChunk));
    auto fadeOf = [&](Value number) -> Value {
      return tile::LoadOp::create(e.b, e.loc, one, scratch.back(), number, ownHead, Value(), Value(), false);
    };
    // What was read of the chunk before is turned and stored while this one's first product runs.
    auto writeRead = [&](Value c, Value read) {
      Rows rows{e.add(begin, e.mul(c, kChunk)), kChunk, begin, end};
      Value turned = tile::TransposeOp::create(e.b, e.loc, e.tileType(kChunk, width), read);
      Window window{0, e.add(e.mul(ownHead, form.valueDim), column), form.valueHeads * form.valueDim, width};
      if (form.skip) {
        Value skipped = tileOf(form.skip.vector, rows, ownHead);
        Value skip = strength(form.skip, rows, ownHead);
        if (!e.failed())
          turned = withSkip(turned, skip, skipped);
      }
      output = turned;
      e.store(e.emit(result, rows, window), 0, rows, window);
    };
    Value nothing = e.splat(0, width, kChunk);
    auto after = e.loop(e.index(0), chunks, 1, {before, fadeOf(firstBlock), nothing}, [&](Value c, ValueRange carried) {
      Value number = e.add(firstBlock, c);
      // The next chunk's decay is on its way while this one is worked on; behind the last stands some other's.
      Value next = fadeOf(e.min(e.add(number, e.index(1)), e.add(firstBlock, e.sub(chunks, e.index(1)))));
      auto block = [&](unsigned index, Value head) -> Value {
        auto type = cast<tile::PagesType>(scratch[index].getType());
        return tile::LoadOp::create(e.b, e.loc, e.tileType(type.getTokens(), type.getColumns()),
                                    blockOf(e, scratch[index], number, head), e.index(0), e.index(0), Value(), Value(),
                                    false);
      };
      Value s = carried[0];
      Value read = form.p ? e.mma(s, block(4, ownHead), {false, true, {}, tile::Triangle::none}) : Value();
      writeRead(e.sub(c, e.index(1)), carried[2]); // rows before the first are not written
      Value w = block(0, e.add(e.mul(ownHead, parts), part));
      if (form.p)
        w = e.map(across, {w, read},
                  [&](OpBuilder &b, ValueRange in) -> Value { return arith::SubFOp::create(b, e.loc, in[0], in[1]); });
      Value kept = e.map(panel, {s, carried[1]}, [&](OpBuilder &b, ValueRange in) -> Value {
        return arith::MulFOp::create(b, e.loc, in[0], in[1]);
      });
      Value state = e.mma(w, block(2, ownHead), {false, false, kept, tile::Triangle::none});
      Value out = e.mma(s, block(1, ownHead), {false, true, {}, tile::Triangle::none});
      out = e.mma(w, block(3, ownHead), {false, true, out, tile::Triangle::none});
      return SmallVector<Value>{state, next, out};
    });
    writeRead(e.sub(chunks, e.index(1)), after[2]);
    Value back = tile::TransposeOp::create(e.b, e.loc, e.tileType(form.keyDim, width), after[0]);
    tile::StoreOp::create(e.b, e.loc, back, state, stateRow, column, Value(), Value());
  });
  return e.failed() ? nullptr : e.tileKernel;
}
