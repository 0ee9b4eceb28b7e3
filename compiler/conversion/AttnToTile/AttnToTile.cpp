#include "compiler/conversion/AttnToTile/Emitter.h"
#include "compiler/conversion/Passes.h"
#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/StringSwitch.h"

using namespace mlir;

namespace denim {
#define GEN_PASS_DEF_CONVERTATTNTOTILEPASS
#include "compiler/conversion/Passes.h.inc"

namespace {

using EmitFn = tile::KernelOp (*)(plan::KernelOp, SmallVectorImpl<unsigned> &);

EmitFn familyOf(StringRef kind) {
  return llvm::StringSwitch<EmitFn>(kind)
      .Case("rows", emitRows)
      .Case("cache", emitCacheWrite)
      .Case("linear", emitLinear)
      .Case("recurrence", emitRecurrence)
      .Case("softmax", emitSoftmax)
      .Case("softmax_part", emitSoftmaxPart)
      .Case("route", emitRoute)
      .Case("experts", emitExperts)
      .Default(nullptr);
}

struct ConvertAttnToTilePass : impl::ConvertAttnToTilePassBase<ConvertAttnToTilePass> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    llvm::StringMap<SmallVector<unsigned>> extraOperands;
    for (auto kernel : llvm::make_early_inc_range(module.getOps<plan::KernelOp>())) {
      auto kind = kernel->getAttrOfType<StringAttr>("kind");
      EmitFn emit = kind ? familyOf(kind.getValue()) : nullptr;
      if (!emit) {
        auto error = kernel.emitOpError() << "expected a kind of kernel that has a tile program, but got ";
        kind ? error << kind : error << "none";
        return signalPassFailure();
      }
      SmallVector<unsigned> &extras = extraOperands[kernel.getSymName()];
      tile::KernelOp written = emit(kernel, extras);
      if (!written)
        return signalPassFailure();
      if (auto rows = kernel->getAttr("rows"))
        written->setAttr("rows", rows);
      kernel.erase();
    }
    // A launch passes some operands a second time, where its kernel sees them in two ways.
    module.walk([&](plan::LaunchOp launch) {
      SmallVector<Value> operands(launch.getOperands());
      for (unsigned extra : extraOperands[launch.getKernel()])
        operands.push_back(launch.getOperands()[extra]);
      launch.getOperandsMutable().assign(operands);
    });
  }
};

} // namespace
} // namespace denim
