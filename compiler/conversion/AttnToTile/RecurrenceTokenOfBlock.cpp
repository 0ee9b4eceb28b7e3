// One token by a block of threads that holds a head's state, or some of its value columns. Vectors along the keys are
// columns: a thread has their elements at its rows of the state and no others.
//
// Reading memory is all the work there is, so waits are what costs. Everything is asked for at once: the state in front
// of all (Recurrence.cpp), then whatever a token needs. And threads meet once: what they sum over the keys,
//
//     |k|^2   |q|^2   k.q   S^T (a o k)   S^T (a o q)
//
// is summed of vectors as they stand in memory, and divided by their norms afterwards. The sums follow each other with
// nothing between them that needs one, so the code generator lets all of them cross the warps behind one barrier.
//
//     w   = beta (v - a S^T k / |k|)                      written with k / |k|
//     S   <- a S + k (w / |k|)^T
//     o   = (a S^T q + (k.q) (w / |k|)) / |q|
#include "compiler/conversion/AttnToTile/Recurrence.h"
#include "compiler/conversion/AttnToTile/Scalars.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;
using namespace denim;

/// Loads, and the numbers that say where, in front of all that is computed. What the block has stored is not loaded
/// earlier.
static void loadsFirst(Block *block) {
  SmallVector<Operation *> early;
  llvm::DenseSet<Value> written;
  for (Operation &op : *block) {
    if (auto store = dyn_cast<tile::StoreOp>(op))
      written.insert(store.getMemory());
    bool tiles = llvm::any_of(op.getResultTypes(), llvm::IsaPred<tile::TileType>) ||
                 llvm::any_of(op.getOperandTypes(), llvm::IsaPred<tile::TileType>);
    auto load = dyn_cast<tile::LoadOp>(op);
    if (load ? !written.contains(load.getMemory()) : !tiles && isPure(&op))
      early.push_back(&op);
  }
  for (Operation *op : llvm::reverse(early))
    op->moveBefore(block, block->begin());
}

Value RecurrenceWriter::decayColumn(const Rows &rows, Value head) {
  Value decay = operandOf(form.decay), g;
  if (!stepOf(decay))
    g = e.emitColumn(decay, rows, headWindow(decay, head));
  if (g)
    return g;
  g = logDecay(rows, head);
  return g ? e.turned(g) : Value();
}

Value RecurrenceWriter::writeTokenOfBlock(Value row, Value s) {
  Rows rows{row, 1, begin, end};
  Value head = ownHead;
  bool delta = form.isDelta(), freeRank = form.p && !delta;
  auto line = e.tileType(1, width), column = e.tileType(form.keyDim, 1), number = e.tileType(1, 1);
  auto along = [&](Value x, Value matrix) { return e.mma(x, matrix, {true, false, {}, tile::Triangle::none}); };
  auto exponential = [&](Value x) {
    return e.map(cast<tile::TileType>(x.getType()), x,
                 [&](OpBuilder &b, ValueRange in) -> Value { return math::ExpOp::create(b, e.loc, in[0]); });
  };
  auto scaled = [&](Value x, SmallVector<Value> numbers) {
    numbers.insert(numbers.begin(), x);
    return e.product(cast<tile::TileType>(x.getType()), std::move(numbers));
  };

  // A vector as it stands in memory; what it is to be divided by is a sum like others.
  struct Column {
    Value vector;
    model::L2NormOp norm;
    Value squares, factor; ///< |x|^2 and 1 / |x|, if there is a norm
  };
  SmallVector<Column, 3> columns;
  llvm::SmallDenseMap<Value, unsigned> numberOf;
  auto columnFor = [&](Value vector) -> Column & {
    auto [it, isNew] = numberOf.insert({vector, columns.size()});
    if (isNew) {
      Unnormed raw = withoutNorm(vector);
      columns.push_back({columnOf(raw.vector, rows, head), raw.norm, {}, {}});
    }
    return columns[it->second];
  };

  // Numbers, and all vectors.
  Value g, beta = strength(form.k, rows, head), gain = freeRank ? strength(form.p, rows, head) : Value();
  if (form.decayKind != NormalForm::Decay::None)
    g = perChannel() ? decayColumn(rows, head) : logDecay(rows, head);
  Value v = valueOf(form.value, rows, head);
  for (Value vector : vectors())
    columnFor(vector);
  Value skipped = form.skip ? valueOf(form.skip.vector, rows, head) : Value();
  Value skip = form.skip ? strength(form.skip, rows, head) : Value();
  if (e.failed())
    return s;
  Value a = g ? exponential(g) : Value(), fade = a && !perChannel() ? a : Value();

  // Sums over the keys.
  for (Column &each : columns)
    if (each.norm)
      each.squares = along(each.vector, each.vector);
  SmallVector<std::pair<Value, Value>, 2> dots; // of what is written with the query
  auto dot = [&](Value vector) {
    dots.push_back({vector, form.readAfter ? along(columnFor(vector).vector, columnFor(form.query).vector) : Value()});
  };
  dot(form.k.vector);
  if (freeRank)
    dot(form.p.vector);
  auto read = [&](Value vector, bool decayed) {
    Value x = columnFor(vector).vector;
    if (decayed && a && perChannel())
      x = e.map(column, {x, a}, [&](OpBuilder &b, ValueRange in) -> Value { return times(b, e.loc, in[0], in[1]); });
    return along(x, s);
  };
  Value before = delta ? read(form.k.vector, true) : freeRank ? read(form.q.vector, form.q.decayed) : Value();
  Value sum = read(form.query, form.readAfter);

  for (Column &each : columns)
    if (each.norm)
      each.factor = e.map(number, each.squares, [&](OpBuilder &b, ValueRange in) -> Value {
        Value one = arith::ConstantOp::create(b, e.loc, b.getF32FloatAttr(1));
        return normalised(b, e.loc, {one, in[0]}, 1, each.norm.getEps().convertToDouble(), false);
      });
  // A line for each vector that is written, with the vector's norm in it.
  SmallVector<Value, 2> lines;
  Value ofKey = columnFor(form.k.vector).factor;
  if (delta) {
    before = scaled(before, {fade, ofKey});
    Value written = e.map(line, {v, before, beta}, [&](OpBuilder &b, ValueRange in) -> Value {
      return times(b, e.loc, in[2], arith::SubFOp::create(b, e.loc, in[0], in[1]));
    });
    lines.push_back(scaled(written, {ofKey}));
  } else {
    lines.push_back(scaled(v, {beta, ofKey}));
  }
  if (freeRank)
    lines.push_back(scaled(before, {gain, form.q.decayed ? fade : Value(), columnFor(form.q.vector).factor,
                                    columnFor(form.p.vector).factor}));

  SmallVector<Value> stateInputs{s}, outputInputs{scaled(sum, {form.readAfter ? fade : Value()})};
  if (a)
    stateInputs.push_back(a);
  for (auto [write, written] : llvm::zip_equal(dots, lines)) {
    stateInputs.append({columnFor(write.first).vector, written});
    if (write.second)
      outputInputs.append({write.second, written});
  }
  Value next = e.map(cast<tile::TileType>(s.getType()), stateInputs, [&](OpBuilder &b, ValueRange in) -> Value {
    Value all = a ? times(b, e.loc, in[1], in[0]) : in[0];
    for (size_t i = a ? 2 : 1; i < in.size(); i += 2)
      all = plus(b, e.loc, all, times(b, e.loc, in[i], in[i + 1]));
    return all;
  });
  Value ofQuery = columnFor(form.query).factor;
  if (ofQuery)
    outputInputs.push_back(ofQuery);
  Value out = e.map(line, outputInputs, [&](OpBuilder &b, ValueRange in) -> Value {
    ValueRange writes = ofQuery ? in.drop_back() : in;
    Value all = in[0];
    for (size_t i = 1; i < writes.size(); i += 2)
      all = plus(b, e.loc, all, times(b, e.loc, in[i], in[i + 1]));
    all = times(b, e.loc, arith::ConstantOp::create(b, e.loc, b.getF32FloatAttr(form.readScale)), all);
    return ofQuery ? times(b, e.loc, all, in.back()) : all;
  });
  if (form.skip)
    out = withSkip(out, skip, skipped);
  storeOutput(out, rows, head);
  loadsFirst(e.b.getInsertionBlock());
  return next;
}
