#include "compiler/conversion/AttnToTile/SoftmaxParts.h"
#include "compiler/conversion/AttnToTile/KeyParts.h"
#include "runtime/abi/Kernel.h"

using namespace mlir;
using namespace denim;

int64_t softmax::largestDivisor(int64_t whole, int64_t most) {
  int64_t divisor = std::min(whole, most);
  while (whole % divisor)
    --divisor;
  return divisor;
}

int64_t softmax::headsOfTile(const Attention &op, bool ofBlock) {
  int64_t most = ofBlock && op.hasBf16Keys() ? kLatentHeadsOfBlock : kLatentHeads;
  return op.sharesRows() ? largestDivisor(op.group(), most) : op.group();
}

Value softmax::partCount(Emitter &e, const Attention &op, int64_t partItems) {
  Value tokens = tile::CountOp::create(e.b, e.loc, tile::CountKind::tokens);
  Value more = arith::DivUIOp::create(e.b, e.loc, e.index(op.splits * DENIM_ROW_PADDING), tokens);
  return e.min(e.add(more, e.index(op.splits)), e.index(partItems));
}

static Value wholeItems(Emitter &e, int64_t items) {
  return e.mul(tile::CountOp::create(e.b, e.loc, tile::CountKind::sequences), items);
}

/// As many as make `wanted` items of them all.
static Value partsFor(Emitter &e, int64_t items, int64_t wanted) {
  Value whole = wholeItems(e, items);
  return e.max(e.ceilDiv(e.index(wanted), whole), e.index(1));
}

Value softmax::pagesPerPart(Emitter &e, const Pages &pages, Value parts) {
  return e.max(e.ceilDiv(e.sub(pages.end, pages.first), parts), e.index(kLeastPagesOfBlock));
}

Value softmax::pagesPerPart(Emitter &e, const Attention &op, const Pages &pages, PartItems items) {
  Value parts = partCount(e, op, items.most);
  if (op.sharesRows()) {
    int64_t tiles = op.queryHeads() / headsOfTile(op, /*ofBlock=*/true);
    parts = e.min(partsFor(e, tiles, items.latentItems), parts);
  }
  return pagesPerPart(e, pages, parts);
}

Value softmax::usedParts(Emitter &e, const Attention &op, Value position, PartItems items) {
  Pages pages = visiblePages(e, op.visible, position, position, DENIM_PAGE_TOKENS);
  return e.ceilDiv(e.sub(pages.end, pages.first), pagesPerPart(e, op, pages, items));
}

std::pair<Value, Value> softmax::CutItems::pieceAndItem(Emitter &e) const {
  auto named = [&](StringRef name, int64_t value) { return e.b.getNamedAttr(name, e.b.getI64IntegerAttr(value)); };
  e.tileKernel->setAttr("tile.parts", e.b.getDictionaryAttr({named("most", most), named("wanted", wanted)}));
  Value whole = wholeItems(e, items);
  return {arith::DivUIOp::create(e.b, e.loc, e.item(), whole), arith::RemUIOp::create(e.b, e.loc, e.item(), whole)};
}

Value softmax::CutItems::pieces(Emitter &e) const {
  return e.min(partsFor(e, items, wanted), e.index(most));
}
