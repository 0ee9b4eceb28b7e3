// Writes of caches, an item to a block of threads.
//
// New keys and values have two variants. Sequences with few new tokens: an item is one head of one sequence. With
// many: one head of a block of tokens of the step, so that a long prompt is as many items as it has blocks.
#include "compiler/conversion/AttnToTile/Emitter.h"
#include "runtime/abi/Kernel.h"

using namespace mlir;
using namespace denim;

namespace {

/// Tokens of one item: one slab of the matrix units that rotate them.
constexpr int64_t kTokenBlock = 16;

class AppendWriter {
public:
  AppendWriter(plan::KernelOp kernel, attn::AppendOp append, bool bySequence)
      : append(append), cache(append.getCache().getType()), heads(cache.getShape()[0]), width(cache.getShape()[1]),
        bySequence(bySequence),
        e(kernel,
          tile::ItemsAttr::get(kernel.getContext(), bySequence ? tile::CountKind::sequences : tile::CountKind::tokens,
                               bySequence ? 1 : kTokenBlock, heads),
          bySequence ? "few" : "many") {}

  LogicalResult write(Variant &variant) {
    Value block = arith::DivUIOp::create(e.b, e.loc, e.item(), e.index(heads));
    head = arith::RemUIOp::create(e.b, e.loc, e.item(), e.index(heads));
    if (bySequence) {
      writeTokens(block, {}, {});
    } else {
      Value lo = e.mul(block, kTokenBlock), hi = e.add(lo, e.index(kTokenBlock));
      e.loop(e.index(0), tile::CountOp::create(e.b, e.loc, tile::CountKind::sequences), 1,
             [&](Value s) { writeTokens(s, lo, hi); });
    }
    variant.kernel = e.tileKernel;
    variant.extraOperands.assign(e.extraOperands().begin(), e.extraOperands().end());
    return failure(e.failed());
  }

private:
  /// Tokens of sequence `s`, all of them or those in [lo, hi); nothing if the sequence is the other variant's.
  void writeTokens(Value s, Value lo, Value hi) {
    auto sequence = tile::SequenceOp::create(e.b, e.loc, s);
    e.sequence = s;
    Value begin = sequence.getBegin(), end = sequence.getEnd();
    Value isMany = e.less(e.index(kSmallPassRows), e.sub(end, begin));
    Value first = bySequence ? begin : e.max(begin, lo), last = bySequence ? end : e.min(end, hi);
    Value mine = arith::AndIOp::create(
        e.b, e.loc, e.less(first, last),
        arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::eq, isMany,
                              arith::ConstantOp::create(e.b, e.loc, e.b.getBoolAttr(!bySequence))));
    e.branch(mine, [&] {
      Window window{0, e.mul(head, width), heads * width, width};
      parts = e.emitParts(append.getInput(), Rows{first, kTokenBlock, begin, end}, window);
      // The tokens are neighbours in one page, or in two.
      Value position = e.add(sequence.getPast(), e.sub(first, begin)), count = e.sub(last, first);
      Value page = arith::DivUIOp::create(e.b, e.loc, position, e.index(DENIM_PAGE_TOKENS));
      Value slot = arith::RemUIOp::create(e.b, e.loc, position, e.index(DENIM_PAGE_TOKENS));
      Value behind = e.add(slot, count), size = e.index(DENIM_PAGE_TOKENS);
      store(s, page, slot, slot, e.min(behind, size));
      e.branch(e.less(size, behind),
               [&] { store(s, e.add(page, e.index(1)), e.sub(slot, size), e.index(0), e.sub(behind, size)); });
    });
  }

  void store(Value s, Value page, Value row, Value lo, Value hi) {
    auto memory = tile::MemoryType::get(e.b.getContext(), width, cache.getElementType());
    Value target = tile::PageOp::create(e.b, e.loc, memory, e.memoryOf(append.getCache()), s, page, head);
    for (const Emitter::Part &part : parts)
      if (part.tile)
        tile::StoreOp::create(e.b, e.loc, part.tile, target, row, e.index(part.channel), lo, hi);
  }

  attn::AppendOp append;
  attn::CacheType cache;
  int64_t heads, width;
  bool bySequence;
  Emitter e;
  Value head;
  SmallVector<Emitter::Part> parts;
};

/// The last rows of the sequence, a piece of their channels for each item; rows that are older than this step move up
/// inside the tail.
LogicalResult writeRemember(plan::KernelOp kernel, attn::RememberOp remember, Variant &variant) {
  auto tail = remember.getTail().getType();
  int64_t kept = tail.getShape()[0], count = 0;
  SmallVector<Piece> pieces = piecesOf(remember.getInput());
  for (const Piece &piece : pieces)
    count += piece.count;
  Emitter e(kernel, tile::ItemsAttr::get(kernel.getContext(), tile::CountKind::sequences, 1, count));
  Value s = arith::DivUIOp::create(e.b, e.loc, e.item(), e.index(count));
  Value number = arith::RemUIOp::create(e.b, e.loc, e.item(), e.index(count));
  auto sequence = tile::SequenceOp::create(e.b, e.loc, s);
  e.sequence = s;
  Value memory = tile::SlotOp::create(
      e.b, e.loc, tile::MemoryType::get(kernel.getContext(), tail.getShape()[1], tail.getElementType()),
      e.memoryOf(remember.getTail()), s);
  Value length = e.sub(sequence.getEnd(), sequence.getBegin());
  forPieces(e, pieces, number, [&](const Window &window) {
    Rows rows{e.sub(sequence.getEnd(), e.index(kept)), kept, sequence.getBegin(), sequence.getEnd()};
    Value fresh = e.emit(remember.getInput(), rows, window);
    if (!fresh)
      return;
    Value column = firstChannel(e.b, e.loc, window);
    Value old = e.load(memory, Rows{length, kept, e.index(0), e.index(kept)}, column, window.columns);
    Value both = e.map(e.tileType(kept, window.columns), {fresh, old}, [&](OpBuilder &b, ValueRange in) -> Value {
      return arith::AddFOp::create(b, e.loc, in[0], in[1]);
    });
    tile::StoreOp::create(e.b, e.loc, both, memory, e.index(0), column, Value(), Value());
  });
  variant.kernel = e.tileKernel;
  variant.extraOperands.assign(e.extraOperands().begin(), e.extraOperands().end());
  return failure(e.failed());
}

} // namespace

LogicalResult denim::emitCacheWriteOfBlock(plan::KernelOp kernel, Variants &variants) {
  for (Operation &op : *kernel.getBlock()) {
    if (auto append = dyn_cast<attn::AppendOp>(op)) {
      for (bool bySequence : {true, false}) {
        Variant &variant = variants.emplace_back();
        if (failed(AppendWriter(kernel, append, bySequence).write(variant)))
          return failure();
        variant.when = bySequence ? whenSequence(kernel.getContext(), 1, kSmallPassRows)
                                  : whenSequence(kernel.getContext(), kSmallPassRows + 1);
      }
      return success();
    }
    if (auto remember = dyn_cast<attn::RememberOp>(op))
      return writeRemember(kernel, remember, variants.emplace_back());
  }
  return kernel.emitOpError() << "expected to append to a cache or to remember rows";
}
