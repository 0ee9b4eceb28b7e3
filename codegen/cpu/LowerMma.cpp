// tile.mma: operands become a product of places.
#include "codegen/cpu/KernelLowering.h"
#include "codegen/cpu/MatrixProduct.h"

using namespace mlir;
using namespace denim::codegen;
using namespace denim;

void KernelLowering::lower(tile::MmaOp op) {
  Product product;
  // Vectors of the result run along `axis`; the operand that lies across it comes from its transposed copy, if any.
  Axis axis = layouts.axisOf(op.getResult());
  auto operand = [&](Value tile, bool transposed, Axis wanted) {
    Place place = placeOf(tile);
    auto copy = transposedCopies.find(tile);
    if (copy != transposedCopies.end() && !place.isContiguous(transposed ? otherAxis(wanted) : wanted))
      place = storages[copy->second].place;
    return transposed ? place.transposed() : place;
  };
  product.lhs = operand(op.getLhs(), op.getTransposeLhs(), axis);
  product.rhs = operand(op.getRhs(), op.getTransposeRhs(), axis);
  SmallVector<Value> reusable;
  if (op.getAcc()) {
    product.initial = placeOf(op.getAcc());
    // The accumulator is read tile by tile before the same tile is written, unless an operand shows it too.
    bool shared = llvm::any_of(ValueRange{op.getLhs(), op.getRhs()}, [&](Value v) {
      return v == op.getAcc() || isa_and_nonnull<tile::WindowOp>(v.getDefiningOp());
    });
    if (!shared)
      reusable.push_back(op.getAcc());
  }
  std::optional<Place> target = storeTarget(op, axis);
  if (target)
    bind(op.getResult(), *target);
  product.result = target ? *target : placeResult(op.getResult(), reusable);
  if (op.getTriangle() == tile::Triangle::lhs)
    product.zeros = Zeros::lhsLower;
  if (op.getTriangle() == tile::Triangle::result)
    product.zeros = Zeros::resultLower;
  if (layouts.usesMatrixUnit(op))
    return multiplyByMatrixUnit(op, axis == Axis::columns ? product : product.transposed());
  auto borrow = [&](int64_t rows, int64_t columns, llvm::function_ref<void(const Place &)> body) {
    withScratch(tile::TileType::get(op.getContext(), rows, columns, code.f32()), Axis::columns, body);
  };
  ProductWriter(code, borrow, askAhead(op)).write(product);
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
