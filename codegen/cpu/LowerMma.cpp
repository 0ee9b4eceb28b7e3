// tile.mma: operands become a product of places.
#include "codegen/cpu/KernelLowering.h"
#include "codegen/cpu/Product.h"

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
  auto borrow = [&](int64_t rows, int64_t columns, llvm::function_ref<void(const Place &)> body) {
    withScratch(tile::TileType::get(op.getContext(), rows, columns, code.f32()), Axis::columns, body);
  };
  ProductWriter(code, borrow).write(product);
}
