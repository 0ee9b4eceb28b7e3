// RUN: denim-opt %s --convert-tile-to-nvptx | FileCheck %s
// RUN: denim-opt %s --convert-tile-to-nvptx | denim-opt --verify-nvptx-synchronization

// Columns that become rows where operands are copied ahead: both are written, and the first of the rows that is read has
// the one barrier. They stand beside each other, and beside the total, whose parts are read behind that barrier as well.
// CHECK-LABEL: llvm.func @rows(
// CHECK: setmaxnreg.inc
// CHECK: scf.for
// CHECK-NOT: bar.sync
// CHECK: st.shared.b32 [$1], $0
// CHECK-NOT: bar.sync
// CHECK: st.shared.b32 [$1+32], $0
// CHECK-NOT: bar.sync
// CHECK: st.shared.b32 [$1+32], $0
// CHECK-NOT: bar.sync
// CHECK: mbarrier.try_wait.parity
// CHECK: bar.sync 1, 256
// CHECK-NOT: bar.sync
// CHECK-COUNT-36: ld.shared.b32
// CHECK-NOT: bar.sync
// CHECK: wgmma.mma_async
tile.kernel @rows(%k: !tile.memory<128xbf16>, %v: !tile.memory<128xbf16>, %g: !tile.memory<4xf32>,
                  %y: !tile.memory<128xf32>) items <once by 1 times 4> at %item attributes {tile.ahead, tile.warps = 8 : i64} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c64 = arith.constant 64 : index
  %c512 = arith.constant 512 : index
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1.0 : f32
  %unit = tile.splat %one : f32 -> !tile.tile<1x1xf32>
  %s0 = tile.splat %zero : f32 -> !tile.tile<128x128xf32>
  %s = scf.for %row = %c0 to %c512 step %c64 iter_args(%t = %s0) -> (!tile.tile<128x128xf32>) {
    %a = tile.load %g[%row, %c0] : !tile.memory<4xf32> -> !tile.tile<64x1xf32>
    %b = tile.load %g[%row, %c1] : !tile.memory<4xf32> -> !tile.tile<64x1xf32>
    %sum = tile.reduce add %a along 0 : !tile.tile<64x1xf32> -> !tile.tile<1x1xf32>
    %ra = tile.mma %unit, transpose_rhs %a : !tile.tile<1x1xf32>, !tile.tile<64x1xf32> -> !tile.tile<1x64xf32>
    %rb = tile.mma %unit, transpose_rhs %b : !tile.tile<1x1xf32>, !tile.tile<64x1xf32> -> !tile.tile<1x64xf32>
    %w = tile.load %v[%row, %c0] transposed : !tile.memory<128xbf16> -> !tile.tile<128x64xf32>
    %u = tile.load %k[%row, %c0] : !tile.memory<128xbf16> -> !tile.tile<64x128xf32>
    %f = tile.map (%x = %w : !tile.tile<128x64xf32>, %p = %ra : !tile.tile<1x64xf32>, %q = %rb : !tile.tile<1x64xf32>, %n = %sum : !tile.tile<1x1xf32>) -> !tile.tile<128x64xf32> {
      %0 = arith.mulf %x, %p : f32
      %1 = arith.mulf %0, %q : f32
      %2 = arith.mulf %1, %n : f32
      tile.yield %2 : f32
    }
    %r = tile.mma %f, %u acc %t : !tile.tile<128x64xf32>, !tile.tile<64x128xf32>, !tile.tile<128x128xf32> -> !tile.tile<128x128xf32>
    scf.yield %r : !tile.tile<128x128xf32>
  }
  tile.store %s, %y[%c0, %c0] : !tile.tile<128x128xf32>, !tile.memory<128xf32>
}
