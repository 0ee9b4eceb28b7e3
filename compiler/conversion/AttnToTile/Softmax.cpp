// Softmax attention over pages: blockwise online softmax (spec/attention.md section 1).
//
// On a CPU an item is one key head for a block of tokens. Where the block holds many tokens of a sequence, each query
// head takes a tile of them through the pages; where it holds few, a token takes all query heads of the group at once,
// so that every page is read once, and, when the keys are split, only through the pages of its part: the parts are
// merged by the kernel behind. Running maximum m, sum l and accumulator are f32; a block without a visible key leaves
// them as they are.
//
// Where a row of the cache is key and value at once (latents), it is loaded once and weighted whole; of the sum only
// the columns of the value are used. All query heads share the one key head then, in tiles of at most 16, each an item.
//
// On a GPU with products of warpgroups, tiles of 64 heads over latents of bf16 are computed by two teams of warps
// (`tile.warps_ahead`): the accumulator, 64 x 512, is all that eight warps can hold.
//
// A kernel with a `form` (plan-split-forms) does one of the two only. `many` and `long`: query heads for blocks of
// tokens, see SoftmaxBlocks.cpp. `few`: an item is a key head (and a part of the keys) of a sequence. `whole` and
// `pairs`: few tokens, but sequences enough without parts, see SoftmaxWhole.cpp; over latents `whole` is the kernel of
// `few` as it is without them, whose tile of heads is the result. What these leave of parts is merged by
// SoftmaxMerge.cpp.
#include "compiler/conversion/AttnToTile/Softmax.h"
#include "compiler/conversion/AttnToTile/KeyParts.h"
#include "compiler/conversion/AttnToTile/SoftmaxParts.h"
#include "compiler/conversion/AttnToTile/SoftmaxTiles.h"
#include "compiler/conversion/Reshapes.h"
#include "compiler/conversion/Variants.h"
#include "compiler/tuning/Choices.h"
#include "runtime/abi/Kernel.h"
#include <limits>

using namespace mlir;
using namespace denim;
using softmax::Running;

namespace {

constexpr int64_t kTokenBlock = 64;
constexpr int64_t kManyTokens = kSoftmaxManyTokens;
/// Warps that compute their scores: a warpgroup.
constexpr int64_t kWarpsAhead = 4;
/// Items of a step from which on keys of latents are not cut, on a CPU: several for each thread there may be.
constexpr int64_t kLatentItemsOfCpu = 256;
/// Query heads of a key head up to which they are rows of one tile of a whole sequence: what eight warps hold.
constexpr int64_t kMostWholeRows = 128;
/// Query heads of two key heads that may be one item: of so many rows a thread has one, and the rest of the tile is not
/// computed (codegen/nvptx/UsedRows.cpp).
constexpr int64_t kMostPairedRows = 8;
/// Channels of keys and of values of two key heads: whole panels, which are copied in bulk, and as many as fit what
/// shared memory a block has beside another, with those asked for ahead.
constexpr int64_t kPairedPanel = 64, kMostPairedColumns = 128;
/// Bytes of latents in f32 that stand in a tile: shared memory holds them as three terms.
constexpr int64_t kLatentBytes = 64 * 1024;

/// Whether parts are written by the kernel of SoftmaxWhole.cpp: tiles of 64 heads, most of them zero, cost nothing
/// where products of warpgroups have bf16 to read.
bool partsAreGroups(const Attention &op) {
  // Four warps hold sums of 64 heads and as many columns.
  return !op.sharesRows() && op.hasBf16Keys() && op.group() <= kMostWholeRows && op.valueWidth <= 256;
}

tuning::KeySplits keySplitsOf(const Attention &op) {
  auto query = cast<RankedTensorType>(op.query.getType());
  auto keys = cast<attn::CacheType>(op.keys.getType());
  int64_t bytes = keys.getElementType().getIntOrFloatBitWidth() / 8;
  return {keys.getShape()[0],
          query.getDimSize(1),
          query.getDimSize(2),
          op.valueWidth,
          bytes,
          DENIM_PAGE_TOKENS,
          softmax::kLeastPagesOfBlock,
          op.sharesRows() ? bytes == 2 ? softmax::kLatentHeadsOfBlock : kLatentHeads : 0};
}

std::string shapeText(const tuning::KeySplits &shape) {
  return tuning::shapeText(
      {{"heads", shape.queryHeads}, {"kv_heads", shape.keyHeads}, {"dk", shape.keyDim}, {"dv", shape.valueDim}});
}

/// Whether two key heads can be an item (SoftmaxWhole.cpp).
bool canPair(const Attention &op) {
  auto fits = [](int64_t columns) { return columns % kPairedPanel == 0 && columns <= kMostPairedColumns; };
  return !op.sharesRows() && op.hasBf16Keys() && op.keyHeads() % 2 == 0 && 2 * op.group() <= kMostPairedRows &&
         fits(cast<attn::CacheType>(op.keys.getType()).getShape()[1]) && fits(op.valueWidth);
}

/// Parts of the keys that blocks of threads make of one token's, of which there is memory for `op.splits`.
FailureOr<int64_t> choosePartItems(plan::KernelOp kernel, const Attention &op) {
  FailureOr<codegen::GpuTarget> target = tuning::gpuTargetOf(kernel);
  if (failed(target))
    return failure();
  tuning::KeySplits shape = keySplitsOf(op);
  tuning::Question question{"attend_part.key_splits", shapeText(shape), {}, {}};
  for (int64_t parts = op.splits; parts <= std::max(op.splits, softmax::kMostParts); parts *= 2)
    question.candidates.push_back(parts);
  question.predict = [&](int64_t parts) { return tuning::keySplits(*target, shape, parts); };
  return tuning::choose(kernel, question);
}

/// Tokens up to which whole keys are faster than parts. Candidates lie far apart: near the best, both take as long.
FailureOr<int64_t> chooseWholeTokens(plan::KernelOp kernel, const Attention &op, const codegen::GpuTarget &target) {
  tuning::KeySplits shape = keySplitsOf(op);
  tuning::Question question{"softmax_whole.most_tokens", shapeText(shape), {8192, 32768, 131072, 524288}, {}};
  question.predict = [&](int64_t most) { return tuning::wholeKeys(target, shape, op.splits, most); };
  return tuning::choose(kernel, question);
}

/// Sequences of a step from which on two key heads are an item, of steps of `least` to `behind` - 1 of them whose keys
/// are whole. `behind`: always one.
FailureOr<int64_t> choosePairedSequences(plan::KernelOp kernel, const Attention &op, int64_t least, int64_t behind,
                                         const codegen::GpuTarget &target) {
  tuning::KeySplits shape = keySplitsOf(op);
  tuning::Question question{"softmax_whole.paired_sequences", shapeText(shape), {}, {}};
  for (int64_t eighths : {8, 9, 10, 12, 16}) {
    int64_t sequences = llvm::divideCeil(least * eighths, 8);
    if (sequences < behind && !llvm::is_contained(question.candidates, sequences))
      question.candidates.push_back(sequences);
  }
  question.candidates.push_back(behind);
  question.predict = [&](int64_t from) { return tuning::pairedKeys(target, shape, least, behind, from); };
  return tuning::choose(kernel, question);
}

class SoftmaxKernel {
public:
  SoftmaxKernel(plan::KernelOp kernel, const Attention &op, bool few, softmax::PartItems parts)
      : op(op), queryType(cast<RankedTensorType>(op.query.getType())), keys(cast<attn::CacheType>(op.keys.getType())),
        values(cast<attn::CacheType>(op.values.getType())), group(softmax::headsOfTile(op, few)), parts(parts),
        e(kernel, tile::ItemsAttr::get(kernel.getContext(), few ? tile::CountKind::sequences : tile::CountKind::tokens,
                                       few ? 1 : kTokenBlock, itemsOfTokens(few))),
        result(kernel.getBlock()->getTerminator()->getOperand(0)), few(few) {
    int64_t width = keys.getShape()[1];
    if (few && op.sharesRows() && !op.hasBf16Keys())
      while (keyRows > 16 && keyRows * width * 4 > kLatentBytes)
        keyRows /= 2;
  }

  /// Tiles of query heads.
  int64_t headGroups() const { return queryType.getDimSize(1) / group; }
  /// Items of a block of tokens, or of a sequence. Those of few tokens over latents are cut into parts at run time.
  int64_t itemsOfTokens(bool few) const {
    return headGroups() * (op.isPart && !(few && op.sharesRows()) ? parts.most : 1);
  }
  tile::KernelOp write() {
    int64_t perBlock = itemsOfTokens(few);
    if (few)
      return writeFewOnly(perBlock);
    Value block = balanced(arith::DivUIOp::create(e.b, e.loc, e.item(), e.index(perBlock)));
    Value within = arith::RemUIOp::create(e.b, e.loc, e.item(), e.index(perBlock));
    findHeads(within);
    begin();
    Value blockLo = e.mul(block, kTokenBlock), blockHi = e.add(blockLo, e.index(kTokenBlock));
    Value sequences = tile::CountOp::create(e.b, e.loc, tile::CountKind::sequences);
    e.loop(e.index(0), sequences, 1, [&](Value s) {
      auto bounds = tile::SequenceOp::create(e.b, e.loc, s);
      e.sequence = s;
      Value lo = e.max(bounds.getBegin(), blockLo), hi = e.min(bounds.getEnd(), blockHi);
      // Position of row r of this sequence: r + shift.
      Value shift = e.sub(bounds.getPast(), bounds.getBegin());
      Value many = e.less(e.add(lo, e.index(kManyTokens - 1)), hi);
      auto writeMany = [&] {
        if (!op.isPart)
          e.loop(e.index(0), e.index(group), 1, [&](Value j) { writeManyTokens(s, lo, hi, shift, j); });
      };
      auto writeFew = [&] { e.loop(lo, hi, 1, [&](Value row) { writeOne(s, row, shift); }); };
      e.branch(many, writeMany, writeFew);
    });
    return e.failed() ? nullptr : e.tileKernel;
  }

  /// Heads and part of the keys of item `within` of those of one block of tokens.
  void findHeads(Value within) {
    Value number = arith::RemUIOp::create(e.b, e.loc, within, e.index(headGroups()));
    split = arith::DivUIOp::create(e.b, e.loc, within, e.index(headGroups()));
    firstHead = e.mul(number, group);
    keyHead =
        group == op.group() ? number : arith::DivUIOp::create(e.b, e.loc, firstHead, e.index(op.group())).getResult();
  }

  tile::KernelOp writeFewOnly(int64_t perSequence) {
    Value item = e.item(), part;
    if (op.isPart && op.sharesRows())
      std::tie(part, item) = softmax::CutItems{perSequence, parts.most, parts.latentItems}.pieceAndItem(e);
    Value s = arith::DivUIOp::create(e.b, e.loc, item, e.index(perSequence));
    Value within = arith::RemUIOp::create(e.b, e.loc, item, e.index(perSequence));
    findHeads(within);
    if (part)
      split = part;
    begin();
    auto bounds = tile::SequenceOp::create(e.b, e.loc, s);
    e.sequence = s;
    Value lo = bounds.getBegin(), hi = bounds.getEnd(), shift = e.sub(bounds.getPast(), lo);
    Value isFew = e.less(e.sub(hi, lo), e.index(kManyTokens));
    e.branch(isFew, [&] { e.loop(lo, hi, 1, [&](Value row) { writeOne(s, row, shift); }); });
    return e.failed() ? nullptr : e.tileKernel;
  }

  void begin() {
    // Half of the warps that a page would take: the accumulator is what they hold.
    if (few && op.sharesRows())
      e.tileKernel->setAttr("tile.warps", e.b.getI64IntegerAttr(8));
    if (valuesArePanels()) {
      e.tileKernel->setAttr("tile.blocks",
                            e.b.getI64IntegerAttr(1)); // what copying warps hand over, the assembler gives
      // The accumulator takes the registers of these warps: scores and weights are made by others, a page ahead.
      if (group % softmax::kLatentHeadsOfBlock == 0)
        e.tileKernel->setAttr("tile.warps_ahead", e.b.getI64IntegerAttr(kWarpsAhead));
    }
    // The heads of a token, or of one of its parts, are rows of their own here: a tile of them is stored at once.
    auto memory = cast<BlockArgument>(e.resultMemory(0));
    auto seeHeads = [&](int64_t columns) {
      auto element = cast<tile::MemoryType>(memory.getType()).getElementType();
      memory.setType(tile::MemoryType::get(e.b.getContext(), columns, element));
    };
    if (op.isPart)
      seeHeads(few ? valueDim() + 2 : partsWidth());
    else if (storesTiles())
      seeHeads(valueDim());
    query = e.memoryOf(op.query);
    if (op.sinks)
      sinks = e.viewOf(op.sinks, 1);
    queryHeads = e.viewOf(op.query, queryType.getDimSize(2));
    e.setAnchor([&](Value value, const Rows &, const Window &window) -> Value {
      if (value != op.result || window.columns != valueDim())
        return e.fail(value.getDefiningOp(), "expected to be used one head at a time");
      return output;
    });
  }

  /// What is done with one of few tokens.
  void writeOne(Value s, Value row, Value shift) {
    if (op.isPart)
      writePart(s, row, shift);
    else if (op.parts)
      mergeParts(row, shift);
    else
      writeToken(s, row, shift);
  }

  /// Late blocks see more keys than early ones. Threads take neighbouring items, so blocks are dealt out from both
  /// ends: 0, n-1, 1, n-2, ...
  Value balanced(Value number) {
    Value blocks = e.ceilDiv(tile::CountOp::create(e.b, e.loc, tile::CountKind::tokens), e.index(kTokenBlock));
    Value half = arith::DivUIOp::create(e.b, e.loc, number, e.index(2));
    Value odd = arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::eq,
                                      arith::RemUIOp::create(e.b, e.loc, number, e.index(2)), e.index(1));
    Value fromEnd = e.sub(e.sub(blocks, e.index(1)), half);
    return arith::SelectOp::create(e.b, e.loc, odd, fromEnd, half);
  }

  ArrayRef<unsigned> extraOperands() const { return e.extraOperands(); }

private:
  int64_t keyDim() { return queryType.getDimSize(2); }
  int64_t valueDim() { return op.valueWidth; }
  /// Whether values are the first columns of the keys' own tile: whole panels of what products read.
  bool valuesArePanels() {
    return few && op.sharesRows() && op.hasBf16Keys() && group % 16 == 0 && valueDim() % 64 == 0;
  }
  /// Whether a tile of heads over latents is the result as it stands.
  bool storesTiles() { return few && op.sharesRows() && !op.isPart && withoutReshapes(result) == op.result; }
  /// Columns of the accumulator.
  int64_t sumWidth() { return op.sharesRows() && !valuesArePanels() ? keys.getShape()[1] : valueDim(); }

  /// Rows of keys or values of turn `j`.
  Value rowsOf(Value cache, attn::CacheType type, int64_t width, Value s, Value j) {
    auto memory = tile::MemoryType::get(e.b.getContext(), type.getShape()[1], type.getElementType());
    Value row = e.index(0);
    if (int64_t turns = DENIM_PAGE_TOKENS / keyRows; turns > 1) {
      row = e.mul(arith::RemUIOp::create(e.b, e.loc, j, e.index(turns)), keyRows);
      j = arith::DivUIOp::create(e.b, e.loc, j, e.index(turns));
    }
    Value m = tile::PageOp::create(e.b, e.loc, memory, e.memoryOf(cache), s, j, keyHead);
    return e.load(m, Rows{row, keyRows, {}, {}}, e.index(0), width);
  }

  Value f32(OpBuilder &b, double x) { return arith::ConstantOp::create(b, e.loc, b.getF32FloatAttr(x)); }

  /// The pages that queries from `position` to `last` may see.
  softmax::Pages visiblePages(Value position, Value last) {
    return softmax::visiblePages(e, op.visible, position, last, DENIM_PAGE_TOKENS);
  }

  /// Pages of one of the parts into which a token's keys are cut.
  Value pagesPerPart(const softmax::Pages &pages) {
    if (few)
      return softmax::pagesPerPart(e, op, pages, parts);
    return e.max(e.ceilDiv(e.sub(pages.end, pages.first), e.index(op.splits)), e.index(kLeastPages));
  }

  /// exp(scale (x - y)), of scores that are not scaled. In this form one instruction prepares the exponent: what is
  /// subtracted is the same for a row.
  Value fadedPower(tile::TileType type, Value x, Value y) {
    return e.map(type, {x, y}, [&](OpBuilder &b, ValueRange in) -> Value {
      Value factor = f32(b, op.scale * kLog2E);
      Value from = arith::MulFOp::create(b, e.loc, in[0], factor),
            less = arith::MulFOp::create(b, e.loc, in[1], factor);
      return math::Exp2Op::create(b, e.loc, arith::SubFOp::create(b, e.loc, from, less));
    });
  }

  /// Scores of a page; -inf where a query does not see the key. Row i has its query `distance` (+ i, if `perRow`)
  /// behind the first key, which stands at `firstKey`.
  Value visible(Value raw, Value firstKey, Value distance, int64_t perRow, bool scales) {
    return e.map(cast<tile::TileType>(raw.getType()), raw, [&](OpBuilder &b, ValueRange in) -> Value {
      Value x = in[0], key = tile::IndexOp::create(b, e.loc, b.getI32Type(), b.getI64IntegerAttr(1));
      if (scales)
        x = arith::MulFOp::create(b, e.loc, x, f32(b, op.scale));
      if (op.softcap) {
        double cap = op.softcap->convertToDouble();
        x = arith::MulFOp::create(
            b, e.loc, math::TanhOp::create(b, e.loc, arith::MulFOp::create(b, e.loc, x, f32(b, 1 / cap))), f32(b, cap));
      }
      Value back = distance;
      if (perRow) {
        Value i = tile::IndexOp::create(b, e.loc, b.getI32Type(), b.getI64IntegerAttr(0));
        back = arith::AddIOp::create(b, e.loc, back, i);
      }
      // How far the key lies behind the query.
      back = arith::SubIOp::create(b, e.loc, back, key);
      Value isVisible = softmax::sees(b, e.loc, op.visible, back,
                                      [&]() -> Value { return arith::AddIOp::create(b, e.loc, firstKey, key); });
      return arith::SelectOp::create(b, e.loc, isVisible, x, f32(b, -std::numeric_limits<double>::infinity()));
    });
  }

  /// Whether weights are powers of two of scores that are not scaled before: a product less for each.
  bool usesPowers() { return valuesArePanels() && !op.softcap && op.scale > 0; }

  struct ScoredPage {
    Value values, raw;
  };
  ScoredPage score(Value q, Value s, Value j) {
    Value k = rowsOf(op.keys, keys, keys.getShape()[1], s, j);
    Value v = !op.sharesRows()    ? rowsOf(op.values, values, valueDim(), s, j)
              : valuesArePanels() ? e.window(k, 0, 0, keyRows, valueDim())
                                  : k;
    return {v, e.mma(q, k, {false, true, {}, tile::Triangle::none})};
  }

  /// One more page, of whose scores `seen` are visible.
  Running addPage(const ScoredPage &page, Value seen, ValueRange before) {
    int64_t rows = cast<tile::TileType>(seen.getType()).getRows();
    auto scores = e.tileType(rows, keyRows), column = e.tileType(rows, 1), panel = e.tileType(rows, sumWidth());
    bool powers = usesPowers();
    // Where several warps share a row, weights are summed key by key, and along the row when all pages are through.
    bool sumsLast = valuesArePanels();
    Value m = softmax::maximum(e, column, before[0], e.reduce(tile::Combiner::max, seen, 1));
    Value base = softmax::baseOf(e, column, m, 1);
    Value fade = powers ? fadedPower(column, before[0], base) : softmax::faded(e, column, before[0], base);
    Value p = powers ? fadedPower(scores, seen, base) : softmax::faded(e, scores, seen, base);
    Value l = softmax::added(e, sumsLast ? scores : column, before[1], fade,
                             sumsLast ? p : e.reduce(tile::Combiner::add, p, 1));
    Value acc = e.mma(p, page.values, {false, false, e.product(panel, {before[2], fade}), tile::Triangle::none});
    return {m, l, acc};
  }

  /// Attention over these pages. Row i of the tile of queries has position `position + i * perRow`.
  Running attend(Value q, Value s, Value position, int64_t perRow, const softmax::Pages &pages) {
    int64_t rows = cast<tile::TileType>(q.getType()).getRows();
    Running running = softmax::nothing(e, rows, sumWidth());
    if (valuesArePanels())
      running[1] = e.splat(0, rows, keyRows);
    int64_t turns = DENIM_PAGE_TOKENS / keyRows;
    Value from = e.mul(pages.first, turns), to = e.mul(pages.end, turns);
    bool powers = usesPowers();
    if (powers && op.visible.all() && !perRow) {
      // Pages whose keys are all visible need no comparisons. They go in twos, so that the scores of the second are
      // under way during the softmax of the first.
      Value whole = e.min(arith::DivUIOp::create(e.b, e.loc, e.add(position, e.index(1)), e.index(keyRows)), to);
      Value pairs = arith::DivUIOp::create(e.b, e.loc, e.sub(e.max(whole, from), from), e.index(2));
      Value behind = e.add(from, e.mul(pairs, 2));
      running = e.loop(from, behind, 2, running, [&](Value j, ValueRange carried) {
        ScoredPage first = score(q, s, j), second = score(q, s, e.add(j, e.index(1)));
        return addPage(second, second.raw, addPage(first, first.raw, carried));
      });
      from = behind;
    }
    auto toI32 = [&](Value x) -> Value { return arith::IndexCastOp::create(e.b, e.loc, e.b.getI32Type(), x); };
    Running done = e.loop(from, to, 1, running, [&](Value number, ValueRange carried) {
      Value j = pages.at(e, number);
      ScoredPage page = score(q, s, j);
      Value first = e.mul(j, keyRows), distance = toI32(e.sub(position, first));
      Value firstKey = op.visible.all() ? Value() : toI32(first);
      return addPage(page, visible(page.raw, firstKey, distance, perRow, /*scales=*/!powers), carried);
    });
    auto column = e.tileType(rows, 1);
    bool sumsLast = valuesArePanels();
    if (powers)
      done[0] = e.map(column, done[0], [&](OpBuilder &b, ValueRange in) -> Value {
        return arith::MulFOp::create(b, e.loc, in[0], f32(b, op.scale));
      });
    if (sumsLast)
      done[1] = e.reduce(tile::Combiner::add, done[1], 1);
    if (sumWidth() != valueDim())
      done[2] = e.window(done[2], 0, 0, rows, valueDim());
    return done;
  }

  void storeHead(const Rows &rows, Value head, Value tile) {
    Window window{0, e.mul(head, valueDim()), queryType.getDimSize(1) * valueDim(), valueDim()};
    output = tile;
    e.store(e.emit(result, rows, window), 0, rows, window);
  }

  void writeManyTokens(Value s, Value lo, Value hi, Value shift, Value j) {
    Value head = e.add(firstHead, j);
    // Rows behind `hi` belong to another sequence or to padding: they are computed and not stored.
    Rows all{lo, kTokenBlock, {}, {}}, own{lo, kTokenBlock, lo, hi};
    Value q = e.load(query, all, e.mul(head, keyDim()), keyDim());
    Value position = e.add(lo, shift);
    Running done = attend(q, s, position, 1, visiblePages(position, e.sub(e.add(hi, shift), e.index(1))));
    storeHead(own, head, softmax::divided(e, done[2], sumOf(done, head, 1)));
  }

  /// The sum of all weights of heads from `first` on, a row each or all rows one, with those of their sinks.
  Value sumOf(const Running &done, Value first, int64_t heads) {
    if (!op.sinks)
      return done[1];
    auto column = cast<tile::TileType>(done[0].getType());
    Value base = softmax::baseOf(e, column, done[0], kLog2E);
    return softmax::withSinks(e, done[1], base, sinks, first, heads, heads);
  }

  /// The queries of all heads of the group at one token.
  Value queriesOf(Value row) { return e.load(queryHeads, Rows{headRow(row), group, {}, {}}, e.index(0), keyDim()); }
  /// The row of the first of them where every head of a token is a row.
  Value headRow(Value row) { return e.add(e.mul(row, queryType.getDimSize(1)), firstHead); }

  void writeToken(Value s, Value row, Value shift) {
    Value position = e.add(row, shift);
    Running done = attend(queriesOf(row), s, position, 0, visiblePages(position, position));
    Value sum = sumOf(done, firstHead, group);
    if (storesTiles()) {
      // One division for a row, not one for each of its columns.
      Value share = softmax::divided(e, e.splat(1, group, 1), sum);
      Value o = e.product(cast<tile::TileType>(done[2].getType()), {done[2], share});
      tile::StoreOp::create(e.b, e.loc, o, e.resultMemory(0), headRow(row), e.index(0), Value(), Value());
      return;
    }
    Value o = softmax::divided(e, done[2], sum);
    for (int64_t j = 0; j < group; ++j)
      storeHead(Rows{row, 1, {}, {}}, e.add(firstHead, e.index(j)), e.window(o, j, 0, 1, valueDim()));
  }

  /// Columns of the parts of a head.
  int64_t partsWidth() { return op.splits * (valueDim() + 2); }
  /// Column of a part of a head in the buffer of parts: values, largest score, sum of weights.
  Value partColumn(Value head, Value part) { return e.mul(e.add(e.mul(head, op.splits), part), valueDim() + 2); }

  void writePart(Value s, Value row, Value shift) {
    Value position = e.add(row, shift);
    softmax::Pages pages = visiblePages(position, position), own = pages;
    Value share = pagesPerPart(pages);
    own.first = e.add(pages.first, arith::MulIOp::create(e.b, e.loc, split, share));
    own.end = e.min(e.add(own.first, share), pages.end);
    e.branch(e.less(own.first, pages.end), [&] {
      Running done = attend(queriesOf(row), s, position, 0, own);
      Value first = headRow(row), column = e.mul(split, valueDim() + 2);
      if (few) {
        Value part = e.add(arith::MulIOp::create(e.b, e.loc, row, softmax::partCount(e, op, parts.most)), split);
        first = headRow(part), column = e.index(0);
      }
      auto put = [&](Value tile, int64_t at) {
        tile::StoreOp::create(e.b, e.loc, tile, e.resultMemory(0), first, e.add(column, e.index(at)), Value(), Value());
      };
      put(done[2], 0);
      put(done[0], valueDim());
      put(done[1], valueDim() + 1);
    });
  }

  void mergeParts(Value row, Value shift) {
    Value position = e.add(row, shift);
    softmax::Pages pages = visiblePages(position, position);
    Value used = e.ceilDiv(e.sub(pages.end, pages.first), pagesPerPart(pages));
    Rows one{row, 1, {}, {}};
    auto line = e.tileType(1, valueDim()), number = e.tileType(1, 1);
    auto exp = [&](OpBuilder &b, Value x, Value y) -> Value {
      return math::ExpOp::create(b, e.loc, arith::SubFOp::create(b, e.loc, x, y));
    };
    // What was summed so far and what a part brings, each relative to its own largest score.
    auto weighted = [&](OpBuilder &b, ValueRange in) -> Value {
      Value x = arith::MulFOp::create(b, e.loc, in[0], exp(b, in[2], in[4]));
      return arith::AddFOp::create(b, e.loc, x, arith::MulFOp::create(b, e.loc, in[1], exp(b, in[3], in[4])));
    };
    e.loop(e.index(0), e.index(group), 1, [&](Value j) {
      Value head = e.add(firstHead, j), memory = e.memoryOf(op.parts);
      Running done =
          e.loop(e.index(0), used, 1, softmax::nothing(e, 1, valueDim()), [&](Value part, ValueRange carried) {
            Value column = partColumn(head, part);
            Value acc = e.load(memory, one, column, valueDim());
            Value m = e.load(memory, one, e.add(column, e.index(valueDim())), 1);
            Value l = e.load(memory, one, e.add(column, e.index(valueDim() + 1)), 1);
            Value largest = e.map(number, {carried[0], m}, [&](OpBuilder &b, ValueRange in) -> Value {
              return arith::MaximumFOp::create(b, e.loc, in[0], in[1]);
            });
            return Running{largest, e.map(number, {carried[1], l, carried[0], m, largest}, weighted),
                           e.map(line, {carried[2], acc, carried[0], m, largest}, weighted)};
          });
      storeHead(one, head, softmax::divided(e, done[2], sumOf(done, head, 1)));
    });
  }

  Attention op;
  RankedTensorType queryType;
  attn::CacheType keys, values;
  int64_t group; ///< query heads of one tile, all of the same key head
  softmax::PartItems parts;
  int64_t keyRows = DENIM_PAGE_TOKENS; ///< of one turn
  Emitter e;
  Value result, keyHead, firstHead, query, queryHeads, output;
  Value sinks; ///< a row for each head
  Value split; ///< number of the part of the keys
  bool few;
};

} // namespace

template <typename Op> static tile::KernelOp emitWith(plan::KernelOp kernel, SmallVectorImpl<unsigned> &extras) {
  for (auto op : kernel.getBlock()->getOps<Op>()) {
    auto form = kernel->getAttrOfType<StringAttr>("form");
    Attention attention(op);
    if (attention.sinks && !isa<BlockArgument>(withoutReshapes(attention.sinks))) {
      op.emitOpError() << "expected sinks that are a parameter, but got the result of another op";
      return nullptr;
    }
    if (form && (form.getValue() == "many" || form.getValue() == "long"))
      return emitSoftmaxBlocks(kernel, attention, extras);
    if (form && form.getValue() == "pairs")
      return emitSoftmaxWhole(kernel, attention, 1, 2, extras);
    if (form && form.getValue() == "whole") {
      if (!attention.sharesRows())
        return emitSoftmaxWhole(kernel, attention, 1, 1, extras);
      // Over latents it is what `few` is where there are no parts.
      attention.parts = {};
      attention.splits = 1;
    }
    FailureOr<int64_t> parts = attention.splits;
    if (form && attention.splits > 1)
      parts = choosePartItems(kernel, attention);
    if (failed(parts))
      return nullptr;
    softmax::PartItems items{*parts, kLatentItemsOfCpu};
    if (form) {
      FailureOr<codegen::GpuTarget> target = tuning::gpuTargetOf(kernel);
      if (failed(target))
        return nullptr;
      if (attention.isPart && target->warpgroupProduct && partsAreGroups(attention))
        return emitSoftmaxWhole(kernel, attention, *parts, 1, extras);
      items.latentItems = tuning::latentItems(*target);
      if (attention.parts)
        return softmax::emitSoftmaxMerge(kernel, attention, items, extras);
    }
    SoftmaxKernel writer(kernel, attention, bool(form), items);
    tile::KernelOp written = writer.write();
    extras.append(writer.extraOperands().begin(), writer.extraOperands().end());
    return written;
  }
  kernel.emitOpError() << "expected softmax attention";
  return nullptr;
}

FailureOr<WholeSteps> denim::wholeSteps(plan::KernelOp kernel, attn::AttendOp op) {
  Value stored = withoutReshapes(kernel.getBlock()->getTerminator()->getOperand(0));
  if (!op.getParts() || stored != op.getResult())
    return WholeSteps();
  FailureOr<codegen::GpuTarget> target = tuning::gpuTargetOf(kernel);
  if (failed(target))
    return failure();
  Attention attention(op);
  // From as many items on as latents are not cut for, nothing is there to be merged.
  if (attention.sharesRows()) {
    int64_t tiles = attention.queryHeads() / softmax::headsOfTile(attention, /*ofBlock=*/true);
    return WholeSteps{int64_t(llvm::divideCeil(tuning::latentItems(*target), tiles)), kAnyNumber};
  }
  if (attention.group() > kMostWholeRows)
    return WholeSteps();
  FailureOr<int64_t> longest = chooseWholeTokens(kernel, attention, *target);
  if (failed(longest))
    return failure();
  // A key head for every multiprocessor, or nearly.
  WholeSteps steps{int64_t(llvm::divideCeil(target->multiprocessors * 15 / 16, attention.keyHeads())), *longest};
  // Two of them as long as no multiprocessor has more of these than another.
  int64_t behind = target->multiprocessors / std::max<int64_t>(attention.keyHeads() / 2, 1) + 1;
  if (!target->warpgroupProduct || !canPair(attention) || behind <= steps.sequences)
    return steps;
  FailureOr<int64_t> paired = choosePairedSequences(kernel, attention, steps.sequences, behind, *target);
  if (failed(paired))
    return failure();
  steps.paired = *paired, steps.unpaired = behind;
  return steps;
}

tile::KernelOp denim::emitSoftmax(plan::KernelOp kernel, SmallVectorImpl<unsigned> &extras) {
  return emitWith<attn::AttendOp>(kernel, extras);
}

tile::KernelOp denim::emitSoftmaxPart(plan::KernelOp kernel, SmallVectorImpl<unsigned> &extras) {
  return emitWith<attn::AttendPartOp>(kernel, extras);
}
