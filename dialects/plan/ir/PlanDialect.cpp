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

/// `{by = "user"|"table", choice = "...", shape = "...", value = 64 : i64}`, perhaps without a shape.
static bool isOverride(Attribute attribute) {
  auto entry = dyn_cast<DictionaryAttr>(attribute);
  if (!entry)
    return false;
  auto by = entry.getAs<StringAttr>("by");
  auto value = entry.getAs<IntegerAttr>("value");
  return by && (by == "user" || by == "table") && entry.getAs<StringAttr>("choice") && value &&
         value.getType().isInteger(64) && (!entry.get("shape") || entry.getAs<StringAttr>("shape"));
}

LogicalResult PlanDialect::verifyOperationAttribute(Operation *op, NamedAttribute attribute) {
  StringRef name = attribute.getName();
  auto error = [&](const Twine &what) {
    return op->emitError() << "expected " << name << " on a module and to be " << what << ", but got "
                           << attribute.getValue();
  };
  if (name == getMachineAttrName()) {
    auto machine = dyn_cast<StringAttr>(attribute.getValue());
    if (!isa<ModuleOp>(op) || !machine || (machine != "cpu" && machine != "cuda"))
      return error("\"cpu\" or \"cuda\"");
  } else if (name == getTargetAttrName()) {
    if (!isa<ModuleOp>(op) || !isa<StringAttr>(attribute.getValue()))
      return error("the name of a target");
  } else if (name == getOverridesAttrName()) {
    auto overrides = dyn_cast<ArrayAttr>(attribute.getValue());
    if (!isa<ModuleOp>(op) || !overrides || !llvm::all_of(overrides, isOverride))
      return error("a list of {by = \"user\" or \"table\", choice = \"NAME\", value = NUMBER : i64}");
  } else {
    return op->emitError() << "expected no attribute of the plan dialect but " << getMachineAttrName() << ", "
                           << getTargetAttrName() << " and " << getOverridesAttrName() << ", but got "
                           << attribute.getName();
  }
  return success();
}

bool denim::plan::isForCuda(Operation *op) {
  auto module = isa<ModuleOp>(op) ? cast<ModuleOp>(op) : op->getParentOfType<ModuleOp>();
  auto machine = module ? module->getAttrOfType<StringAttr>(PlanDialect::getMachineAttrName()) : StringAttr();
  return machine && machine == "cuda";
}
