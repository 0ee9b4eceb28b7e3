// RUN: denim-opt %s --convert-tile-to-nvptx | FileCheck %s
// RUN: denim-opt %s --convert-tile-to-nvptx | denim-opt --verify-nvptx-synchronization -o /dev/null

// Turned only to be stored as f32, behind a loop whose rows are copied ahead: each register goes where it belongs. Rows of
// the result are 256 bytes apart and are columns of a thread's registers: the second of a pair stands one row further,
// the next group 8 rows, and what is eight rows further in a register 32 bytes.
// CHECK-LABEL: llvm.func @one(
// CHECK: wgmma.mma_async
// CHECK-NOT: st.shared
// CHECK: st.global.b32 [$1], $0;
// CHECK: st.global.b32 [$1+256], $0;
// CHECK: st.global.b32 [$1+2048], $0;
// CHECK: st.global.b32 [$1+2304], $0;
// CHECK: st.global.b32 [$1+32], $0;
// CHECK-NOT: st.shared
// CHECK: llvm.return
tile.kernel @one(%x: !tile.memory<256xbf16>, %y: !tile.memory<64xf32>) items <once by 1 times 1> at %item attributes {tile.ahead, tile.warps = 4 : i64} {
  %c0 = arith.constant 0 : index
  %c64 = arith.constant 64 : index
  %c256 = arith.constant 256 : index
  %zero = arith.constant 0.0 : f32
  %s0 = tile.splat %zero : f32 -> !tile.tile<64x128xf32>
  %s = scf.for %k = %c0 to %c256 step %c64 iter_args(%t = %s0) -> (!tile.tile<64x128xf32>) {
    %u = tile.load %x[%c0, %k] : !tile.memory<256xbf16> -> !tile.tile<64x64xf32>
    %v = tile.load %x[%c64, %k] : !tile.memory<256xbf16> -> !tile.tile<128x64xf32>
    %p = tile.mma %u, transpose_rhs %v acc %t : !tile.tile<64x64xf32>, !tile.tile<128x64xf32>, !tile.tile<64x128xf32> -> !tile.tile<64x128xf32>
    scf.yield %p : !tile.tile<64x128xf32>
  }
  %z = tile.transpose %s : !tile.tile<64x128xf32> -> !tile.tile<128x64xf32>
  tile.store %z, %y[%c0, %c0] : !tile.tile<128x64xf32>, !tile.memory<64xf32>
}

// Two blocks on a multiprocessor have no registers to spare for that, and hide a turn through shared memory.
// CHECK-LABEL: llvm.func @two(
// CHECK: wgmma.mma_async
// CHECK: st.shared.b32
// CHECK: bar.sync 1, 128;
// CHECK: ld.shared.b32
// CHECK: llvm.return
tile.kernel @two(%x: !tile.memory<256xbf16>, %y: !tile.memory<64xf32>) items <once by 1 times 1> at %item attributes {tile.ahead, tile.blocks = 2 : i64, tile.warps = 4 : i64} {
  %c0 = arith.constant 0 : index
  %c64 = arith.constant 64 : index
  %c256 = arith.constant 256 : index
  %zero = arith.constant 0.0 : f32
  %s0 = tile.splat %zero : f32 -> !tile.tile<64x128xf32>
  %s = scf.for %k = %c0 to %c256 step %c64 iter_args(%t = %s0) -> (!tile.tile<64x128xf32>) {
    %u = tile.load %x[%c0, %k] : !tile.memory<256xbf16> -> !tile.tile<64x64xf32>
    %v = tile.load %x[%c64, %k] : !tile.memory<256xbf16> -> !tile.tile<128x64xf32>
    %p = tile.mma %u, transpose_rhs %v acc %t : !tile.tile<64x64xf32>, !tile.tile<128x64xf32>, !tile.tile<64x128xf32> -> !tile.tile<64x128xf32>
    scf.yield %p : !tile.tile<64x128xf32>
  }
  %z = tile.transpose %s : !tile.tile<64x128xf32> -> !tile.tile<128x64xf32>
  tile.store %z, %y[%c0, %c0] : !tile.tile<128x64xf32>, !tile.memory<64xf32>
}

// Memory in the order of registers takes a tile as it stands: it is turned in front of that.
// CHECK-LABEL: llvm.func @in_fragments(
// CHECK: wgmma.mma_async
// CHECK: st.shared.b32
// CHECK: bar.sync 1, 128;
// CHECK: ld.shared.b32
// CHECK: st.global.v4.b32
// CHECK: llvm.return
tile.kernel @in_fragments(%x: !tile.memory<256xbf16>, %y: !tile.memory<64xf32>) items <once by 1 times 1> at %item attributes {tile.ahead, tile.fragments = array<i64: 1>, tile.warps = 4 : i64} {
  %c0 = arith.constant 0 : index
  %c64 = arith.constant 64 : index
  %c256 = arith.constant 256 : index
  %zero = arith.constant 0.0 : f32
  %s0 = tile.splat %zero : f32 -> !tile.tile<64x128xf32>
  %s = scf.for %k = %c0 to %c256 step %c64 iter_args(%t = %s0) -> (!tile.tile<64x128xf32>) {
    %u = tile.load %x[%c0, %k] : !tile.memory<256xbf16> -> !tile.tile<64x64xf32>
    %v = tile.load %x[%c64, %k] : !tile.memory<256xbf16> -> !tile.tile<128x64xf32>
    %p = tile.mma %u, transpose_rhs %v acc %t : !tile.tile<64x64xf32>, !tile.tile<128x64xf32>, !tile.tile<64x128xf32> -> !tile.tile<64x128xf32>
    scf.yield %p : !tile.tile<64x128xf32>
  }
  %z = tile.transpose %s : !tile.tile<64x128xf32> -> !tile.tile<128x64xf32>
  tile.store %z, %y[%c0, %c0] : !tile.tile<128x64xf32>, !tile.memory<64xf32>
}
