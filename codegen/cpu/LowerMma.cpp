// tile.mma: operands become a product of places.
#include "codegen/cpu/KernelLowering.h"
#include "codegen/cpu/Product.h"

using namespace mlir;
using namespace denim::codegen;
using namespace denim;

void KernelLowering::lower(tile::MmaOp op) {
  Product product;
  product.lhs = op.getTransposeLhs() ? placeOf(op.getLhs()).transposed() : placeOf(op.getLhs());
  product.rhs = op.getTransposeRhs() ? placeOf(op.getRhs()).transposed() : placeOf(op.getRhs());
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
  product.result = placeResult(op.getResult(), reusable);
  if (op.getTriangle() == tile::Triangle::lhs)
    product.zeros = Zeros::lhsLower;
  if (op.getTriangle() == tile::Triangle::result)
    product.zeros = Zeros::resultLower;
  auto borrow = [&](int64_t rows, int64_t columns, llvm::function_ref<void(const Place &)> body) {
    withScratch(tile::TileType::get(op.getContext(), rows, columns, code.f32()), Axis::columns, body);
  };
  ProductWriter(code, borrow).write(product);
}
