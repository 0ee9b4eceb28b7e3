#include "compiler/passes/Passes.h"
#include "dialects/plan/ir/Plan.h"
#include "mlir/IR/SymbolTable.h"

using namespace mlir;

namespace denim {
#define GEN_PASS_DEF_SPLITFORMSPASS
#include "compiler/passes/Passes.h.inc"

namespace {

/// More tokens than a sequence can have.
constexpr int64_t kAnyNumber = int64_t(1) << 30;

struct Form {
  StringRef name;
  int64_t least, most; ///< new tokens of a sequence
};

/// The forms of a kind of kernel; none if it has one for all. The bounds are those by which the kernels choose their
/// sequences (AttnToTile).
ArrayRef<Form> formsOf(StringRef kind) {
  static constexpr Form both[] = {{"few", 1, 7}, {"many", 8, kAnyNumber}};
  if (kind == "softmax" || kind == "recurrence")
    return both;
  if (kind == "softmax_part") // parts of the keys are for few queries only
    return ArrayRef(both).take_front();
  return {};
}

struct SplitFormsPass : impl::SplitFormsPassBase<SplitFormsPass> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    auto machine = module->getAttrOfType<StringAttr>(plan::PlanDialect::getMachineAttrName());
    if (!machine || machine.getValue() == "cpu")
      return;
    SmallVector<plan::LaunchOp> launches;
    module.walk([&](plan::LaunchOp launch) { launches.push_back(launch); });
    SymbolTable symbols(module);
    llvm::SetVector<Operation *> replaced;
    for (plan::LaunchOp launch : launches) {
      auto kernel = symbols.lookup<plan::KernelOp>(launch.getKernel());
      auto kind = kernel ? kernel->getAttrOfType<StringAttr>("kind") : StringAttr();
      ArrayRef<Form> forms = kind ? formsOf(kind.getValue()) : ArrayRef<Form>();
      if (forms.empty() || launch->hasAttr("when"))
        continue;
      split(launch, kernel, forms, symbols);
      replaced.insert(kernel);
    }
    for (Operation *kernel : replaced)
      symbols.erase(kernel);
  }

  void split(plan::LaunchOp launch, plan::KernelOp kernel, ArrayRef<Form> forms, SymbolTable &symbols) {
    OpBuilder b(launch);
    SmallVector<plan::LaunchOp> made;
    for (const Form &form : forms) {
      std::string name = (kernel.getSymName() + "_" + form.name).str();
      if (!symbols.lookup(name)) {
        auto clone = cast<plan::KernelOp>(kernel->clone());
        clone.setSymName(name);
        clone->setAttr("form", b.getStringAttr(form.name));
        symbols.insert(clone, Block::iterator(kernel));
      }
      auto own = cast<plan::LaunchOp>(b.clone(*launch));
      own.setKernel(name);
      own->setAttr("when", b.getDictionaryAttr({b.getNamedAttr("of", b.getStringAttr("sequence")),
                                                b.getNamedAttr("least", b.getI64IntegerAttr(form.least)),
                                                b.getNamedAttr("most", b.getI64IntegerAttr(form.most))}));
      made.push_back(own);
    }
    for (unsigned i = 0; i < launch.getNumResults(); ++i) {
      SmallVector<Value> parts;
      for (plan::LaunchOp own : made)
        parts.push_back(own.getResult(i));
      Value whole = parts.size() == 1 ? parts.front()
                                      : Value(plan::MergeOp::create(b, launch.getLoc(), parts.front().getType(), parts));
      launch.getResult(i).replaceAllUsesWith(whole);
    }
    launch.erase();
  }
};

} // namespace
} // namespace denim
