#ifndef DIALECTS_TILE_TRANSFORMS_PASSES_TD
#define DIALECTS_TILE_TRANSFORMS_PASSES_TD
include "mlir/Pass/PassBase.td"

def FuseMapsPass : Pass<"tile-fuse-maps"> {
  let summary = "compute a map where its only user needs it";
  let description = [{
    A `tile.map` whose result is used once, by another map of the same shape in the same block, becomes part of that
    map: its tile is then never written. A map that is broadcast by its user stays, since its elements would be
    computed once per row or column, and so does one whose user stands in a loop. Splats become scalars.

    ```mlir
    %u = tile.map (%a = %x : T, %b = %y : T) -> T { %m = arith.mulf %a, %b : f32  tile.yield %m : f32 }
    %v = tile.map (%a = %u : T) -> T { %e = math.exp %a : f32  tile.yield %e : f32 }
    ==>
    %v = tile.map (%a = %x : T, %b = %y : T) -> T {
      %m = arith.mulf %a, %b : f32
      %e = math.exp %m : f32
      tile.yield %e : f32
    }
    ```
  }];
  let dependentDialects = ["::denim::tile::TileDialect"];
}
#endif
