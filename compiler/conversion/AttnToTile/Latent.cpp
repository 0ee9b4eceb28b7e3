// Latent attention around the attention itself (spec/attention.md 1.9): what heads make of queries before they meet
// latents, and of what they read.
//
// Both are products of each head's rows with weights of its own, of which `kv_b` holds dn + dv rows per head: W_UK
// [dn, r], then W_UV [dv, r]. An item is a head (and a panel of columns of the result) for a block of tokens, so that
// weights are read once per block and head.
//
//   absorb   [W_UK^T q | q_rope]: W_UK stands as the product wants it, its rows are contracted
//   latent   W_UV o of what was read in the absorbed form
//
// On a CPU all tokens take the absorbed form. On a CUDA device those of sequences that bring many are expanded
// (SoftmaxBlocks.cpp): `latent` has forms that store the rows of their own sequences only (split-forms), or two
// variants where latents are f32.
#include "compiler/conversion/AttnToTile/LatentKeys.h"
#include "compiler/conversion/AttnToTile/SoftmaxParts.h"

using namespace mlir;
using namespace denim;

namespace {

/// Tokens of an item: on a CPU weights stay near the core for some tiles of rows; for a block of threads one tile.
constexpr int64_t kTokenBlock = 64;
constexpr int64_t kRowBlock = 16;
/// Columns of a panel of absorbed queries, and the step along latents, for a block of threads.
constexpr int64_t kPanel = 128;

class LatentRows {
public:
  LatentRows(plan::KernelOp kernel, Value kvB, int64_t heads, int64_t panels, bool isCuda, StringRef variant = "")
      : kvB(kvB), heads(heads), isCuda(isCuda), tokens(isCuda ? kRowBlock : kTokenBlock),
        e(kernel, tile::ItemsAttr::get(kernel.getContext(), tile::CountKind::tokens, tokens, heads * panels), variant),
        result(kernel.getBlock()->getTerminator()->getOperand(0)) {
    Value block = arith::DivUIOp::create(e.b, e.loc, e.item(), e.index(heads * panels));
    Value within = arith::RemUIOp::create(e.b, e.loc, e.item(), e.index(heads * panels));
    head = arith::DivUIOp::create(e.b, e.loc, within, e.index(panels));
    panel = arith::RemUIOp::create(e.b, e.loc, within, e.index(panels));
    first = e.mul(block, tokens);
    Value count = tile::CountOp::create(e.b, e.loc, tile::CountKind::tokens);
    last = e.min(e.add(first, e.index(tokens)), count);
    auto weight = cast<RankedTensorType>(kvB.getType());
    headRows = weight.getDimSize(0) / heads;
    rank = weight.getDimSize(1);
  }

  /// `body` for tiles of rows that cover the item's tokens. Rows behind the last are computed and not stored.
  void forRows(llvm::function_ref<void(const Rows &)> body) {
    if (isCuda)
      return body(Rows{first, kRowBlock, first, last});
    Value next = first;
    for (int64_t count : {kRowBlock, int64_t(4), int64_t(1)}) {
      Value end = e.sub(last, arith::RemUIOp::create(e.b, e.loc, e.sub(last, next), e.index(count)));
      e.loop(next, end, count, [&](Value row) { body(Rows{row, count, {}, {}}); });
      next = end;
    }
  }

  void writeAbsorbed(attn::AbsorbOp op, int64_t width) {
    int64_t keyWidth = cast<RankedTensorType>(op.getQuery().getType()).getDimSize(2);
    int64_t row = cast<RankedTensorType>(op.getType()).getDimSize(2);
    Value column = e.mul(panel, width);
    forRows([&](const Rows &rows) {
      Rows read{rows.row, rows.count, {}, {}};
      Value q = e.emit(op.getQuery(), read, {0, e.mul(head, keyWidth), heads * keyWidth, keyWidth});
      if (!q)
        return;
      Value w = e.load(e.memoryOf(kvB), {e.mul(head, headRows), keyWidth, {}, {}}, column, width);
      Window target{0, e.add(e.mul(head, row), column), heads * row, width};
      e.store(e.mma(q, w), 0, rows, target);
      if (!op.getQRope())
        return;
      int64_t turned = row - rank;
      Value isFirst = e.less(panel, e.index(1));
      e.branch(isFirst, [&] {
        Value rope = e.emit(op.getQRope(), read, {0, e.mul(head, turned), heads * turned, turned});
        e.store(rope, 0, rows, {0, e.add(e.mul(head, row), e.index(rank)), heads * row, turned});
      });
    });
  }

  /// `ownOnly`: rows of sequences with few new tokens only.
  void writeValues(attn::AttendLatentOp op, bool ownOnly) {
    int64_t width = cast<RankedTensorType>(op.getType()).getDimSize(2);
    Window window{0, e.mul(head, width), heads * width, width};
    Value product;
    e.setAnchor([&](Value value, const Rows &, const Window &w) -> Value {
      if (value != op.getResult() || w.columns != width)
        return e.fail(value.getDefiningOp(), "expected to be used one head at a time");
      return product;
    });
    forRows([&](const Rows &rows) {
      Rows read{rows.row, rows.count, {}, {}};
      product = multiply(op, read, width);
      Value tile = e.emit(result, read, window);
      if (!ownOnly)
        return e.store(tile, 0, rows, window);
      e.loop(e.index(0), tile::CountOp::create(e.b, e.loc, tile::CountKind::sequences), 1, [&](Value s) {
        auto sequence = tile::SequenceOp::create(e.b, e.loc, s);
        Value begin = sequence.getBegin(), end = sequence.getEnd();
        Value lo = e.max(begin, first), hi = e.min(end, last);
        Value isFew = e.less(e.sub(end, begin), e.index(kSoftmaxManyTokens));
        Value mine = arith::AndIOp::create(e.b, e.loc, e.less(lo, hi), isFew);
        e.branch(mine, [&] { e.store(tile, 0, Rows{rows.row, rows.count, lo, hi}, window); });
      });
    });
  }

  LogicalResult finish(Variant &variant) {
    variant.kernel = e.tileKernel;
    variant.extraOperands.assign(e.extraOperands().begin(), e.extraOperands().end());
    return failure(e.failed());
  }

private:
  Value multiply(attn::AttendLatentOp op, const Rows &rows, int64_t width) {
    Value latents = e.memoryOf(op.getAbsorbed());
    Rows weights{e.add(e.mul(head, headRows), e.index(headRows - width)), width, {}, {}};
    auto part = [&](Value column, int64_t columns, Value sum) {
      Value x = e.load(latents, rows, e.add(e.mul(head, rank), column), columns);
      Value w = e.load(e.memoryOf(kvB), weights, column, columns);
      return e.mma(x, w, {false, true, sum, tile::Triangle::none});
    };
    int64_t step = isCuda ? std::min(kPanel, rank) : rank, whole = rank / step * step;
    if (whole == step)
      return whole == rank ? part(e.index(0), rank, {})
                           : part(e.index(whole), rank - whole, part(e.index(0), step, {}));
    Value sum = e.loop(
        e.index(0), e.index(whole), step, e.splat(0, rows.count, width),
        [&](Value column, ValueRange carried) -> SmallVector<Value> { return {part(column, step, carried[0])}; })[0];
    return whole == rank ? sum : part(e.index(whole), rank - whole, sum);
  }

  Value kvB;
  int64_t heads;
  bool isCuda;
  int64_t tokens;
  Emitter e;
  Value result, head, panel, first, last;
  int64_t headRows, rank;
};

/// A width of at most `kPanel` that cuts the latent without a rest.
int64_t latentPanel(int64_t rank) {
  return softmax::largestDivisor(rank, kPanel);
}

int64_t headsOf(Value value) {
  return cast<RankedTensorType>(value.getType()).getDimSize(1);
}

} // namespace

LogicalResult denim::emitAbsorb(plan::KernelOp kernel, Variants &variants) {
  bool isCuda = plan::isForCuda(kernel->getParentOfType<ModuleOp>());
  for (auto op : kernel.getBlock()->getOps<attn::AbsorbOp>()) {
    int64_t rank = cast<RankedTensorType>(op.getKvB().getType()).getDimSize(1);
    int64_t width = isCuda ? latentPanel(rank) : rank;
    LatentRows rows(kernel, op.getKvB(), headsOf(op.getResult()), rank / width, isCuda);
    rows.writeAbsorbed(op, width);
    Variant &variant = variants.emplace_back();
    if (isCuda)
      variant.when = whenSequence(kernel.getContext(), 1, kSoftmaxManyTokens - 1);
    return rows.finish(variant);
  }
  return kernel.emitOpError() << "expected queries to absorb";
}

/// The kernel of one form, where split-forms has made them; launches have their conditions already.
static LogicalResult emitLatentForm(plan::KernelOp kernel, attn::AttendLatentOp op, StringRef form, Variant &variant) {
  if (form == "few") {
    LatentRows rows(kernel, op.getKvB(), headsOf(op.getResult()), 1, /*isCuda=*/true);
    rows.writeValues(op, /*ownOnly=*/true);
    return rows.finish(variant);
  }
  variant.kernel = form == "expand" ? emitLatentExpand(kernel, op, variant.extraOperands)
                                    : emitSoftmaxBlocks(kernel, Attention(op), variant.extraOperands);
  return success(bool(variant.kernel));
}

LogicalResult denim::emitLatent(plan::KernelOp kernel, Variants &variants) {
  bool isCuda = plan::isForCuda(kernel->getParentOfType<ModuleOp>());
  for (auto op : kernel.getBlock()->getOps<attn::AttendLatentOp>()) {
    if (auto form = kernel->getAttrOfType<StringAttr>("form"))
      return emitLatentForm(kernel, op, form.getValue(), variants.emplace_back());
    LatentRows rows(kernel, op.getKvB(), headsOf(op.getResult()), 1, isCuda, isCuda ? "few" : "");
    rows.writeValues(op, isCuda);
    Variant &few = variants.emplace_back();
    if (failed(rows.finish(few)))
      return failure();
    if (!isCuda)
      return success();
    few.when = whenSequence(kernel.getContext(), 1, kSoftmaxManyTokens - 1);
    Variant &many = variants.emplace_back();
    many.kernel = emitSoftmaxBlocks(kernel, Attention(op), many.extraOperands);
    many.when = whenSequence(kernel.getContext(), kSoftmaxManyTokens);
    return success(bool(many.kernel));
  }
  return kernel.emitOpError() << "expected latent attention";
}
