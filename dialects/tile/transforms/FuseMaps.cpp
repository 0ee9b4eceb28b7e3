#include "dialects/tile/transforms/Passes.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace denim::tile {
#define GEN_PASS_DEF_FUSEMAPSPASS
#include "dialects/tile/transforms/Passes.h.inc"
} // namespace denim::tile

using namespace mlir;
using namespace denim::tile;

namespace {

/// map(splat, map(...), x, x) ==> map(...) whose region holds both functions, each input once.
struct FuseProducers : OpRewritePattern<MapOp> {
  using OpRewritePattern::OpRewritePattern;

  static bool isFusible(MapOp consumer, Value input) {
    auto producer = input.getDefiningOp<MapOp>();
    if (!producer || !input.hasOneUse() || producer->getBlock() != consumer->getBlock())
      return false;
    auto from = cast<TileType>(input.getType()), to = cast<TileType>(consumer.getResult().getType());
    return from.getRows() == to.getRows() && from.getColumns() == to.getColumns();
  }

  LogicalResult matchAndRewrite(MapOp op, PatternRewriter &rewriter) const override {
    llvm::SmallDenseSet<Value> seen;
    bool changes = false;
    for (Value input : op.getInputs())
      changes |= isFusible(op, input) || input.getDefiningOp<SplatOp>() || !seen.insert(input).second;
    if (!changes)
      return failure();

    // What the new map reads, each tile once.
    llvm::SmallSetVector<Value, 8> inputs;
    for (Value input : op.getInputs()) {
      if (input.getDefiningOp<SplatOp>())
        continue;
      if (isFusible(op, input)) {
        auto producer = input.getDefiningOp<MapOp>();
        inputs.insert(producer.getInputs().begin(), producer.getInputs().end());
      } else {
        inputs.insert(input);
      }
    }
    auto type = cast<TileType>(op.getResult().getType());
    rewriter.replaceOpWithNewOp<MapOp>(
        op, type, inputs.getArrayRef(), [&](OpBuilder &builder, Location, ValueRange arguments) {
          llvm::DenseMap<Value, Value> elements;
          for (auto [input, argument] : llvm::zip_equal(inputs, arguments))
            elements[input] = argument;
          auto inlined = [&](MapOp map, ValueRange values) {
            IRMapping mapping;
            mapping.map(map.getBody().getArguments(), values);
            for (Operation &inner : map.getBody().front().without_terminator())
              builder.clone(inner, mapping);
            return mapping.lookupOrDefault(map.getBody().front().getTerminator()->getOperand(0));
          };
          SmallVector<Value> values;
          for (Value input : op.getInputs()) {
            if (auto splat = input.getDefiningOp<SplatOp>()) {
              values.push_back(splat.getValue());
            } else if (isFusible(op, input)) {
              auto producer = input.getDefiningOp<MapOp>();
              SmallVector<Value> from;
              for (Value v : producer.getInputs())
                from.push_back(elements.lookup(v));
              values.push_back(inlined(producer, from));
            } else {
              values.push_back(elements.lookup(input));
            }
          }
          return inlined(op, values);
        });
    return success();
  }
};

struct FuseMapsPass : denim::tile::impl::FuseMapsPassBase<FuseMapsPass> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<FuseProducers>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
