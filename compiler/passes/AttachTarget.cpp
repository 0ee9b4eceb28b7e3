#include "codegen/target/GpuTarget.h"
#include "codegen/target/Target.h"
#include "compiler/passes/Passes.h"
#include "dialects/plan/ir/Plan.h"

using namespace mlir;

namespace denim {
#define GEN_PASS_DEF_ATTACHTARGETPASS
#include "compiler/passes/Passes.h.inc"

namespace {

/// The name of a target as a module records it: `native` is not one.
template <typename T> FailureOr<std::string> nameOf(ModuleOp module, llvm::Expected<T> target) {
  if (target)
    return target->name;
  return module.emitError() << llvm::toString(target.takeError());
}

struct AttachTargetPass : impl::AttachTargetPassBase<AttachTargetPass> {
  using AttachTargetPassBase::AttachTargetPassBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    bool isCuda = machine == "cuda";
    if (!isCuda && machine != "cpu") {
      module.emitError() << "expected a machine cpu or cuda, but got " << machine;
      return signalPassFailure();
    }
    StringRef wanted = target;
    if (wanted.empty())
      wanted = isCuda ? codegen::gpuTargetNames().front() : codegen::targetNames().front();
    FailureOr<std::string> name =
        isCuda ? nameOf(module, codegen::findGpuTarget(wanted)) : nameOf(module, codegen::findTarget(wanted));
    if (failed(name))
      return signalPassFailure();
    Builder b(module.getContext());
    module->setAttr(plan::PlanDialect::getMachineAttrName(), b.getStringAttr(machine));
    module->setAttr(plan::PlanDialect::getTargetAttrName(), b.getStringAttr(*name));
  }
};

} // namespace
} // namespace denim
