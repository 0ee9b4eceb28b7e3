// One row of a value as a matrix of the same elements, [1, 2048] as [16, 128].
//
// A block of threads holds a matrix without copies where it would hold a row several times, and a norm over all
// channels of a token, or over each of its heads, is a sum over the matrix or over its rows. Elementwise ops, norms,
// and heads that are cut out of memory can be computed so; a convolution, a rotation or a concatenation cannot.
#ifndef COMPILER_CONVERSION_ATTNTOTILE_FOLDEDROW_H
#define COMPILER_CONVERSION_ATTNTOTILE_FOLDEDROW_H

#include "compiler/conversion/AttnToTile/Emitter.h"

namespace denim {

/// Columns of the matrix in which `value` can be computed from what is in memory; 0: it cannot.
int64_t foldedColumns(mlir::Value value, llvm::function_ref<bool(mlir::Value)> isInMemory);

class FoldedRow {
public:
  /// `row`: the number of the row among those of the kernel.
  FoldedRow(Emitter &e, mlir::Value row, int64_t columns) : e(e), row(row), columns(columns) {}

  /// The matrix of `value`, or its one number; null after an error.
  mlir::Value emit(mlir::Value value);

private:
  int64_t rowsOf(mlir::Value value) const { return channelsOf(value) / columns; }
  tile::TileType typeOf(mlir::Value value);
  mlir::Value load(mlir::Value argument, mlir::Value row);
  mlir::Value emitNorm(mlir::Operation *op, mlir::Value weight, double eps, bool mean, bool zeroCentered);
  mlir::Value emitSplit(mlir::Value value);
  mlir::Value emitSelect(model::SelectOp op);

  Emitter &e;
  mlir::Value row;
  int64_t columns;
  llvm::DenseMap<mlir::Value, mlir::Value> views;
};

} // namespace denim

#endif // COMPILER_CONVERSION_ATTNTOTILE_FOLDEDROW_H
