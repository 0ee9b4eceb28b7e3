// Softmax attention of few new tokens over keys and values, for a machine on which a block of threads does an item.
//
// An item is a key head of a sequence, or a part of its keys. Where there are as many key heads as keep the machine
// busy, and their sequences are about as long as each other (`even` of the launch's condition, runtime/abi/Module.h),
// keys are not cut: nothing is written but the result, and no block begins that finds nothing to do. In other steps
// each leaves the largest score, the sum of weights and the weighted sum of its part, which a kernel behind merges
// (SoftmaxMerge.cpp). All query heads of the key head are rows of one tile, and each page is read once.
//
// The tile has 64 rows, however few heads there are: with products of a warpgroup a row of scores belongs to one warp,
// its maximum and sum are exchanged between four lanes, and the weights are a left operand as they stand. With 16 rows
// the four warps would share them, and meet three times for each page: a chain of 0.9 us, in which a multiprocessor
// could have read the page. Rows behind the last head are zero. Exactly (pages of f32, products of several terms each)
// the tile has the heads alone, and parts are not made here.
//
// Pages are gone through from the newest, which alone may hold keys behind the token, to the oldest; those that the
// token sees in full are not masked. The loop is rotated by one turn, as in SoftmaxBlocks.cpp: a turn asks for the
// scores of its page and for the values of the turn before, and does its softmax while the second of these products
// runs. How fast a block reads at most follows from how long the chain of its turn is, and those that are behind when
// others have ended catch up no faster: on an H200, 32 sequences of 32768 keys took 0.951 ms with two products and a
// softmax behind each other, and 0.930 with copies and barriers alone. Rotated it is 1.0 % less, and 1.3 % since rows
// that nobody stores are not computed any more (codegen/nvptx/UsedRows.cpp).
//
// In steps of as many sequences as give most multiprocessors an item, and none two, an item is two key heads that are
// neighbours in a page (form `pairs`), whose query heads are rows of one tile. Each key head's queries are a tile of
// their own in which the rows of the other are zero, so that
//
//     scores = q0 k0^T + q1 k1^T        values: (acc + w0 v0) + w1 v1, each w with zeros in the rows of the other
//
// are rows of both heads in one accumulator, with one softmax for both: a turn reads twice as much and takes products
// twice as long, but nothing else. What it is for is memory: 32 KB of a page are read at once where blocks that do
// their heads apart drift apart as well, a quarter of the way on an H200, whose multiprocessors do not all read equally
// fast. A kernel that only copies, and waits for as long as a turn takes, took 0.937 ms for 32 x 32768 tokens by heads,
// 0.926 by neighbours in twos, 0.945 by heads in twos that are no neighbours, and 0.925 in the order of memory. And
// between 17 and 31 sequences of 8 key heads some multiprocessors had two items of one head while others had one: twos
// are 3 to 5 % faster there. Keys or values that are no finite numbers make the other head's result none, too.
//
// Scores stay as the product leaves them until the exponent.
#include "compiler/conversion/AttnToTile/Softmax.h"
#include "compiler/conversion/AttnToTile/SoftmaxParts.h"
#include "compiler/conversion/AttnToTile/SoftmaxTiles.h"
#include "runtime/abi/Kernel.h"
#include <limits>

using namespace mlir;
using namespace denim;
using softmax::Running;

namespace {

constexpr int64_t kPage = DENIM_PAGE_TOKENS;
/// Rows of a product of a warpgroup.
constexpr int64_t kGroupRows = 64;
/// Elements of the accumulator with which two blocks fit a multiprocessor.
constexpr int64_t kHalfOfRegisters = 64 * 128;

class SoftmaxWhole {
public:
  SoftmaxWhole(plan::KernelOp kernel, const Attention &op, int64_t parts, int64_t joined)
      : op(op), parts(parts), joined(joined), queryType(cast<RankedTensorType>(op.query.getType())),
        keys(cast<attn::CacheType>(op.keys.getType())), values(cast<attn::CacheType>(op.values.getType())),
        heads(queryType.getDimSize(1)), keyHeads(keys.getShape()[0]), group(heads / keyHeads), items(keyHeads / joined),
        brain(keys.getElementType().isBF16()), rows(brain ? llvm::alignTo(group * joined, kGroupRows) : group * joined),
        e(kernel, tile::ItemsAttr::get(kernel.getContext(), tile::CountKind::sequences, 1, items * parts)) {}

  tile::KernelOp write() {
    // One at its first or last pages while the other is in the middle, where the registers of two suffice.
    if (brain) {
      bool isSmall = rows * valueDim() <= kHalfOfRegisters;
      e.tileKernel->setAttr("tile.blocks", e.b.getI64IntegerAttr(isSmall ? 2 : 1));
      // Parts are about as many as multiprocessors. Two of them on one would leave another without, as happens where
      // they begin while kernels in front still hold their places; beside one of them those find room.
      if (op.isPart && isSmall)
        e.tileKernel->setAttr("tile.spread", e.b.getUnitAttr());
      e.tileKernel->setAttr("tile.warps", e.b.getI64IntegerAttr(rows / 16));
    }
    queryHeads = e.viewOf(op.query, keyDim());
    if (op.sinks)
      sinks = e.viewOf(op.sinks, 1);
    // Every head of a token is a row of its own.
    auto element = cast<tile::MemoryType>(e.resultMemory(0).getType()).getElementType();
    int64_t columns = op.isPart ? valueDim() + 2 : valueDim();
    e.resultMemory(0).setType(tile::MemoryType::get(e.b.getContext(), columns, element));
    sequence = div(e.item(), items * parts);
    keyHead = e.mul(arith::RemUIOp::create(e.b, e.loc, e.item(), e.index(items)), joined);
    if (op.isPart)
      part = div(arith::RemUIOp::create(e.b, e.loc, e.item(), e.index(items * parts)), items);
    firstHead = e.mul(keyHead, group);
    auto bounds = tile::SequenceOp::create(e.b, e.loc, sequence);
    e.sequence = sequence;
    Value lo = bounds.getBegin(), hi = bounds.getEnd(), shift = e.sub(bounds.getPast(), lo);
    e.branch(e.less(e.sub(hi, lo), e.index(kSoftmaxManyTokens)),
             [&] { e.loop(lo, hi, 1, [&](Value row) { writeToken(row, e.add(row, shift)); }); });
    return e.failed() ? nullptr : e.tileKernel;
  }

  ArrayRef<unsigned> extraOperands() const { return e.extraOperands(); }

private:
  int64_t keyDim() { return queryType.getDimSize(2); }
  int64_t valueDim() { return op.valueWidth; }
  Value div(Value x, int64_t n) { return arith::DivUIOp::create(e.b, e.loc, x, e.index(n)); }
  double exponentScale() { return kLog2E * (op.softcap ? 1 : op.scale); }

  void writeToken(Value row, Value position) {
    pages = softmax::visiblePages(e, op.visible, position, position, kPage);
    if (op.isPart)
      return writePart(row, position);
    Running done = attend(row, position);
    if (op.sinks) {
      Value base = softmax::baseOf(e, e.tileType(rows, 1), done[0], exponentScale());
      done[1] = softmax::withSinks(e, done[1], base, sinks, firstHead, rows, group * joined);
    }
    store(softmax::divided(e, done[2], done[1]), headRow(row), 0);
  }

  void writePart(Value row, Value position) {
    Value count = softmax::partCount(e, op, parts), share = softmax::pagesPerPart(e, pages, count);
    Value from = e.add(pages.first, arith::MulIOp::create(e.b, e.loc, part, share)), end = pages.end;
    e.branch(e.less(from, end), [&] {
      pages.first = from;
      pages.end = e.min(e.add(from, share), end);
      Running done = attend(row, position);
      // Largest scores of other parts are scaled as the op says.
      if (!op.softcap)
        done[0] = e.map(e.tileType(rows, 1), done[0], [&](OpBuilder &b, ValueRange in) -> Value {
          return times(b, e.loc, in[0], number(b, e.loc, op.scale));
        });
      Value head = headRow(e.add(arith::MulIOp::create(e.b, e.loc, row, count), part));
      store(done[2], head, 0);
      store(done[0], head, valueDim());
      store(done[1], head, valueDim() + 1);
    });
  }

  /// Rows of the heads that there are.
  void store(Value tile, Value head, int64_t column) {
    tile::StoreOp::create(e.b, e.loc, tile, e.resultMemory(0), head, e.index(column), head,
                          e.add(head, e.index(group * joined)));
  }

  /// Weights of the query heads of key head `j`, zero in other rows.
  Value ofKeyHead(Value weights, int64_t j) {
    return e.map(cast<tile::TileType>(weights.getType()), weights, [&](OpBuilder &b, ValueRange in) -> Value {
      auto word = [&](int64_t x) -> Value { return arith::ConstantOp::create(b, e.loc, b.getI32IntegerAttr(x)); };
      Value row = tile::IndexOp::create(b, e.loc, b.getI32Type(), b.getI64IntegerAttr(0));
      Value own = arith::CmpIOp::create(b, e.loc, arith::CmpIPredicate::ult,
                                        arith::SubIOp::create(b, e.loc, row, word(j * group)), word(group));
      return arith::SelectOp::create(b, e.loc, own, in[0], number(b, e.loc, 0));
    });
  }

  Value headRow(Value row) { return e.add(e.mul(row, heads), firstHead); }

  /// What a turn leaves for the next: maximum and sum, the accumulator without the values of its own page, and the
  /// weights that wait for these.
  struct Turned {
    Value m, l, acc;
    SmallVector<Value> weights; ///< for each key head
    SmallVector<Value> list() const {
      SmallVector<Value> all{m, l, acc};
      all.append(weights);
      return all;
    }
    static Turned of(ValueRange all) { return {all[0], all[1], all[2], llvm::to_vector(all.drop_front(3))}; }
  };

  Running attend(Value row, Value position) {
    Value from = pages.first, to = pages.end, newest = e.sub(to, e.index(1));
    Value first = headRow(row);
    SmallVector<Value> q;
    for (int64_t j = 0; j < joined; ++j) {
      Value own = e.add(first, e.index(j * group));
      Rows all{first, rows, own, e.add(own, e.index(group))};
      if (rows == group)
        all.lo = all.hi = {};
      q.push_back(e.load(queryHeads, all, e.index(0), keyDim()));
    }
    Running none = softmax::nothing(e, rows, valueDim());
    Turned running = turn(q, position, newest, {none[0], none[1], none[2], {}}, /*masked=*/true);
    // Turn i is that of the i-th page before the newest, which alone may hold keys behind the token.
    auto turns = [&](Value lo, Value hi, bool masked) {
      running = Turned::of(e.loop(lo, hi, 1, running.list(), [&](Value i, ValueRange before) {
        return turn(q, position, e.sub(newest, i), Turned::of(before), masked).list();
      }));
    };
    Value count = e.sub(to, from), second = e.index(1);
    if (op.visible.all()) {
      turns(second, count, /*masked=*/false);
    } else {
      // Of the pages from here on the token sees every key.
      Value full = pages.numberOf(e, e.ceilDiv(softmax::oldestKey(e, op.visible, position), e.index(kPage)));
      full = e.min(e.max(full, from), to);
      Value seen = e.max(e.sub(to, full), second);
      turns(second, seen, /*masked=*/false);
      turns(seen, count, /*masked=*/true);
    }
    return {running.m, running.l, weigh(running, from)};
  }

  Value pageAt(Value cache, attn::CacheType type, Value number, int64_t head) {
    auto memory = tile::MemoryType::get(e.b.getContext(), type.getShape()[1], type.getElementType());
    Value page = tile::PageOp::create(e.b, e.loc, memory, e.memoryOf(cache), sequence, pages.at(e, number),
                                      e.add(keyHead, e.index(head)));
    return e.load(page, Rows{e.index(0), kPage, {}, {}}, e.index(0), type.getShape()[1]);
  }

  /// The accumulator with the weighted values of page `number`.
  Value weigh(const Turned &running, Value number) {
    Value acc = running.acc;
    for (int64_t j = 0; j < joined; ++j)
      acc = e.mma(running.weights[j], pageAt(op.values, values, number, j), {false, false, acc, tile::Triangle::none});
    return acc;
  }

  Turned turn(ArrayRef<Value> q, Value position, Value number, const Turned &before, bool masked) {
    auto column = e.tileType(rows, 1), square = e.tileType(rows, kPage), panel = e.tileType(rows, valueDim());
    double infinity = std::numeric_limits<double>::infinity(), c = exponentScale();
    Value scores;
    for (int64_t j = 0; j < joined; ++j)
      scores = e.mma(q[j], pageAt(op.keys, keys, number, j), {false, true, scores, tile::Triangle::none});
    Value acc = !before.weights.empty() ? weigh(before, e.add(number, e.index(1))) : before.acc;
    if (op.softcap)
      scores = softmax::capped(e, square, scores, op.scale, op.softcap->convertToDouble());
    if (masked) {
      // Position of the query relative to the first key of the page.
      Value firstRow = e.mul(pages.at(e, number), kPage);
      auto word = [&](Value x) -> Value { return arith::IndexCastOp::create(e.b, e.loc, e.b.getI32Type(), x); };
      Value distance = word(e.sub(position, firstRow)), firstKey = op.visible.all() ? Value() : word(firstRow);
      scores = e.map(square, scores, [&](OpBuilder &b, ValueRange in) -> Value {
        Value key = tile::IndexOp::create(b, e.loc, b.getI32Type(), b.getI64IntegerAttr(1));
        Value back = arith::SubIOp::create(b, e.loc, distance, key);
        Value seen = softmax::sees(b, e.loc, op.visible, back,
                                   [&]() -> Value { return arith::AddIOp::create(b, e.loc, firstKey, key); });
        return arith::SelectOp::create(b, e.loc, seen, in[0], denim::number(b, e.loc, -infinity));
      });
    }
    Turned after;
    after.m = softmax::maximum(e, column, before.m, e.reduce(tile::Combiner::max, scores, 1));
    Value base = softmax::baseOf(e, column, after.m, c), fade = softmax::power(e, column, before.m, base, c);
    Value weights = softmax::power(e, square, scores, base, c);
    after.l = softmax::added(e, column, before.l, fade, e.reduce(tile::Combiner::add, weights, 1));
    for (int64_t j = 0; j < joined; ++j)
      after.weights.push_back(joined == 1 ? weights : ofKeyHead(weights, j));
    after.acc = e.product(panel, {acc, fade});
    return after;
  }

  Attention op;
  int64_t parts;  ///< that a token has items for; 1: keys are whole
  int64_t joined; ///< key heads of an item
  RankedTensorType queryType;
  attn::CacheType keys, values;
  int64_t heads, keyHeads, group, items;
  bool brain;
  int64_t rows;
  Emitter e;
  Value queryHeads, sinks, sequence, keyHead, firstHead, part;
  softmax::Pages pages; ///< of the token that is being written
};

} // namespace

tile::KernelOp denim::emitSoftmaxWhole(plan::KernelOp kernel, const Attention &op, int64_t parts, int64_t joined,
                                       SmallVectorImpl<unsigned> &extras) {
  SoftmaxWhole writer(kernel, op, parts, joined);
  tile::KernelOp written = writer.write();
  extras.append(writer.extraOperands().begin(), writer.extraOperands().end());
  return written;
}
