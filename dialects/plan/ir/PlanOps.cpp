#include "dialects/plan/ir/Plan.h"

using namespace mlir;
using namespace denim::plan;

#define GET_OP_CLASSES
#include "dialects/plan/ir/PlanOps.cpp.inc"

/// Kernels and programs look alike: a symbol, arguments, a body.
static ParseResult parseSymbolWithBody(OpAsmParser &parser, OperationState &result) {
  StringAttr name;
  SmallVector<OpAsmParser::Argument> arguments;
  return failure(parser.parseSymbolName(name, SymbolTable::getSymbolAttrName(), result.attributes) ||
                 parser.parseArgumentList(arguments, OpAsmParser::Delimiter::Paren, /*allowType=*/true) ||
                 parser.parseOptionalAttrDictWithKeyword(result.attributes) ||
                 parser.parseRegion(*result.addRegion(), arguments));
}

static void printSymbolWithBody(OpAsmPrinter &printer, Operation *op, Region &body) {
  StringRef symbol = SymbolTable::getSymbolAttrName();
  printer << ' ';
  printer.printSymbolName(op->getAttrOfType<StringAttr>(symbol));
  printer << '(';
  llvm::interleaveComma(body.getArguments(), printer, [&](BlockArgument a) { printer.printRegionArgument(a); });
  printer << ')';
  printer.printOptionalAttrDictWithKeyword(op->getAttrs(), {symbol});
  printer << ' ';
  printer.printRegion(body, /*printEntryBlockArgs=*/false);
}

ParseResult KernelOp::parse(OpAsmParser &parser, OperationState &result) {
  return parseSymbolWithBody(parser, result);
}
void KernelOp::print(OpAsmPrinter &printer) {
  printSymbolWithBody(printer, *this, getBody());
}
ParseResult ProgramOp::parse(OpAsmParser &parser, OperationState &result) {
  return parseSymbolWithBody(parser, result);
}
void ProgramOp::print(OpAsmPrinter &printer) {
  printSymbolWithBody(printer, *this, getBody());
}

LogicalResult CastOp::verify() {
  auto from = cast<RankedTensorType>(getInput().getType()), to = cast<RankedTensorType>(getResult().getType());
  if (from.getShape() != to.getShape())
    return emitOpError() << "expected one shape, but got " << from << " and " << to;
  for (Type element : {from.getElementType(), to.getElementType()})
    if (!isa<FloatType>(element))
      return emitOpError() << "expected elements that are floating-point numbers, but got " << element;
  return success();
}

LogicalResult MergeOp::verify() {
  for (Value value : getValues()) {
    Operation *op = value.getDefiningOp();
    if (isa_and_present<MergeOp>(op))
      continue;
    auto launch = dyn_cast_or_null<LaunchOp>(op);
    if (!launch || !launch->hasAttr("when"))
      return emitOpError() << "expected values that launches with a condition make, but got " << value;
  }
  return success();
}
