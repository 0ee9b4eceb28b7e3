#include "dialects/attn/transforms/Passes.h"
#include "llvm/ADT/StringSet.h"
#include <cmath>

using namespace mlir;

namespace denim::attn {
#define GEN_PASS_DEF_THREADCACHESPASS
#include "dialects/attn/transforms/Passes.h.inc"

namespace {

Kind kindOf(CacheKind kind) {
  switch (kind) {
  case CacheKind::State:
    return Kind::state;
  case CacheKind::Tail:
    return Kind::tail;
  case CacheKind::Paged:
    return Kind::paged;
  }
  llvm_unreachable("all kinds are named");
}

/// Softmax over the tokens of this call becomes attention over pages that hold all tokens so far.
void readFromPages(SoftmaxOp op) {
  OpBuilder b(op);
  Location loc = op.getLoc();
  AppendOp::create(b, loc, ValueRange{op.getKey()}, op.getKeys());
  AppendOp::create(b, loc, ValueRange{op.getValue()}, op.getValues());
  double dk = cast<RankedTensorType>(op.getQuery().getType()).getDimSize(2);
  double scale = op.getScale() ? op.getScale()->convertToDouble() : 1.0 / std::sqrt(dk);
  auto attend =
      AttendOp::create(b, loc, op.getResult().getType(), op.getQuery(), op.getKeys(), op.getValues(),
                       /*parts=*/Value(), op.getSinks(), b.getF64FloatAttr(scale), op.getWindowAttr(),
                       op.getBlockSizeAttr(), op.getLocalBlocksAttr(), op.getGlobalTokensAttr(), op.getSoftcapAttr(),
                       /*columns=*/IntegerAttr());
  op.getResult().replaceAllUsesWith(attend.getResult());
  op.erase();
}

/// Latent attention becomes attention of absorbed queries over pages of latents, in which a row is key and value at
/// once, and what the heads make of it.
void readFromPages(LatentSoftmaxOp op) {
  OpBuilder b(op);
  Location loc = op.getLoc();
  SmallVector<Value> row{op.getLatent()};
  if (op.getKRope())
    row.push_back(op.getKRope());
  AppendOp::create(b, loc, row, op.getLatents());
  auto latent = cast<RankedTensorType>(op.getLatent().getType());
  double dk = cast<RankedTensorType>(op.getQuery().getType()).getDimSize(2) + op.getRopeWidth();
  auto scale = b.getF64FloatAttr(op.getScale() ? op.getScale()->convertToDouble() : 1.0 / std::sqrt(dk));
  Value query = AbsorbOp::create(b, loc, op.getQuery(), op.getKvB(), op.getQRope());
  Value mixed = AttendOp::create(
      b, loc, query, op.getLatents(), op.getLatents(), /*parts=*/Value(), /*sinks=*/Value(), scale,
      /*window=*/IntegerAttr(), /*block_size=*/IntegerAttr(), /*local_blocks=*/IntegerAttr(),
      /*global_tokens=*/IntegerAttr(), /*softcap=*/FloatAttr(), b.getI64IntegerAttr(latent.getDimSize(1)));
  auto result =
      AttendLatentOp::create(b, loc, mixed, op.getQuery(), op.getLatents(), op.getKvB(), op.getQRope(), scale);
  op.getResult().replaceAllUsesWith(result.getResult());
  op.erase();
}

struct ThreadCachesPass : impl::ThreadCachesPassBase<ThreadCachesPass> {
  void runOnOperation() override {
    SmallVector<StatefulOpInterface> ops;
    getOperation()->walk([&](StatefulOpInterface op) {
      if (op.getCachesMutable().empty())
        ops.push_back(op);
    });
    llvm::DenseMap<Block *, llvm::StringSet<>> names;
    getOperation()->walk([&](CacheOp cache) { names[cache->getBlock()].insert(cache.getName()); });
    for (StatefulOpInterface op : ops) {
      OpBuilder b(op);
      SmallVector<Value> caches;
      for (const CacheNeed &need : op.getCacheNeeds()) {
        // Two ops of one block may want the same name: the second gets a number.
        std::string name = need.name.str();
        for (int number = 1; !names[op->getBlock()].insert(name).second; ++number)
          name = (need.name + Twine(number)).str();
        auto type = CacheType::get(&getContext(), kindOf(need.kind), need.shape, need.elementType);
        caches.push_back(CacheOp::create(b, op->getLoc(), type, b.getStringAttr(name)));
      }
      if (auto softmax = dyn_cast<SoftmaxOp>(op.getOperation())) {
        softmax.getKeysMutable().assign(caches[0]);
        softmax.getValuesMutable().assign(caches[1]);
        readFromPages(softmax);
        continue;
      }
      op.getCachesMutable().assign(caches);
      if (auto latent = dyn_cast<LatentSoftmaxOp>(op.getOperation())) {
        readFromPages(latent);
        continue;
      }
      if (auto conv = dyn_cast<ShortConvOp>(op.getOperation())) {
        b.setInsertionPointAfter(conv);
        RememberOp::create(b, conv.getLoc(), conv.getInput(), conv.getTail());
      }
    }
  }
};

} // namespace
} // namespace denim::attn
