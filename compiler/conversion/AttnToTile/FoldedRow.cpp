#include "compiler/conversion/AttnToTile/FoldedRow.h"

using namespace mlir;
using namespace denim;

static RankedTensorType tensorOf(Value value) {
  return cast<RankedTensorType>(value.getType());
}
static bool isParameter(Value value) {
  return !tensorOf(value).isDynamicDim(0);
}
/// Of a token, or of a parameter.
static int64_t elementsOf(Value value) {
  return isParameter(value) ? tensorOf(value).getNumElements() : channelsOf(value);
}
static bool isElementwise(Operation *op) {
  return isa<model::AddOp, model::MulOp, model::SiluOp, model::SigmoidOp, model::SoftplusOp, model::ExpOp,
             model::ScaleOp>(op);
}

//===--------------------------------------------------------------------------------------------------------------===//
// Whether it can be done
//===--------------------------------------------------------------------------------------------------------------===//

namespace {

class FoldCheck {
public:
  explicit FoldCheck(llvm::function_ref<bool(Value)> isInMemory) : isInMemory(isInMemory) {}

  int64_t columnsFor(Value value) {
    if (!visit(value))
      return 0;
    if (!columns)
      for (int64_t width : {128, 64})
        if (!columns && llvm::all_of(channels, [&](int64_t n) { return n % width == 0; }))
          columns = width;
    bool fits = columns != 0 && columns % 8 == 0 && columns <= 256 &&
                llvm::all_of(channels, [&](int64_t n) { return n % columns == 0; });
    return fits ? columns : 0;
  }

private:
  /// All heads are normed one by one, in rows of the matrix.
  bool needsColumns(int64_t width) {
    if (columns && columns != width)
      return false;
    columns = width;
    return true;
  }

  bool visit(Value value) {
    auto type = tensorOf(value);
    if (type.getRank() < 2 || !type.isDynamicDim(0))
      return false;
    if (int64_t count = channelsOf(value); count != 1)
      channels.insert(count);
    else if (type.getRank() != 2)
      return false;
    if (isInMemory(value))
      return true;
    Operation *op = value.getDefiningOp();
    if (!op)
      return false;
    if (isReshape(op))
      return visit(op->getOperand(0));
    if (isa<model::SelectOp>(op))
      return isInMemory(withoutReshapes(op->getOperand(0)));
    if (auto split = dyn_cast<model::SplitOp>(op)) {
      // Parts of whole rows of the matrix, cut out of memory.
      if (!isInMemory(withoutReshapes(split.getInput())))
        return false;
      for (Value part : split.getResults())
        channels.insert(tensorOf(part).getShape().back());
      return true;
    }
    if (isa<model::RmsNormOp, model::L2NormOp>(op)) {
      auto input = tensorOf(op->getOperand(0));
      int64_t width = input.getShape().back();
      if (input.getRank() == 3 && !needsColumns(width))
        return false;
      return visit(op->getOperand(0));
    }
    if (!isElementwise(op))
      return false;
    for (Value operand : op->getOperands()) {
      int64_t count = elementsOf(operand), all = channelsOf(value);
      if (!isParameter(operand) ? !visit(operand) || (count != all && count != 1)
                                : count != all && count != 1 && !needsColumns(count))
        return false;
    }
    return true;
  }

  llvm::function_ref<bool(Value)> isInMemory;
  int64_t columns = 0; ///< as norms and parameters want them; 0: any
  llvm::SmallSetVector<int64_t, 4> channels;
};

} // namespace

int64_t denim::foldedColumns(Value value, llvm::function_ref<bool(Value)> isInMemory) {
  return FoldCheck(isInMemory).columnsFor(value);
}

//===--------------------------------------------------------------------------------------------------------------===//
// The matrix
//===--------------------------------------------------------------------------------------------------------------===//

tile::TileType FoldedRow::typeOf(Value value) {
  return channelsOf(value) == 1 ? e.tileType(1, 1) : e.tileType(rowsOf(value), columns);
}

/// Row `row` of an argument; parameters have one.
Value FoldedRow::load(Value argument, Value row) {
  argument = withoutReshapes(argument);
  int64_t count = elementsOf(argument);
  if (count == 1)
    return e.load(e.memoryOf(argument), Rows{row ? row : e.index(0), 1, {}, {}}, e.index(0), 1);
  Value &view = views[argument];
  if (!view)
    view = e.viewOf(argument, columns);
  int64_t rows = count / columns;
  return e.load(view, Rows{row ? e.mul(row, rows) : e.index(0), rows, {}, {}}, e.index(0), columns);
}

Value FoldedRow::emitNorm(Operation *op, Value weight, double eps, bool mean, bool zeroCentered) {
  Value input = op->getOperand(0), x = emit(input);
  if (!x)
    return {};
  auto type = typeOf(input);
  bool byRow = tensorOf(input).getRank() == 3;
  int64_t width = tensorOf(input).getShape().back();
  Value squares = e.map(
      type, x, [&](OpBuilder &b, ValueRange in) -> Value { return arith::MulFOp::create(b, e.loc, in[0], in[0]); });
  Value sum = e.reduce(tile::Combiner::add, squares, 1);
  if (!byRow)
    sum = e.reduce(tile::Combiner::add, sum, 0);
  SmallVector<Value> inputs{x, sum};
  if (weight)
    inputs.push_back(load(weight, {}));
  return e.map(type, inputs, [&](OpBuilder &b, ValueRange in) -> Value {
    return normalised(b, e.loc, in, mean ? width : 1, eps, zeroCentered);
  });
}

/// Rows of the matrix are whole rows of the memory seen with as many columns, but not neighbours.
Value FoldedRow::emitSplit(Value value) {
  auto split = value.getDefiningOp<model::SplitOp>();
  Value source = withoutReshapes(split.getInput());
  int64_t before = 0;
  for (unsigned i = 0; i < cast<OpResult>(value).getResultNumber(); ++i)
    before += tensorOf(split.getResult(i)).getShape().back();
  int64_t inner = tensorOf(value).getShape().back() / columns;
  int64_t outer = tensorOf(split.getInput()).getShape().back() / columns;
  Value &view = views[source];
  if (!view)
    view = e.viewOf(source, columns);
  Value first = arith::IndexCastOp::create(e.b, e.loc, e.b.getI32Type(),
                                           e.add(e.mul(row, rowsOf(source)), e.index(before / columns)));
  auto numbers = tile::TileType::get(e.b.getContext(), rowsOf(value), 1, e.b.getI32Type());
  Value rows = e.map(numbers, {}, [&](OpBuilder &b, ValueRange) -> Value {
    auto i32 = [&](int64_t n) -> Value { return arith::ConstantOp::create(b, e.loc, b.getI32IntegerAttr(n)); };
    Value i = tile::IndexOp::create(b, e.loc, b.getI32Type(), b.getI64IntegerAttr(0));
    Value group = arith::DivUIOp::create(b, e.loc, i, i32(inner)),
          within = arith::RemUIOp::create(b, e.loc, i, i32(inner));
    Value at = arith::AddIOp::create(b, e.loc, arith::MulIOp::create(b, e.loc, group, i32(outer)), within);
    return arith::AddIOp::create(b, e.loc, first, at);
  });
  return tile::GatherOp::create(e.b, e.loc, typeOf(value), view, rows, e.index(0));
}

/// The row is one of the stream's: its number stands in the list of outputs.
Value FoldedRow::emitSelect(model::SelectOp op) {
  auto i32 = tile::TileType::get(e.b.getContext(), 1, 1, e.b.getI32Type());
  Value n = tile::CountOp::create(e.b, e.loc, tile::CountKind::outputs);
  Value list =
      tile::RowsOp::create(e.b, e.loc, i32, tile::RowListAttr::get(e.b.getContext(), tile::RowList::outputs), row, n);
  return load(op.getInput(), e.firstAsIndex(list));
}

Value FoldedRow::emit(Value value) {
  if (e.memoryOf(value))
    return load(value, row);
  Operation *op = value.getDefiningOp();
  if (isReshape(op))
    return emit(op->getOperand(0));
  if (auto norm = dyn_cast<model::RmsNormOp>(op))
    return emitNorm(op, norm.getWeight(), norm.getEps().convertToDouble(), true, norm.getZeroCentered());
  if (auto norm = dyn_cast<model::L2NormOp>(op))
    return emitNorm(op, {}, norm.getEps().convertToDouble(), false, false);
  if (auto select = dyn_cast<model::SelectOp>(op))
    return emitSelect(select);
  if (isa<model::SplitOp>(op))
    return emitSplit(value);
  if (!isElementwise(op))
    return e.fail(op, "expected a value that can be computed as a matrix of its row");
  SmallVector<Value> operands;
  for (Value operand : op->getOperands()) {
    operands.push_back(isParameter(operand) ? load(operand, {}) : emit(operand));
    if (!operands.back())
      return {};
  }
  return e.map(typeOf(value), operands,
               [&](OpBuilder &b, ValueRange in) -> Value { return elementwise(b, e.loc, op, in); });
}
