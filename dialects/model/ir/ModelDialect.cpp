#include "dialects/model/ir/Model.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace denim::model;

#include "dialects/model/ir/ModelDialect.cpp.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/model/ir/ModelTypes.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/model/ir/ModelAttrs.cpp.inc"

denim::formats::BlockFormat Q8_0Type::getFormat() const {
  return formats::BlockFormat::Q8_0;
}
denim::formats::BlockFormat Q4_0Type::getFormat() const {
  return formats::BlockFormat::Q4_0;
}

void ModelDialect::initialize() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialects/model/ir/ModelTypes.cpp.inc"
      >();
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/model/ir/ModelAttrs.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/model/ir/ModelOps.cpp.inc"
      >();
}
