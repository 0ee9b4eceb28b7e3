// Merges what parts of the keys have left of few new tokens: for each its largest score m, its sum of weights l and its
// weighted sum of values, each relative to m (SoftmaxParts.h says where they stand).
//
//     m = max m_p      l = sum l_p exp(m_p - m)      o = sum o_p exp(m_p - m) / l
//
// Over keys of their own an item is a query head of a sequence, whose parts are one tile. Over latents an item is some
// heads of a sequence, in pieces where these are few: columns of all its heads at once where there are few parts to go
// through, else columns of one head.
#include "compiler/conversion/AttnToTile/SoftmaxParts.h"
#include "compiler/conversion/AttnToTile/SoftmaxTiles.h"
#include "compiler/conversion/Reshapes.h"
#include <limits>

using namespace mlir;
using namespace denim;
using softmax::kMostParts;
using softmax::largestDivisor;
using softmax::Running;

namespace {

/// Over latents: items on a multiprocessor, each of which waits for what it reads.
constexpr int64_t kMergeBlocks = 4;
/// Heads and columns of an item at most: two parts and what is merged so far are 48 registers of each of 128 threads.
constexpr int64_t kMergedHeads = 16, kMergedColumns = 128;
/// Parts up to which they are merged one after the other, for all these heads at once; from there on all parts of a
/// head are rows of tiles.
constexpr int64_t kMergedInTurn = 8;

class SoftmaxMerge {
public:
  SoftmaxMerge(plan::KernelOp kernel, const Attention &op, softmax::PartItems items)
      : op(op), items(items), heads(op.queryHeads()), width(op.valueWidth + 2),
        itemHeads(op.sharesRows() ? largestDivisor(heads, kMergedHeads) : 1),
        e(kernel, tile::ItemsAttr::get(kernel.getContext(), tile::CountKind::sequences, 1, heads / itemHeads)),
        result(kernel.getBlock()->getTerminator()->getOperand(0)) {}

  tile::KernelOp write() { return op.sharesRows() ? writeLatents() : writeHeads(); }

  ArrayRef<unsigned> extraOperands() const { return e.extraOperands(); }

private:
  int64_t valueDim() { return op.valueWidth; }

  tile::KernelOp writeHeads() {
    Value s = arith::DivUIOp::create(e.b, e.loc, e.item(), e.index(heads));
    Value head = arith::RemUIOp::create(e.b, e.loc, e.item(), e.index(heads));
    Value sinks = op.sinks ? e.viewOf(op.sinks, 1) : Value(), output;
    e.setAnchor([&](Value value, const Rows &, const Window &window) -> Value {
      if (value != op.result || window.columns != valueDim())
        return e.fail(value.getDefiningOp(), "expected to be used one head at a time");
      return output;
    });
    Value parts = e.viewOf(op.parts, heads * width);
    forFewTokens(s, [&](Value row, Value position) {
      int64_t most = items.most;
      Value used = softmax::usedParts(e, op, position, items);
      Value from = firstPart(row), column = e.mul(head, width);
      Rows rows{from, most, from, e.add(from, used)};
      Value acc = e.load(parts, rows, column, valueDim()),
            m = e.load(parts, rows, e.add(column, e.index(valueDim())), 1),
            l = e.load(parts, rows, e.add(column, e.index(valueDim() + 1)), 1);
      auto number = e.tileType(most, 1);
      m = onlyBelow(m, Value(), used);
      Value largest = e.reduce(tile::Combiner::max, m, 0), weight = softmax::faded(e, number, m, largest);
      Value sum = e.reduce(tile::Combiner::add, e.product(number, {l, weight}), 0);
      Value all = e.reduce(tile::Combiner::add, e.product(e.tileType(most, valueDim()), {acc, weight}), 0);
      if (op.sinks) {
        Value base = softmax::baseOf(e, cast<tile::TileType>(largest.getType()), largest, kLog2E);
        sum = softmax::withSinks(e, sum, base, sinks, head, 1, 1);
      }
      output = softmax::divided(e, all, sum);
      Window window{0, e.mul(head, valueDim()), heads * valueDim(), valueDim()};
      Rows one{row, 1, {}, {}};
      e.store(e.emit(result, one, window), 0, one, window);
    });
    return e.failed() ? nullptr : e.tileKernel;
  }

  tile::KernelOp writeLatents() {
    int64_t groups = heads / itemHeads, columns = largestDivisor(valueDim(), kMergedColumns);
    int64_t panels = valueDim() / columns, most = itemHeads * panels;
    if (withoutReshapes(result) != op.result) {
      e.fail(op.result.getDefiningOp(), "expected a kernel of its own for attention over latents");
      return nullptr;
    }
    softmax::CutItems cut{groups, most, kMergeBlocks * items.latentItems};
    auto [piece, item] = cut.pieceAndItem(e);
    Value pieces = cut.pieces(e);
    Value s = arith::DivUIOp::create(e.b, e.loc, item, e.index(groups));
    firstHead = e.mul(arith::RemUIOp::create(e.b, e.loc, item, e.index(groups)), itemHeads);
    e.tileKernel->setAttr("tile.warps", e.b.getI64IntegerAttr(4));
    e.tileKernel->setAttr("tile.blocks", e.b.getI64IntegerAttr(kMergeBlocks));
    Value parts = e.viewOf(op.parts, heads * width), partHeads = e.viewOf(op.parts, width);
    auto memory = cast<BlockArgument>(e.resultMemory(0));
    auto element = cast<tile::MemoryType>(memory.getType()).getElementType();
    memory.setType(tile::MemoryType::get(e.b.getContext(), valueDim(), element));
    /// `body` for the item's share of `count` units of work.
    auto forShare = [&, piece = piece](int64_t count, llvm::function_ref<void(Value)> body) {
      Value share = e.ceilDiv(e.index(count), pieces);
      Value from = arith::MulIOp::create(e.b, e.loc, piece, share);
      e.loop(from, e.min(e.add(from, share), e.index(count)), 1, body);
    };
    auto store = [&](const Running &done, Value row, Value column) {
      tile::StoreOp::create(e.b, e.loc, softmax::divided(e, done[2], done[1]), memory, row, column, Value(), Value());
    };
    forFewTokens(s, [&](Value row, Value position) {
      Value used = softmax::usedParts(e, op, position, items);
      Value first = firstPart(row), behind = e.add(first, used);
      auto inTurn = [&] {
        forShare(panels, [&](Value panel) {
          Value column = e.mul(panel, columns);
          // Two at a time: both are asked for before the first is there. Behind an odd one it again, without weight.
          Running none = softmax::nothing(e, itemHeads, columns);
          Running done = e.loop(first, behind, 2, none, [&](Value part, ValueRange carried) {
            auto partAt = [&](Value number) {
              Rows rows{e.add(e.mul(number, heads), firstHead), itemHeads, {}, {}};
              return loadPart(partHeads, rows, column, columns);
            };
            Value next = e.add(part, e.index(1));
            Running one = partAt(part), other = partAt(e.min(next, e.sub(behind, e.index(1))));
            other[0] = onlyBelow(other[0], next, behind);
            return withPart(other, withPart(one, carried));
          });
          store(done, e.add(e.mul(row, heads), firstHead), column);
        });
      };
      auto byHead = [&] {
        forShare(most, [&](Value unit) {
          Value head = e.add(firstHead, arith::DivUIOp::create(e.b, e.loc, unit, e.index(panels)));
          Value column = e.mul(arith::RemUIOp::create(e.b, e.loc, unit, e.index(panels)), columns);
          Running none = softmax::nothing(e, 1, columns);
          Running done = e.loop(first, behind, kMostParts, none, [&](Value part, ValueRange carried) {
            Rows rows{part, kMostParts, first, behind};
            return withParts(parts, rows, e.mul(head, width), column, columns, carried);
          });
          store(done, e.add(e.mul(row, heads), head), column);
        });
      };
      e.branch(e.less(used, e.index(kMergedInTurn + 1)), inTurn, byHead);
    });
    return e.failed() ? nullptr : e.tileKernel;
  }

  /// `body` for each token of sequence `s`, if these are few, and its position.
  void forFewTokens(Value s, llvm::function_ref<void(Value, Value)> body) {
    auto bounds = tile::SequenceOp::create(e.b, e.loc, s);
    e.sequence = s;
    Value lo = bounds.getBegin(), hi = bounds.getEnd(), shift = e.sub(bounds.getPast(), lo);
    e.branch(e.less(e.sub(hi, lo), e.index(kSoftmaxManyTokens)),
             [&] { e.loop(lo, hi, 1, [&](Value row) { body(row, e.add(row, shift)); }); });
  }

  /// Row of a token's first part.
  Value firstPart(Value row) { return arith::MulIOp::create(e.b, e.loc, row, softmax::partCount(e, op, items.most)); }

  /// Largest scores, sums of weights and weighted sums of a part of some heads.
  Running loadPart(Value parts, const Rows &rows, Value column, int64_t columns) {
    return {e.load(parts, rows, e.index(valueDim()), 1), e.load(parts, rows, e.index(valueDim() + 1), 1),
            e.load(parts, rows, column, columns)};
  }

  /// Scores as they are where `number`, or else that of their row, is below `count`; -inf elsewhere.
  Value onlyBelow(Value scores, Value number, Value count) {
    auto word = [&](Value x) -> Value { return arith::IndexCastOp::create(e.b, e.loc, e.b.getI32Type(), x); };
    Value left = number ? word(number) : Value(), right = word(count);
    return e.map(cast<tile::TileType>(scores.getType()), scores, [&](OpBuilder &b, ValueRange in) -> Value {
      Value own = number ? left : tile::IndexOp::create(b, e.loc, b.getI32Type(), b.getI64IntegerAttr(0)).getResult();
      Value isBelow = arith::CmpIOp::create(b, e.loc, arith::CmpIPredicate::slt, own, right);
      Value least = denim::number(b, e.loc, -std::numeric_limits<double>::infinity());
      return arith::SelectOp::create(b, e.loc, isBelow, in[0], least);
    });
  }

  /// What was merged so far of some heads, with one more part of each.
  Running withPart(ValueRange part, ValueRange before) {
    auto number = cast<tile::TileType>(part[0].getType()), panel = cast<tile::TileType>(part[2].getType());
    Value largest = softmax::maximum(e, number, before[0], part[0]);
    Value weight = softmax::faded(e, number, part[0], largest), fade = softmax::faded(e, number, before[0], largest);
    return {largest, softmax::added(e, number, before[1], fade, e.product(number, {part[1], weight})),
            softmax::added(e, panel, before[2], fade, e.product(panel, {part[2], weight}))};
  }

  /// The same of one head, with a tile of further parts.
  Running withParts(Value parts, const Rows &rows, Value first, Value column, int64_t columns, ValueRange before) {
    auto number = e.tileType(rows.count, 1), one = e.tileType(1, 1), line = e.tileType(1, columns);
    Value acc = e.load(parts, rows, e.add(first, column), columns),
          m = e.load(parts, rows, e.add(first, e.index(valueDim())), 1),
          l = e.load(parts, rows, e.add(first, e.index(valueDim() + 1)), 1);
    m = onlyBelow(m, Value(), e.sub(rows.hi, rows.row));
    Value largest = softmax::maximum(e, one, before[0], e.reduce(tile::Combiner::max, m, 0));
    Value weight = softmax::faded(e, number, m, largest), fade = softmax::faded(e, one, before[0], largest);
    Value sum = e.reduce(tile::Combiner::add, e.product(number, {l, weight}), 0);
    Value all = e.reduce(tile::Combiner::add, e.product(e.tileType(rows.count, columns), {acc, weight}), 0);
    return {largest, softmax::added(e, one, before[1], fade, sum), softmax::added(e, line, before[2], fade, all)};
  }

  Attention op;
  softmax::PartItems items;
  int64_t heads;     ///< query heads
  int64_t width;     ///< of a part of a head: values, largest score, sum of weights
  int64_t itemHeads; ///< heads that an item merges
  Emitter e;
  Value result, firstHead;
};

} // namespace

tile::KernelOp softmax::emitSoftmaxMerge(plan::KernelOp kernel, const Attention &op, PartItems items,
                                         SmallVectorImpl<unsigned> &extras) {
  SoftmaxMerge writer(kernel, op, items);
  tile::KernelOp written = writer.write();
  extras.append(writer.extraOperands().begin(), writer.extraOperands().end());
  return written;
}
