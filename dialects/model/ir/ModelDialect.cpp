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

Type denim::model::blockType(MLIRContext *context, formats::BlockFormat format) {
  switch (format) {
  case formats::BlockFormat::Q8_0:
    return Q8_0Type::get(context);
  case formats::BlockFormat::Q4_0:
    return Q4_0Type::get(context);
  }
  llvm_unreachable("a format without a type");
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
