// Operands without their types.
//
// A page of mathematics does not repeat the shape of `h` at every use of it, so ops of the `model` and `attn` dialects
// print operands as names only. MLIR's parser wants the type of an operand before it resolves it; `typeOf` asks for it
// in the one way the parser offers: it resolves the operand with a type no value has and reads the true type from the
// arguments of the diagnostic that follows. Values must therefore be defined before they are used, as on any page.
//
// A `Value` must be a ranked tensor. That is said while the operand is read, because result types are inferred from it
// before the op is verified.
//
// In an assembly format: `custom<Value>($x, type($x))`, `custom<Values>($xs, type($xs))`,
// `custom<OptionalValue>($x, type($x))` inside an optional group.
#ifndef DIALECTS_INTERFACES_VALUESYNTAX_H
#define DIALECTS_INTERFACES_VALUESYNTAX_H

#include "mlir/IR/OpImplementation.h"

namespace denim {

/// The type of a value that was defined earlier; null after an error was reported.
mlir::Type typeOf(mlir::OpAsmParser &parser, const mlir::OpAsmParser::UnresolvedOperand &operand);

mlir::ParseResult parseValue(mlir::OpAsmParser &parser, mlir::OpAsmParser::UnresolvedOperand &operand,
                             mlir::Type &type);
mlir::ParseResult parseOptionalValue(mlir::OpAsmParser &parser,
                                     std::optional<mlir::OpAsmParser::UnresolvedOperand> &operand, mlir::Type &type);
mlir::ParseResult parseValues(mlir::OpAsmParser &parser,
                              llvm::SmallVectorImpl<mlir::OpAsmParser::UnresolvedOperand> &operands,
                              llvm::SmallVectorImpl<mlir::Type> &types);
void printValue(mlir::OpAsmPrinter &printer, mlir::Operation *op, mlir::Value value, mlir::Type type);
void printOptionalValue(mlir::OpAsmPrinter &printer, mlir::Operation *op, mlir::Value value, mlir::Type type);
void printValues(mlir::OpAsmPrinter &printer, mlir::Operation *op, mlir::OperandRange values, mlir::TypeRange types);

} // namespace denim

#endif // DIALECTS_INTERFACES_VALUESYNTAX_H
