#include "compiler/conversion/AttnToTile/Recurrence.h"
#include "compiler/conversion/AttnToTile/RecurrenceChoices.h"

using namespace mlir;
using namespace denim;

/// The chunk of a recurrence that has one; 0: it is done token by token.
static int64_t chunkOf(RecurrenceOpInterface op, const NormalForm &form) {
  auto chunk = op->getAttrOfType<IntegerAttr>("chunk");
  return chunk && form.outside.empty() ? chunk.getInt() : 0;
}

/// Parts of the value columns of a head, each an item of a kernel that has one form of tokens one by one or in chunks.
static int64_t partsOf(plan::KernelOp kernel, RecurrenceOpInterface op, const NormalForm &form, StringAttr only) {
  if (isTokenForm(only.getValue()))
    return tokenParts(kernel, form);
  return only.getValue() == "many" ? manyParts(kernel, form, chunkOf(op, form)) : 1;
}

static tile::ItemsAttr itemsOf(plan::KernelOp kernel, RecurrenceOpInterface op, const NormalForm &form,
                               StringAttr only) {
  MLIRContext *context = kernel.getContext();
  if (!only)
    return tile::ItemsAttr::get(context, tile::CountKind::sequences, 1, form.keyHeads);
  if (only.getValue() == "prepare") // for items of one head; writePrepare knows better
    return tile::ItemsAttr::get(context, tile::CountKind::tokens, kRecurrenceChunk, form.valueHeads);
  bool isScan = only.getValue() == "scan";
  if (only.getValue() == "segment" || (isScan && inSegments(kernel, form)))
    return tile::ItemsAttr::get(context, tile::CountKind::once, 1, segmentItems(kernel, form, only));
  if (only.getValue() == "fold")
    return tile::ItemsAttr::get(context, tile::CountKind::once, 1, form.valueHeads * scanParts(kernel, form));
  int64_t parts = isScan || only.getValue() == "whole" ? scanParts(kernel, form) : partsOf(kernel, op, form, only);
  return tile::ItemsAttr::get(context, tile::CountKind::sequences, 1, form.valueHeads * parts);
}

RecurrenceWriter::RecurrenceWriter(plan::KernelOp kernel, RecurrenceOpInterface op)
    : kernel(kernel), form(op.getNormalForm()), op(op), heads(form.valueHeads / form.keyHeads),
      only(kernel->getAttrOfType<StringAttr>("form")), e(kernel, itemsOf(kernel, op, form, only)), width(form.valueDim),
      result(kernel.getBlock()->getTerminator()->getOperand(0)) {}

tile::KernelOp RecurrenceWriter::write() {
  if (only && only.getValue() == "prepare")
    return writePrepare();
  if (only && only.getValue() == "segment")
    return canSegment(form) ? writeSegment() : writeTransitions();
  if (only && only.getValue() == "fold")
    return writeFold();
  if (only && only.getValue() == "whole")
    return writeScan();
  if (only && only.getValue() == "scan") {
    if (!inSegments(kernel, form))
      return writeScan();
    return canSegment(form) ? writeSegmentScan() : writeTransitionScan();
  }
  int64_t parts = only ? partsOf(kernel, op, form, only) : 1;
  // Waiting for memory is all that tokens one by one do: several blocks wait at once, as many as have the registers.
  if (parts > 1 && isTokenForm(only.getValue())) {
    FailureOr<int64_t> blocks = chooseTokenBlocks(kernel, form, form.valueDim / parts, isWideForm(kernel));
    if (failed(blocks))
      return nullptr;
    e.tileKernel->setAttr("tile.blocks", e.b.getI64IntegerAttr(*blocks));
  }
  int64_t perSequence = only ? form.valueHeads * parts : form.keyHeads;
  Value s = arith::DivUIOp::create(e.b, e.loc, e.item(), e.index(perSequence));
  keyHead = arith::RemUIOp::create(e.b, e.loc, e.item(), e.index(perSequence));
  if (only) {
    ownHead = keyHead;
    if (parts > 1) {
      width = form.valueDim / parts;
      partColumn = e.mul(arith::RemUIOp::create(e.b, e.loc, ownHead, e.index(parts)), width);
      ownHead = arith::DivUIOp::create(e.b, e.loc, ownHead, e.index(parts));
    }
    keyHead = arith::DivUIOp::create(e.b, e.loc, ownHead, e.index(heads));
  }
  // The slot first: where the state is asked for, its address is there.
  state = tile::SlotOp::create(e.b, e.loc, tile::MemoryType::get(e.b.getContext(), form.valueDim, e.b.getF32Type()),
                               e.memoryOf(cast<StatefulOpInterface>(op.getOperation()).getCachesMutable()[0].get()), s);
  auto sequence = tile::SequenceOp::create(e.b, e.loc, s);
  e.sequence = s;
  begin = sequence.getBegin();
  end = sequence.getEnd();
  setOwnAnchor();

  int64_t chunk = chunkOf(op, form);
  if (only) {
    Value many = e.less(e.index(manyTokens() - 1), e.sub(end, begin));
    // Where few tokens are all that the kernel does, the state is asked for before it is known how many they are.
    bool few = isTokenForm(only.getValue());
    Value first = few && form.outside.empty() ? stateOf(ownHead) : Value();
    auto byToken = [&] {
      if (!form.outside.empty()) {
        e.loop(begin, end, 1, [&](Value row) { writeRegionToken(row); });
        return;
      }
      auto last = e.loop(begin, end, 1, first ? first : stateOf(ownHead), [&](Value row, ValueRange carried) {
        return SmallVector<Value>{writeTokenOfBlock(row, carried[0])};
      });
      storeState(last[0], ownHead);
    };
    if (few) {
      e.branch(arith::XOrIOp::create(e.b, e.loc, many, arith::ConstantIntOp::create(e.b, e.loc, 1, 1)), byToken);
    } else if (chunk) {
      FailureOr<int64_t> tokens = chooseManyTokens(kernel, form, chunk, width);
      if (failed(tokens))
        return nullptr;
      e.branch(many, [&] { e.loop(begin, end, *tokens, [&](Value row) { writeChunk(row, *tokens); }); });
    } else {
      e.branch(many, byToken);
    }
  } else if (!form.outside.empty()) {
    e.loop(begin, end, 1, [&](Value row) { writeRegionToken(row); });
  } else if (!chunk) {
    e.loop(begin, end, 1, [&](Value row) { writeToken(row); });
  } else {
    int64_t length = chunk, joined = length;
    if (perChannel() && !plan::isForCuda(kernel)) {
      FailureOr<int64_t> chosen = chooseJoinedTokens(kernel, form, length);
      if (failed(chosen))
        return nullptr;
      joined = *chosen;
    }
    // Half a chunk of tokens costs about as much in either form.
    Value many = e.less(e.index(std::max<int64_t>(length / 8, 2) - 1), e.sub(end, begin));
    e.branch(
        many,
        [&] {
          e.loop(begin, end, joined, [&](Value row) {
            joined > length ? writeJoinedChunks(row, joined, length) : writeChunk(row, length);
          });
        },
        [&] { e.loop(begin, end, 1, [&](Value row) { writeToken(row); }); });
  }
  return e.failed() ? nullptr : e.tileKernel;
}

/// What is behind the recurrence takes what an item has made of it.
void RecurrenceWriter::setOwnAnchor() {
  e.setAnchor([&](Value value, const Rows &, const Window &window) -> Value {
    if (value != op->getResult(0) || window.columns != width)
      return e.fail(value.getDefiningOp(), "expected to be used one head at a time");
    return output;
  });
}

SmallVector<Type> denim::recurrenceScratch(plan::KernelOp kernel, const NormalForm &form, StringRef maker,
                                           StringRef seer) {
  if (maker == "prepare")
    return preparedScratch(kernel, form, seer);
  if (maker == "fold")
    return foldScratch(kernel, form);
  return canSegment(form) ? segmentScratch(kernel, form) : transitionScratch(kernel, form);
}

SmallVector<Type> denim::recurrenceScratchTensors(plan::KernelOp kernel, const NormalForm &form, StringRef maker) {
  if (maker == "prepare")
    return preparedScratchTensors(kernel, form);
  if (maker == "fold")
    return foldScratchTensors(kernel, form);
  return canSegment(form) ? segmentScratchTensors(kernel, form) : transitionScratchTensors(kernel, form);
}

//===--------------------------------------------------------------------------------------------------------------===//
// Heads
//===--------------------------------------------------------------------------------------------------------------===//

void RecurrenceWriter::forEachHead(llvm::function_ref<void(Value)> body) {
  if (ownHead)
    return body(ownHead);
  e.loop(e.index(0), e.index(heads), 1, [&](Value within) { body(e.add(e.mul(keyHead, heads), within)); });
}

Window RecurrenceWriter::valueWindow(Value head) {
  Value first = e.mul(head, form.valueDim);
  return {0, partColumn ? e.add(first, partColumn) : first, form.valueHeads * form.valueDim, width};
}

Value RecurrenceWriter::stateOf(Value head) {
  Value column = partColumn ? partColumn : e.index(0);
  return e.load(state, Rows{e.mul(head, form.keyDim), form.keyDim, {}, {}}, column, width);
}
void RecurrenceWriter::storeState(Value tile, Value head) {
  Value column = partColumn ? partColumn : e.index(0);
  tile::StoreOp::create(e.b, e.loc, tile, state, e.mul(head, form.keyDim), column, Value(), Value());
}
void RecurrenceWriter::storeOutput(Value tile, const Rows &rows, Value head) {
  output = tile;
  e.store(e.emit(result, rows, valueWindow(head)), 0, rows, valueWindow(head));
}

//===--------------------------------------------------------------------------------------------------------------===//
// Operands
//===--------------------------------------------------------------------------------------------------------------===//

SmallVector<Value> RecurrenceWriter::vectors() const {
  SmallVector<Value> all;
  for (Value vector : {form.k.vector, form.query, form.p.vector, form.q.vector})
    if (vector && !llvm::is_contained(all, vector))
      all.push_back(vector);
  return all;
}

bool RecurrenceWriter::isShared(Value value) {
  value = operandOf(value);
  if (heads == 1)
    return true;
  if (Operation *step = stepOf(value))
    return llvm::all_of(step->getOperands(), [&](Value operand) { return isShared(operand); });
  auto type = cast<RankedTensorType>(value.getType());
  return type.isDynamicDim(0) && type.getDimSize(1) == form.keyHeads;
}

Value RecurrenceWriter::operandOf(Value value) {
  auto argument = dyn_cast<BlockArgument>(value);
  return argument && argument.getOwner()->getParentOp() == op.getOperation()
             ? cast<attn::RecurrenceOp>(op.getOperation()).getInput(argument)
             : value;
}

Operation *RecurrenceWriter::stepOf(Value value) {
  Operation *def = value.getDefiningOp();
  return def && def->getParentOp() == op.getOperation() ? def : nullptr;
}

RecurrenceWriter::Shared RecurrenceWriter::sharedVectors(const Rows &rows) {
  Shared shared;
  for (Value vector : vectors())
    if (isShared(vector))
      shared[vector] = tileOf(vector, rows, {});
  return shared;
}

Value RecurrenceWriter::vectorOf(Value vector, const Shared &shared, const Rows &rows, Value head) {
  Value known = shared.lookup(vector);
  return known ? known : tileOf(vector, rows, head);
}

Value RecurrenceWriter::valueOf(Value value, const Rows &rows, Value head) {
  if (!partColumn)
    return tileOf(value, rows, head);
  value = operandOf(value);
  if (Operation *step = stepOf(value)) {
    SmallVector<Value> tiles;
    for (Value operand : step->getOperands())
      tiles.push_back(valueOf(operand, rows, head));
    return e.failed() ? Value() : emitStep(step, tiles, rows.count);
  }
  auto type = cast<RankedTensorType>(value.getType());
  if (type.getRank() != 3 || type.getDimSize(2) != form.valueDim)
    return tileOf(value, rows, head);
  int64_t count = type.getDimSize(1);
  Value first = e.mul(headOf(count, head), form.valueDim);
  return e.emit(value, rows, {0, e.add(first, partColumn), count * form.valueDim, width});
}

/// A value head uses head `head * count / valueHeads` of a value with `count` heads.
Value RecurrenceWriter::headOf(int64_t count, Value head) {
  if (!head && heads == 1)
    head = keyHead;
  if (count == form.keyHeads && heads > 1)
    return keyHead;
  if (count != form.valueHeads)
    return arith::DivUIOp::create(e.b, e.loc, head, e.index(form.valueHeads / count));
  return head;
}

Window RecurrenceWriter::headWindow(Value value, Value head) {
  auto type = cast<RankedTensorType>(value.getType());
  bool tokens = type.isDynamicDim(0);
  int64_t count = type.getDimSize(tokens ? 1 : 0), width = type.getRank() == 3 ? type.getDimSize(2) : 1;
  Value own = headOf(count, head);
  Window window{0, width == 1 ? own : e.mul(own, width), count * width, width};
  return window;
}

Value RecurrenceWriter::columnOf(Value vector, const Rows &rows, Value head) {
  Value value = operandOf(vector), column;
  if (!stepOf(value))
    column = e.emitColumn(value, rows, headWindow(value, head));
  if (column)
    return column;
  Value x = tileOf(vector, rows, head);
  return x ? e.turned(x) : Value();
}

Value RecurrenceWriter::tileOf(Value value, const Rows &rows, Value head) {
  value = operandOf(value);
  if (Operation *step = stepOf(value)) {
    SmallVector<Value> tiles;
    for (Value operand : step->getOperands())
      tiles.push_back(tileOf(operand, rows, head));
    return e.failed() ? Value() : emitStep(step, tiles, rows.count);
  }
  bool tokens = cast<RankedTensorType>(value.getType()).isDynamicDim(0);
  Window window = headWindow(value, head);
  if (tokens)
    return e.emit(value, rows, window);
  // [H]: the same for all tokens.
  Value one = e.emit(value, Rows{e.index(0), 1, {}, {}}, window);
  return one && rows.count > 1
             ? e.map(e.tileType(rows.count, 1), one, [&](OpBuilder &, ValueRange in) -> Value { return in[0]; })
             : one;
}

Value RecurrenceWriter::zeroBehindEnd(Value tile, const Rows &rows) {
  if (rows.count == 1 || rows.inside) // tokens that are there
    return tile;
  auto type = cast<tile::TileType>(tile.getType());
  Value left = arith::IndexCastOp::create(e.b, e.loc, e.b.getI32Type(), e.sub(end, rows.row));
  return e.map(type, tile, [&](OpBuilder &b, ValueRange in) -> Value {
    Value i = tile::IndexOp::create(b, e.loc, b.getI32Type(), b.getI64IntegerAttr(0));
    Value inside = arith::CmpIOp::create(b, e.loc, arith::CmpIPredicate::slt, i, left);
    return arith::SelectOp::create(b, e.loc, inside, in[0], arith::ConstantOp::create(b, e.loc, b.getF32FloatAttr(0)));
  });
}

Value RecurrenceWriter::strength(const Factor &factor, const Rows &rows, Value head) {
  SmallVector<Value> scales;
  for (Value scale : factor.scales)
    scales.push_back(tileOf(scale, rows, head));
  if (e.failed())
    return {};
  if (scales.empty())
    return zeroBehindEnd(e.splat(factor.factor, rows.count, 1), rows);
  Value product = scales[0];
  if (scales.size() > 1 || factor.factor != 1)
    product = e.map(e.tileType(rows.count, 1), scales, [&](OpBuilder &b, ValueRange in) -> Value {
      Value all = in[0];
      for (Value scale : in.drop_front())
        all = arith::MulFOp::create(b, e.loc, all, scale);
      if (factor.factor == 1)
        return all;
      return arith::MulFOp::create(b, e.loc, all,
                                   arith::ConstantOp::create(b, e.loc, b.getF32FloatAttr(factor.factor)));
    });
  return zeroBehindEnd(product, rows);
}

Value RecurrenceWriter::withSkip(Value output, Value skip, Value skipped) {
  return e.map(cast<tile::TileType>(output.getType()), {output, skip, skipped},
               [&](OpBuilder &b, ValueRange in) -> Value {
                 return arith::AddFOp::create(b, e.loc, in[0], arith::MulFOp::create(b, e.loc, in[1], in[2]));
               });
}

Value RecurrenceWriter::constantOfHead(ArrayRef<double> numbers, Value head) {
  // Chosen by comparing: some tens of scalar steps for each head of a chunk, beside its products.
  Value chosen = e.real(numbers[0]);
  for (size_t i = 1; i < numbers.size(); ++i)
    if (numbers[i] != numbers[i - 1])
      chosen = arith::SelectOp::create(e.b, e.loc, e.less(head, e.index(i)), chosen, e.real(numbers[i]));
  return tile::SplatOp::create(e.b, e.loc, e.tileType(1, 1), chosen);
}

Value RecurrenceWriter::logDecay(const Rows &rows, Value head) {
  if (form.decayKind == NormalForm::Decay::None)
    return {};
  Value g;
  if (form.decayKind == NormalForm::Decay::Constant)
    g = e.map(e.tileType(rows.count, 1), constantOfHead(form.constantDecay, head),
              [&](OpBuilder &, ValueRange in) -> Value { return in[0]; });
  else
    g = tileOf(form.decay, rows, head);
  return g ? zeroBehindEnd(g, rows) : Value();
}

tile::KernelOp denim::emitRecurrence(plan::KernelOp kernel, SmallVectorImpl<unsigned> &extras) {
  for (Operation &op : *kernel.getBlock())
    if (auto recurrence = dyn_cast<RecurrenceOpInterface>(op)) {
      RecurrenceWriter writer(kernel, recurrence);
      tile::KernelOp written = writer.write();
      extras.append(writer.extraOperands().begin(), writer.extraOperands().end());
      return written;
    }
  kernel.emitOpError() << "expected a linear recurrence";
  return nullptr;
}
