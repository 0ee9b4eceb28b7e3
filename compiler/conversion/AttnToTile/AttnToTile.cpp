#include "compiler/conversion/AttnToTile/Emitter.h"
#include "compiler/conversion/Passes.h"
#include "compiler/tuning/Choices.h"
#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/ADT/StringSwitch.h"

using namespace mlir;

namespace denim {
#define GEN_PASS_DEF_CONVERTATTNTOTILEPASS
#include "compiler/conversion/Passes.h.inc"

namespace {

using EmitFn = LogicalResult (*)(plan::KernelOp, Variants &);

/// A family that writes one tile kernel for all passes.
template <tile::KernelOp (*emit)(plan::KernelOp, SmallVectorImpl<unsigned> &)>
LogicalResult single(plan::KernelOp kernel, Variants &variants) {
  Variant variant;
  variant.kernel = emit(kernel, variant.extraOperands);
  if (!variant.kernel)
    return failure();
  variants.push_back(std::move(variant));
  return success();
}

EmitFn familyOf(StringRef kind, bool isCuda) {
  if (isCuda)
    if (EmitFn own = llvm::StringSwitch<EmitFn>(kind)
                         .Case("rows", single<emitRowsOfBlock>)
                         .Case("cache", emitCacheWriteOfBlock)
                         .Case("linear", emitLinearOfBlock)
                         .Case("dequantize", single<emitDequantize>)
                         .Case("one_row", single<emitOneRow>)
                         .Case("route", single<emitRouteOfBlock>)
                         .Case("experts", single<emitGroupedExperts>)
                         .Default(nullptr))
      return own;
  return llvm::StringSwitch<EmitFn>(kind)
      .Case("rows", single<emitRows>)
      .Case("cache", single<emitCacheWrite>)
      .Case("linear", single<emitLinear>)
      .Case("recurrence", single<emitRecurrence>)
      .Case("softmax", single<emitSoftmax>)
      .Case("softmax_part", single<emitSoftmaxPart>)
      .Case("absorb", emitAbsorb)
      .Case("latent", emitLatent)
      .Case("route", single<emitRoute>)
      .Case("experts", single<emitExperts>)
      .Default(nullptr);
}

/// A launch of a plan kernel becomes one of each variant that runs in some pass of it.
LogicalResult launchVariants(plan::LaunchOp launch, ArrayRef<Variant> variants, llvm::StringSet<> &launched) {
  OpBuilder b(launch);
  auto given = launch->getAttrOfType<DictionaryAttr>("when");
  SmallVector<plan::LaunchOp> made;
  for (const Variant &variant : variants) {
    FailureOr<DictionaryAttr> when = bothHold(given, variant.when);
    if (failed(when))
      continue;
    plan::LaunchOp own = made.emplace_back(cast<plan::LaunchOp>(b.clone(*launch)));
    StringRef name = Variant(variant).kernel.getSymName();
    launched.insert(name);
    own.setKernel(name);
    SmallVector<Value> operands(launch.getOperands());
    for (unsigned extra : variant.extraOperands)
      operands.push_back(launch.getOperands()[extra]);
    own.getOperandsMutable().assign(operands);
    if (*when)
      own->setAttr("when", *when);
    if (variant.product)
      own->setAttr("product", variant.product);
  }
  if (made.empty())
    return launch.emitOpError() << "expected a variant of the kernel that meets " << given;
  for (auto [i, result] : llvm::enumerate(launch.getResults())) {
    Value whole = made[0].getResult(i);
    if (made.size() > 1) {
      SmallVector<Value> values;
      for (plan::LaunchOp own : made)
        values.push_back(own.getResult(i));
      whole = plan::MergeOp::create(b, launch.getLoc(), result.getType(), values);
    }
    result.replaceAllUsesWith(whole);
  }
  launch.erase();
  return success();
}

struct ConvertAttnToTilePass : impl::ConvertAttnToTilePassBase<ConvertAttnToTilePass> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    llvm::StringMap<Variants> written;
    for (auto kernel : llvm::make_early_inc_range(module.getOps<plan::KernelOp>())) {
      auto kind = kernel->getAttrOfType<StringAttr>("kind");
      EmitFn emit = kind ? familyOf(kind.getValue(), plan::isForCuda(module)) : nullptr;
      if (!emit) {
        auto error = kernel.emitOpError() << "expected a kind of kernel that has a tile program, but got ";
        kind ? error << kind : error << "none";
        return signalPassFailure();
      }
      Variants &variants = written[kernel.getSymName()];
      if (failed(emit(kernel, variants)))
        return signalPassFailure();
      for (Variant &variant : variants) {
        if (auto rows = kernel->getAttr("rows"))
          variant.kernel->setAttr("rows", rows);
        tuning::copyChoices(kernel, variant.kernel);
      }
      kernel.erase();
    }
    SmallVector<plan::LaunchOp> launches;
    module.walk([&](plan::LaunchOp launch) { launches.push_back(launch); });
    llvm::StringSet<> launched;
    for (plan::LaunchOp launch : launches)
      if (auto entry = written.find(launch.getKernel()); entry != written.end())
        if (failed(launchVariants(launch, entry->second, launched)))
          return signalPassFailure();
    // Where there are several, some may be for passes that no launch is for.
    for (auto &entry : written)
      for (Variant &variant : entry.second)
        if (entry.second.size() > 1 && !launched.contains(variant.kernel.getSymName()))
          variant.kernel.erase();
  }
};

} // namespace
} // namespace denim
