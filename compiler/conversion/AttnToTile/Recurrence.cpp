// Linear recurrences: both forms from the normal form of the op.
//
// An item is one key head of one sequence, with all value heads that use it: they share the products of keys with keys
// and with queries. A sequence with many new tokens runs in chunks, one with few token by token; the state stays in
// its slot and is updated there.
//
// Chunk of C tokens, state S at its start, G the inclusive sum of log decays inside the chunk, D_ij = exp(G_i - G_j)
// for j <= i and 0 above (spec/attention.md 3.1, 3.3; w_i stands for what the recurrence adds, S_i = exp(g_i) S_(i-1) +
// k_i w_i^T):
//
//   delta family   (I + L) W = beta (V - exp(G) K S),   L_ij = beta_i D_ij k_i.k_j for j < i
//   diagonal       W = V
//   both           O = exp(G) Q S + (D o Q K^T) W,      S <- exp(G_C) S + (exp(G_C - G) o K)^T W
//
// The solve acts on the right-hand side itself and not on an inverse: it costs the same and keeps f32 throughout.
// All exponents are at most 0.
#include "compiler/conversion/AttnToTile/Emitter.h"
#include "runtime/abi/Kernel.h"

using namespace mlir;
using namespace denim;

namespace {

class RecurrenceKernel {
public:
  RecurrenceKernel(plan::KernelOp kernel, RecurrenceOpInterface op)
      : form(op.getNormalForm()), op(op), heads(form.valueHeads / form.keyHeads),
        e(kernel, tile::ItemsAttr::get(kernel.getContext(), tile::CountKind::sequences, 1, form.keyHeads)),
        result(kernel.getBlock()->getTerminator()->getOperand(0)) {}

  tile::KernelOp write() {
    Value s = arith::DivUIOp::create(e.b, e.loc, e.item(), e.index(form.keyHeads));
    keyHead = arith::RemUIOp::create(e.b, e.loc, e.item(), e.index(form.keyHeads));
    auto sequence = tile::SequenceOp::create(e.b, e.loc, s);
    e.sequence = s;
    begin = sequence.getBegin();
    end = sequence.getEnd();
    state =
        tile::SlotOp::create(e.b, e.loc, tile::MemoryType::get(e.b.getContext(), form.valueDim, e.b.getF32Type()),
                             e.memoryOf(cast<StatefulOpInterface>(op.getOperation()).getCachesMutable()[0].get()), s);
    e.setAnchor([&](Value value, const Rows &, const Window &window) -> Value {
      if (value != op->getResult(0) || window.columns != form.valueDim)
        return e.fail(value.getDefiningOp(), "expected to be used one head at a time");
      return output;
    });

    auto chunk = op->getAttrOfType<IntegerAttr>("chunk");
    if (!chunk) {
      e.loop(begin, end, 1, [&](Value row) { writeToken(row); });
      return finish();
    }
    int64_t length = chunk.getInt();
    // Half a chunk of tokens costs about as much in either form.
    Value many = e.less(e.index(std::max<int64_t>(length / 8, 2) - 1), e.sub(end, begin));
    e.branch(
        many, [&] { e.loop(begin, end, length, [&](Value row) { writeChunk(row, length); }); },
        [&] { e.loop(begin, end, 1, [&](Value row) { writeToken(row); }); });
    return finish();
  }

  ArrayRef<unsigned> extraOperands() const { return e.extraOperands(); }

private:
  tile::KernelOp finish() { return e.failed() ? nullptr : e.tileKernel; }

  Window keyWindow() { return {0, e.mul(keyHead, form.keyDim), form.keyHeads * form.keyDim, form.keyDim}; }
  Window valueWindow(Value head) {
    return {0, e.mul(head, form.valueDim), form.valueHeads * form.valueDim, form.valueDim};
  }
  Window gateWindow(Value head) { return {0, head, form.valueHeads, 1}; }

  /// Gates of rows behind the last: a gate of 0 leaves the state and the other rows as they are.
  Value zeroBehindEnd(Value tile, const Rows &rows) {
    auto type = cast<tile::TileType>(tile.getType());
    Value left = arith::IndexCastOp::create(e.b, e.loc, e.b.getI32Type(), e.sub(end, rows.row));
    return e.map(type, tile, [&](OpBuilder &b, ValueRange in) -> Value {
      Value i = tile::IndexOp::create(b, e.loc, b.getI32Type(), b.getI64IntegerAttr(0));
      Value inside = arith::CmpIOp::create(b, e.loc, arith::CmpIPredicate::slt, i, left);
      return arith::SelectOp::create(b, e.loc, inside, in[0],
                                     arith::ConstantOp::create(b, e.loc, b.getF32FloatAttr(0)));
    });
  }

  Value exp(OpBuilder &b, Value x) { return math::ExpOp::create(b, e.loc, x); }
  Value times(OpBuilder &b, Value x, Value y) { return arith::MulFOp::create(b, e.loc, x, y); }
  Value minus(OpBuilder &b, Value x, Value y) { return arith::SubFOp::create(b, e.loc, x, y); }
  Value plus(OpBuilder &b, Value x, Value y) { return arith::AddFOp::create(b, e.loc, x, y); }
  Value number(OpBuilder &b, double x) { return arith::ConstantOp::create(b, e.loc, b.getF32FloatAttr(x)); }

  /// The write strength of head `head`; a column of ones when the form has none.
  Value strength(const Rows &rows, Value head) {
    if (!form.k.scale)
      return zeroBehindEnd(e.splat(1.0, rows.count, 1), rows);
    Value beta = e.emit(form.k.scale, rows, gateWindow(head));
    return beta ? zeroBehindEnd(beta, rows) : Value();
  }
  Value logDecay(const Rows &rows, Value head) {
    if (!form.decay)
      return e.splat(0.0, rows.count, 1);
    Value g = e.emit(form.decay, rows, gateWindow(head));
    return g ? zeroBehindEnd(g, rows) : Value();
  }

  void storeOutput(Value tile, const Rows &rows, Value head) {
    output = tile;
    e.store(e.emit(result, rows, valueWindow(head)), 0, rows, valueWindow(head));
  }

  void writeChunk(Value row, int64_t length) {
    Rows rows{row, length, begin, end};
    Value k = e.emit(form.k.vector, rows, keyWindow());
    Value q = e.emit(form.query, rows, keyWindow());
    if (!k || !q)
      return;
    auto square = e.tileType(length, length), panel = e.tileType(length, form.valueDim);
    Value kk = form.isDelta() ? e.mma(k, k, {false, true, {}, tile::Triangle::result}) : Value();
    Value qk = e.mma(q, k, {false, true, {}, tile::Triangle::result});
    e.loop(e.index(0), e.index(heads), 1, [&](Value within) {
      Value head = e.add(e.mul(keyHead, heads), within);
      Value g = logDecay(rows, head), beta = strength(rows, head);
      Value v = e.emit(form.value, rows, valueWindow(head));
      if (!g || !beta || !v)
        return;
      Value sum = tile::CumsumOp::create(e.b, e.loc, g.getType(), g);
      Value sumRow = e.turned(sum);
      Value last = e.window(sum, length - 1, 0, 1, 1);
      Value stateRow = e.mul(head, form.keyDim);
      Rows stateRows{stateRow, form.keyDim, {}, {}};
      Value s = e.load(state, stateRows, e.index(0), form.valueDim);

      // exp(G_i - G_j) on and below the diagonal; what is above never enters exp.
      Value decays = e.map(square, {sum, sumRow}, [&](OpBuilder &b, ValueRange in) -> Value {
        Value i = tile::IndexOp::create(b, e.loc, b.getI32Type(), b.getI64IntegerAttr(0));
        Value j = tile::IndexOp::create(b, e.loc, b.getI32Type(), b.getI64IntegerAttr(1));
        Value below = arith::CmpIOp::create(b, e.loc, arith::CmpIPredicate::sge, i, j);
        Value exponent = arith::SelectOp::create(b, e.loc, below, minus(b, in[0], in[1]),
                                                 number(b, -std::numeric_limits<double>::infinity()));
        return exp(b, exponent);
      });
      // Written rows: the write strength scales K on the input side.
      Value w;
      if (form.isDelta()) {
        Value lower = e.map(square, {kk, decays, beta}, [&](OpBuilder &b, ValueRange in) -> Value {
          return times(b, in[2], times(b, in[0], in[1]));
        });
        Value predicted = e.mma(k, s);
        Value rhs = e.map(panel, {v, predicted, beta, sum}, [&](OpBuilder &b, ValueRange in) -> Value {
          return times(b, in[2], minus(b, in[0], times(b, exp(b, in[3]), in[1])));
        });
        w = tile::SolveOp::create(e.b, e.loc, rhs.getType(), lower, rhs);
      } else {
        w = e.map(panel, {v, beta}, [&](OpBuilder &b, ValueRange in) -> Value { return times(b, in[0], in[1]); });
      }
      Value attention = e.map(square, {qk, decays}, [&](OpBuilder &b, ValueRange in) -> Value {
        Value i = tile::IndexOp::create(b, e.loc, b.getI32Type(), b.getI64IntegerAttr(0));
        Value j = tile::IndexOp::create(b, e.loc, b.getI32Type(), b.getI64IntegerAttr(1));
        Value below = arith::CmpIOp::create(b, e.loc, arith::CmpIPredicate::sge, i, j);
        Value weight = times(b, number(b, form.readScale), times(b, in[0], in[1]));
        return arith::SelectOp::create(b, e.loc, below, weight, number(b, 0));
      });
      Value read = e.map(panel, {e.mma(q, s), sum}, [&](OpBuilder &b, ValueRange in) -> Value {
        return times(b, times(b, number(b, form.readScale), exp(b, in[1])), in[0]);
      });
      storeOutput(e.mma(attention, w, {false, false, read, tile::Triangle::lhs}), rows, head);

      Value faded = e.map(panel, {w, sum, last}, [&](OpBuilder &b, ValueRange in) -> Value {
        return times(b, in[0], exp(b, minus(b, in[2], in[1])));
      });
      Value kept = e.map(cast<tile::TileType>(s.getType()), {s, last},
                         [&](OpBuilder &b, ValueRange in) -> Value { return times(b, exp(b, in[1]), in[0]); });
      Value next = e.mma(k, faded, {true, false, kept, tile::Triangle::none});
      tile::StoreOp::create(e.b, e.loc, next, state, stateRow, e.index(0), Value(), Value());
    });
  }

  /// S <- a S + k w^T,  o = S^T q = a S^T q + (k.q) w: the state is read for both products before it is written.
  void writeToken(Value row) {
    Rows rows{row, 1, begin, end};
    Value k = e.emit(form.k.vector, rows, keyWindow());
    Value q = e.emit(form.query, rows, keyWindow());
    if (!k || !q)
      return;
    auto line = e.tileType(1, form.valueDim);
    Value kq = e.mma(k, q, {false, true, {}, tile::Triangle::none});
    Value kColumn = e.turned(k);
    e.loop(e.index(0), e.index(heads), 1, [&](Value within) {
      Value head = e.add(e.mul(keyHead, heads), within);
      Value g = logDecay(rows, head), beta = strength(rows, head);
      Value v = e.emit(form.value, rows, valueWindow(head));
      if (!g || !beta || !v)
        return;
      Value a = e.map(e.tileType(1, 1), g, [&](OpBuilder &b, ValueRange in) -> Value { return exp(b, in[0]); });
      Value stateRow = e.mul(head, form.keyDim);
      Value s = e.load(state, Rows{stateRow, form.keyDim, {}, {}}, e.index(0), form.valueDim);
      Value read = e.mma(q, s);
      Value w;
      if (form.isDelta())
        w = e.map(line, {v, e.mma(k, s), beta, a}, [&](OpBuilder &b, ValueRange in) -> Value {
          return times(b, in[2], minus(b, in[0], times(b, in[3], in[1])));
        });
      else
        w = e.map(line, {v, beta}, [&](OpBuilder &b, ValueRange in) -> Value { return times(b, in[0], in[1]); });
      Value next =
          e.map(cast<tile::TileType>(s.getType()), {s, a, kColumn, w}, [&](OpBuilder &b, ValueRange in) -> Value {
            return plus(b, times(b, in[1], in[0]), times(b, in[2], in[3]));
          });
      tile::StoreOp::create(e.b, e.loc, next, state, stateRow, e.index(0), Value(), Value());
      Value o = e.map(line, {read, a, kq, w}, [&](OpBuilder &b, ValueRange in) -> Value {
        return times(b, number(b, form.readScale), plus(b, times(b, in[1], in[0]), times(b, in[2], in[3])));
      });
      storeOutput(o, rows, head);
    });
  }

  NormalForm form;
  RecurrenceOpInterface op;
  int64_t heads; ///< value heads per key head
  Emitter e;
  Value result, keyHead, begin, end, state, output;
};

} // namespace

tile::KernelOp denim::emitRecurrence(plan::KernelOp kernel, SmallVectorImpl<unsigned> &extras) {
  for (Operation &op : *kernel.getBlock())
    if (auto recurrence = dyn_cast<RecurrenceOpInterface>(op)) {
      NormalForm form = recurrence.getNormalForm();
      bool diagonal = !form.p && form.readAfter;
      if (form.decayKind == NormalForm::Decay::Channel || !(diagonal || form.isDelta())) {
        op.emitOpError() << "expected a recurrence of the delta family or with a diagonal transition and a decay per "
                            "head: no tile program is derived for other transitions yet";
        return nullptr;
      }
      RecurrenceKernel writer(kernel, recurrence);
      tile::KernelOp written = writer.write();
      extras.append(writer.extraOperands().begin(), writer.extraOperands().end());
      return written;
    }
  kernel.emitOpError() << "expected a linear recurrence";
  return nullptr;
}
