// Custom directives of the words inside a recurrence, for the generated parsers in AttnOps.cpp.
#ifndef DIALECTS_ATTN_IR_RECURRENCESYNTAX_H
#define DIALECTS_ATTN_IR_RECURRENCESYNTAX_H

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/OpImplementation.h"

namespace denim::attn {

/// What a state fades by: a value `%g`, or a number for each head, `[-0.5, -0.25]`.
mlir::ParseResult parseFading(mlir::OpAsmParser &parser, std::optional<mlir::OpAsmParser::UnresolvedOperand> &decay,
                              mlir::Type &type, mlir::DenseF64ArrayAttr &rates);
void printFading(mlir::OpAsmPrinter &printer, mlir::Operation *op, mlir::Value decay, mlir::Type type,
                 mlir::DenseF64ArrayAttr rates);

} // namespace denim::attn

#endif // DIALECTS_ATTN_IR_RECURRENCESYNTAX_H
