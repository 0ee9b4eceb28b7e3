// Softmax attention of many tokens, for a machine with matrix units that work beside everything else.
//
// An item is a query head for a block of tokens; of the items that are worked on together, those that see most keys
// come first, so that the last ones to finish are short. The loop over keys is rotated by one turn: a turn asks for the
// scores of its keys and for the values of the turn before it, and does its softmax while the second of these products
// runs. What it carries: accumulator, maximum and sum as usual (spec/attention.md section 1), and the weights that
// still wait for their values.
//
// Scores stay as the product leaves them until the exponent: exp(scale (s - m)) = 2^(c s - c m) with c = scale log2 e,
// one fused operation and one function for each. Turns that every query of the block sees in full are not masked.
//
// Over latents (the expanded form of attn.attend_latent) a kernel in front has made keys and values of each head
// (LatentKeys.h), in blocks of 128 tokens, which are read like pages. The kernel of form `far` has none: keys and
// values of the head are made of the latents of a page where the products want them, in steps along the latent. That
// costs r (dn + dv) for each key and block of queries, some three times what attention itself takes with 128 queries,
// and as much as absorbed queries would; but all tiles are of the size of heads, where those of absorbed queries are r
// wide and would not fit.
#include "compiler/conversion/AttnToTile/LatentKeys.h"
#include "compiler/conversion/AttnToTile/Softmax.h"
#include "compiler/conversion/AttnToTile/SoftmaxTiles.h"
#include "runtime/abi/Kernel.h"
#include <limits>

using namespace mlir;
using namespace denim;

namespace {

/// Channels of a latent that one step of its expansion multiplies; fewer and longer steps where each is six products.
constexpr int64_t kLatentStep = 64, kExactLatentStep = 128;
/// Of keys and values that many items should find in the last cache together: half of the 50 MB of an H200, for what is
/// read through it stands there too.
constexpr int64_t kCachedBytes = 24 << 20;

class SoftmaxBlocks {
public:
  SoftmaxBlocks(plan::KernelOp kernel, const Attention &op, int64_t rows)
      : op(op), queryType(cast<RankedTensorType>(op.query.getType())), keys(cast<attn::CacheType>(op.keys.getType())),
        values(cast<attn::CacheType>(op.values.getType())), heads(queryType.getDimSize(1)), rows(rows),
        form(kernel->getAttrOfType<StringAttr>("form")),
        e(kernel, tile::ItemsAttr::get(kernel.getContext(), tile::CountKind::tokens, rows, heads),
          op.kvB && !form ? "many" : ""),
        result(kernel.getBlock()->getTerminator()->getOperand(0)) {
    if (op.kvB && form && form.getValue() == "many") {
      made.emplace(op.result.getDefiningOp<attn::AttendLatentOp>());
      page = kLatentBlock;
      blocks = e.memoryOf(kernel.getBlock()->getArguments().back());
    }
    // Keys in f32 are taken apart into several terms: fewer at a time, or they would not fit. Keys that are made here
    // stand beside what they are made of. And wide heads: accumulator, weights and scores of 128 keys
    // would not fit the registers.
    pages = brain() && !op.kvB && valueDim() <= 128 ? 2 : 1;
  }

  tile::KernelOp write() {
    // Two groups of warps with 64 rows each: one is at its softmax while the other's products run.
    if (rows == 128)
      e.tileKernel->setAttr("tile.warps", e.b.getI64IntegerAttr(8));
    // In turns at the products: 4 % faster on an H200 with heads of 128 channels, 3 % slower with 64, even with 256.
    if ((pages == 2 || made) && keyDim() > 64)
      e.tileKernel->setAttr("tile.alternate", e.b.getUnitAttr());
    // What the assembler makes of the bound was measured on an H200, d=128: causal 1.032 -> 1.006 ms with it, window
    // 4096 0.710 -> 0.804 ms.
    if (op.visible.all())
      e.tileKernel->setAttr("tile.blocks", e.b.getI64IntegerAttr(1));
    if (op.sinks)
      sinks = e.viewOf(op.sinks, 1);
    Value blocks = e.ceilDiv(tile::CountOp::create(e.b, e.loc, tile::CountKind::tokens), e.index(rows));
    Value block = chooseHeads(blocks);
    e.setAnchor([&](Value value, const Rows &, const Window &window) -> Value {
      if (value != op.result || window.columns != valueDim())
        return e.fail(value.getDefiningOp(), "expected to be used one head at a time");
      return output;
    });
    Value blockLo = e.mul(block, rows), blockHi = e.add(blockLo, e.index(rows));
    Value sequences = tile::CountOp::create(e.b, e.loc, tile::CountKind::sequences);
    e.loop(e.index(0), sequences, 1, [&](Value s) {
      auto bounds = tile::SequenceOp::create(e.b, e.loc, s);
      e.sequence = s;
      Value lo = e.max(bounds.getBegin(), blockLo), hi = e.min(bounds.getEnd(), blockHi);
      Value isMany = e.less(e.index(kSoftmaxManyTokens - 1), e.sub(bounds.getEnd(), bounds.getBegin()));
      Value here = arith::AndIOp::create(e.b, e.loc, e.less(lo, hi), isMany);
      if (op.kvB && form) {
        Value fit = latentsFit(e, bounds);
        if (!made)
          fit = arith::XOrIOp::create(e.b, e.loc, fit, arith::ConstantIntOp::create(e.b, e.loc, 1, 1));
        here = arith::AndIOp::create(e.b, e.loc, here, fit);
      }
      e.branch(here, [&] { writeRows(bounds, s, lo, hi, e.sub(bounds.getPast(), bounds.getBegin())); });
    });
    return e.failed() ? nullptr : e.tileKernel;
  }

  ArrayRef<unsigned> extraOperands() const { return e.extraOperands(); }

private:
  /// Sets the heads of the item and returns its block of tokens. The order of items decides what is read together: all
  /// blocks of some key heads come before those of the next, as many as have their keys and values in the last cache.
  /// Among these the blocks that see most keys come first.
  Value chooseHeads(Value blocks) {
    int64_t keyHeads = made ? heads : keys.getShape()[0], group = heads / keyHeads;
    int64_t columns = made ? made->columns() : keys.getShape()[1] + (op.keys == op.values ? 0 : values.getShape()[1]);
    int64_t tokenBytes = columns * (brain() ? 2 : 4);
    int64_t together = std::max<int64_t>(kCachedBytes / (tokenBytes * rows), 1);
    Value first = e.index(0), width = e.index(keyHeads), within = e.item();
    if (keyHeads > 1 && op.visible.all()) {
      // Keys from before this step are counted for the first sequence: a long prompt in pieces.
      Value past = e.ceilDiv(tile::SequenceOp::create(e.b, e.loc, e.index(0)).getPast(), e.index(rows));
      Value fitting = arith::DivUIOp::create(e.b, e.loc, e.index(together), e.add(blocks, past));
      Value most = e.min(e.max(fitting, e.index(1)), e.index(keyHeads));
      Value items = arith::MulIOp::create(e.b, e.loc, e.mul(blocks, group), most);
      Value part = arith::DivUIOp::create(e.b, e.loc, e.item(), items);
      first = arith::MulIOp::create(e.b, e.loc, part, most);
      width = e.min(most, e.sub(e.index(keyHeads), first));
      within = e.sub(e.item(), arith::MulIOp::create(e.b, e.loc, part, items));
    }
    Value across = e.mul(width, group);
    Value number = arith::DivUIOp::create(e.b, e.loc, within, across);
    head = e.add(e.mul(first, group), arith::RemUIOp::create(e.b, e.loc, within, across));
    keyHead = arith::DivUIOp::create(e.b, e.loc, head, e.index(group));
    return e.sub(e.sub(blocks, e.index(1)), number);
  }

  /// What a turn leaves for the next.
  struct Running {
    Value acc, m, l;
    SmallVector<Value> weights;
    SmallVector<Value> list() const {
      SmallVector<Value> all{acc, m, l};
      llvm::append_range(all, weights);
      return all;
    }
    static Running of(ValueRange all) { return {all[0], all[1], all[2], SmallVector<Value>(all.drop_front(3))}; }
  };

  bool brain() const { return keys.getElementType().isBF16(); }
  int64_t valueDim() { return op.valueWidth; }
  int64_t keyDim() { return queryType.getDimSize(2); }
  /// Channels of a latent.
  int64_t rank() { return cast<RankedTensorType>(op.kvB.getType()).getDimSize(1); }
  Value f32(OpBuilder &b, double x) { return arith::ConstantOp::create(b, e.loc, b.getF32FloatAttr(x)); }
  double exponentScale() { return softmax::kLog2E * (op.softcap ? 1 : op.scale); }

  void writeRows(tile::SequenceOp where, Value s, Value lo, Value hi, Value shift) {
    sequence = s;
    bounds = where;
    position = e.add(lo, shift);
    int64_t step = page * pages;
    Rows own{lo, rows, lo, hi};
    if (!op.kvB) {
      q = e.load(e.memoryOf(op.query), own, e.mul(head, keyDim()), keyDim());
    } else {
      q = e.emit(op.query, own, {0, e.mul(head, keyDim()), heads * keyDim(), keyDim()});
      if (op.qRope) {
        int64_t width = cast<RankedTensorType>(op.qRope.getType()).getDimSize(2);
        turnedQ = e.emit(op.qRope, own, {0, e.mul(head, width), heads * width, width});
      }
      if (e.failed())
        return;
    }
    Value last = e.add(e.sub(hi, e.index(1)), shift); // position of the last query
    lastPage = div(last, page);
    turnsOver = softmax::visiblePages(e, op.visible, position, last, step);
    // Turns [first, steps), of which [fullFrom, fullTo) need no mask.
    Value first = turnsOver.first, steps = turnsOver.end, fullFrom = e.index(0);
    Value fullTo = turnsOver.numberOf(e, div(e.add(position, e.index(1)), step));
    if (!op.visible.all()) {
      // What the last row sees, all rows see.
      Value oldest = softmax::oldestKey(e, op.visible, e.add(position, e.index(rows - 1)));
      fullFrom = turnsOver.numberOf(e, e.ceilDiv(oldest, e.index(step)));
    }
    Running none{e.splat(0, rows, valueDim()),
                 e.splat(-std::numeric_limits<double>::infinity(), rows, 1),
                 e.splat(0, rows, 1),
                 {}};
    Running running = turn(first, none, /*masked=*/true);
    Value next = e.add(first, e.index(1));
    Value from = e.min(e.max(fullFrom, next), steps), to = e.min(e.max(fullTo, from), steps);
    if (!op.visible.all())
      running = turns(next, from, running, true);
    else
      from = next, to = e.max(fullTo, next);
    running = turns(from, to, running, false);
    running = turns(to, steps, running, true);
    Value acc = weigh(e.sub(steps, e.index(1)), running);
    if (op.sinks) {
      Value base = softmax::baseOf(e, e.tileType(rows, 1), running.m, exponentScale());
      running.l = softmax::withSinks(e, running.l, base, sinks, head, 1, 1);
    }
    output = softmax::divided(e, acc, running.l);
    Window window{0, e.mul(head, valueDim()), heads * valueDim(), valueDim()};
    e.store(e.emit(result, own, window), 0, own, window);
  }

  Value div(Value x, int64_t n) { return arith::DivUIOp::create(e.b, e.loc, x, e.index(n)); }

  Running turns(Value lo, Value hi, const Running &before, bool masked) {
    auto after = e.loop(lo, hi, 1, before.list(), [&](Value j, ValueRange carried) -> SmallVector<Value> {
      return turn(j, Running::of(carried), masked).list();
    });
    return Running::of(after);
  }

  /// Behind the last page the table has, the last one again: its keys are masked by their number.
  Value pageAt(Value cache, attn::CacheType type, Value number) {
    auto memory = tile::MemoryType::get(e.b.getContext(), type.getShape()[1], type.getElementType());
    return tile::PageOp::create(e.b, e.loc, memory, e.memoryOf(cache), sequence, e.min(number, lastPage), keyHead);
  }
  Value loadPage(Value from, Value column, int64_t columns) {
    return tile::LoadOp::create(e.b, e.loc, e.tileType(page, columns), from, e.index(0), column, Value(), Value(),
                                /*transposed=*/false);
  }
  /// Rows [first, first + width) of the head's weights times the latents of the page, one row for each of its tokens.
  Value expanded(Value from, int64_t first, int64_t width) {
    int64_t step = std::min(brain() ? kLatentStep : kExactLatentStep, rank()), whole = rank() / step * step;
    Rows weights{e.add(e.mul(head, keyDim() + valueDim()), e.index(first)), width, {}, {}};
    auto multiply = [&](Value column, int64_t columns, Value sum) {
      Value w = e.load(e.memoryOf(op.kvB), weights, column, columns);
      return e.mma(loadPage(from, column, columns), w, {false, true, sum, tile::Triangle::none});
    };
    Value sum = e.loop(e.index(0), e.index(whole), step, e.splat(0, page, width),
                       [&](Value column, ValueRange carried) -> SmallVector<Value> {
                         return {multiply(column, step, carried[0])};
                       })[0];
    return whole == rank() ? sum : multiply(e.index(whole), rank() - whole, sum);
  }
  Value scoresOf(Value number) {
    if (made) {
      Value block = latentBlock(e, blocks, bounds, number, head), scores;
      if (turnedQ)
        scores = e.mma(turnedQ, loadPage(block, e.index(0), made->rope), {false, true, {}, tile::Triangle::none});
      Value own = loadPage(block, e.index(made->rope), made->nope);
      return e.mma(q, own, {false, true, scores, tile::Triangle::none});
    }
    Value keyPage = pageAt(op.keys, keys, number);
    if (!op.kvB)
      return e.mma(q, loadPage(keyPage, e.index(0), keys.getShape()[1]), {false, true, {}, tile::Triangle::none});
    Value scores = e.mma(q, expanded(keyPage, 0, keyDim()), {false, true, {}, tile::Triangle::none});
    if (!turnedQ)
      return scores;
    Value shared = loadPage(keyPage, e.index(rank()), keys.getShape()[1] - rank());
    return e.mma(turnedQ, shared, {false, true, scores, tile::Triangle::none});
  }
  Value valuesOf(Value number) {
    if (made)
      return loadPage(latentBlock(e, blocks, bounds, number, head), e.index(made->rope + made->nope), made->value);
    Value valuePage = pageAt(op.values, values, number);
    return op.kvB ? expanded(valuePage, keyDim(), valueDim()) : loadPage(valuePage, e.index(0), valueDim());
  }
  Value pageOf(Value turn, int64_t i) { return e.add(e.mul(turnsOver.at(e, turn), pages), e.index(i)); }

  /// The accumulator with the weighted values of turn `j`.
  Value weigh(Value j, const Running &running) {
    Value acc = running.acc;
    for (int64_t i = 0; i < pages; ++i)
      acc = e.mma(running.weights[i], valuesOf(pageOf(j, i)), {false, false, acc, tile::Triangle::none});
    return acc;
  }

  Value visible(Value scores, Value j, int64_t i) {
    auto type = cast<tile::TileType>(scores.getType());
    // Position of the first query relative to the first key.
    Value first = e.mul(pageOf(j, i), page);
    auto toI32 = [&](Value x) -> Value { return arith::IndexCastOp::create(e.b, e.loc, e.b.getI32Type(), x); };
    Value distance = toI32(e.sub(position, first)), firstKey = op.visible.all() ? Value() : toI32(first);
    return e.map(type, scores, [&](OpBuilder &b, ValueRange in) -> Value {
      auto index = [&](int64_t d) -> Value {
        return tile::IndexOp::create(b, e.loc, b.getI32Type(), b.getI64IntegerAttr(d));
      };
      Value back = arith::SubIOp::create(b, e.loc, arith::AddIOp::create(b, e.loc, distance, index(0)), index(1));
      Value seen = softmax::sees(b, e.loc, op.visible, back,
                                 [&]() -> Value { return arith::AddIOp::create(b, e.loc, firstKey, index(1)); });
      return arith::SelectOp::create(b, e.loc, seen, in[0], f32(b, -std::numeric_limits<double>::infinity()));
    });
  }

  Running turn(Value j, const Running &before, bool masked) {
    auto column = e.tileType(rows, 1), square = e.tileType(rows, page), panel = e.tileType(rows, valueDim());
    double c = exponentScale();
    SmallVector<Value> scores;
    for (int64_t i = 0; i < pages; ++i)
      scores.push_back(scoresOf(pageOf(j, i)));
    Value acc = before.acc;
    if (!before.weights.empty())
      acc = weigh(e.sub(j, e.index(1)), before);
    Value m = before.m;
    for (int64_t i = 0; i < pages; ++i) {
      if (op.softcap)
        scores[i] = softmax::capped(e, square, scores[i], op.scale, op.softcap->convertToDouble());
      if (masked)
        scores[i] = visible(scores[i], j, i);
    }
    // All pages of the turn column by column first: what is exchanged between threads is exchanged once.
    Value largest = scores[0];
    for (int64_t i = 1; i < pages; ++i)
      largest = softmax::maximum(e, square, largest, scores[i]);
    m = softmax::maximum(e, column, m, e.reduce(tile::Combiner::max, largest, 1));
    Value base = softmax::baseOf(e, column, m, c);
    Value fade = softmax::power(e, column, before.m, base, c);
    Running after{{}, m, {}, {}};
    Value sum;
    for (Value x : scores) {
      Value weight = after.weights.emplace_back(softmax::power(e, square, x, base, c));
      sum = !sum ? weight : e.map(square, {sum, weight}, [&](OpBuilder &b, ValueRange in) -> Value {
        return plus(b, e.loc, in[0], in[1]);
      });
    }
    after.l = softmax::added(e, column, before.l, fade, e.reduce(tile::Combiner::add, sum, 1));
    after.acc = e.product(panel, {acc, fade});
    return after;
  }

  Attention op;
  RankedTensorType queryType;
  attn::CacheType keys, values;
  int64_t heads, rows, pages = 1;
  int64_t page = DENIM_PAGE_TOKENS;
  StringAttr form;
  Emitter e;
  Value result, head, keyHead, output;
  std::optional<LatentKeys> made;                 ///< keys and values that stand in scratch
  Value blocks;                                   ///< there
  Value sequence, position, lastPage, q, turnedQ; ///< of the rows that are being written
  softmax::Pages turnsOver;                       ///< their keys
  Value sinks;
  tile::SequenceOp bounds;
};

} // namespace

tile::KernelOp denim::emitSoftmaxBlocks(plan::KernelOp kernel, const Attention &op, SmallVectorImpl<unsigned> &extras) {
  bool brain = cast<attn::CacheType>(op.keys.getType()).getElementType().isBF16();
  SoftmaxBlocks writer(kernel, op, brain ? 128 : 64);
  tile::KernelOp written = writer.write();
  extras.append(writer.extraOperands().begin(), writer.extraOperands().end());
  return written;
}
