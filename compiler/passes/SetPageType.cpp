#include "compiler/passes/Passes.h"
#include "dialects/attn/ir/Attn.h"

using namespace mlir;

namespace denim {
#define GEN_PASS_DEF_SETPAGETYPEPASS
#include "compiler/passes/Passes.h.inc"

namespace {

struct SetPageTypePass : impl::SetPageTypePassBase<SetPageTypePass> {
  using SetPageTypePassBase::SetPageTypePassBase;

  void runOnOperation() override {
    Builder b(&getContext());
    Type wanted = llvm::StringSwitch<Type>(type)
                      .Case("f32", b.getF32Type())
                      .Case("bf16", b.getBF16Type())
                      .Case("f16", b.getF16Type())
                      .Default(Type());
    if (!wanted) {
      getOperation().emitError() << "expected pages of f32, bf16 or f16, but got " << type;
      return signalPassFailure();
    }
    getOperation().walk([&](attn::CacheOp cache) {
      auto now = cast<attn::CacheType>(cache.getType());
      if (now.getKind() == attn::Kind::paged)
        cache.getResult().setType(attn::CacheType::get(&getContext(), now.getKind(), now.getShape(), wanted));
    });
  }
};

} // namespace
} // namespace denim
