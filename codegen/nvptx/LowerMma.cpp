// tile.mma: chooses the form of a product and brings the operands to it.
#include "codegen/nvptx/KernelLowering.h"

using namespace mlir;
using namespace denim;
using namespace denim::codegen::nvptx;

void KernelLowering::lower(tile::MmaOp op) {
  if (waitsForPair(op))
    return;
  awaitTurn(op);
  if (Operation *first = firstProductOf.lookup(op))
    multiplyPair(cast<tile::MmaOp>(first), op);
  else
    multiplyAlone(op);
  passTurn(op);
}

void KernelLowering::multiplyAlone(tile::MmaOp op) {
  if (partialSums.contains(op.getResult()))
    return bind(op.getResult(), blockProduct(op));
  Form form = formOf(op);
  if (form == Form::outer && turnLater(op))
    return;
  if (form == Form::outer)
    return bind(op.getResult(), outerProduct(op));
  if (form == Form::vector && streamed.contains(op.getRhs()))
    return bind(op.getResult(), streamedProduct(op));
  if (form == Form::vector)
    return vectorProduct(op);
  if (form == Form::slabs)
    return bind(op.getResult(), slabProduct(op));
  if (acrossOffset) {
    shared.release(*acrossOffset);
    acrossOffset.reset();
  }
  Distribution shape = distributionOf(op.getResult());
  Fragment acc{shape, code.f32(), {}}, left;
  bool apart = op.getAcc() && precision == Precision::exact;
  if (Value before = op.getAcc()) {
    // Products that add to the same registers follow each other without a wait.
    bool continues = form == Form::group && groupOf.lookup(before) && before.hasOneUse() && !apart;
    if (continues)
      groupOf.erase(before);
    acc = continues ? fragments.find(before)->second : fragmentOf(before, shape.grid);
  }
  Operand lhs, rhs;
  lhs.transposed = op.getTransposeLhs(), lhs.terms = termsOf(op.getLhs());
  rhs.transposed = op.getTransposeRhs(), rhs.terms = termsOf(op.getRhs());
  if (!lhsInRegisters(op)) {
    lhs.shared = &sharedOf(op.getLhs());
  } else if (auto it = packedWords.find(op.getLhs()); it != packedWords.end()) {
    lhs.packed = it->second;
  } else {
    left = fragmentOf(op.getLhs());
    lhs.fragment = &left;
  }
  rhs.shared = &sharedOf(op.getRhs());
  if (auto it = arrivalsOf.find(op.getRhs()); it != arrivalsOf.end())
    rhs.arrivals = it->second;
  SmallVector<Value> before;
  if (apart)
    before = std::exchange(acc.values, {});
  multiply({op.getM(), op.getN(), op.getK()}, lhs, rhs, acc, op.getAcc() && !apart);
  bind(op.getResult(), std::move(acc));
  if (form == Form::group)
    startGroup(op.getResult());
  if (!apart)
    return;
  // Matrix units cut off what is left of a sum behind its last bit, they do not round it: sums of thousands of terms
  // are small by a bit for each instruction. So they add those of this op alone.
  finishAllGroups();
  for (auto [value, sum] : llvm::zip_equal(fragments[op.getResult()].values, before))
    value = code.addf(sum, value);
}

/// A column that only becomes a row (of a number times it), in a kernel whose operands are copied ahead: the row is
/// read where something asks for it, so that columns which follow each other share a barrier and their rows hold no
/// registers meanwhile.
bool KernelLowering::turnLater(tile::MmaOp op) {
  if (staged.empty() || copying || op.getM() != 1 || op.getN() == 1 || !op.getTransposeRhs() || op.getAcc())
    return false;
  Distribution shape = distributionOf(op.getResult());
  Value left = convert(fragmentOf(op.getLhs()), shape.grid).values.front();
  Rest turned = beginExchange(fragmentOf(op.getRhs()), shape, true, 0, 0, roomForFew());
  bindLater(op.getResult(), [=] {
    Fragment row = turned();
    for (Value &value : row.values)
      value = code.mulf(left, value);
    return row;
  });
  return true;
}

/// A column times a row.
Fragment KernelLowering::outerProduct(tile::MmaOp op) {
  Distribution shape = distributionOf(op.getResult());
  Fragment left = fragmentOf(op.getLhs()), right = fragmentOf(op.getRhs());
  Distribution column = shape, row = shape;
  column.columns = row.rows = 1;
  left = op.getTransposeLhs() && shape.rows > 1 ? exchange(left, column, true, 0, 0) : convert(left, shape.grid);
  right = op.getTransposeRhs() && shape.columns > 1 ? exchange(right, row, true, 0, 0) : convert(right, shape.grid);
  Fragment acc;
  if (op.getAcc())
    acc = fragmentOf(op.getAcc(), shape.grid);
  Fragment result{shape, code.f32(), {}};
  for (int64_t slab = 0; slab < shape.slabs(); ++slab)
    for (int64_t group = 0; group < shape.groups(); ++group)
      for (int64_t half = 0; half < shape.halves(); ++half)
        for (int64_t e = 0; e < shape.pairs(); ++e) {
          Value a = left.at(slab, 0, half, 0), b = right.at(0, group, 0, e);
          result.values.push_back(op.getAcc() ? code.fma(a, b, acc.at(slab, group, half, e)) : code.mulf(a, b));
        }
  return result;
}

/// A matrix times a vector, in f32: the vector meets the matrix where its threads hold it.
void KernelLowering::vectorProduct(tile::MmaOp op) {
  bool matrixRight = op.getM() == 1; // else the right side has one column
  Fragment matrix = fragmentOf(matrixRight ? op.getRhs() : op.getLhs());
  Fragment vector = fragmentOf(matrixRight ? op.getLhs() : op.getRhs());
  bool overColumns = matrixRight ? op.getTransposeRhs() : !op.getTransposeLhs();
  const Distribution &shape = matrix.shape;
  Distribution wanted = shape;
  (overColumns ? wanted.rows : wanted.columns) = 1;
  bool turned = vector.shape.oneRow() != wanted.oneRow();
  vector = turned ? exchange(vector, wanted, true, 0, 0) : convert(vector, shape.grid);
  Fragment products{shape, code.f32(), {}};
  for (int64_t slab = 0; slab < shape.slabs(); ++slab)
    for (int64_t group = 0; group < shape.groups(); ++group)
      for (int64_t half = 0; half < shape.halves(); ++half)
        for (int64_t e = 0; e < shape.pairs(); ++e)
          products.values.push_back(code.mulf(matrix.at(slab, group, half, e), vector.at(slab, group, half, e)));
  Distribution to = distributionOf(op.getResult());
  Fragment own, acc;
  Rest rest = reduce(products, tile::Combiner::add, overColumns, own);
  if (op.getAcc())
    acc = fragmentOf(op.getAcc(), to.grid);
  auto complete = [=](Fragment sum) {
    bool flipped = sum.shape.rows != to.rows;
    sum = flipped ? exchange(sum, to, true, 0, 0) : convert(sum, to.grid);
    for (size_t i = 0; i < acc.values.size(); ++i)
      sum.values[i] = code.addf(sum.values[i], acc.values[i]);
    return sum;
  };
  if (rest && joined > 1)
    bindLater(op.getResult(), [=] { return complete(rest()); });
  else
    bind(op.getResult(), complete(rest ? rest() : own));
}
