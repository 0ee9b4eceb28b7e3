#include "dialects/tile/ir/Tile.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace denim::tile;

#include "dialects/tile/ir/TileDialect.cpp.inc"
#include "dialects/tile/ir/TileEnums.cpp.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/tile/ir/TileTypes.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/tile/ir/TileAttrs.cpp.inc"

void TileDialect::initialize() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialects/tile/ir/TileTypes.cpp.inc"
      >();
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/tile/ir/TileAttrs.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/tile/ir/TileOps.cpp.inc"
      >();
}

/// Reads `<64x128xf32>` with exactly `rank` static extents.
static FailureOr<std::pair<SmallVector<int64_t>, Type>> parseShape(AsmParser &parser, size_t rank) {
  SmallVector<int64_t> shape;
  Type element;
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseLess() || parser.parseDimensionList(shape, /*allowDynamic=*/false) || parser.parseType(element) ||
      parser.parseGreater())
    return failure();
  if (shape.size() != rank)
    return parser.emitError(loc) << "expected " << rank << " extents, but got " << shape.size();
  return std::make_pair(shape, element);
}

static void printShape(AsmPrinter &printer, ArrayRef<int64_t> shape, Type element) {
  printer << '<';
  for (int64_t extent : shape)
    printer << extent << 'x';
  printer << element << '>';
}

Type TileType::parse(AsmParser &parser) {
  auto shape = parseShape(parser, 2);
  if (failed(shape))
    return {};
  return TileType::getChecked([&] { return parser.emitError(parser.getNameLoc()); }, parser.getContext(),
                              shape->first[0], shape->first[1], shape->second);
}
void TileType::print(AsmPrinter &printer) const {
  printShape(printer, {getRows(), getColumns()}, getElementType());
}

LogicalResult TileType::verify(function_ref<InFlightDiagnostic()> emitError, int64_t rows, int64_t columns,
                               Type element) {
  if (rows < 1 || columns < 1)
    return emitError() << "expected positive extents, but got " << rows << "x" << columns;
  if (!element.isF32() && !element.isInteger(32) && !element.isInteger(1))
    return emitError() << "expected element type f32, i32 or i1, but got " << element;
  return success();
}

Type MemoryType::parse(AsmParser &parser) {
  auto shape = parseShape(parser, 1);
  return failed(shape) ? Type() : MemoryType::get(parser.getContext(), shape->first[0], shape->second);
}
void MemoryType::print(AsmPrinter &printer) const {
  printShape(printer, {getColumns()}, getElementType());
}

Type SlotsType::parse(AsmParser &parser) {
  auto shape = parseShape(parser, 1);
  return failed(shape) ? Type() : SlotsType::get(parser.getContext(), shape->first[0], shape->second);
}
void SlotsType::print(AsmPrinter &printer) const {
  printShape(printer, {getColumns()}, getElementType());
}

Type PagesType::parse(AsmParser &parser) {
  auto shape = parseShape(parser, 3);
  return failed(shape)
             ? Type()
             : PagesType::get(parser.getContext(), shape->first[0], shape->first[1], shape->first[2], shape->second);
}
void PagesType::print(AsmPrinter &printer) const {
  printShape(printer, {getHeads(), getTokens(), getColumns()}, getElementType());
}

Type StackType::parse(AsmParser &parser) {
  auto shape = parseShape(parser, 2);
  return failed(shape) ? Type() : StackType::get(parser.getContext(), shape->first[0], shape->first[1], shape->second);
}
void StackType::print(AsmPrinter &printer) const {
  printShape(printer, {getCount(), getColumns()}, getElementType());
}
