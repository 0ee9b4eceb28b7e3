#include "dialects/plan/ir/Plan.h"

using namespace mlir;
using namespace denim::plan;

#include "dialects/plan/ir/PlanDialect.cpp.inc"

void PlanDialect::initialize() {
  addOperations<
#define GET_OP_LIST
#include "dialects/plan/ir/PlanOps.cpp.inc"
      >();
}

LogicalResult PlanDialect::verifyOperationAttribute(Operation *op, NamedAttribute attribute) {
  if (attribute.getName() != getMachineAttrName())
    return op->emitError() << "expected no attribute of the plan dialect but " << getMachineAttrName() << ", but got "
                           << attribute.getName();
  auto machine = dyn_cast<StringAttr>(attribute.getValue());
  if (!isa<ModuleOp>(op) || !machine || (machine != "cpu" && machine != "cuda"))
    return op->emitError() << "expected " << getMachineAttrName()
                           << " on a module and to be \"cpu\" or \"cuda\", but got " << attribute.getValue();
  return success();
}

bool denim::plan::isForCuda(Operation *op) {
  auto module = isa<ModuleOp>(op) ? cast<ModuleOp>(op) : op->getParentOfType<ModuleOp>();
  auto machine = module ? module->getAttrOfType<StringAttr>(PlanDialect::getMachineAttrName()) : StringAttr();
  return machine && machine == "cuda";
}
