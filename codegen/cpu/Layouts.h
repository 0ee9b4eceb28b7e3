// Which way the vectors of each tile run, decided before any code is written.
//
// A product needs one operand with its contiguous axis across k: rhs with contiguous columns for a result by rows, lhs
// with contiguous rows for a result by columns. When neither lies so, one has to be transposed, and which one follows
// from a count of the elements moved: an operand made outside the loop is transposed once there, and a result by
// columns costs what its users have to turn back. Softmax gains most: for S = Q K^T in a loop over pages of keys, Q is
// transposed once, S comes by columns, row maxima and sums over keys are lane by lane, and P V takes P as it lies.
#ifndef CODEGEN_CPU_LAYOUTS_H
#define CODEGEN_CPU_LAYOUTS_H

#include "codegen/cpu/MatrixProduct.h"

namespace denim::codegen {

/// How a product by the matrix unit reads a tile.
struct OperandUse {
  Side side;
  bool transposed; ///< The operand is the tile's transpose.
  bool operator==(const OperandUse &other) const { return side == other.side && transposed == other.transposed; }
};

class Layouts {
public:
  /// With `bf16Products`, operands of products by the matrix unit are rounded to one term.
  Layouts(tile::KernelOp kernel, const Target &target, bool bf16Products);
  Axis axisOf(mlir::Value tile) const;
  /// Whether a transposed copy of the tile is to be made where the tile is made.
  bool wantsTransposed(mlir::Value tile) const { return transposed.contains(tile); }
  /// Whether the matrix unit does the product.
  bool usesMatrixUnit(tile::MmaOp op) const { return matrixProducts.contains(op); }
  bool usesMatrixUnit() const { return !matrixProducts.empty(); }
  /// The forms in tiles that are to be made where the tile is made.
  llvm::ArrayRef<OperandUse> tiledUses(mlir::Value tile) const;
  /// How a product by the matrix unit reads its operands, by the axis of its result.
  OperandUse leftUse(tile::MmaOp op) const;
  OperandUse rightUse(tile::MmaOp op) const;
  mlir::Value leftOf(tile::MmaOp op) const {
    return axisOf(op.getResult()) == Axis::columns ? op.getLhs() : op.getRhs();
  }
  mlir::Value rightOf(tile::MmaOp op) const {
    return axisOf(op.getResult()) == Axis::columns ? op.getRhs() : op.getLhs();
  }
  Terms termsOf(mlir::Value tile) const { return codegen::termsOf(tile, bf16Products); }

private:
  void decide(tile::MmaOp op);
  void keepTiles(tile::KernelOp kernel);
  double costOfTransposing(mlir::Value tile, mlir::Operation *user) const;
  double costOfColumns(mlir::Value tile, int depth) const;
  llvm::DenseMap<mlir::Value, Axis> axes; ///< where it is not the natural one
  llvm::DenseSet<mlir::Value> transposed;
  llvm::DenseSet<mlir::Operation *> matrixProducts;
  llvm::DenseMap<mlir::Value, llvm::SmallVector<OperandUse, 1>> tiled;
  const Target &target;
  bool bf16Products;
};

} // namespace denim::codegen

#endif // CODEGEN_CPU_LAYOUTS_H
