#include "dialects/attn/ir/Attn.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace denim::attn;

#include "dialects/attn/ir/AttnDialect.cpp.inc"
#include "dialects/attn/ir/AttnEnums.cpp.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/attn/ir/AttnTypes.cpp.inc"

void AttnDialect::initialize() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialects/attn/ir/AttnTypes.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/attn/ir/AttnOps.cpp.inc"
      >();
}

Type CacheType::parse(AsmParser &parser) {
  StringRef keyword;
  SMLoc loc = parser.getCurrentLocation();
  SmallVector<int64_t> shape;
  Type element;
  if (parser.parseLess() || parser.parseKeyword(&keyword))
    return {};
  auto kind = symbolizeKind(keyword);
  if (!kind) {
    parser.emitError(loc) << "expected state, tail or paged, but got " << keyword;
    return {};
  }
  if (parser.parseDimensionList(shape, /*allowDynamic=*/false) || parser.parseType(element) || parser.parseGreater())
    return {};
  return CacheType::getChecked([&] { return parser.emitError(loc); }, parser.getContext(), *kind, shape, element);
}

LogicalResult CacheType::verify(function_ref<InFlightDiagnostic()> emitError, Kind kind, ArrayRef<int64_t> shape,
                                Type) {
  if (kind != Kind::state && shape.size() != 2)
    return emitError() << "expected two extents of a " << stringifyKind(kind) << " cache, but got " << shape.size();
  return success();
}

void CacheType::print(AsmPrinter &printer) const {
  printer << '<' << stringifyKind(getKind()) << ' ';
  for (int64_t extent : getShape())
    printer << extent << 'x';
  printer << getElementType() << '>';
}
