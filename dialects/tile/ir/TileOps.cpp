#include "dialects/tile/ir/Tile.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace denim::tile;

#define GET_OP_CLASSES
#include "dialects/tile/ir/TileOps.cpp.inc"

static TileType tileOf(Value value) {
  return cast<TileType>(value.getType());
}

//===--------------------------------------------------------------------------------------------------------------===//
// Kernel
//===--------------------------------------------------------------------------------------------------------------===//

ParseResult KernelOp::parse(OpAsmParser &parser, OperationState &result) {
  StringAttr name;
  SmallVector<OpAsmParser::Argument> arguments;
  if (parser.parseSymbolName(name, SymbolTable::getSymbolAttrName(), result.attributes) ||
      parser.parseArgumentList(arguments, OpAsmParser::Delimiter::Paren, /*allowType=*/true) ||
      parser.parseKeyword("items"))
    return failure();
  auto items = dyn_cast_or_null<ItemsAttr>(ItemsAttr::parse(parser, Type()));
  if (!items)
    return failure();
  result.addAttribute(getItemsAttrName(result.name), items);
  OpAsmParser::Argument item;
  if (parser.parseKeyword("at") || parser.parseArgument(item) ||
      parser.parseOptionalAttrDictWithKeyword(result.attributes))
    return failure();
  item.type = parser.getBuilder().getIndexType();
  arguments.push_back(item);
  return parser.parseRegion(*result.addRegion(), arguments);
}

void KernelOp::print(OpAsmPrinter &printer) {
  printer << ' ';
  printer.printSymbolName(getSymName());
  printer << '(';
  llvm::interleaveComma(getMemories(), printer, [&](BlockArgument a) { printer.printRegionArgument(a); });
  printer << ") items ";
  getItems().print(printer);
  printer << " at ";
  printer.printRegionArgument(cast<BlockArgument>(getItem()), {}, /*omitType=*/true);
  printer.printOptionalAttrDictWithKeyword((*this)->getAttrs(), {getSymNameAttrName(), getItemsAttrName()});
  printer << ' ';
  printer.printRegion(getBody(), /*printEntryBlockArgs=*/false);
}

LogicalResult KernelOp::verifyRegions() {
  Block *block = getBlock();
  if (block->getNumArguments() == 0 || !getItem().getType().isIndex())
    return emitOpError() << "expected the last argument to be the item, of type index";
  for (BlockArgument a : getMemories())
    if (!isa<MemoryType, SlotsType, PagesType, StackType>(a.getType()))
      return emitOpError() << "expected argument " << a.getArgNumber()
                           << " to be tile memory, slots, pages or a stack, but got " << a.getType();
  if (getItems().getBlock() < 1 || getItems().getTimes() < 1)
    return emitOpError() << "expected a positive block and count of items, but got by " << getItems().getBlock()
                         << " times " << getItems().getTimes();
  return success();
}

LogicalResult RowsOp::verify() {
  auto type = tileOf(getResult());
  if (type.getColumns() != 1 || !type.getElementType().isInteger(32))
    return emitOpError() << "expected a result of one column of i32, but got " << type;
  return success();
}

//===--------------------------------------------------------------------------------------------------------------===//
// Memory
//===--------------------------------------------------------------------------------------------------------------===//

/// The memory that one entry of a container of type T is.
template <typename T> static LogicalResult verifyEntry(Operation *op, Type container, Type result, StringRef what) {
  auto type = dyn_cast<T>(container);
  if (!type)
    return op->emitOpError() << "expected " << what << ", but got " << container;
  auto expected = MemoryType::get(op->getContext(), type.getColumns(), type.getElementType());
  if (result != expected)
    return op->emitOpError() << "expected a result of type " << expected << ", but got " << result;
  return success();
}

LogicalResult SlotOp::verify() {
  return verifyEntry<SlotsType>(*this, getSlots().getType(), getResult().getType(), "slots");
}
LogicalResult PageOp::verify() {
  return verifyEntry<PagesType>(*this, getPages().getType(), getResult().getType(), "pages");
}
LogicalResult BlockOp::verify() {
  return verifyEntry<PagesType>(*this, getPages().getType(), getResult().getType(), "pages");
}
LogicalResult TransposeOp::verify() {
  auto from = cast<TileType>(getSource().getType()), to = cast<TileType>(getResult().getType());
  TileType expected = from.withShape(from.getColumns(), from.getRows());
  if (to != expected)
    return emitOpError() << "expected a result of " << expected << ", but got " << to;
  return success();
}
LogicalResult FlattenOp::verify() {
  auto from = cast<TileType>(getSource().getType()), to = cast<TileType>(getResult().getType());
  TileType expected = from.withShape(1, from.getRows() * from.getColumns());
  if (to != expected)
    return emitOpError() << "expected a result of " << expected << ", but got " << to;
  return success();
}
LogicalResult StackedOp::verify() {
  return verifyEntry<StackType>(*this, getStack().getType(), getResult().getType(), "a stack");
}

/// A tile of `columns` memory columns fits the memory, and its element is what the memory's widens to.
static LogicalResult verifyWindow(Operation *op, MemoryType memory, int64_t columns, Type element) {
  if (columns > memory.getColumns())
    return op->emitOpError() << "expected at most " << memory.getColumns() << " columns of the memory, but got "
                             << columns;
  bool widened = isa<FloatType>(memory.getElementType()) || denim::blockFormatOf(memory.getElementType());
  Type expected = widened ? Float32Type::get(op->getContext()) : memory.getElementType();
  if (element != expected)
    return op->emitOpError() << "expected a tile of " << expected << ", but got " << element;
  return success();
}

LogicalResult LoadOp::verify() {
  auto type = tileOf(getResult());
  if (!getLo() != !getHi())
    return emitOpError() << "expected both bounds of `within` or none";
  int64_t columns = getTransposed() ? type.getRows() : type.getColumns();
  if (denim::blockFormatOf(getMemory().getType().getElementType())) {
    if (columns % denim::formats::kBlockElements != 0)
      return emitOpError() << "expected whole blocks of " << denim::formats::kBlockElements << " columns, but got "
                           << columns << " columns";
    APInt first;
    if (matchPattern(getColumn(), m_ConstantInt(&first)) && first.srem(formats::kBlockElements) != 0)
      return emitOpError() << "expected a column at which a block of " << denim::formats::kBlockElements
                           << " begins, but got " << first.getSExtValue();
  }
  return verifyWindow(*this, getMemory().getType(), columns, type.getElementType());
}

/// Memory whose rows are read whole, or written: elements that stand for themselves.
static LogicalResult verifyNoBlocks(Operation *op, MemoryType memory) {
  if (denim::blockFormatOf(memory.getElementType()))
    return op->emitOpError() << "expected memory whose elements are not in blocks, but got " << memory;
  return success();
}

/// A number for each row of a tile.
static LogicalResult verifyRowNumbers(Operation *op, TileType tile, TileType rows) {
  TileType expected = TileType::get(op->getContext(), tile.getRows(), 1, IntegerType::get(op->getContext(), 32));
  if (rows != expected)
    return op->emitOpError() << "expected row numbers of type " << expected << ", but got " << rows;
  return success();
}
LogicalResult GatherOp::verify() {
  auto type = tileOf(getResult());
  if (failed(verifyRowNumbers(*this, type, tileOf(getRows()))) || failed(verifyNoBlocks(*this, getMemory().getType())))
    return failure();
  return verifyWindow(*this, getMemory().getType(), type.getColumns(), type.getElementType());
}
LogicalResult ScatterOp::verify() {
  auto type = tileOf(getValue());
  if (failed(verifyRowNumbers(*this, type, tileOf(getRows()))) || failed(verifyNoBlocks(*this, getMemory().getType())))
    return failure();
  return verifyWindow(*this, getMemory().getType(), type.getColumns(), type.getElementType());
}
Value denim::tile::writtenMemory(Operation *op) {
  if (auto store = dyn_cast<StoreOp>(op))
    return store.getMemory();
  if (auto scatter = dyn_cast<ScatterOp>(op))
    return scatter.getMemory();
  return {};
}

LogicalResult StoreOp::verify() {
  auto type = tileOf(getValue());
  if (!getLo() != !getHi())
    return emitOpError() << "expected both bounds of `within` or none";
  if (failed(verifyNoBlocks(*this, getMemory().getType())))
    return failure();
  return verifyWindow(*this, getMemory().getType(), type.getColumns(), type.getElementType());
}

//===--------------------------------------------------------------------------------------------------------------===//
// Map
//===--------------------------------------------------------------------------------------------------------------===//

void MapOp::build(OpBuilder &builder, OperationState &state, TileType result, ValueRange inputs,
                  function_ref<Value(OpBuilder &, Location, ValueRange)> body) {
  state.addOperands(inputs);
  state.addTypes(result);
  OpBuilder::InsertionGuard guard(builder);
  Block *block = builder.createBlock(state.addRegion());
  for (Value input : inputs)
    block->addArgument(tileOf(input).getElementType(), state.location);
  builder.setInsertionPointToStart(block);
  Value element = body(builder, state.location, block->getArguments());
  YieldOp::create(builder, state.location, element);
}

ParseResult MapOp::parse(OpAsmParser &parser, OperationState &result) {
  SmallVector<OpAsmParser::Argument> arguments;
  SmallVector<OpAsmParser::UnresolvedOperand> operands;
  SmallVector<Type> types;
  auto parseOne = [&]() -> ParseResult {
    Type type;
    if (parser.parseArgument(arguments.emplace_back()) || parser.parseEqual() ||
        parser.parseOperand(operands.emplace_back()) || parser.parseColonType(type))
      return failure();
    auto tile = dyn_cast<TileType>(type);
    if (!tile)
      return parser.emitError(parser.getNameLoc()) << "expected a tile, but got " << type;
    types.push_back(type);
    arguments.back().type = tile.getElementType();
    return success();
  };
  if (parser.parseCommaSeparatedList(OpAsmParser::Delimiter::Paren, parseOne) ||
      parser.resolveOperands(operands, types, parser.getNameLoc(), result.operands) ||
      parser.parseArrowTypeList(result.types) || parser.parseOptionalAttrDictWithKeyword(result.attributes))
    return failure();
  return parser.parseRegion(*result.addRegion(), arguments);
}

void MapOp::print(OpAsmPrinter &printer) {
  printer << " (";
  llvm::interleaveComma(llvm::zip(getBody().getArguments(), getInputs()), printer, [&](auto pair) {
    printer << std::get<0>(pair) << " = " << std::get<1>(pair) << " : " << std::get<1>(pair).getType();
  });
  printer << ") -> " << getResult().getType() << ' ';
  printer.printOptionalAttrDictWithKeyword((*this)->getAttrs());
  printer.printRegion(getBody(), /*printEntryBlockArgs=*/false);
}

LogicalResult MapOp::verify() {
  auto result = tileOf(getResult());
  for (auto [i, input] : llvm::enumerate(getInputs())) {
    auto type = tileOf(input);
    auto agrees = [](int64_t extent, int64_t wanted) { return extent == wanted || extent == 1; };
    if (!agrees(type.getRows(), result.getRows()) || !agrees(type.getColumns(), result.getColumns()))
      return emitOpError() << "expected input " << i << " to broadcast to " << result << ", but got " << type;
    if (getBody().getArgument(i).getType() != type.getElementType())
      return emitOpError() << "expected region argument " << i << " of type " << type.getElementType() << ", but got "
                           << getBody().getArgument(i).getType();
  }
  auto yield = cast<YieldOp>(getBody().front().getTerminator());
  if (yield.getValue().getType() != result.getElementType())
    return emitOpError() << "expected to yield " << result.getElementType() << ", but got "
                         << yield.getValue().getType();
  return success();
}

//===--------------------------------------------------------------------------------------------------------------===//
// Windows, reductions, products, solves
//===--------------------------------------------------------------------------------------------------------------===//

LogicalResult WindowOp::verify() {
  auto source = tileOf(getSource()), result = tileOf(getResult());
  int64_t row = getRow(), column = getColumn();
  if (row < 0 || column < 0 || row + result.getRows() > source.getRows() ||
      column + result.getColumns() > source.getColumns() || source.getElementType() != result.getElementType())
    return emitOpError() << "expected a part of " << source << ", but got " << result << " at [" << row << ", "
                         << column << "]";
  return success();
}

LogicalResult ExtractOp::verify() {
  auto source = tileOf(getSource());
  int64_t row = getRow(), column = getColumn();
  if (row < 0 || column < 0 || row >= source.getRows() || column >= source.getColumns())
    return emitOpError() << "expected an element of " << source << ", but got [" << row << ", " << column << "]";
  Type result = getResult().getType();
  if (result != source.getElementType() && !(result.isIndex() && source.getElementType().isInteger(32)))
    return emitOpError() << "expected a result of type " << source.getElementType() << ", but got " << result;
  return success();
}

LogicalResult ReduceOp::verify() {
  auto source = tileOf(getSource());
  auto expected =
      getDimension() == 0 ? source.withShape(1, source.getColumns()) : source.withShape(source.getRows(), 1);
  if (getResult().getType() != expected)
    return emitOpError() << "expected a result of type " << expected << ", but got " << getResult().getType();
  return success();
}

LogicalResult SpreadOp::verify() {
  int64_t rows = tileOf(getSource()).getRows(), row = getRow(), group = getGroup();
  if (group < 1 || rows % group != 0)
    return emitOpError() << "expected groups that " << rows << " rows are made of, but got groups of " << group;
  if (row < 0 || row >= group)
    return emitOpError() << "expected a row of a group of " << group << ", but got row " << row;
  return success();
}
LogicalResult MmaOp::verify() {
  auto lhs = tileOf(getLhs()), rhs = tileOf(getRhs()), result = tileOf(getResult());
  auto shape = [](TileType type, bool transposed) {
    return transposed ? std::pair(type.getColumns(), type.getRows()) : std::pair(type.getRows(), type.getColumns());
  };
  auto [m, k] = shape(lhs, getTransposeLhs());
  auto [k2, n] = shape(rhs, getTransposeRhs());
  if (k != k2)
    return emitOpError() << "expected the same inner extent on both sides, but got " << k << " and " << k2;
  if (result.getRows() != m || result.getColumns() != n)
    return emitOpError() << "expected a result of " << m << "x" << n << ", but got " << result;
  if (getAcc() && getAcc().getType() != result)
    return emitOpError() << "expected an accumulator of type " << result << ", but got " << getAcc().getType();
  if (!lhs.getElementType().isF32() || !rhs.getElementType().isF32() || !result.getElementType().isF32())
    return emitOpError() << "expected tiles of f32, but got " << lhs << ", " << rhs << " and " << result;
  if (auto blocks = getBlocks(); blocks && (*blocks < 1 || m != n || m % *blocks != 0))
    return emitOpError() << "expected blocks that divide a square result, but got blocks of " << *blocks
                         << " and a result of " << result;
  return success();
}

LogicalResult InverseOp::verify() {
  auto lower = tileOf(getLower());
  if (lower.getRows() != lower.getColumns() || !lower.getElementType().isF32())
    return emitOpError() << "expected a square matrix of f32, but got " << lower;
  return success();
}

LogicalResult SolveOp::verify() {
  auto lower = tileOf(getLower()), rhs = tileOf(getRhs());
  if (lower.getRows() != lower.getColumns() || lower.getRows() != rhs.getRows())
    return emitOpError() << "expected a square matrix of " << rhs.getRows() << " rows, but got " << lower;
  return success();
}
