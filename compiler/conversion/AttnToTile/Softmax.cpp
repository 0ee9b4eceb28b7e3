// Softmax attention over pages: blockwise online softmax (spec/attention.md section 1).
//
// An item is one key head for a block of tokens. Where the block holds many tokens of a sequence, each query head takes
// a tile of them through the pages; where it holds few, a token takes all query heads of the group at once, so that
// every page is read once. Running maximum m, sum l and accumulator are f32; a block without a visible key leaves
// them as they are.
#include "compiler/conversion/AttnToTile/Emitter.h"
#include "runtime/abi/Kernel.h"
#include <limits>

using namespace mlir;
using namespace denim;

namespace {

constexpr int64_t kTokenBlock = 64;
constexpr int64_t kManyTokens = 8;

class SoftmaxKernel {
public:
  SoftmaxKernel(plan::KernelOp kernel, attn::AttendOp op)
      : op(op), queryType(cast<RankedTensorType>(op.getQuery().getType())), keys(op.getKeys().getType()),
        values(op.getValues().getType()), group(queryType.getDimSize(1) / keys.getShape()[0]),
        e(kernel, tile::ItemsAttr::get(kernel.getContext(), tile::CountKind::tokens, kTokenBlock, keys.getShape()[0])),
        result(kernel.getBlock()->getTerminator()->getOperand(0)) {}

  tile::KernelOp write() {
    int64_t keyHeads = keys.getShape()[0];
    Value block = arith::DivUIOp::create(e.b, e.loc, e.item(), e.index(keyHeads));
    keyHead = arith::RemUIOp::create(e.b, e.loc, e.item(), e.index(keyHeads));
    query = e.memoryOf(op.getQuery());
    queryHeads = e.viewOf(op.getQuery(), queryType.getDimSize(2));
    e.setAnchor([&](Value value, const Rows &, const Window &window) -> Value {
      if (value != op.getResult() || window.columns != valueDim())
        return e.fail(value.getDefiningOp(), "expected to be used one head at a time");
      return output;
    });
    Value blockLo = e.mul(block, kTokenBlock), blockHi = e.add(blockLo, e.index(kTokenBlock));
    Value sequences = tile::CountOp::create(e.b, e.loc, tile::CountKind::sequences);
    e.loop(e.index(0), sequences, 1, [&](Value s) {
      auto bounds = tile::SequenceOp::create(e.b, e.loc, s);
      e.sequence = s;
      Value lo = e.max(bounds.getBegin(), blockLo), hi = e.min(bounds.getEnd(), blockHi);
      // Position of row r of this sequence: r + shift.
      Value shift = e.sub(bounds.getPast(), bounds.getBegin());
      e.branch(
          e.less(e.add(lo, e.index(kManyTokens - 1)), hi),
          [&] { e.loop(e.index(0), e.index(group), 1, [&](Value j) { writeManyTokens(s, lo, hi, shift, j); }); },
          [&] { e.loop(lo, hi, 1, [&](Value row) { writeToken(s, row, shift); }); });
    });
    return e.failed() ? nullptr : e.tileKernel;
  }

  ArrayRef<unsigned> extraOperands() const { return e.extraOperands(); }

private:
  int64_t keyDim() { return queryType.getDimSize(2); }
  int64_t valueDim() { return values.getShape()[1]; }

  Value page(Value cache, attn::CacheType type, Value s, Value j) {
    int64_t width = type.getShape()[1];
    auto memory = tile::MemoryType::get(e.b.getContext(), width, type.getElementType());
    Value m = tile::PageOp::create(e.b, e.loc, memory, e.memoryOf(cache), s, j, keyHead);
    return e.load(m, Rows{e.index(0), DENIM_PAGE_TOKENS, {}, {}}, e.index(0), width);
  }

  Value f32(OpBuilder &b, double x) { return arith::ConstantOp::create(b, e.loc, b.getF32FloatAttr(x)); }

  /// Attention of `rows` queries over all pages they may see. Row i of the tile has position
  /// `position + i * perRow`; `last` is the largest position.
  Value attend(Value q, Value s, Value position, int64_t perRow, Value last) {
    int64_t rows = cast<tile::TileType>(q.getType()).getRows();
    double infinity = std::numeric_limits<double>::infinity();
    auto scores = e.tileType(rows, DENIM_PAGE_TOKENS), column = e.tileType(rows, 1),
         panel = e.tileType(rows, valueDim());
    Value firstPage = e.index(0);
    if (op.getWindow()) {
      Value firstKey = e.max(e.sub(position, e.index(*op.getWindow() - 1)), e.index(0));
      firstPage = arith::DivUIOp::create(e.b, e.loc, firstKey, e.index(DENIM_PAGE_TOKENS));
    }
    Value pages = e.add(arith::DivUIOp::create(e.b, e.loc, last, e.index(DENIM_PAGE_TOKENS)), e.index(1));
    SmallVector<Value> start{e.splat(-infinity, rows, 1), e.splat(0, rows, 1), e.splat(0, rows, valueDim())};
    SmallVector<Value> done = e.loop(firstPage, pages, 1, start, [&](Value j, ValueRange carried) {
      Value k = page(op.getKeys(), keys, s, j), v = page(op.getValues(), values, s, j);
      Value raw = e.mma(q, k, {false, true, {}, tile::Triangle::none});
      // Position of the first query relative to the first key of the page.
      Value distance =
          arith::IndexCastOp::create(e.b, e.loc, e.b.getI32Type(), e.sub(position, e.mul(j, DENIM_PAGE_TOKENS)));
      Value seen = e.map(scores, raw, [&](OpBuilder &b, ValueRange in) -> Value {
        auto i32 = [&](int64_t n) -> Value { return arith::ConstantOp::create(b, e.loc, b.getI32IntegerAttr(n)); };
        Value x = arith::MulFOp::create(b, e.loc, in[0], f32(b, op.getScale().convertToDouble()));
        if (op.getSoftcap()) {
          double cap = op.getSoftcap()->convertToDouble();
          x = arith::MulFOp::create(b, e.loc,
                                    math::TanhOp::create(b, e.loc, arith::MulFOp::create(b, e.loc, x, f32(b, 1 / cap))),
                                    f32(b, cap));
        }
        Value back = distance;
        if (perRow) {
          Value i = tile::IndexOp::create(b, e.loc, b.getI32Type(), b.getI64IntegerAttr(0));
          back = arith::AddIOp::create(b, e.loc, back, i);
        }
        // How far the key lies behind the query.
        back = arith::SubIOp::create(b, e.loc, back,
                                     tile::IndexOp::create(b, e.loc, b.getI32Type(), b.getI64IntegerAttr(1)));
        Value visible = arith::CmpIOp::create(b, e.loc, arith::CmpIPredicate::sge, back, i32(0));
        if (op.getWindow()) {
          Value near = arith::CmpIOp::create(b, e.loc, arith::CmpIPredicate::slt, back, i32(*op.getWindow()));
          visible = arith::AndIOp::create(b, e.loc, visible, near);
        }
        return arith::SelectOp::create(b, e.loc, visible, x, f32(b, -infinity));
      });
      Value m = e.map(column, {carried[0], e.reduce(tile::Combiner::max, seen, 1)}, [&](OpBuilder &b, ValueRange in) {
        return arith::MaximumFOp::create(b, e.loc, in[0], in[1]).getResult();
      });
      // A row that has seen no key yet has m = -inf: its weights are exp(-inf - 0) = 0.
      Value base = e.map(column, m, [&](OpBuilder &b, ValueRange in) -> Value {
        Value none = arith::CmpFOp::create(b, e.loc, arith::CmpFPredicate::OEQ, in[0], f32(b, -infinity));
        return arith::SelectOp::create(b, e.loc, none, f32(b, 0), in[0]);
      });
      Value p = e.map(scores, {seen, base}, [&](OpBuilder &b, ValueRange in) -> Value {
        return math::ExpOp::create(b, e.loc, arith::SubFOp::create(b, e.loc, in[0], in[1]));
      });
      Value fade = e.map(column, {carried[0], base}, [&](OpBuilder &b, ValueRange in) -> Value {
        return math::ExpOp::create(b, e.loc, arith::SubFOp::create(b, e.loc, in[0], in[1]));
      });
      Value l = e.map(column, {carried[1], fade, e.reduce(tile::Combiner::add, p, 1)},
                      [&](OpBuilder &b, ValueRange in) -> Value {
                        return arith::AddFOp::create(b, e.loc, arith::MulFOp::create(b, e.loc, in[0], in[1]), in[2]);
                      });
      Value kept = e.map(panel, {carried[2], fade}, [&](OpBuilder &b, ValueRange in) -> Value {
        return arith::MulFOp::create(b, e.loc, in[0], in[1]);
      });
      Value acc = e.mma(p, v, {false, false, kept, tile::Triangle::none});
      return SmallVector<Value>{m, l, acc};
    });
    return e.map(panel, {done[2], done[1]},
                 [&](OpBuilder &b, ValueRange in) -> Value { return arith::DivFOp::create(b, e.loc, in[0], in[1]); });
  }

  void storeHead(const Rows &rows, Value head, Value tile) {
    Window window{0, e.mul(head, valueDim()), queryType.getDimSize(1) * valueDim(), valueDim()};
    output = tile;
    e.store(e.emit(result, rows, window), 0, rows, window);
  }

  void writeManyTokens(Value s, Value lo, Value hi, Value shift, Value j) {
    Value head = e.add(e.mul(keyHead, group), j);
    // Rows behind `hi` belong to another sequence or to padding: they are computed and not stored.
    Rows all{lo, kTokenBlock, {}, {}}, own{lo, kTokenBlock, lo, hi};
    Value q = e.load(query, all, e.mul(head, keyDim()), keyDim());
    Value o = attend(q, s, e.add(lo, shift), 1, e.sub(e.add(hi, shift), e.index(1)));
    storeHead(own, head, o);
  }

  void writeToken(Value s, Value row, Value shift) {
    Value firstHead = e.mul(keyHead, group), position = e.add(row, shift);
    Value q = e.load(queryHeads, Rows{e.add(e.mul(row, queryType.getDimSize(1)), firstHead), group, {}, {}}, e.index(0),
                     keyDim());
    Value o = attend(q, s, position, 0, position);
    for (int64_t j = 0; j < group; ++j)
      storeHead(Rows{row, 1, {}, {}}, e.add(firstHead, e.index(j)), e.window(o, j, 0, 1, valueDim()));
  }

  attn::AttendOp op;
  RankedTensorType queryType;
  attn::CacheType keys, values;
  int64_t group; ///< query heads per key head
  Emitter e;
  Value result, keyHead, query, queryHeads, output;
};

} // namespace

tile::KernelOp denim::emitSoftmax(plan::KernelOp kernel, SmallVectorImpl<unsigned> &extras) {
  for (auto op : kernel.getBlock()->getOps<attn::AttendOp>()) {
    SoftmaxKernel writer(kernel, op);
    tile::KernelOp written = writer.write();
    extras.append(writer.extraOperands().begin(), writer.extraOperands().end());
    return written;
  }
  kernel.emitOpError() << "expected softmax attention";
  return nullptr;
}
