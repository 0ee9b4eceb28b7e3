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
