// The region of a tile.map as vectors: cloned once per vector, its scalars turned into vectors of lanes; what depends
// on nothing but scalars from outside is cloned once, as scalars.
#ifndef CODEGEN_CPU_MAPBODY_H
#define CODEGEN_CPU_MAPBODY_H

#include "codegen/cpu/KernelLowering.h"

namespace denim::codegen {

class KernelLowering::MapBody {
public:
  /// Vectors run along `axis`.
  MapBody(KernelLowering &lowering, tile::MapOp op, Axis axis);
  /// Gives back what inputs that lie the other way were copied to. Behind the last vector.
  void release();
  llvm::ArrayRef<Place> inputs() const { return places; }
  /// The vector of the result at (row, column), of which `valid` lanes are of use.
  mlir::Value vectorAt(mlir::Value row, mlir::Value column, int64_t valid);

private:
  KernelLowering &lowering;
  Code &code;
  mlir::Block &body;
  Axis axis;
  llvm::SmallVector<Place> places;
  llvm::SmallVector<int> borrowed;
  llvm::DenseSet<mlir::Value> uniform;
  mlir::IRMapping outer;
};

} // namespace denim::codegen

#endif // CODEGEN_CPU_MAPBODY_H
