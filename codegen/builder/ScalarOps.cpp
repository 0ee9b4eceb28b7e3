#include "codegen/builder/ScalarOps.h"
#include "dialects/tile/ir/Tile.h"

using namespace mlir;
using namespace denim;

LogicalResult codegen::cloneScalarOp(OpBuilder &builder, Operation &op, IRMapping &scalars) {
  bool tiles = llvm::any_of(op.getOperandTypes(), llvm::IsaPred<tile::TileType>) ||
               llvm::any_of(op.getResultTypes(), llvm::IsaPred<tile::TileType>);
  if (tiles || op.getNumRegions() != 0)
    return op.emitError() << "expected a tile op, scf.for, scf.if or a scalar op, but got '" << op.getName() << "'";
  builder.clone(op, scalars);
  return success();
}
