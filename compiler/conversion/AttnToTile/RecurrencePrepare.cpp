// Long sequences on a machine with many processors: two kernels.
//
// What a chunk does to the state is linear, so what does not depend on the state is made for all chunks at once
// (`prepare`, an item is one chunk of a head, or of some value heads that have its keys and queries), and what is left
// between chunks is short (`scan`, an item is one head, or some value columns of it, of one sequence).
//
// With the names of RecurrenceChunk.cpp, C tokens in a chunk, G the sum of log decays from its start, and S the state
// there, the delta rule is (spec/attention.md 3.1, 3.3)
//
//     W = B (V - exp(G) K S - L W)          L_ij = exp(G_i - G_j) k_i k_j        for j < i
//     O = scale (exp(G) Q S + D W)          D_ij = exp(G_i - G_j) q_i k_j        for j <= i
//     S <- exp(G_C) S + K^T exp(G_C - G) W
//
// where B = diag(beta), and exp(G) stands for the diagonal matrix of it. With W = B W' all that is left for a chunk is
// a pair of matrices C x C, and numbers for each token:
//
//     W' = T (V - a K S)              T = (I + L B)^-1                inverse
//     O  = b Q S + A W'               A = scale D B                   weights
//     S <- f S + K^T (c W')           a = exp(G), b = scale exp(G), c = exp(G_C - G) B, f = exp(G_C)
//
// The numbers are -a: V - a K S is one instruction for each element then, where a is not told to be negative in each.
//
// A diagonal recurrence has W' = V (and none of this to prepare with one decay per head and no norms:
// RecurrenceSegments.cpp). So prepare reads keys and queries and never values; scan reads all three where they
// stand. Vectors that are normed (l2_norm) stand there without it: the norm of a token is a number that multiplies into
// a, b, c and into rows and columns of L and D, more exact than vectors that were normed and rounded again.
//
// One decay per channel does not leave the products: a K, b Q and c K are handed over as vectors then, side by side
// with T and A in one block (handedColumns).
#include "compiler/conversion/AttnToTile/Recurrence.h"
#include "compiler/conversion/AttnToTile/RecurrenceChoices.h"

using namespace mlir;
using namespace denim;

static constexpr int64_t kChunk = kRecurrenceChunk;

bool denim::canScan(const NormalForm &form, int64_t chunk) {
  bool diagonalOrDelta = !form.p || form.isDelta();
  bool perChannel = form.decayKind == NormalForm::Decay::Channel;
  // The chunk of a decay per channel is that of the form which walks blocks of 16 rows.
  return form.outside.empty() && (perChannel || chunk == kChunk) && diagonalOrDelta && form.readAfter &&
         form.keyDim % 64 == 0 && form.keyDim <= (perChannel ? 128 : 256) && form.valueDim % 64 == 0 &&
         form.valueDim <= 256;
}

SmallVector<HandedOver> denim::handedOver(const NormalForm &form) {
  SmallVector<HandedOver> all;
  if (form.decayKind == NormalForm::Decay::Channel) {
    HandedColumns last = handedColumns(form, Handed::keysToEnd);
    return {{Handed::chunk, kChunk, last.first + last.count}, {Handed::fade, 1, form.keyDim}};
  }
  auto pushFactor = [&](Handed what) { all.push_back({what, 1, kChunk}); };
  if (form.p)
    all.push_back({Handed::inverse, kChunk, kChunk});
  all.push_back({Handed::weights, kChunk, kChunk});
  if (form.p)
    pushFactor(Handed::keysFromStart);
  pushFactor(Handed::queriesFromStart);
  pushFactor(Handed::keysToEnd);
  all.push_back({Handed::fade, 1, 1});
  return all;
}

HandedColumns denim::handedColumns(const NormalForm &form, Handed what) {
  int64_t first = 0;
  for (Handed block :
       {Handed::keysFromStart, Handed::queriesFromStart, Handed::inverse, Handed::weights, Handed::keysToEnd}) {
    if (!form.p && (block == Handed::keysFromStart || block == Handed::inverse))
      continue;
    int64_t count = block == Handed::inverse || block == Handed::weights ? kChunk : form.keyDim;
    if (block == what)
      return {first, count};
    first += count;
  }
  llvm_unreachable("expected a block that is handed over");
}

SmallVector<Type> denim::preparedScratch(plan::KernelOp kernel, const NormalForm &form, StringRef name) {
  MLIRContext *context = kernel.getContext();
  SmallVector<Type> types;
  for (const HandedOver &handed : handedOver(form))
    if (handed.isBlock())
      types.push_back(
          tile::PagesType::get(context, form.valueHeads, handed.rows, handed.columns, BFloat16Type::get(context)));
    else { // numbers of tokens are written as a column, read as a row
      bool asColumn = name == "prepare" && handed.what != Handed::fade;
      types.push_back(tile::MemoryType::get(context, asColumn ? 1 : handed.columns, Float32Type::get(context)));
    }
  return types;
}

SmallVector<Type> denim::preparedScratchTensors(plan::KernelOp kernel, const NormalForm &form) {
  MLIRContext *context = kernel.getContext();
  SmallVector<Type> types;
  for (const HandedOver &handed : handedOver(form)) {
    int64_t perToken = llvm::divideCeil(form.valueHeads * handed.rows * handed.columns, kRecurrenceBlockStride);
    Type element = handed.isBlock() ? Type(BFloat16Type::get(context)) : Type(Float32Type::get(context));
    types.push_back(RankedTensorType::get({ShapedType::kDynamic, perToken}, element));
  }
  return types;
}

Value RecurrenceWriter::handedMemory(Handed what) {
  SmallVector<HandedOver> all = handedOver(form);
  auto *it = llvm::find_if(all, [&](const HandedOver &handed) { return handed.what == what; });
  if (it == all.end())
    return {};
  unsigned index = it - all.begin();
  if (only.getValue() == "prepare")
    return e.resultMemory(index);
  // The first of what the kernel takes from others.
  size_t taken = all.size();
  if (only.getValue() == "scan" && inSegments(kernel, form))
    taken += foldScratchTensors(kernel, form).size();
  return e.memoryOf(kernel.getBlock()->getArguments().take_back(taken)[index]);
}

Value RecurrenceWriter::handedBlock(Handed what, Value number, Value head) {
  Value memory = handedMemory(what);
  auto pages = dyn_cast<tile::PagesType>(memory.getType());
  if (!pages)
    return memory;
  auto type = tile::MemoryType::get(e.b.getContext(), pages.getColumns(), pages.getElementType());
  return tile::BlockOp::create(e.b, e.loc, type, memory, number, head);
}

RecurrenceWriter::Unnormed RecurrenceWriter::withoutNorm(Value vector) {
  Value value = withoutReshapes(operandOf(vector));
  auto norm = value.getDefiningOp<model::L2NormOp>();
  bool apart = norm && !e.memoryOf(value) && cast<RankedTensorType>(norm.getInput().getType()).getRank() == 3;
  return apart ? Unnormed{norm.getInput(), norm} : Unnormed{vector, {}};
}

Value RecurrenceWriter::normFactor(model::L2NormOp norm, Value tile) {
  auto type = cast<tile::TileType>(tile.getType());
  Value squares = e.map(
      type, tile, [&](OpBuilder &b, ValueRange in) -> Value { return arith::MulFOp::create(b, e.loc, in[0], in[0]); });
  Value sum = e.reduce(tile::Combiner::add, squares, 1);
  return e.map(e.tileType(type.getRows(), 1), sum, [&](OpBuilder &b, ValueRange in) -> Value {
    Value one = arith::ConstantOp::create(b, e.loc, b.getF32FloatAttr(1));
    return normalised(b, e.loc, {one, in[0]}, 1, norm.getEps().convertToDouble(), false);
  });
}

int64_t RecurrenceWriter::prepareHeads() {
  // A decay per channel goes into the products.
  if (heads == 1 || perChannel() || !isShared(form.k.vector) || !isShared(form.query))
    return 1;
  FailureOr<int64_t> chosen = choosePrepareHeads(kernel, form);
  return failed(chosen) ? 1 : *chosen;
}

/// Item i of a head does chunk i - begin / C of a sequence, if it has one: every item finds one in a step of one
/// sequence, about as many as there are in others. A chunk's number among the blocks handed over is another
/// (kRecurrenceBlockStride): these must differ from each other, and half of them stand for none.
tile::KernelOp RecurrenceWriter::writePrepare() {
  int64_t together = prepareHeads(), perChunk = form.valueHeads / together;
  e.tileKernel.setItemsAttr(
      tile::ItemsAttr::get(e.b.getContext(), tile::CountKind::tokens, kRecurrenceChunk, perChunk));
  Value item = arith::DivUIOp::create(e.b, e.loc, e.item(), e.index(perChunk));
  ownHead = e.mul(arith::RemUIOp::create(e.b, e.loc, e.item(), e.index(perChunk)), together);
  keyHead = arith::DivUIOp::create(e.b, e.loc, ownHead, e.index(heads));
  // A chain of short steps with barriers between them: several blocks wait at once, as many as have the registers.
  e.tileKernel->setAttr("tile.warps", e.b.getI64IntegerAttr(perChannel() ? channelPrepareWarps() : 4));
  e.tileKernel->setAttr("tile.blocks", e.b.getI64IntegerAttr(perChannel() ? 2 : prepareBlocks(together)));
  Value sequences = tile::CountOp::create(e.b, e.loc, tile::CountKind::sequences);
  e.loop(e.index(0), sequences, 1, [&](Value s) {
    auto sequence = tile::SequenceOp::create(e.b, e.loc, s);
    e.sequence = s;
    begin = sequence.getBegin();
    end = sequence.getEnd();
    Value chunk = e.sub(item, arith::DivUIOp::create(e.b, e.loc, begin, e.index(kChunk)));
    Value row = e.add(begin, e.mul(chunk, kChunk));
    Value isLong = e.less(e.index(kRecurrenceLongTokens - 1), e.sub(end, begin));
    Value here = arith::AndIOp::create(e.b, e.loc, e.less(e.sub(begin, e.index(1)), row), e.less(row, end));
    e.branch(arith::AndIOp::create(e.b, e.loc, isLong, here), [&] {
      Value number = e.add(arith::DivUIOp::create(e.b, e.loc, begin, e.index(kRecurrenceBlockStride)), chunk);
      perChannel() ? writePreparedByChannel(number, row) : writePrepared(number, row, together);
    });
  });
  return e.failed() ? nullptr : e.tileKernel;
}

/// Logarithm of the decay and strength of the writes; `computed` are the ops that wait for the loads of both.
RecurrenceWriter::Gates RecurrenceWriter::askGates(const Rows &rows, Value head,
                                                   SmallVectorImpl<Operation *> &computed) {
  Operation *marker = e.index(0).getDefiningOp();
  Gates gates{logDecay(rows, head), strength(form.k, rows, head)};
  for (auto op = marker->getIterator(); op != e.b.getInsertionPoint(); ++op)
    if (!isa<tile::LoadOp>(*op) && op->getNumResults() == 1 && isa<tile::TileType>(op->getResult(0).getType()))
      computed.push_back(&*op);
  return gates;
}

void RecurrenceWriter::moveHere(ArrayRef<Operation *> ops) {
  if (!e.failed())
    for (Operation *op : ops)
      op->moveBefore(e.b.getInsertionBlock(), e.b.getInsertionPoint());
}

/// Loads of numbers go first and are computed with behind those of vectors: all of them are on their way together, and
/// whatever needs no vectors is done while they are.
RecurrenceWriter::PrepareInputs RecurrenceWriter::prepareInputs(const Rows &rows) {
  SmallVector<Operation *> computed;
  Gates gates = askGates(rows, ownHead, computed);
  PrepareInputs in{withoutNorm(form.k.vector), withoutNorm(form.query), gates.g, gates.beta, {}, {}};
  in.k = tileOf(in.key.vector, rows, ownHead);
  in.q = tileOf(in.query.vector, rows, ownHead);
  moveHere(computed);
  return in;
}

void RecurrenceWriter::writePrepared(Value number, Value row, int64_t together) {
  Rows rows{row, kChunk, begin, end};
  PrepareInputs in = prepareInputs(rows);
  if (e.failed())
    return;
  Value k = in.k, q = in.q;
  // Registers are free for this before the products, and the vectors on their way.
  Fades fades = together == 1 ? fadesOf(in.g) : Fades();
  ChunkProducts made;
  made.scores = e.mma(q, k, {false, true, {}, tile::Triangle::result});
  auto multiplyKeys = [&] { return e.mma(k, k, {false, true, {}, tile::Triangle::result}); };
  if (form.p && together > 1)
    made.keys = multiplyKeys();
  made.keyNorm = in.key.norm ? normFactor(in.key.norm, k) : Value();
  made.queryNorm = in.query.norm ? normFactor(in.query.norm, q) : Value();
  if (together == 1)
    return writePreparedHead(number, ownHead, fades, in.beta, made, multiplyKeys);
  // A head's numbers are asked for while the one before it is worked on, and made into gates behind that.
  Value first = ownHead;
  SmallVector<Value> carried;
  for (Value gate : {in.g, in.beta})
    if (gate)
      carried.push_back(gate);
  e.loop(e.index(0), e.index(together), 1, carried, [&](Value h, ValueRange now) {
    SmallVector<Operation *> computed;
    Gates next = askGates(rows, e.add(first, e.min(e.add(h, e.index(1)), e.index(together - 1))), computed);
    writePreparedHead(number, e.add(first, h), fadesOf(in.g ? now.front() : Value()), now.back(), made, {});
    moveHere(computed);
    return in.g ? SmallVector<Value>{next.g, next.beta} : SmallVector<Value>{next.beta};
  });
}

RecurrenceWriter::Fades RecurrenceWriter::fadesOf(Value g) {
  if (!g)
    return {};
  auto column = e.tileType(kChunk, 1);
  auto exp = [&](OpBuilder &b, Value x) -> Value { return math::ExpOp::create(b, e.loc, x); };
  Fades fades;
  fades.sum = tile::CumsumOp::create(e.b, e.loc, g.getType(), g);
  fades.last = e.window(fades.sum, kChunk - 1, 0, 1, 1);
  fades.start = e.map(column, fades.sum, [&](OpBuilder &b, ValueRange in) -> Value { return exp(b, in[0]); });
  fades.toEnd = e.map(column, {fades.sum, fades.last}, [&](OpBuilder &b, ValueRange in) -> Value {
    return exp(b, arith::SubFOp::create(b, e.loc, in[1], in[0]));
  });
  return fades;
}

/// What depends on the value head, from products that may not. One that is not there yet, of keys, `multiplyKeys` makes
/// behind the weights: sums of both at once were 56 bytes of spills, and 1.5 % of the whole mixer.
void RecurrenceWriter::writePreparedHead(Value number, Value head, const Fades &fades, Value beta,
                                         const ChunkProducts &made, llvm::function_ref<Value()> multiplyKeys) {
  Value sum = fades.sum, last = fades.last, start = fades.start, toEnd = fades.toEnd;
  Value scores = made.scores;
  Value keyNorm = made.keyNorm, queryNorm = made.queryNorm;
  auto column = e.tileType(kChunk, 1), square = e.tileType(kChunk, kChunk);
  auto times = [&](OpBuilder &b, Value x, Value y) -> Value { return arith::MulFOp::create(b, e.loc, x, y); };
  auto number32 = [&](OpBuilder &b, double x) -> Value {
    return arith::ConstantOp::create(b, e.loc, b.getF32FloatAttr(x));
  };

  // exp(G_i - G_j) beta_j, and the norm of key j; what is above the diagonal may overflow and is not used.
  Value written = e.product(column, {beta, keyNorm}), writtenLine = e.turned(written);
  Value table = writtenLine;
  if (sum)
    table = e.map(square, {sum, e.turned(sum), writtenLine}, [&](OpBuilder &b, ValueRange in) -> Value {
      return times(b, math::ExpOp::create(b, e.loc, arith::SubFOp::create(b, e.loc, in[0], in[1])), in[2]);
    });
  auto write = [&](Value tile, Handed what) {
    tile::StoreOp::create(e.b, e.loc, tile, handedBlock(what, number, head), e.index(0), e.index(0), Value(), Value());
  };
  Value scale = form.readScale == 1 ? Value() : e.splat(form.readScale, kChunk, 1);
  Value read = e.product(column, {queryNorm, scale});
  SmallVector<Value> inputs{scores, table};
  if (read)
    inputs.push_back(read);
  write(e.map(square, inputs,
              [&](OpBuilder &b, ValueRange in) -> Value {
                Value weight = times(b, in[0], in[1]);
                if (in.size() > 2)
                  weight = times(b, weight, in[2]);
                Value i = tile::IndexOp::create(b, e.loc, b.getI32Type(), b.getI64IntegerAttr(0));
                Value j = tile::IndexOp::create(b, e.loc, b.getI32Type(), b.getI64IntegerAttr(1));
                Value reaches = arith::CmpIOp::create(b, e.loc, arith::CmpIPredicate::sge, i, j);
                return arith::SelectOp::create(b, e.loc, reaches, weight, number32(b, 0));
              }),
        Handed::weights);
  if (form.p) {
    Value products = made.keys ? made.keys : multiplyKeys();
    write(tile::InverseOp::create(e.b, e.loc, e.product(square, {products, table, keyNorm})), Handed::inverse);
  }

  // A row of numbers for each chunk and head, written from a column.
  Value place = e.add(e.mul(number, form.valueHeads), head);
  auto writeNumbers = [&](Value numbers, Handed what, int64_t count) {
    tile::StoreOp::create(e.b, e.loc, numbers ? numbers : e.splat(1, count, 1), handedMemory(what), e.mul(place, count),
                          e.index(0), Value(), Value());
  };
  if (form.p)
    writeNumbers(e.product(column, {start, keyNorm, e.splat(-1, kChunk, 1)}), Handed::keysFromStart, kChunk);
  writeNumbers(e.product(column, {start, queryNorm, scale}), Handed::queriesFromStart, kChunk);
  writeNumbers(e.product(column, {toEnd, written}), Handed::keysToEnd, kChunk);
  writeNumbers(last ? e.map(e.tileType(1, 1), last,
                            [&](OpBuilder &b, ValueRange in) -> Value { return math::ExpOp::create(b, e.loc, in[0]); })
                    : Value(),
               Handed::fade, 1);
}
