// Softmax attention of many tokens, for a machine with matrix units that work beside everything else.
//
// A unit of work is a query head for a block of tokens. Where an item is a unit, a block that ends leaves the
// multiprocessor to one that begins with a chain of loads: of 13400 cycles that a unit of one turn took on an H200,
// 2600 were the turn's (T=2048, timed by the clock of each block). So the kernel of form `many` has as many items as
// there are multiprocessors, and each does unit after unit of a sequence: which, it knows from its number. Copying
// warps are at the keys of the next unit while the others end this one, and the bounds of a sequence are read once.
//
// Units are dealt out like cards, those that see most keys first, and backwards in every other round:
//
//     item        0    1    2    3         keys that units see, in pages: 12 11 10 9 | 8 7 6 5 | 4 3 2 1
//     round 0    12   11   10    9
//     round 1     5    6    7    8         every item sees about as many as the others
//     round 2     4    3    2    1
//
// The first unit of the next key heads, or of the next sequence, is for another item, as many further on as there were
// units.
//
// Long sequences have a kernel of their own (`long`), in which an item is a unit: the hardware deals them out as
// multiprocessors become free, those that see most keys first, so that the last ones to finish are short. So it is with
// pages of f32, and over latents: there the computing warps want all registers, and a copying thread that goes from
// unit to unit needs more than the fewest (products one by one, 1.13 -> 1.58 ms at T=8192).
//
// The loop over keys is rotated by one turn: a turn asks for the scores of its keys and for the values of the turn
// before it, and does its softmax while the second of these products runs. What it carries: accumulator, maximum and
// sum as usual (spec/attention.md section 1), and the weights that still wait for their values.
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
#include "compiler/tuning/Choices.h"
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
/// All tokens of a step count as one.
constexpr int64_t kAllTokens = int64_t(1) << 30;

class SoftmaxBlocks {
public:
  /// `processors`: of the machine.
  SoftmaxBlocks(plan::KernelOp kernel, const Attention &op, int64_t rows, int64_t processors)
      : op(op), queryType(cast<RankedTensorType>(op.query.getType())), keys(cast<attn::CacheType>(op.keys.getType())),
        values(cast<attn::CacheType>(op.values.getType())), heads(queryType.getDimSize(1)), rows(rows),
        form(kernel->getAttrOfType<StringAttr>("form")), isLong(form && form.getValue() == "long"),
        items(op.kvB || isLong || !brain() ? 0 : processors),
        e(kernel,
          items ? tile::ItemsAttr::get(kernel.getContext(), tile::CountKind::tokens, kAllTokens, items)
                : tile::ItemsAttr::get(kernel.getContext(), tile::CountKind::tokens, rows, heads),
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
    e.setAnchor([&](Value value, const Rows &, const Window &window) -> Value {
      if (value != op.result || window.columns != valueDim())
        return e.fail(value.getDefiningOp(), "expected to be used one head at a time");
      return output;
    });
    Value sequences = tile::CountOp::create(e.b, e.loc, tile::CountKind::sequences);
    if (items) {
      // What goes on from sequence to sequence: the item that gets the next unit.
      e.loop(e.index(0), sequences, 1, ValueRange{e.index(0)}, [&](Value s, ValueRange before) -> SmallVector<Value> {
        begin(s);
        Value blocksOfTokens = e.ceilDiv(newTokens(), e.index(rows));
        Value own = arith::SelectOp::create(e.b, e.loc, isMine(), blocksOfTokens, e.index(0));
        writeSequence(own, before[0]);
        return {behind(before[0], e.mul(own, heads))};
      });
      return e.failed() ? nullptr : e.tileKernel;
    }
    Value block = chooseHeads(e.ceilDiv(tile::CountOp::create(e.b, e.loc, tile::CountKind::tokens), e.index(rows)));
    Value blockLo = e.mul(block, rows), blockHi = e.add(blockLo, e.index(rows));
    e.loop(e.index(0), sequences, 1, [&](Value s) {
      begin(s);
      Value lo = e.max(bounds.getBegin(), blockLo), hi = e.min(bounds.getEnd(), blockHi);
      e.branch(arith::AndIOp::create(e.b, e.loc, e.less(lo, hi), isMine()), [&] { writeRows(lo, hi); });
    });
    return e.failed() ? nullptr : e.tileKernel;
  }

  ArrayRef<unsigned> extraOperands() const { return e.extraOperands(); }

private:
  void begin(Value s) {
    bounds = tile::SequenceOp::create(e.b, e.loc, s);
    e.sequence = sequence = s;
  }
  Value newTokens() { return e.sub(bounds.getEnd(), bounds.getBegin()); }

  /// Whether the sequence is one of those that the kernel is for.
  Value isMine() {
    auto both = [&](Value x, Value y) -> Value { return arith::AndIOp::create(e.b, e.loc, x, y); };
    Value mine = e.less(e.index((isLong ? kSoftmaxLongTokens : kSoftmaxManyTokens) - 1), newTokens());
    if (!isLong && form && hasLongForm(op))
      mine = both(mine, e.less(newTokens(), e.index(kSoftmaxLongTokens)));
    if (!op.kvB || !form)
      return mine;
    Value fit = latentsFit(e, bounds);
    if (!made)
      fit = arith::XOrIOp::create(e.b, e.loc, fit, arith::ConstantIntOp::create(e.b, e.loc, 1, 1));
    return both(mine, fit);
  }

  int64_t keyHeads() { return made ? heads : keys.getShape()[0]; }

  /// How many key heads are worked on together, of a sequence with so many blocks of keys: as many as have their keys
  /// and values in the last cache, about as many each time. All blocks of these come before those of the next.
  Value headsTogether(Value blocksOfKeys) {
    int64_t columns = made ? made->columns() : keys.getShape()[1] + (op.keys == op.values ? 0 : values.getShape()[1]);
    int64_t tokenBytes = columns * (brain() ? 2 : 4);
    Value together = e.index(std::max<int64_t>(kCachedBytes / (tokenBytes * rows), 1)), all = e.index(keyHeads());
    Value fitting = e.max(arith::DivUIOp::create(e.b, e.loc, together, e.max(blocksOfKeys, e.index(1))), e.index(1));
    return e.ceilDiv(all, e.ceilDiv(all, fitting));
  }

  /// Sets the heads of an item that is a unit and returns its block of tokens.
  Value chooseHeads(Value blocks) {
    int64_t group = heads / keyHeads();
    Value first = e.index(0), width = e.index(keyHeads()), within = e.item();
    if (keyHeads() > 1 && op.visible.all()) {
      // Keys from before this step are counted for the first sequence: a long prompt in pieces.
      Value past = e.ceilDiv(tile::SequenceOp::create(e.b, e.loc, e.index(0)).getPast(), e.index(rows));
      Value most = headsTogether(e.add(blocks, past));
      Value units = arith::MulIOp::create(e.b, e.loc, e.mul(blocks, group), most);
      Value part = arith::DivUIOp::create(e.b, e.loc, e.item(), units);
      first = arith::MulIOp::create(e.b, e.loc, part, most);
      width = e.min(most, e.sub(e.index(keyHeads()), first));
      within = e.sub(e.item(), arith::MulIOp::create(e.b, e.loc, part, units));
    }
    return chooseHead(e.mul(first, group), e.mul(width, group), within, blocks);
  }

  /// Unit `unit` of those of `count` heads, the last block of tokens of each first: sets its head, returns its block.
  Value chooseHead(Value firstHead, Value count, Value unit, Value blocks) {
    Value number = arith::DivUIOp::create(e.b, e.loc, unit, count);
    head = e.add(firstHead, e.sub(unit, arith::MulIOp::create(e.b, e.loc, number, count)));
    keyHead = div(head, heads / keyHeads());
    return e.sub(e.sub(blocks, e.index(1)), number);
  }

  /// The item that gets the unit so many behind one of `next`.
  Value behind(Value next, Value units) {
    return arith::RemUIOp::create(e.b, e.loc, e.add(next, units), e.index(items));
  }

  /// The units of a sequence with so many blocks of tokens, the first of which is for item `next`.
  void writeSequence(Value blocksOfTokens, Value next) {
    int64_t group = heads / keyHeads();
    if (keyHeads() == 1 || !op.visible.all())
      return writeHeads(blocksOfTokens, e.index(0), e.index(heads), next);
    Value all = e.index(keyHeads());
    Value most = headsTogether(e.add(blocksOfTokens, e.ceilDiv(bounds.getPast(), e.index(rows))));
    e.loop(e.index(0), e.ceilDiv(all, most), 1, [&](Value part) {
      Value firstKey = arith::MulIOp::create(e.b, e.loc, part, most), first = e.mul(firstKey, group);
      Value count = e.mul(e.min(most, e.sub(all, firstKey)), group);
      writeHeads(blocksOfTokens, first, count, behind(next, arith::MulIOp::create(e.b, e.loc, blocksOfTokens, first)));
    });
  }

  /// The units of `count` query heads.
  void writeHeads(Value blocksOfTokens, Value firstHead, Value count, Value next) {
    Value units = arith::MulIOp::create(e.b, e.loc, blocksOfTokens, count), last = e.index(items - 1);
    // The item's place, counted from `next`.
    Value place = behind(e.sub(e.add(e.item(), e.index(items)), next), e.index(0));
    e.loop(e.index(0), e.ceilDiv(units, e.index(items)), 1, [&](Value round) {
      Value isBackwards = e.less(e.index(0), arith::RemUIOp::create(e.b, e.loc, round, e.index(2)));
      Value at = arith::SelectOp::create(e.b, e.loc, isBackwards, e.sub(last, place), place);
      Value unit = e.add(e.mul(round, items), at);
      e.branch(e.less(unit, units), [&] {
        Value block = chooseHead(firstHead, count, unit, blocksOfTokens);
        Value lo = e.add(bounds.getBegin(), e.mul(block, rows));
        writeRows(lo, e.min(bounds.getEnd(), e.add(lo, e.index(rows))));
      });
    });
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
  double exponentScale() { return kLog2E * (op.softcap ? 1 : op.scale); }

  void writeRows(Value lo, Value hi) {
    Value shift = e.sub(bounds.getPast(), bounds.getBegin());
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
  bool isLong;
  int64_t items; ///< that go from unit to unit; 0: an item is a unit
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

bool denim::hasLongForm(const Attention &op) {
  return !op.kvB && op.visible.all() && cast<attn::CacheType>(op.keys.getType()).getElementType().isBF16();
}

tile::KernelOp denim::emitSoftmaxBlocks(plan::KernelOp kernel, const Attention &op, SmallVectorImpl<unsigned> &extras) {
  bool brain = cast<attn::CacheType>(op.keys.getType()).getElementType().isBF16();
  FailureOr<codegen::GpuTarget> target = tuning::gpuTargetOf(kernel);
  if (failed(target))
    return nullptr;
  SoftmaxBlocks writer(kernel, op, brain ? 128 : 64, target->multiprocessors);
  tile::KernelOp written = writer.write();
  extras.append(writer.extraOperands().begin(), writer.extraOperands().end());
  return written;
}
