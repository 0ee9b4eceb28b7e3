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

def HoistBroadcastsPass : Pass<"tile-hoist-broadcasts"> {
  let summary = "compute what depends on the row or the column alone once per row or column";
  let description = [{
    A function or quotient in a map that depends only on operands of one column (or one row) is computed in a map of
    one column (one row) of its own: for a tile of 64x128, 64 times and not 8192.

    ```mlir
    %y = tile.map (%a = %x : !tile.tile<64x128xf32>, %g = %d : !tile.tile<64x1xf32>) -> !tile.tile<64x128xf32> {
      %e = math.exp %g : f32
      %m = arith.mulf %a, %e : f32
      tile.yield %m : f32
    }
    ==>
    %t = tile.map (%g = %d : !tile.tile<64x1xf32>) -> !tile.tile<64x1xf32> {
      %e = math.exp %g : f32
      tile.yield %e : f32
    }
    %y = tile.map (%a = %x : !tile.tile<64x128xf32>, %e = %t : !tile.tile<64x1xf32>) -> !tile.tile<64x128xf32> {
      %m = arith.mulf %a, %e : f32
      tile.yield %m : f32
    }
    ```
  }];
  let dependentDialects = ["::denim::tile::TileDialect"];
}

def SinkWindowsPass : Pass<"tile-sink-windows"> {
  let summary = "load or compute a window where only windows are used";
  let description = [{
    A `tile.window` of a load, a splat or a map becomes a load, a splat or a map of the window alone; a map goes when all its
    users are windows. For machines on which a tile lives in registers of many threads, where a shifted window would have
    to be exchanged between them while its load can just begin elsewhere. Elements that several windows share are
    loaded and computed once per window. Windows stay that products read where the whole stands for others,
    too: the first columns of a load, and panels of a `tile.block`; and those that are no whole blocks of a memory in blocks.

    ```mlir
    %t = tile.load %m[%r, %c] : !tile.memory<64xf32> -> !tile.tile<67x64xf32>
    %w = tile.window %t[3, 0] : !tile.tile<67x64xf32> -> !tile.tile<64x64xf32>
    ==>
    %r3 = arith.addi %r, %c3 : index
    %w = tile.load %m[%r3, %c] : !tile.memory<64xf32> -> !tile.tile<64x64xf32>
    ```
  }];
  let dependentDialects = ["::denim::tile::TileDialect", "::mlir::arith::ArithDialect"];
}
#endif
