#include "dialects/interfaces/Interfaces.h"
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

LogicalResult KernelOp::verifyRegions() {
  for (int64_t position : getDequantized().value_or(ArrayRef<int64_t>())) {
    if (position < 0 || position >= int64_t(getBlock()->getNumArguments()))
      return emitOpError() << "expected dequantized to have positions from 0 to "
                           << int64_t(getBlock()->getNumArguments()) - 1 << ", but got " << position;
    auto weight = dyn_cast<RankedTensorType>(getBlock()->getArgument(position).getType());
    if (!weight || weight.getRank() != 2 || !weight.hasStaticShape() || !weight.getElementType().isBF16())
      return emitOpError() << "expected argument " << position << ", which is dequantized, to be a weight [N, K] of "
                           << "bf16, but got " << getBlock()->getArgument(position).getType();
  }
  return success();
}

LogicalResult CastOp::verify() {
  auto from = cast<RankedTensorType>(getInput().getType()), to = cast<RankedTensorType>(getResult().getType());
  if (from.getShape() != to.getShape())
    return emitOpError() << "expected one shape, but got " << from << " and " << to;
  if (!isa<FloatType>(from.getElementType()) && !blockFormatOf(from.getElementType()))
    return emitOpError() << "expected elements that are floating-point numbers or in blocks, but got "
                         << from.getElementType();
  if (!isa<FloatType>(to.getElementType()))
    return emitOpError() << "expected to get elements that are floating-point numbers, but got " << to.getElementType();
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
