// The kernel in front of latent attention of many tokens. An item is a head, and some columns of its keys and values
// where they are many; of all blocks of the pass it makes each that is congruent to its number, so that the items that
// new tokens count for suffice however many keys there are. In steps along the latent, weights and two pages of latents
// are copied ahead, also those of the next block while one is stored: hence several blocks to an item.
#include "compiler/conversion/AttnToTile/LatentKeys.h"
#include "compiler/conversion/AttnToTile/Softmax.h"
#include "compiler/tuning/Choices.h"
#include "runtime/abi/Kernel.h"

using namespace mlir;
using namespace denim;

namespace {

constexpr int64_t kPage = DENIM_PAGE_TOKENS, kPages = kLatentBlock / kPage;
/// Channels of a latent that one product takes: a panel of a page. Two panels to a turn, so that two warps copy
/// weights.
constexpr int64_t kStep = 64, kSteps = 2;
/// New tokens to an item; fewer where there are not as many items as multiprocessors.
constexpr int64_t kItemTokens = 4 * kLatentBlock;
/// Columns of keys and values that an item makes: with two pages of rows, half of the registers of eight warps.
constexpr int64_t kMostColumns = 256;

Value div(Emitter &e, Value x, int64_t n) {
  return arith::DivUIOp::create(e.b, e.loc, x, e.index(n));
}
Value rem(Emitter &e, Value x, Value y) {
  return arith::RemUIOp::create(e.b, e.loc, x, y);
}

class ExpandWriter {
public:
  ExpandWriter(plan::KernelOp kernel, attn::AttendLatentOp op, int64_t wanted)
      : op(op), wanted(wanted), keys(op), width(panelWidth(keys.nope + keys.value)),
        panels((keys.nope + keys.value) / width),
        e(kernel,
          tile::ItemsAttr::get(kernel.getContext(), tile::CountKind::tokens, kItemTokens, keys.heads * panels)) {}

  tile::KernelOp write() {
    e.tileKernel->setAttr("tile.warps", e.b.getI64IntegerAttr(8));
    e.tileKernel->setAttr("tile.blocks", e.b.getI64IntegerAttr(1)); // what copying warps hand over, the assembler gives
    int64_t perNumber = keys.heads * panels, mostParts = kItemTokens / kLatentBlock;
    auto entry = [&](StringRef name, int64_t value) { return e.b.getNamedAttr(name, e.b.getI64IntegerAttr(value)); };
    e.tileKernel->setAttr("tile.parts", e.b.getDictionaryAttr({entry("most", mostParts), entry("wanted", wanted)}));
    head = div(e, rem(e, e.item(), e.index(perNumber)), panels);
    panel = rem(e, e.item(), e.index(panels));
    Value number = div(e, e.item(), perNumber);
    // Numbers that items of a head have, in parts as the runtime makes them (runtime/abi/Module.h).
    Value tokens = tile::CountOp::create(e.b, e.loc, tile::CountKind::tokens);
    Value whole = div(e, e.add(tokens, e.index(kItemTokens - 1)), kItemTokens), items = e.mul(whole, perNumber);
    Value parts = arith::DivUIOp::create(e.b, e.loc, e.sub(e.add(e.index(wanted), items), e.index(1)), items);
    Value numbers = arith::MulIOp::create(e.b, e.loc, whole, e.min(e.max(parts, e.index(1)), e.index(mostParts)));
    Value sequences = tile::CountOp::create(e.b, e.loc, tile::CountKind::sequences);
    e.loop(e.index(0), sequences, 1, ValueRange{e.index(0)}, [&](Value s, ValueRange before) -> SmallVector<Value> {
      auto sequence = tile::SequenceOp::create(e.b, e.loc, s);
      e.sequence = s;
      Value isMany = e.less(e.index(kSoftmaxManyTokens - 1), e.sub(sequence.getEnd(), sequence.getBegin()));
      Value isExpanded = arith::AndIOp::create(e.b, e.loc, isMany, latentsFit(e, sequence));
      Value blocks = arith::SelectOp::create(e.b, e.loc, isExpanded, latentBlocksOf(e, sequence), e.index(0));
      // Blocks are counted through all sequences; those of this one that are the item's: first, first + numbers, ...
      Value first = rem(e, e.sub(e.add(number, numbers), rem(e, before[0], numbers)), numbers);
      Value last = e.max(e.sub(e.add(blocks, e.sub(numbers, e.index(1))), first), e.index(0));
      e.loop(e.index(0), arith::DivUIOp::create(e.b, e.loc, last, numbers), 1,
             [&](Value i) { writeBlock(s, sequence, e.add(first, arith::MulIOp::create(e.b, e.loc, i, numbers))); });
      return {e.add(before[0], blocks)};
    });
    return e.failed() ? nullptr : e.tileKernel;
  }

  ArrayRef<unsigned> extraOperands() const { return e.extraOperands(); }

private:
  /// A width of at most `kMostColumns` that cuts the columns without a rest, in whole panels of a page if it can.
  static int64_t panelWidth(int64_t columns) {
    if (columns <= kMostColumns)
      return columns;
    for (int64_t step : {64, 1})
      for (int64_t width = kMostColumns; width >= 64; width -= step)
        if (columns % width == 0)
          return width;
    return columns;
  }

  void writeBlock(Value s, tile::SequenceOp sequence, Value number) {
    auto latents = cast<attn::CacheType>(op.getLatents().getType());
    auto row = tile::MemoryType::get(e.b.getContext(), latents.getShape()[1], latents.getElementType());
    Value last = e.sub(e.add(sequence.getPast(), e.sub(sequence.getEnd(), sequence.getBegin())), e.index(1));
    SmallVector<Value> pages;
    for (int64_t i = 0; i < kPages; ++i) {
      // Behind the last page that one again: no query sees its tokens there.
      Value page = e.min(e.add(e.mul(number, kPages), e.index(i)), div(e, last, kPage));
      pages.push_back(tile::PageOp::create(e.b, e.loc, row, e.memoryOf(op.getLatents()), s, page, e.index(0)));
    }
    // Asked for in front of the products, which hide it.
    SmallVector<Value> turned;
    if (keys.rope && panels == 1)
      turned = ropeOf(pages);
    Rows weights{e.add(e.mul(head, keys.nope + keys.value), e.mul(panel, width)), width, {}, {}};
    auto multiply = [&](Value column, int64_t columns, ValueRange sums) {
      Value w = e.load(e.memoryOf(op.getKvB()), weights, column, columns);
      SmallVector<Value> next;
      for (auto [page, sum] : llvm::zip(pages, sums))
        next.push_back(e.mma(e.load(page, Rows{e.index(0), kPage, {}, {}}, column, columns), w,
                             {false, true, sum, tile::Triangle::none}));
      return next;
    };
    int64_t step = std::min(kStep, keys.rank), turn = keys.rank % (step * kSteps) == 0 ? step * kSteps : step;
    int64_t whole = keys.rank / turn * turn;
    SmallVector<Value> sums(kPages, e.splat(0, kPage, width));
    sums = e.loop(e.index(0), e.index(whole), turn, sums, [&](Value column, ValueRange carried) {
      SmallVector<Value> next(carried);
      for (int64_t at = 0; at < turn; at += step)
        next = multiply(e.add(column, e.index(at)), step, next);
      return next;
    });
    if (whole < keys.rank)
      sums = multiply(e.index(whole), keys.rank - whole, sums);
    Value block = latentBlock(e, e.resultMemory(0), sequence, number, head);
    auto store = [&](Value tile, int64_t i, Value column) {
      tile::StoreOp::create(e.b, e.loc, tile, block, e.index(i * kPage), column, Value(), Value());
    };
    for (auto [i, sum] : llvm::enumerate(sums))
      store(sum, i, e.add(e.index(keys.rope), e.mul(panel, width)));
    if (!keys.rope)
      return;
    auto storeRope = [&] {
      for (auto [i, rope] : llvm::enumerate(turned.empty() ? ropeOf(pages) : turned))
        store(rope, i, e.index(0));
    };
    panels == 1 ? storeRope() : e.branch(e.less(panel, e.index(1)), storeRope);
  }

  SmallVector<Value> ropeOf(ArrayRef<Value> pages) {
    SmallVector<Value> all;
    for (Value page : pages)
      all.push_back(e.load(page, Rows{e.index(0), kPage, {}, {}}, e.index(keys.rank), keys.rope));
    return all;
  }

  attn::AttendLatentOp op;
  int64_t wanted; ///< items
  LatentKeys keys;
  int64_t width, panels;
  Emitter e;
  Value head, panel;
};

} // namespace

LatentKeys::LatentKeys(attn::AttendLatentOp op) {
  auto weight = cast<RankedTensorType>(op.getKvB().getType());
  auto result = cast<RankedTensorType>(op.getResult().getType());
  heads = result.getDimSize(1);
  value = result.getDimSize(2);
  nope = weight.getDimSize(0) / heads - value;
  rank = weight.getDimSize(1);
  rope = cast<attn::CacheType>(op.getLatents().getType()).getShape()[1] - rank;
}

tile::PagesType LatentKeys::blocks(MLIRContext *context) const {
  return tile::PagesType::get(context, heads, kLatentBlock, columns(), BFloat16Type::get(context));
}

RankedTensorType LatentKeys::scratch(MLIRContext *context) const {
  int64_t perToken = heads * columns() * (kLatentBlock / kLatentStride);
  return RankedTensorType::get({ShapedType::kDynamic, perToken}, BFloat16Type::get(context));
}

bool denim::canExpandLatents(attn::AttendLatentOp op) {
  return cast<attn::CacheType>(op.getLatents().getType()).getElementType().isBF16();
}

Value denim::latentBlocksOf(Emitter &e, tile::SequenceOp sequence) {
  Value tokens = e.add(sequence.getPast(), e.sub(sequence.getEnd(), sequence.getBegin()));
  return div(e, e.add(tokens, e.index(kLatentBlock - 1)), kLatentBlock);
}

Value denim::latentsFit(Emitter &e, tile::SequenceOp sequence) {
  Value room = div(e, e.sub(sequence.getEnd(), sequence.getBegin()), kLatentStride);
  return e.less(latentBlocksOf(e, sequence), e.add(room, e.index(1)));
}

Value denim::latentBlock(Emitter &e, Value blocks, tile::SequenceOp sequence, Value number, Value head) {
  auto pages = cast<tile::PagesType>(blocks.getType());
  auto type = tile::MemoryType::get(e.b.getContext(), pages.getColumns(), pages.getElementType());
  Value own = e.add(div(e, sequence.getBegin(), kLatentStride), number);
  return tile::BlockOp::create(e.b, e.loc, type, blocks, own, head);
}

tile::KernelOp denim::emitLatentExpand(plan::KernelOp kernel, attn::AttendLatentOp op,
                                       SmallVectorImpl<unsigned> &extras) {
  FailureOr<codegen::GpuTarget> target = tuning::gpuTargetOf(kernel);
  if (failed(target))
    return nullptr;
  ExpandWriter writer(kernel, op, target->multiprocessors);
  tile::KernelOp written = writer.write();
  extras.append(writer.extraOperands().begin(), writer.extraOperands().end());
  return written;
}
