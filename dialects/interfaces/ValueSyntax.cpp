#include "dialects/interfaces/ValueSyntax.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Diagnostics.h"

using namespace mlir;

Type denim::typeOf(OpAsmParser &parser, const OpAsmParser::UnresolvedOperand &operand) {
  Type impossible = NoneType::get(parser.getContext());
  SmallVector<Type> mentioned;
  SmallVector<Value> values;
  {
    // The handler is called before those registered earlier, and keeps the diagnostic to itself.
    ScopedDiagnosticHandler quiet(parser.getContext(), [&](Diagnostic &diagnostic) {
      for (const DiagnosticArgument &argument : diagnostic.getArguments())
        if (argument.getKind() == DiagnosticArgument::DiagnosticArgumentKind::Type)
          mentioned.push_back(argument.getAsType());
      return success();
    });
    if (succeeded(parser.resolveOperand(operand, impossible, values)))
      mentioned.clear();
  }
  if (mentioned.size() == 2)
    return mentioned[1];
  parser.emitError(operand.location) << "expected a value that is defined above, but got " << operand.name;
  return {};
}

ParseResult denim::parseValue(OpAsmParser &parser, OpAsmParser::UnresolvedOperand &operand, Type &type) {
  if (parser.parseOperand(operand))
    return failure();
  type = typeOf(parser, operand);
  if (!type)
    return failure();
  if (!isa<RankedTensorType>(type))
    return parser.emitError(operand.location) << "expected a tensor, but got " << type;
  return success();
}

ParseResult denim::parseOptionalValue(OpAsmParser &parser, std::optional<OpAsmParser::UnresolvedOperand> &operand,
                                      Type &type) {
  return parseValue(parser, operand.emplace(), type);
}

ParseResult denim::parseValues(OpAsmParser &parser, SmallVectorImpl<OpAsmParser::UnresolvedOperand> &operands,
                               SmallVectorImpl<Type> &types) {
  return parser.parseCommaSeparatedList(
      [&] { return parseValue(parser, operands.emplace_back(), types.emplace_back()); });
}

void denim::printValue(OpAsmPrinter &printer, Operation *, Value value, Type) {
  printer << value;
}
void denim::printOptionalValue(OpAsmPrinter &printer, Operation *, Value value, Type) {
  printer << value;
}
void denim::printValues(OpAsmPrinter &printer, Operation *, OperandRange values, TypeRange) {
  printer.printOperands(values);
}
