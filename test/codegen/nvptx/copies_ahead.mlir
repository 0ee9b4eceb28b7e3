// RUN: denim-opt %s --convert-tile-to-nvptx | FileCheck %s

// Rows that products and threads read are copied in pieces, and nobody waits for them before the product: the barrier of
// the running sum passes while they are on their way. Pieces eight rows on have the same place in their row, so one
// address serves all.
// CHECK-LABEL: llvm.func @ahead(
// CHECK-COUNT-8: cp.async.cg.shared.global
// CHECK-NOT: {{cp.async|wgmma}}
// CHECK: bar.sync 1
// CHECK: cp.async.wait_all;
// CHECK-NEXT: fence.proxy.async
// CHECK-NEXT: bar.sync 1
// CHECK: wgmma.mma_async
// CHECK-NOT: cp.async
// CHECK: llvm.return
tile.kernel @ahead(%k: !tile.memory<256xbf16>, %g: !tile.memory<1xf32>, %n: !tile.memory<1xf32>, %o: !tile.memory<64xf32>) items <tokens by 64 times 1> at %item attributes {tile.warps = 4 : i64} {
  %c0 = arith.constant 0 : index
  %c64 = arith.constant 64 : index
  %tokens = tile.count tokens
  %row = arith.muli %item, %c64 : index
  %x = tile.load %k[%row, %c0] within [%c0, %tokens] : !tile.memory<256xbf16> -> !tile.tile<64x128xf32>
  %d = tile.load %g[%row, %c0] within [%c0, %tokens] : !tile.memory<1xf32> -> !tile.tile<64x1xf32>
  %sum = tile.cumsum %d : !tile.tile<64x1xf32>
  tile.store %sum, %n[%row, %c0] within [%c0, %tokens] : !tile.tile<64x1xf32>, !tile.memory<1xf32>
  %p = tile.mma %x, transpose_rhs %x : !tile.tile<64x128xf32>, !tile.tile<64x128xf32> -> !tile.tile<64x64xf32>
  %s = tile.reduce add %x along 1 : !tile.tile<64x128xf32> -> !tile.tile<64x1xf32>
  %q = tile.map (%a = %p : !tile.tile<64x64xf32>, %b = %s : !tile.tile<64x1xf32>) -> !tile.tile<64x64xf32> {
    %m = arith.mulf %a, %b : f32
    tile.yield %m : f32
  }
  tile.store %q, %o[%row, %c0] within [%c0, %tokens] : !tile.tile<64x64xf32>, !tile.memory<64xf32>
}

// Pieces of a thread four rows apart would stand in different places of theirs: loaded and stored.
// CHECK-LABEL: llvm.func @apart(
// CHECK-NOT: cp.async
// CHECK: llvm.return
tile.kernel @apart(%k: !tile.memory<256xbf16>, %o: !tile.memory<64xf32>) items <tokens by 64 times 1> at %item attributes {tile.warps = 4 : i64} {
  %c0 = arith.constant 0 : index
  %c64 = arith.constant 64 : index
  %tokens = tile.count tokens
  %row = arith.muli %item, %c64 : index
  %x = tile.load %k[%row, %c0] within [%c0, %tokens] : !tile.memory<256xbf16> -> !tile.tile<64x256xf32>
  %p = tile.mma %x, transpose_rhs %x : !tile.tile<64x256xf32>, !tile.tile<64x256xf32> -> !tile.tile<64x64xf32>
  %s = tile.reduce add %x along 1 : !tile.tile<64x256xf32> -> !tile.tile<64x1xf32>
  %q = tile.map (%a = %p : !tile.tile<64x64xf32>, %b = %s : !tile.tile<64x1xf32>) -> !tile.tile<64x64xf32> {
    %m = arith.mulf %a, %b : f32
    tile.yield %m : f32
  }
  tile.store %q, %o[%row, %c0] within [%c0, %tokens] : !tile.tile<64x64xf32>, !tile.memory<64xf32>
}
