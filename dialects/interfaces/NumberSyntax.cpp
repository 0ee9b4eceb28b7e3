#include "dialects/interfaces/NumberSyntax.h"
#include "mlir/IR/Builders.h"
#include <cmath>
#include <cstdlib>

using namespace mlir;

ParseResult denim::parseNumber(OpAsmParser &parser, FloatAttr &number) {
  // Any attribute, and then a look at what it is: the parser's own words for numbers take either an integer or a
  // float, and stop at the sign of the other.
  SMLoc loc = parser.getCurrentLocation();
  Attribute attribute;
  if (parser.parseAttribute(attribute))
    return failure();
  Type f64 = parser.getBuilder().getF64Type();
  if (auto integer = dyn_cast<IntegerAttr>(attribute); integer && integer.getType().isInteger(64))
    number = FloatAttr::get(f64, static_cast<double>(integer.getInt()));
  else if (auto value = dyn_cast<FloatAttr>(attribute))
    number = FloatAttr::get(f64, value.getValueAsDouble());
  else
    return parser.emitError(loc) << "expected a number, but got " << attribute;
  return success();
}

void denim::printNumber(OpAsmPrinter &printer, Operation *, FloatAttr number) {
  double value = number.getValueAsDouble();
  char text[40];
  // Whole numbers as such: 10000, not 1e+04.
  if (std::abs(value) < 1e15 && value == std::trunc(value) && !(value == 0 && std::signbit(value))) {
    snprintf(text, sizeof text, "%.0f", value);
    printer << text;
    return;
  }
  for (int digits = 1; digits <= 17; ++digits) {
    snprintf(text, sizeof text, "%.*g", digits, value);
    if (strtod(text, nullptr) == value)
      break;
  }
  auto [mantissa, exponent] = StringRef(text).split('e');
  printer << mantissa;
  if (exponent.empty())
    return;
  // MLIR's lexer wants a point in a number with an exponent.
  if (!mantissa.contains('.'))
    printer << ".0";
  printer << 'e' << (exponent.consume_front("-") ? "-" : "");
  printer << exponent.ltrim("+0");
}
