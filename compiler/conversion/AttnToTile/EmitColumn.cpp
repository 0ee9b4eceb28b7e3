// One row of a value as a column: the vectors of a recurrence as they meet its state. A block of threads holds a row of
// 128 channels 32 times over, and a column as often as the rows of the state that it meets.
#include "compiler/conversion/AttnToTile/Emitter.h"

using namespace mlir;
using namespace denim;

/// Channels [column, column + count) of a row of memory.
static Value loadColumn(Emitter &e, Value memory, const Rows &rows, Value column, int64_t count) {
  return tile::LoadOp::create(e.b, e.loc, e.tileType(count, 1), memory, rows.row, column, rows.lo, rows.hi,
                              e.b.getUnitAttr());
}

Value Emitter::emitColumn(Value value, const Rows &rows, const Window &window) {
  auto type = tileType(window.columns, 1);
  if (Value memory = memories.lookup(value))
    return loadColumn(*this, memory, rows, firstChannel(b, loc, window), window.columns);
  Operation *op = value.getDefiningOp();
  if (isReshape(op))
    return emitColumn(op->getOperand(0), rows, window);
  if (auto split = dyn_cast<model::SplitOp>(op)) {
    auto inner = throughSplit(b, loc, split, cast<OpResult>(value).getResultNumber(), window);
    return mlir::failed(inner) ? Value() : emitColumn(split.getInput(), rows, *inner);
  }
  if (auto concat = dyn_cast<model::ConcatOp>(op)) {
    auto inner = throughConcat(concat, window);
    return mlir::failed(inner) ? Value() : emitColumn(inner->first, rows, inner->second);
  }
  if (isa<model::SiluOp, model::SigmoidOp, model::SoftplusOp, model::ExpOp, model::ScaleOp>(op)) {
    Value x = emitColumn(op->getOperand(0), rows, window);
    return x ? map(type, x, [&](OpBuilder &b, ValueRange in) -> Value { return elementwise(b, loc, op, in); })
             : Value();
  }
  if (isa<model::RmsNormOp, model::L2NormOp>(op)) {
    auto norm = dyn_cast<model::RmsNormOp>(op);
    Value input = op->getOperand(0);
    int64_t width = cast<RankedTensorType>(input.getType()).getShape().back();
    Value x = window.columns == width ? emitColumn(input, rows, window) : Value();
    if (!x)
      return {};
    Value squares =
        map(type, x, [&](OpBuilder &b, ValueRange in) -> Value { return arith::MulFOp::create(b, loc, in[0], in[0]); });
    SmallVector<Value> inputs{x, reduce(tile::Combiner::add, squares, 0)};
    if (norm && norm.getWeight())
      inputs.push_back(loadColumn(*this, memoryOf(norm.getWeight()), Rows{index(0), 1, {}, {}}, index(0), width));
    double eps = (norm ? norm.getEps() : cast<model::L2NormOp>(op).getEps()).convertToDouble();
    return map(type, inputs, [&](OpBuilder &b, ValueRange in) -> Value {
      return normalised(b, loc, in, norm ? width : 1, eps, norm && norm.getZeroCentered());
    });
  }
  if (auto decay = dyn_cast<attn::LogDecayOp>(op))
    return emitLogDecayColumn(decay, rows, window);
  if (auto conv = dyn_cast<attn::ShortConvOp>(op))
    return emitConvColumn(conv, rows, window);
  return {};
}

/// Gates of the channels of one head, which have one rate.
Value Emitter::emitLogDecayColumn(attn::LogDecayOp op, const Rows &rows, const Window &window) {
  auto input = cast<RankedTensorType>(op.getInput().getType());
  if (input.getRank() != 3 || window.columns != input.getDimSize(2))
    return {};
  Value x = emitColumn(op.getInput(), rows, window);
  if (!x)
    return {};
  Value first = firstChannel(b, loc, window);
  Value head = arith::DivUIOp::create(b, loc, first, index(window.columns));
  bool flat = cast<RankedTensorType>(op.getBias().getType()).getRank() == 1;
  Value bias = loadColumn(*this, memoryOf(op.getBias()), Rows{flat ? index(0) : head, 1, {}, {}},
                          flat ? first : index(0), window.columns);
  Value rate = load(memoryOf(op.getLogRate()), Rows{index(0), 1, {}, {}}, head, 1);
  return map(tileType(window.columns, 1), {x, rate, bias},
             [&](OpBuilder &b, ValueRange in) -> Value { return logDecay(b, loc, op, in); });
}

/// Each tap is a column of its own: of this step, or of what the tail has of earlier ones; either is zero elsewhere.
Value Emitter::emitConvColumn(attn::ShortConvOp op, const Rows &rows, const Window &window) {
  if (!sequence || !rows.lo)
    return {};
  int64_t taps = op.getTaps(), before = taps - 1;
  auto type = tileType(window.columns, 1);
  Value first = firstChannel(b, loc, window), tail;
  if (before > 0) {
    Type stored = cast<attn::CacheType>(op.getTail().getType()).getElementType();
    tail = tile::SlotOp::create(b, loc, tile::MemoryType::get(b.getContext(), channelsOf(op.getInput()), stored),
                                memoryOf(op.getTail()), sequence);
  }
  SmallVector<Value> inputs;
  for (int64_t j = 0; j < taps; ++j) {
    Value x = emitColumn(op.getInput(), Rows{sub(rows.row, index(before - j)), 1, rows.lo, rows.hi}, window);
    if (!x)
      return {};
    inputs.push_back(x);
    if (j < before) {
      Rows old{add(sub(rows.row, rows.lo), index(j)), 1, index(0), index(before)};
      inputs.push_back(loadColumn(*this, tail, old, first, window.columns));
    }
    // weight[c, j]
    inputs.push_back(load(memoryOf(op.getWeight()), Rows{first, window.columns, {}, {}}, index(j), 1));
  }
  if (op.getBias())
    inputs.push_back(loadColumn(*this, memoryOf(op.getBias()), Rows{index(0), 1, {}, {}}, first, window.columns));
  return map(type, inputs, [&](OpBuilder &b, ValueRange in) -> Value {
    Value sum;
    for (int64_t j = 0; j < taps; ++j) {
      Value x = in[3 * j];
      if (j < before)
        x = arith::AddFOp::create(b, loc, x, in[3 * j + 1]);
      Value product = arith::MulFOp::create(b, loc, x, in[3 * j + (j < before ? 2 : 1)]);
      sum = sum ? arith::AddFOp::create(b, loc, sum, product).getResult() : product;
    }
    return op.getBias() ? arith::AddFOp::create(b, loc, sum, in.back()).getResult() : sum;
  });
}
