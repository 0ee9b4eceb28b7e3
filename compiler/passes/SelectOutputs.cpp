#include "compiler/passes/Passes.h"
#include "dialects/model/ir/Model.h"

using namespace mlir;

namespace denim {
#define GEN_PASS_DEF_SELECTOUTPUTSPASS
#include "compiler/passes/Passes.h.inc"

namespace {
struct SelectOutputsPass : impl::SelectOutputsPassBase<SelectOutputsPass> {
  void runOnOperation() override {
    getOperation().walk([](model::LayersOp layers) {
      Value result = layers.getResult();
      if (llvm::any_of(result.getUsers(), [](Operation *user) { return isa<model::SelectOp>(user); }))
        return;
      OpBuilder b(layers->getContext());
      b.setInsertionPointAfter(layers);
      auto select = model::SelectOp::create(b, layers.getLoc(), result);
      result.replaceAllUsesExcept(select.getResult(), select);
    });
  }
};
} // namespace
} // namespace denim
