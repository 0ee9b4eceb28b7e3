// Which way the vectors of each tile run, decided before any code is written.
//
// A product needs one operand with its contiguous axis across k: rhs with contiguous columns for a result by rows, lhs
// with contiguous rows for a result by columns. When neither lies so, one has to be transposed, and which one follows
// from a count of the elements moved: an operand made outside the loop is transposed once there, and a result by
// columns costs what its users have to turn back. Softmax gains most: for S = Q K^T in a loop over pages of keys, Q is
// transposed once, S comes by columns, row maxima and sums over keys are lane by lane, and P V takes P as it lies.
#ifndef CODEGEN_CPU_LAYOUTS_H
#define CODEGEN_CPU_LAYOUTS_H

#include "codegen/cpu/Places.h"

namespace denim::codegen {

class Layouts {
public:
  explicit Layouts(tile::KernelOp kernel);
  Axis axisOf(mlir::Value tile) const;
  /// Whether a transposed copy of the tile is to be made where the tile is made.
  bool wantsTransposed(mlir::Value tile) const { return transposed.contains(tile); }

private:
  void decide(tile::MmaOp op);
  double costOfTransposing(mlir::Value tile, mlir::Operation *user) const;
  double costOfColumns(mlir::Value tile, int depth) const;
  llvm::DenseMap<mlir::Value, Axis> axes; ///< where it is not the natural one
  llvm::DenseSet<mlir::Value> transposed;
};

} // namespace denim::codegen

#endif // CODEGEN_CPU_LAYOUTS_H
