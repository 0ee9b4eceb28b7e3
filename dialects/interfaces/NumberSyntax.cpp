#include "dialects/interfaces/NumberSyntax.h"
#include "mlir/IR/Builders.h"
#include "llvm/Support/Format.h"
#include <cstdlib>

using namespace mlir;

ParseResult denim::parseNumber(OpAsmParser &parser, FloatAttr &number) {
  Type f64 = parser.getBuilder().getF64Type();
  int64_t integer = 0;
  OptionalParseResult parsed = parser.parseOptionalInteger(integer);
  if (parsed.has_value()) {
    number = FloatAttr::get(f64, static_cast<double>(integer));
    return *parsed;
  }
  double value = 0;
  if (parser.parseFloat(value))
    return failure();
  number = FloatAttr::get(f64, value);
  return success();
}

void denim::printNumber(OpAsmPrinter &printer, Operation *, FloatAttr number) {
  double value = number.getValueAsDouble();
  char text[40];
  for (int digits = 1; digits <= 17; ++digits) {
    snprintf(text, sizeof text, "%.*g", digits, value);
    if (strtod(text, nullptr) == value)
      break;
  }
  // MLIR's lexer wants a point in a number with an exponent.
  StringRef s(text);
  size_t e = s.find('e');
  if (e != StringRef::npos && !s.contains('.'))
    printer << s.take_front(e) << ".0" << s.drop_front(e);
  else
    printer << s;
}
