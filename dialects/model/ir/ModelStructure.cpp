// Blocks, networks, parameters and the layer schedule.
#include "dialects/model/ir/ModelSyntax.h"

using namespace mlir;
using namespace denim::model;

/// Blocks and networks look alike: a symbol, one argument, a body whose ops need no `model.` prefix and whose last is
/// `end`.
static ParseResult parseBody(OpAsmParser &parser, OperationState &result, StringAttr eosName, StringRef end) {
  StringAttr name;
  OpAsmParser::Argument argument;
  if (parser.parseSymbolName(name, SymbolTable::getSymbolAttrName(), result.attributes) || parser.parseLParen() ||
      parser.parseArgument(argument, /*allowType=*/true) || parser.parseRParen())
    return failure();
  if (eosName && succeeded(parser.parseOptionalKeyword("eos"))) {
    SmallVector<int64_t> eos;
    if (parser.parseCommaSeparatedList(AsmParser::Delimiter::Square,
                                       [&] { return parser.parseInteger(eos.emplace_back()); }))
      return failure();
    result.addAttribute(eosName, parser.getBuilder().getDenseI64ArrayAttr(eos));
  }
  Region *body = result.addRegion();
  if (parser.parseOptionalAttrDictWithKeyword(result.attributes) || parser.parseRegion(*body, argument))
    return failure();
  // What MLIR says of a block that ends in another op names neither the op that is missing nor the page's words.
  Operation *last = body->front().empty() ? nullptr : &body->front().back();
  if (last && !last->hasTrait<OpTrait::IsTerminator>())
    return emitError(last->getLoc()) << "expected `" << end << "` at the end of @" << name.getValue() << ", but got "
                                     << last->getName();
  return success();
}

static void printBody(OpAsmPrinter &printer, Operation *op, Region &body, ArrayRef<StringRef> elided) {
  printer.printOptionalAttrDictWithKeyword(op->getAttrs(), elided);
  printer << ' ';
  printer.printRegion(body, /*printEntryBlockArgs=*/false);
}

static void printHead(OpAsmPrinter &printer, StringRef name, BlockArgument argument) {
  printer << ' ';
  printer.printSymbolName(name);
  printer << '(';
  printer.printRegionArgument(argument);
  printer << ')';
}

ParseResult BlockOp::parse(OpAsmParser &parser, OperationState &result) {
  return parseBody(parser, result, {}, "yield");
}
void BlockOp::print(OpAsmPrinter &printer) {
  printHead(printer, getSymName(), getBlock()->getArgument(0));
  printBody(printer, *this, getBody(), {getSymNameAttrName()});
}
StringRef BlockOp::getDefaultDialect() {
  return "model";
}

LogicalResult BlockOp::verifyRegions() {
  Block *block = getBlock();
  if (block->getNumArguments() != 1)
    return emitOpError() << "expected one argument, the residual stream, but got " << block->getNumArguments();
  auto yield = dyn_cast<YieldOp>(block->getTerminator());
  if (!yield)
    return emitOpError() << "expected to end in `yield`, but got " << block->getTerminator()->getName();
  Type stream = block->getArgument(0).getType();
  if (yield.getValue().getType() != stream)
    return yield.emitOpError() << "expected the residual stream of type " << stream << ", but got "
                               << yield.getValue().getType();
  return success();
}

ParseResult NetworkOp::parse(OpAsmParser &parser, OperationState &result) {
  return parseBody(parser, result, getEosAttrName(result.name), "output");
}
void NetworkOp::print(OpAsmPrinter &printer) {
  printHead(printer, getSymName(), getBlock()->getArgument(0));
  if (!getEos().empty()) {
    printer << " eos [";
    llvm::interleaveComma(getEos(), printer);
    printer << ']';
  }
  printBody(printer, *this, getBody(), {getSymNameAttrName(), getEosAttrName()});
}
StringRef NetworkOp::getDefaultDialect() {
  return "model";
}

LogicalResult NetworkOp::verifyRegions() {
  Block *block = getBlock();
  auto ids = block->getNumArguments() == 1 ? dyn_cast<RankedTensorType>(block->getArgument(0).getType()) : nullptr;
  if (!ids || ids.getRank() != 1 || !ids.getElementType().isInteger(32))
    return emitOpError() << "expected one argument of type tensor<?xi32>, the token ids";
  auto output = dyn_cast<OutputOp>(block->getTerminator());
  if (!output)
    return emitOpError() << "expected to end in `output`, but got " << block->getTerminator()->getName();
  auto logits = dyn_cast<RankedTensorType>(output.getLogits().getType());
  if (!logits || logits.getRank() != 2)
    return output.emitOpError() << "expected logits of shape [T, vocabulary], but got " << output.getLogits().getType();
  auto layers = block->getOps<LayersOp>();
  if (std::distance(layers.begin(), layers.end()) != 1)
    return emitOpError() << "expected one `layers`, but got " << std::distance(layers.begin(), layers.end());
  Operation *schedule = *layers.begin();
  for (Operation *op = schedule->getNextNode(); op; op = op->getNextNode())
    for (Value operand : op->getOperands()) {
      Operation *from = operand.getDefiningOp();
      if (!from || (!isa<ParamOp>(from) && from->isBeforeInBlock(schedule)))
        return op->emitOpError() << "expected parameters and what follows from the result of `layers`, but got "
                                 << (from ? "a value from before `layers`" : "the token ids");
    }
  return success();
}

//===--------------------------------------------------------------------------------------------------------------===//
// Parameters
//===--------------------------------------------------------------------------------------------------------------===//

bool denim::model::isWeightOfLinear(OpOperand &use) {
  auto linear = dyn_cast<LinearOp>(use.getOwner());
  return linear && &linear.getWeightMutable() == &use;
}

/// Rows of whole blocks, and no use but as a weight of `linear`. Behind the phase plan uses are launches, whose kernels
/// the rule was kept for.
static LogicalResult verifyBlocks(ParamOp param) {
  RankedTensorType type = param.getType();
  if (type.getRank() != 2 || type.getDimSize(1) % denim::formats::kBlockElements != 0)
    return param.emitOpError() << "expected [N, K] with K a multiple of " << denim::formats::kBlockElements
                               << " for elements in blocks, but got " << type;
  if (!isa<BlockOp, NetworkOp>(param->getParentOp()))
    return success();
  for (OpOperand &use : param->getUses())
    if (!isWeightOfLinear(use))
      return param.emitOpError() << "expected elements in blocks to be used as a weight of linear, but got a use by "
                                 << use.getOwner()->getName();
  return success();
}

LogicalResult ParamOp::verify() {
  auto type = getType();
  if (!type.hasStaticShape())
    return emitOpError() << "expected a static shape, but got " << type;
  bool blocks = denim::blockFormatOf(type.getElementType()).has_value();
  if (!blocks && !isa<BFloat16Type, Float16Type, Float32Type>(type.getElementType()))
    return emitOpError() << "expected elements of bf16, f16, f32, !model.q8_0 or !model.q4_0, but got "
                         << type.getElementType();
  if (isStack() && type.getRank() < 2)
    return emitOpError() << "expected a stack to have an axis of tensors before their own, but got " << type;
  return blocks ? verifyBlocks(*this) : success();
}

//===--------------------------------------------------------------------------------------------------------------===//
// The schedule: `2 x (3 x @linear, 1 x @full)`
//===--------------------------------------------------------------------------------------------------------------===//

/// item := integer `x` (symbol | `(` item, ... `)`) | symbol
static FailureOr<Attribute> parseItem(OpAsmParser &parser) {
  MLIRContext *context = parser.getContext();
  int64_t count = 1;
  SMLoc loc = parser.getCurrentLocation();
  OptionalParseResult counted = parser.parseOptionalInteger(count);
  if (counted.has_value()) {
    if (failed(*counted) || parser.parseKeyword("x", " between a count and what is repeated"))
      return failure();
    if (count < 1) {
      parser.emitError(loc) << "expected a positive count, but got " << count;
      return failure();
    }
  }
  SmallVector<Attribute> items;
  if (succeeded(parser.parseOptionalLParen())) {
    do {
      auto item = parseItem(parser);
      if (failed(item))
        return failure();
      items.push_back(*item);
    } while (succeeded(parser.parseOptionalComma()));
    if (parser.parseRParen())
      return failure();
  } else {
    StringAttr symbol;
    if (parser.parseSymbolName(symbol))
      return failure();
    auto reference = FlatSymbolRefAttr::get(symbol);
    if (!counted.has_value())
      return Attribute(reference);
    items.push_back(reference);
  }
  return Attribute(RepeatAttr::get(context, count, ArrayAttr::get(context, items)));
}

ParseResult denim::model::parseSchedule(OpAsmParser &parser, RepeatAttr &schedule) {
  MLIRContext *context = parser.getContext();
  SmallVector<Attribute> items;
  if (parser.parseCommaSeparatedList([&]() -> ParseResult {
        auto item = parseItem(parser);
        if (failed(item))
          return failure();
        items.push_back(*item);
        return success();
      }))
    return failure();
  if (items.size() == 1 && isa<RepeatAttr>(items.front()))
    schedule = cast<RepeatAttr>(items.front());
  else
    schedule = RepeatAttr::get(context, 1, ArrayAttr::get(context, items));
  return success();
}

static void printItem(OpAsmPrinter &printer, Attribute item) {
  auto repeat = dyn_cast<RepeatAttr>(item);
  if (!repeat) {
    printer << item;
    return;
  }
  printer << repeat.getCount() << " x ";
  bool one = repeat.getItems().size() == 1 && isa<FlatSymbolRefAttr>(repeat.getItems()[0]);
  if (!one)
    printer << '(';
  llvm::interleaveComma(repeat.getItems(), printer, [&](Attribute a) { printItem(printer, a); });
  if (!one)
    printer << ')';
}

void denim::model::printSchedule(OpAsmPrinter &printer, Operation *, RepeatAttr schedule) {
  if (schedule.getCount() != 1 || schedule.getItems().size() < 2)
    return printItem(printer, schedule);
  llvm::interleaveComma(schedule.getItems(), printer, [&](Attribute a) { printItem(printer, a); });
}

LogicalResult RepeatAttr::verify(function_ref<InFlightDiagnostic()> emitError, int64_t count, ArrayAttr items) {
  if (count < 1 || items.empty())
    return emitError() << "expected a positive count of at least one item, but got " << count << " of " << items;
  for (Attribute item : items)
    if (!isa<FlatSymbolRefAttr, RepeatAttr>(item))
      return emitError() << "expected the symbol of a block or a repeat, but got " << item;
  return success();
}

/// More layers than any network has; a schedule is expanded only after it was found to be shorter.
static constexpr int64_t kMostLayers = 65536;

int64_t RepeatAttr::countLayers() {
  int64_t inner = 0;
  for (Attribute item : getItems()) {
    auto repeat = dyn_cast<RepeatAttr>(item);
    inner = std::min(kMostLayers + 1, inner + (repeat ? repeat.countLayers() : 1));
  }
  // Both factors are small enough for the product.
  return std::min(kMostLayers + 1, std::min(kMostLayers + 1, getCount()) * inner);
}

static void expand(Attribute item, SmallVectorImpl<FlatSymbolRefAttr> &layers) {
  if (auto symbol = dyn_cast<FlatSymbolRefAttr>(item)) {
    layers.push_back(symbol);
    return;
  }
  auto repeat = cast<RepeatAttr>(item);
  for (int64_t i = 0; i < repeat.getCount(); ++i)
    for (Attribute inner : repeat.getItems())
      expand(inner, layers);
}

SmallVector<FlatSymbolRefAttr> LayersOp::getLayers() {
  SmallVector<FlatSymbolRefAttr> layers;
  expand(getSchedule(), layers);
  return layers;
}

std::string LayersOp::getLayerPrefix(int64_t layer) {
  StringRef prefix = getPrefix();
  size_t at = prefix.find("{i}");
  return (prefix.take_front(at) + Twine(layer) + prefix.drop_front(at + 3) + ".").str();
}

LogicalResult LayersOp::verifySymbolUses(SymbolTableCollection &symbols) {
  if (!getPrefix().contains("{i}"))
    return emitOpError() << "expected `{i}` in the prefix of the layers' parameters, but got \"" << getPrefix() << '"';
  if (getSchedule().countLayers() > kMostLayers)
    return emitOpError() << "expected at most " << kMostLayers << " layers, but got more";
  for (FlatSymbolRefAttr symbol : getLayers()) {
    auto block = symbols.lookupNearestSymbolFrom<BlockOp>(*this, symbol);
    if (!block)
      return emitOpError() << "expected a model.block named " << symbol << ", but got none";
    Type stream = block.getBlock()->getArgument(0).getType();
    if (stream != getInput().getType())
      return emitOpError() << "expected block " << symbol << " to take " << getInput().getType() << ", but got "
                           << stream;
  }
  return success();
}

//===--------------------------------------------------------------------------------------------------------------===//
// Parts of a split: `1x64, 3x64` or `16, 48`
//===--------------------------------------------------------------------------------------------------------------===//

ParseResult denim::model::parseParts(OpAsmParser &parser, DenseI64ArrayAttr &heads, DenseI64ArrayAttr &widths) {
  SmallVector<int64_t> h, w;
  auto parsePart = [&]() -> ParseResult {
    SmallVector<int64_t> shape;
    SMLoc loc = parser.getCurrentLocation();
    if (parser.parseDimensionList(shape, /*allowDynamic=*/false, /*withTrailingX=*/false))
      return failure();
    if (shape.size() != 1 && shape.size() != 2)
      return parser.emitError(loc) << "expected a width or heads x width, but got " << shape.size() << " extents";
    h.push_back(shape.size() == 2 ? shape[0] : 0);
    w.push_back(shape.back());
    return success();
  };
  if (parser.parseCommaSeparatedList(parsePart))
    return failure();
  heads = parser.getBuilder().getDenseI64ArrayAttr(h);
  widths = parser.getBuilder().getDenseI64ArrayAttr(w);
  return success();
}

void denim::model::printParts(OpAsmPrinter &printer, Operation *, DenseI64ArrayAttr heads, DenseI64ArrayAttr widths) {
  llvm::interleaveComma(llvm::zip(heads.asArrayRef(), widths.asArrayRef()), printer, [&](auto part) {
    if (std::get<0>(part))
      printer << std::get<0>(part) << 'x';
    printer << std::get<1>(part);
  });
}
