#include "dialects/model/ir/Model.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace denim::model;

#include "dialects/model/ir/ModelDialect.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/model/ir/ModelAttrs.cpp.inc"

void ModelDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/model/ir/ModelAttrs.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/model/ir/ModelOps.cpp.inc"
      >();
}
