// Kernels without an anchor: norms, gates, embeddings, and the writes of caches.
#include "compiler/conversion/AttnToTile/Emitter.h"
#include "runtime/abi/Kernel.h"

using namespace mlir;
using namespace denim;

static constexpr int64_t kRowBlock = 16;

/// Full blocks of rows at once, what is left of [lo, hi) row by row.
static void forRows(Emitter &e, Value lo, Value hi, int64_t block, llvm::function_ref<void(const Rows &)> body) {
  Value full = lo;
  if (block > 1) {
    full = e.sub(hi, arith::RemUIOp::create(e.b, e.loc, e.sub(hi, lo), e.index(block)));
    e.loop(lo, full, block, [&](Value row) { body(Rows{row, block, {}, {}}); });
  }
  e.loop(full, hi, 1, [&](Value row) { body(Rows{row, 1, {}, {}}); });
}

tile::KernelOp denim::emitRows(plan::KernelOp kernel, SmallVectorImpl<unsigned> &extras) {
  Value result = kernel.getBlock()->getTerminator()->getOperand(0);
  SmallVector<Piece> pieces = piecesOf(result);
  // Heads are items of their own; the inputs of a concatenation are done one behind the other.
  int64_t parts = pieces.size() == 1 ? pieces[0].count : 1;
  Emitter e(kernel, tile::ItemsAttr::get(kernel.getContext(), rowKind(kernel), kRowBlock, parts));
  Value block = arith::DivUIOp::create(e.b, e.loc, e.item(), e.index(parts));
  Value part = arith::RemUIOp::create(e.b, e.loc, e.item(), e.index(parts));
  Value lo = e.mul(block, kRowBlock);
  Value n = tile::CountOp::create(e.b, e.loc, rowKind(kernel));
  Value hi = e.min(e.add(lo, e.index(kRowBlock)), n);
  auto writePiece = [&](const Piece &piece, Value number, const Rows &block) {
    Window window{piece.first, number ? e.mul(number, piece.width) : Value(), piece.width * piece.count, piece.width};
    forRows(e, block.row, block.hi, kRowBlock, [&](const Rows &rows) {
      // Rows of a sequence are bounded by it; where they are stored they are not.
      Rows bounded{rows.row, rows.count, block.lo, block.lo ? block.hi : Value()};
      e.store(e.emit(result, bounded, window), 0, rows, window);
    });
  };
  auto write = [&](const Rows &block) {
    if (pieces.size() == 1)
      return writePiece(pieces[0], parts > 1 ? part : Value(), block);
    for (const Piece &piece : pieces)
      e.loop(e.index(0), e.index(piece.count), 1, [&](Value number) { writePiece(piece, number, block); });
  };
  if (kernel.getBlock()->getOps<attn::ShortConvOp>().empty())
    write(Rows{lo, 0, {}, hi});
  else
    // A convolution reads earlier rows of its own sequence.
    e.loop(e.index(0), tile::CountOp::create(e.b, e.loc, tile::CountKind::sequences), 1, [&](Value s) {
      auto sequence = tile::SequenceOp::create(e.b, e.loc, s);
      e.sequence = s;
      Value first = e.max(lo, sequence.getBegin()), last = e.max(first, e.min(hi, sequence.getEnd()));
      write(Rows{first, 0, sequence.getBegin(), last});
    });
  extras.append(e.extraOperands().begin(), e.extraOperands().end());
  return e.failed() ? nullptr : e.tileKernel;
}

/// Keys or values of the new tokens, one head at a time, into their pages.
static tile::KernelOp emitAppend(plan::KernelOp kernel, attn::AppendOp append, SmallVectorImpl<unsigned> &extras) {
  auto cache = append.getCache().getType();
  int64_t heads = cache.getShape()[0], width = cache.getShape()[1];
  Emitter e(kernel, tile::ItemsAttr::get(kernel.getContext(), tile::CountKind::sequences, 1, heads));
  Value s = arith::DivUIOp::create(e.b, e.loc, e.item(), e.index(heads));
  Value head = arith::RemUIOp::create(e.b, e.loc, e.item(), e.index(heads));
  auto sequence = tile::SequenceOp::create(e.b, e.loc, s);
  e.sequence = s;
  Window window{0, e.mul(head, width), heads * width, width};
  auto memory = tile::MemoryType::get(kernel.getContext(), width, cache.getElementType());
  Value pageTokens = e.index(DENIM_PAGE_TOKENS);

  auto write = [&](const Rows &rows) {
    Value position = e.add(sequence.getPast(), e.sub(rows.row, sequence.getBegin()));
    Value page = arith::DivUIOp::create(e.b, e.loc, position, pageTokens);
    Value slot = arith::RemUIOp::create(e.b, e.loc, position, pageTokens);
    Value target = tile::PageOp::create(e.b, e.loc, memory, e.memoryOf(append.getCache()), s, page, head);
    Rows bounded{rows.row, rows.count, sequence.getBegin(), sequence.getEnd()};
    int64_t column = 0;
    for (Value input : append.getInputs()) {
      bool alone = append.getInputs().size() == 1;
      if (Value tile = e.emit(input, bounded, alone ? window : Window::whole(channelsOf(input))))
        tile::StoreOp::create(e.b, e.loc, tile, target, slot, e.index(column), Value(), Value());
      column += channelsOf(input);
    }
  };
  // Positions are taken in runs that lie in one page; runs that fill a page go in blocks of rows.
  Value first = sequence.getPast();
  Value last = e.add(first, e.sub(sequence.getEnd(), sequence.getBegin()));
  Value aligned = arith::DivUIOp::create(e.b, e.loc, e.add(first, e.index(DENIM_PAGE_TOKENS - 1)), pageTokens);
  Value head0 = e.min(e.mul(aligned, DENIM_PAGE_TOKENS), last);
  Value shift = e.sub(sequence.getBegin(), first); // position + shift = row
  forRows(e, e.add(first, shift), e.add(head0, shift), 1, write);
  forRows(e, e.add(head0, shift), e.add(last, shift), kRowBlock, write);
  extras.append(e.extraOperands().begin(), e.extraOperands().end());
  return e.failed() ? nullptr : e.tileKernel;
}

/// The last rows of the sequence; rows that are older than this step move up inside the tail.
static tile::KernelOp emitRemember(plan::KernelOp kernel, attn::RememberOp remember,
                                   SmallVectorImpl<unsigned> &extras) {
  auto tail = remember.getTail().getType();
  int64_t kept = tail.getShape()[0];
  Emitter e(kernel, tile::ItemsAttr::get(kernel.getContext(), tile::CountKind::sequences, 1, 1));
  auto sequence = tile::SequenceOp::create(e.b, e.loc, e.item());
  e.sequence = e.item();
  Value memory = tile::SlotOp::create(
      e.b, e.loc, tile::MemoryType::get(kernel.getContext(), tail.getShape()[1], tail.getElementType()),
      e.memoryOf(remember.getTail()), e.item());
  Value length = e.sub(sequence.getEnd(), sequence.getBegin());
  for (Piece piece : piecesOf(remember.getInput()))
    e.loop(e.index(0), e.index(piece.count), 1, [&](Value i) {
      Window window{piece.first, e.mul(i, piece.width), piece.width * piece.count, piece.width};
      Rows rows{e.sub(sequence.getEnd(), e.index(kept)), kept, sequence.getBegin(), sequence.getEnd()};
      Value fresh = e.emit(remember.getInput(), rows, window);
      if (!fresh)
        return;
      Value column = firstChannel(e.b, e.loc, window);
      Value old = e.load(memory, Rows{length, kept, e.index(0), e.index(kept)}, column, piece.width);
      Value both = e.map(e.tileType(kept, piece.width), {fresh, old}, [&](OpBuilder &b, ValueRange in) -> Value {
        return arith::AddFOp::create(b, e.loc, in[0], in[1]);
      });
      tile::StoreOp::create(e.b, e.loc, both, memory, e.index(0), column, Value(), Value());
    });
  extras.append(e.extraOperands().begin(), e.extraOperands().end());
  return e.failed() ? nullptr : e.tileKernel;
}

tile::KernelOp denim::emitCacheWrite(plan::KernelOp kernel, SmallVectorImpl<unsigned> &extras) {
  for (Operation &op : *kernel.getBlock()) {
    if (auto append = dyn_cast<attn::AppendOp>(op))
      return emitAppend(kernel, append, extras);
    if (auto remember = dyn_cast<attn::RememberOp>(op))
      return emitRemember(kernel, remember, extras);
  }
  kernel.emitOpError() << "expected to append to a cache or to remember rows";
  return nullptr;
}
