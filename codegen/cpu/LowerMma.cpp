// tile.mma: operands become a product of places. A product that is nothing but what another one begins with is written
// with it, as a sum of products.
#include "codegen/cpu/KernelLowering.h"
#include "codegen/cpu/MatrixProduct.h"

using namespace mlir;
using namespace denim::codegen;
using namespace denim;

/// The product that adds to this one's result and is all that uses it, or null.
tile::MmaOp KernelLowering::addedTo(tile::MmaOp op) const {
  Value result = op.getResult();
  auto next = result.hasOneUse() ? dyn_cast<tile::MmaOp>(*result.getUsers().begin()) : nullptr;
  bool joins = next && next.getAcc() == result && next->getBlock() == op->getBlock() &&
               op.getTriangle() != tile::Triangle::result && next.getTriangle() != tile::Triangle::result &&
               !layouts.usesMatrixUnit(op) && !layouts.usesMatrixUnit(next) && !layouts.wantsTransposed(result) &&
               layouts.axisOf(result) == layouts.axisOf(next.getResult());
  return joins ? next : nullptr;
}

/// Where the code of an op stands.
Operation *KernelLowering::writtenAt(Operation *op) const {
  auto mma = dyn_cast<tile::MmaOp>(op);
  while (tile::MmaOp next = mma ? addedTo(mma) : nullptr)
    mma = next;
  return mma ? mma : op;
}

/// Operands and zeros; vectors of the result run along `axis`, and the operand that lies across it comes from its
/// transposed copy, if any.
Product KernelLowering::operandsOf(tile::MmaOp op, Axis axis) {
  auto operand = [&](Value tile, bool transposed, Axis wanted) {
    Place place = placeOf(tile);
    auto copy = transposedCopies.find(tile);
    if (copy != transposedCopies.end() && !place.isContiguous(transposed ? otherAxis(wanted) : wanted))
      place = storages[copy->second].place;
    return transposed ? place.transposed() : place;
  };
  Product product;
  product.lhs = operand(op.getLhs(), op.getTransposeLhs(), axis);
  product.rhs = operand(op.getRhs(), op.getTransposeRhs(), axis);
  if (op.getTriangle() == tile::Triangle::lhs)
    product.zeros = Zeros::lhsLower;
  if (op.getTriangle() == tile::Triangle::result)
    product.zeros = Zeros::resultLower;
  product.eachRound = askAhead(op);
  return product;
}

void KernelLowering::lower(tile::MmaOp op) {
  if (addedTo(op))
    return;
  // The terms of the sum that ends here.
  SmallVector<tile::MmaOp> ops{op};
  while (ops.back().getAcc()) {
    auto before = ops.back().getAcc().getDefiningOp<tile::MmaOp>();
    if (!before || addedTo(before) != ops.back())
      break;
    ops.push_back(before);
  }
  std::reverse(ops.begin(), ops.end());
  Axis axis = layouts.axisOf(op.getResult());
  std::vector<Product> terms;
  for (tile::MmaOp term : ops)
    terms.push_back(operandsOf(term, axis));
  SmallVector<Value> reusable;
  if (Value acc = ops.front().getAcc()) {
    terms.front().initial = placeOf(acc);
    // The accumulator is read tile by tile before the same tile is written, unless an operand shows it too.
    bool shared = llvm::any_of(ops, [&](tile::MmaOp term) {
      return llvm::any_of(ValueRange{term.getLhs(), term.getRhs()},
                          [&](Value v) { return v == acc || isa_and_nonnull<tile::WindowOp>(v.getDefiningOp()); });
    });
    if (!shared)
      reusable.push_back(acc);
  }
  std::optional<Place> target = storeTarget(op, axis);
  if (target)
    bind(op.getResult(), *target);
  const Place result = target ? *target : placeResult(op.getResult(), reusable);
  for (Product &term : terms)
    term.result = result;
  if (layouts.usesMatrixUnit(op))
    return multiplyByMatrixUnit(op, axis == Axis::columns ? terms.front() : terms.front().transposed());
  auto borrow = [&](int64_t rows, int64_t columns, llvm::function_ref<void(const Place &)> body) {
    withScratch(tile::TileType::get(op.getContext(), rows, columns, code.f32()), Axis::columns, body);
  };
  ProductWriter(code, borrow).write(terms);
}

void KernelLowering::multiplyByMatrixUnit(tile::MmaOp op, const Product &product) {
  auto operand = [&](Value tile, OperandUse use) {
    MatrixProductWriter::Operand operand{layouts.termsOf(tile), std::nullopt};
    if (auto it = tiledForms.find(tile); it != tiledForms.end())
      for (const TiledForm &form : it->second)
        if (form.use == use)
          operand.tiled = form.tiles;
    return operand;
  };
  auto borrow = [&](int64_t bytes, llvm::function_ref<void(Value)> body) {
    int storage = allocateBytes(bytes);
    body(storages[storage].place.base);
    release(storage);
  };
  MatrixProductWriter(code, borrow)
      .write(product, operand(layouts.leftOf(op), layouts.leftUse(op)),
             operand(layouts.rightOf(op), layouts.rightUse(op)));
}

void KernelLowering::makeTiles(Value tile) {
  for (OperandUse use : layouts.tiledUses(tile)) {
    Place operand = use.transposed ? placeOf(tile).transposed() : placeOf(tile);
    Terms terms = layouts.termsOf(tile);
    int64_t k = use.side == Side::left ? operand.columns : operand.rows;
    int64_t extent = use.side == Side::left ? operand.rows : operand.columns;
    int storage = allocateBytes(MatrixProductWriter::bytesOf(extent, k, terms));
    TiledOperand tiles{storages[storage].place.base, MatrixProductWriter::stepsOf(k), terms};
    auto none = [](int64_t, llvm::function_ref<void(Value)>) {};
    MatrixProductWriter(code, none).makeTiles(use.side, operand, code.constant(0), k, tiles);
    tiledForms[tile].push_back({use, storage, tiles});
  }
}
