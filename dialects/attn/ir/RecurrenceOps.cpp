// Syntax, types and refusals of attn.recurrence and the words of its region.
#include "dialects/attn/ir/Attn.h"
#include "dialects/attn/ir/RecurrenceForm.h"
#include "dialects/attn/ir/RecurrenceSyntax.h"
#include "dialects/interfaces/NumberSyntax.h"
#include "dialects/interfaces/ValueSyntax.h"

using namespace mlir;
using namespace denim;
using namespace denim::attn;

using Types = SmallVectorImpl<Type>;
using MaybeLoc = std::optional<Location>;

static RankedTensorType tensorOf(Value value) {
  return cast<RankedTensorType>(value.getType());
}

/// What the region sees of an operand: [D] of [T, H, D], a number of [T, H] and [H].
static RankedTensorType shareOf(RankedTensorType operand) {
  ArrayRef<int64_t> shape = operand.getShape();
  return RankedTensorType::get(shape.drop_front(std::min<size_t>(2, shape.size())),
                               Float32Type::get(operand.getContext()));
}
/// The heads of an operand, or 0 when it has none.
static int64_t headsOf(RankedTensorType operand) {
  bool tokens = operand.getRank() > 0 && operand.isDynamicDim(0);
  if (tokens ? operand.getRank() != 2 && operand.getRank() != 3 : operand.getRank() != 1)
    return 0;
  return operand.getDimSize(tokens ? 1 : 0);
}

//===--------------------------------------------------------------------------------------------------------------===//
// attn.recurrence
//===--------------------------------------------------------------------------------------------------------------===//

int64_t RecurrenceOp::getHeads() {
  int64_t heads = 1;
  for (Value input : getInputs())
    heads = std::max(heads, headsOf(tensorOf(input)));
  return heads;
}

/// recurrence_c3. The type of the result follows from the output.
static LogicalResult verifyYield(YieldOp yield, RankedTensorType state) {
  auto line = RankedTensorType::get(state.getShape().take_back(), state.getElementType());
  if (yield.getState().getType() == state && yield.getOutput().getType() == line)
    return success();
  return yield.emitOpError() << "expected a state of type " << state << " and an output of type " << line
                             << ", but got " << yield.getState().getType() << " and " << yield.getOutput().getType();
}

/// (%s : 64x64, %q = %query, ...) [chunk N] [state %cache] { region }
ParseResult RecurrenceOp::parse(OpAsmParser &parser, OperationState &result) {
  SmallVector<OpAsmParser::Argument> arguments(1);
  SmallVector<OpAsmParser::UnresolvedOperand> names;
  SmallVector<Type> types;
  SmallVector<int64_t> state;
  if (parser.parseLParen() || parser.parseArgument(arguments[0]) || parser.parseColon())
    return failure();
  SMLoc where = parser.getCurrentLocation();
  if (parser.parseDimensionList(state, /*allowDynamic=*/false, /*withTrailingX=*/false))
    return failure();
  if (state.size() != 2)
    return parser.emitError(where) << "expected a state of two extents, as 64x64";
  Type f32 = parser.getBuilder().getF32Type();
  arguments[0].type = RankedTensorType::get(state, f32);
  while (succeeded(parser.parseOptionalComma())) {
    OpAsmParser::Argument &argument = arguments.emplace_back();
    if (parser.parseArgument(argument) || parser.parseEqual() ||
        parseValue(parser, names.emplace_back(), types.emplace_back()))
      return failure();
    argument.type = shareOf(cast<RankedTensorType>(types.back()));
  }
  if (parser.parseRParen())
    return failure();
  if (succeeded(parser.parseOptionalKeyword("chunk"))) {
    int64_t chunk;
    if (parser.parseInteger(chunk))
      return failure();
    result.addAttribute("chunk", parser.getBuilder().getI64IntegerAttr(chunk));
  }
  bool cached = succeeded(parser.parseOptionalKeyword("state"));
  if (cached) {
    OpAsmParser::UnresolvedOperand &cache = names.emplace_back();
    if (parser.parseOperand(cache) || !(types.emplace_back() = typeOf(parser, cache)))
      return failure();
  }
  if (parser.resolveOperands(names, types, parser.getNameLoc(), result.operands) ||
      parser.parseOptionalAttrDictWithKeyword(result.attributes) ||
      parser.parseRegion(*result.addRegion(), arguments, /*enableNameShadowing=*/true))
    return failure();
  result.getOrAddProperties<Properties>().operandSegmentSizes = {int32_t(names.size()) - cached, int32_t(cached)};

  Block &block = result.regions.front()->front();
  auto yield = block.empty() ? YieldOp() : dyn_cast<YieldOp>(block.back());
  if (!yield)
    return parser.emitError(parser.getNameLoc()) << "expected a region that ends with yield";
  if (failed(verifyYield(yield, cast<RankedTensorType>(arguments[0].type))))
    return failure(); // before a result of a wrong type is refused where it is used
  int64_t heads = 1, tokens = ShapedType::kDynamic;
  for (Type type : ArrayRef(types).drop_back(cached))
    heads = std::max(heads, headsOf(cast<RankedTensorType>(type)));
  SmallVector<int64_t> shape{tokens, heads};
  llvm::append_range(shape, tensorOf(yield.getOutput()).getShape());
  result.addTypes(RankedTensorType::get(shape, f32));
  return success();
}

void RecurrenceOp::print(OpAsmPrinter &printer) {
  Block *block = getBlock();
  auto argument = [&](BlockArgument value) { printer.printRegionArgument(value, {}, /*omitType=*/true); };
  printer << " (";
  argument(block->getArgument(0));
  printer << " : ";
  llvm::interleave(
      getStateType().getShape(), printer, [&](int64_t extent) { printer << extent; }, "x");
  for (auto [value, input] : llvm::zip_equal(block->getArguments().drop_front(), getInputs())) {
    printer << ", ";
    argument(value);
    printer << " = " << input;
  }
  printer << ")";
  if (getChunk())
    printer << " chunk " << int64_t(*getChunk());
  if (getState())
    printer << " state " << getState();
  printer.printOptionalAttrDictWithKeyword((*this)->getAttrs(), {"chunk", "operandSegmentSizes"});
  printer << " ";
  printer.printRegion(getStep(), /*printEntryBlockArgs=*/false);
}

StringRef RecurrenceOp::getDefaultDialect() {
  return "attn";
}

LogicalResult RecurrenceOp::verifyRegions() {
  Block *block = getBlock();
  int64_t heads = getHeads();
  // recurrence_c1
  for (Value input : getInputs()) {
    int64_t own = headsOf(tensorOf(input));
    if (own == 0)
      return emitOpError() << "expected operands of shape [T, H, D], [T, H] or [H], but got " << input.getType();
    if (heads % own)
      return emitOpError() << "expected operands whose heads divide " << heads << ", but got " << input.getType();
  }
  // recurrence_c2
  if (block->getNumArguments() != getInputs().size() + 1 || tensorOf(block->getArgument(0)).getRank() != 2)
    return emitOpError() << "expected a region with a state and " << getInputs().size()
                         << " shares of operands, but got " << block->getNumArguments() << " arguments";
  for (auto [argument, input] : llvm::zip_equal(block->getArguments().drop_front(), getInputs()))
    if (argument.getType() != shareOf(tensorOf(input)))
      return emitOpError() << "expected " << shareOf(tensorOf(input)) << " as the share of " << input.getType()
                           << ", but got " << argument.getType();
  // recurrence_c3
  if (failed(verifyYield(cast<YieldOp>(block->getTerminator()), cast<RankedTensorType>(getStateType()))))
    return failure();
  if (tensorOf(getResult()).getShape().drop_front() != ArrayRef<int64_t>{heads, getStateType().getDimSize(1)})
    return emitOpError() << "expected a result of " << heads << " heads of " << getStateType().getDimSize(1)
                         << " channels, but got " << getResult().getType();
  // recurrence_c4
  for (auto decay : block->getOps<DecayOp>())
    if (auto rates = decay.getRates()) {
      if (int64_t(rates->size()) != heads)
        return decay.emitOpError() << "expected a number for each of " << heads << " heads, but got " << rates->size();
      for (double rate : *rates)
        if (!(rate <= 0))
          return decay.emitOpError() << "expected log decays of at most 0, but got " << rate;
    }
  return success();
}

int64_t RecurrenceOp::getIndependentHeads() {
  return getHeads();
}
SmallVector<CacheNeed> RecurrenceOp::getCacheNeeds() {
  auto state = getStateType();
  return {{"state", CacheKind::State, {getHeads(), state.getDimSize(0), state.getDimSize(1)}, state.getElementType()}};
}
MutableOperandRange RecurrenceOp::getCachesMutable() {
  return getStateMutable();
}
NormalForm RecurrenceOp::getNormalForm() {
  return normalFormOf(*this);
}
Cost RecurrenceOp::getCostPerToken(int64_t) {
  double elements = double(getHeads()) * getStateType().getNumElements(), perElement = 0;
  for (Operation &op : *getBlock())
    perElement += isa<ReadOp, WriteOp>(op) ? 2 : isa<DecayOp>(op) ? 1 : 0;
  return {perElement * elements, 8 * elements};
}

//===--------------------------------------------------------------------------------------------------------------===//
// The words of the region
//===--------------------------------------------------------------------------------------------------------------===//

/// `%g`, or `[-0.5, -0.25]`.
ParseResult attn::parseFading(OpAsmParser &parser, std::optional<OpAsmParser::UnresolvedOperand> &decay, Type &type,
                              DenseF64ArrayAttr &rates) {
  OpAsmParser::UnresolvedOperand operand;
  OptionalParseResult named = parser.parseOptionalOperand(operand);
  if (named.has_value()) {
    if (failed(*named) || !(type = typeOf(parser, operand)))
      return failure();
    decay = operand;
    if (!isa<RankedTensorType>(type))
      return parser.emitError(operand.location) << "expected a tensor, but got " << type;
    return success();
  }
  SmallVector<double> numbers;
  auto parseOne = [&]() -> ParseResult {
    FloatAttr number;
    if (parseNumber(parser, number))
      return failure();
    numbers.push_back(number.getValueAsDouble());
    return success();
  };
  if (parser.parseCommaSeparatedList(OpAsmParser::Delimiter::Square, parseOne))
    return failure();
  rates = parser.getBuilder().getDenseF64ArrayAttr(numbers);
  return success();
}
void attn::printFading(OpAsmPrinter &printer, Operation *op, Value decay, Type, DenseF64ArrayAttr rates) {
  if (decay) {
    printer << decay;
    return;
  }
  printer << "[";
  llvm::interleaveComma(rates.asArrayRef(), printer, [&](double rate) {
    printNumber(printer, op, Builder(op->getContext()).getF64FloatAttr(rate));
  });
  printer << "]";
}

static LogicalResult expectState(MaybeLoc loc, Value value) {
  if (tensorOf(value).getRank() == 2)
    return success();
  return emitOptionalError(loc, "expected a state, but got ", value.getType());
}
static LogicalResult expectVector(MaybeLoc loc, Value value, int64_t extent, StringRef what) {
  if (tensorOf(value).getShape() == ArrayRef<int64_t>(extent))
    return success();
  return emitOptionalError(loc, "expected ", what, " of ", extent, " channels, but got ", value.getType());
}

LogicalResult DecayOp::inferReturnTypes(MLIRContext *, MaybeLoc loc, Adaptor adaptor, Types &results) {
  if (failed(expectState(loc, adaptor.getState())))
    return failure();
  if (Value decay = adaptor.getDecay(); decay && tensorOf(decay).getRank() != 0)
    if (failed(expectVector(loc, decay, tensorOf(adaptor.getState()).getDimSize(0), "a decay")))
      return failure();
  results.push_back(adaptor.getState().getType());
  return success();
}

LogicalResult ReadOp::inferReturnTypes(MLIRContext *, MaybeLoc loc, Adaptor adaptor, Types &results) {
  if (failed(expectState(loc, adaptor.getState())))
    return failure();
  auto state = tensorOf(adaptor.getState());
  if (failed(expectVector(loc, adaptor.getKey(), state.getDimSize(0), "a key")))
    return failure();
  results.push_back(RankedTensorType::get(state.getShape().take_back(), state.getElementType()));
  return success();
}

LogicalResult WriteOp::inferReturnTypes(MLIRContext *, MaybeLoc loc, Adaptor adaptor, Types &results) {
  if (failed(expectState(loc, adaptor.getState())))
    return failure();
  auto state = tensorOf(adaptor.getState());
  if (failed(expectVector(loc, adaptor.getKey(), state.getDimSize(0), "a key")) ||
      failed(expectVector(loc, adaptor.getValue(), state.getDimSize(1), "a value")))
    return failure();
  results.push_back(state);
  return success();
}

static LogicalResult inferBinary(MaybeLoc loc, Value lhs, Value rhs, Types &results) {
  auto left = tensorOf(lhs), right = tensorOf(rhs);
  if (left.getRank() > 1 || right.getRank() > 1 ||
      (left.getShape() != right.getShape() && left.getRank() != 0 && right.getRank() != 0))
    return emitOptionalError(loc, "expected two vectors of one length, or a number and a vector, but got ", left,
                             " and ", right);
  results.push_back(left.getRank() == 0 ? right : left);
  return success();
}
LogicalResult AddOp::inferReturnTypes(MLIRContext *, MaybeLoc loc, Adaptor adaptor, Types &results) {
  return inferBinary(loc, adaptor.getLhs(), adaptor.getRhs(), results);
}
LogicalResult SubOp::inferReturnTypes(MLIRContext *, MaybeLoc loc, Adaptor adaptor, Types &results) {
  return inferBinary(loc, adaptor.getLhs(), adaptor.getRhs(), results);
}
LogicalResult MulOp::inferReturnTypes(MLIRContext *, MaybeLoc loc, Adaptor adaptor, Types &results) {
  return inferBinary(loc, adaptor.getLhs(), adaptor.getRhs(), results);
}
LogicalResult ScaleOp::inferReturnTypes(MLIRContext *, MaybeLoc loc, Adaptor adaptor, Types &results) {
  if (tensorOf(adaptor.getInput()).getRank() > 1)
    return emitOptionalError(loc, "expected a vector or a number, but got ", adaptor.getInput().getType());
  results.push_back(adaptor.getInput().getType());
  return success();
}
