#ifndef DIALECTS_TILE_IR_TILEDIALECT_TD
#define DIALECTS_TILE_IR_TILEDIALECT_TD
include "mlir/IR/OpBase.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"

def Tile_Dialect : Dialect {
  let name = "tile";
  let cppNamespace = "::denim::tile";
  let summary = "one kernel: tiles, products, reductions, scans and triangular solves";
  let description = [{
    A kernel is a program over two-dimensional tiles of fixed size. Tiles are values; where a tile lives (vector
    registers, scratch, shared memory, or in place in global memory) and how its elements are ordered is decided by
    the machine's lowering. Memory outside a kernel is seen as rows of a fixed number of columns. Loops and branches
    are `scf`, index arithmetic is `arith`; the body of `tile.map` is `arith` and `math` on scalars.
  }];
  let useDefaultTypePrinterParser = 1;
  let useDefaultAttributePrinterParser = 1;
}
#endif
