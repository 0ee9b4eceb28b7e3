// Constants as people write them: `1.0e-6`, `10000`, instead of MLIR's hexadecimal-exact `9.9999999999999995E-7`.
// In an assembly format: `custom<Number>($eps)` for an F64Attr.
#ifndef DIALECTS_INTERFACES_NUMBERSYNTAX_H
#define DIALECTS_INTERFACES_NUMBERSYNTAX_H

#include "mlir/IR/OpImplementation.h"

namespace denim {
mlir::ParseResult parseNumber(mlir::OpAsmParser &parser, mlir::FloatAttr &number);
/// The shortest decimal that reads back as the same double.
void printNumber(mlir::OpAsmPrinter &printer, mlir::Operation *op, mlir::FloatAttr number);
} // namespace denim

#endif // DIALECTS_INTERFACES_NUMBERSYNTAX_H
