// RUN: denim-opt %s --split-input-file --convert-tile-to-nvptx | FileCheck %s
// RUN: denim-opt %s --split-input-file --convert-tile-to-nvptx=target=sm_80 | FileCheck %s --check-prefix=OLD

// A kernel waits for the ones before it in front of the first memory that some kernel may write, and then lets the next
// one begin if it is told to. Parameters are asked for before that. Older machines end one kernel before they begin the next.
// OLD-NOT: griddepcontrol
// CHECK-LABEL: llvm.func @weights(
// CHECK-NOT: griddepcontrol
// CHECK: ld.global.L1::no_allocate.v4.b32
// CHECK: griddepcontrol.wait
// CHECK-NEXT: griddepcontrol.launch_dependents
// CHECK: ld.global.v4.b32
// CHECK-NOT: griddepcontrol
// CHECK: st.global
// CHECK: llvm.return
tile.kernel @weights(%a: !tile.memory<256xbf16>, %b: !tile.memory<256xbf16>, %c: !tile.memory<16xf32>) items <once by 1 times 1> at %item attributes {tile.constants = array<i64: 1>, tile.next_behind_wait} {
  %c0 = arith.constant 0 : index
  %y = tile.load %b[%c0, %c0] : !tile.memory<256xbf16> -> !tile.tile<16x256xf32>
  %x = tile.load %a[%c0, %c0] : !tile.memory<256xbf16> -> !tile.tile<1x256xf32>
  %p = tile.mma %x, transpose_rhs %y : !tile.tile<1x256xf32>, !tile.tile<16x256xf32> -> !tile.tile<1x16xf32>
  tile.store %p, %c[%c0, %c0] : !tile.tile<1x16xf32>, !tile.memory<16xf32>
}

// -----

// Without a word about what is constant all memory may be written by others.
// The next one begins at the end.
// CHECK-LABEL: llvm.func @plain(
// CHECK: griddepcontrol.wait
// CHECK: ld.global
// CHECK-NOT: griddepcontrol
// CHECK: st.global
// CHECK: griddepcontrol.launch_dependents
// CHECK-NEXT: llvm.return
tile.kernel @plain(%a: !tile.memory<32xf32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %x = tile.load %a[%c0, %c0] : !tile.memory<32xf32> -> !tile.tile<16x32xf32>
  tile.store %x, %a[%c0, %c0] : !tile.tile<16x32xf32>, !tile.memory<32xf32>
}

// -----

// Either side of a branch waits, the one that touches nothing at its end: the end of a kernel is the end of all before.
// CHECK-LABEL: llvm.func @two_sides(
// CHECK-NOT: griddepcontrol.wait
// CHECK: scf.if
// CHECK: griddepcontrol.wait
// CHECK: st.global
// CHECK: else
// CHECK: griddepcontrol.wait
// CHECK-NOT: griddepcontrol.wait
// CHECK: llvm.return
tile.kernel @two_sides(%a: !tile.memory<32xf32>) items <once by 1 times 2> at %item {
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0.0 : f32
  %first = arith.cmpi eq, %item, %c0 : index
  scf.if %first {
    %x = tile.splat %zero : f32 -> !tile.tile<16x32xf32>
    tile.store %x, %a[%c0, %c0] : !tile.tile<16x32xf32>, !tile.memory<32xf32>
  } else {
  }
}

// -----

// A branch with one side, and a loop, have the wait in front of them.
// CHECK-LABEL: llvm.func @one_side(
// CHECK: griddepcontrol.wait
// CHECK: scf.if
// CHECK-NOT: griddepcontrol.wait
// CHECK: llvm.return
tile.kernel @one_side(%a: !tile.memory<32xf32>) items <once by 1 times 2> at %item {
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0.0 : f32
  %first = arith.cmpi eq, %item, %c0 : index
  scf.if %first {
    %x = tile.splat %zero : f32 -> !tile.tile<16x32xf32>
    tile.store %x, %a[%c0, %c0] : !tile.tile<16x32xf32>, !tile.memory<32xf32>
  }
}

// -----

// With copying warps the next kernel begins when the results of this one are stored.
// CHECK-LABEL: llvm.func @ring(
// CHECK: griddepcontrol.wait
// CHECK: wgmma
// CHECK-NOT: griddepcontrol
// CHECK: st.global
// CHECK: griddepcontrol.launch_dependents
// CHECK: cp.async
// CHECK-NOT: griddepcontrol.launch_dependents
// CHECK: llvm.return
tile.kernel @ring(%x: !tile.memory<256xbf16>, %w: !tile.memory<256xbf16>, %y: !tile.memory<128xf32>) items <tokens by 128 times 1> at %item attributes {tile.ahead, tile.blocks = 1 : i64, tile.warps = 8 : i64} {
  %c0 = arith.constant 0 : index
  %c64 = arith.constant 64 : index
  %c128 = arith.constant 128 : index
  %c256 = arith.constant 256 : index
  %zero = arith.constant 0.0 : f32
  %row = arith.muli %item, %c128 : index
  %s0 = tile.splat %zero : f32 -> !tile.tile<128x128xf32>
  %s = scf.for %k = %c0 to %c256 step %c64 iter_args(%t = %s0) -> (!tile.tile<128x128xf32>) {
    %v = tile.load %w[%c0, %k] : !tile.memory<256xbf16> -> !tile.tile<128x64xf32>
    %u = tile.load %x[%row, %k] : !tile.memory<256xbf16> -> !tile.tile<128x64xf32>
    %p = tile.mma %u, transpose_rhs %v acc %t : !tile.tile<128x64xf32>, !tile.tile<128x64xf32>, !tile.tile<128x128xf32> -> !tile.tile<128x128xf32>
    scf.yield %p : !tile.tile<128x128xf32>
  }
  tile.store %s, %y[%row, %c0] : !tile.tile<128x128xf32>, !tile.memory<128xf32>
}

// -----

// Or when the last of its copies is asked for.
// CHECK-LABEL: llvm.func @behind_copies(
// CHECK: wgmma
// CHECK: st.global
// CHECK-NOT: griddepcontrol.launch_dependents
// CHECK: cp.async
// CHECK: griddepcontrol.launch_dependents
// CHECK-NOT: griddepcontrol.launch_dependents
// CHECK: llvm.return
tile.kernel @behind_copies(%x: !tile.memory<256xbf16>, %w: !tile.memory<256xbf16>, %y: !tile.memory<128xf32>) items <tokens by 128 times 1> at %item attributes {tile.ahead, tile.blocks = 1 : i64, tile.next_behind_copies, tile.warps = 8 : i64} {
  %c0 = arith.constant 0 : index
  %c64 = arith.constant 64 : index
  %c128 = arith.constant 128 : index
  %c256 = arith.constant 256 : index
  %zero = arith.constant 0.0 : f32
  %row = arith.muli %item, %c128 : index
  %s0 = tile.splat %zero : f32 -> !tile.tile<128x128xf32>
  %s = scf.for %k = %c0 to %c256 step %c64 iter_args(%t = %s0) -> (!tile.tile<128x128xf32>) {
    %v = tile.load %w[%c0, %k] : !tile.memory<256xbf16> -> !tile.tile<128x64xf32>
    %u = tile.load %x[%row, %k] : !tile.memory<256xbf16> -> !tile.tile<128x64xf32>
    %p = tile.mma %u, transpose_rhs %v acc %t : !tile.tile<128x64xf32>, !tile.tile<128x64xf32>, !tile.tile<128x128xf32> -> !tile.tile<128x128xf32>
    scf.yield %p : !tile.tile<128x128xf32>
  }
  tile.store %s, %y[%row, %c0] : !tile.tile<128x128xf32>, !tile.memory<128xf32>
}

// -----

// What the kernel in front does not write is copied ahead at once, also where other threads read what it writes: these wait in
// front of that. The copying warps wait when all is asked for, on either side of a branch, and then let the next one begin.
// CHECK-LABEL: llvm.func @finished(
// CHECK: setmaxnreg.inc
// CHECK: griddepcontrol.wait
// CHECK: ld.global
// CHECK: wgmma
// CHECK: setmaxnreg.dec
// CHECK-NOT: griddepcontrol
// CHECK: cp.async
// CHECK: griddepcontrol.wait
// CHECK-NEXT: griddepcontrol.launch_dependents
// CHECK-NOT: griddepcontrol
// CHECK: llvm.return
tile.kernel @finished(%x: !tile.memory<256xbf16>, %w: !tile.memory<256xbf16>, %z: !tile.memory<128xf32>, %y: !tile.memory<128xf32>) items <tokens by 128 times 1> at %item attributes {tile.ahead, tile.blocks = 1 : i64, tile.finished = array<i64: 0, 1>, tile.next_behind_copies, tile.warps = 8 : i64} {
  %c0 = arith.constant 0 : index
  %c64 = arith.constant 64 : index
  %c128 = arith.constant 128 : index
  %c256 = arith.constant 256 : index
  %row = arith.muli %item, %c128 : index
  %s0 = tile.load %z[%row, %c0] : !tile.memory<128xf32> -> !tile.tile<128x128xf32>
  %some = arith.cmpi slt, %row, %c256 : index
  scf.if %some {
    %s = scf.for %k = %c0 to %c256 step %c64 iter_args(%t = %s0) -> (!tile.tile<128x128xf32>) {
      %v = tile.load %w[%c0, %k] : !tile.memory<256xbf16> -> !tile.tile<128x64xf32>
      %u = tile.load %x[%row, %k] : !tile.memory<256xbf16> -> !tile.tile<128x64xf32>
      %p = tile.mma %u, transpose_rhs %v acc %t : !tile.tile<128x64xf32>, !tile.tile<128x64xf32>, !tile.tile<128x128xf32> -> !tile.tile<128x128xf32>
      scf.yield %p : !tile.tile<128x128xf32>
    }
    tile.store %s, %y[%row, %c0] : !tile.tile<128x128xf32>, !tile.memory<128xf32>
  } else {
    tile.store %s0, %y[%row, %c0] : !tile.tile<128x128xf32>, !tile.memory<128xf32>
  }
}

// -----

// It may write one of the two.
// CHECK-LABEL: llvm.func @finished_one(
// CHECK: setmaxnreg.dec
// CHECK-NOT: cp.async
// CHECK: griddepcontrol.wait
// CHECK: cp.async
// CHECK-NOT: griddepcontrol.wait
// CHECK: griddepcontrol.launch_dependents
// CHECK: llvm.return
tile.kernel @finished_one(%x: !tile.memory<256xbf16>, %w: !tile.memory<256xbf16>, %z: !tile.memory<128xf32>, %y: !tile.memory<128xf32>) items <tokens by 128 times 1> at %item attributes {tile.ahead, tile.blocks = 1 : i64, tile.finished = array<i64: 1>, tile.next_behind_copies, tile.warps = 8 : i64} {
  %c0 = arith.constant 0 : index
  %c64 = arith.constant 64 : index
  %c128 = arith.constant 128 : index
  %c256 = arith.constant 256 : index
  %row = arith.muli %item, %c128 : index
  %s0 = tile.load %z[%row, %c0] : !tile.memory<128xf32> -> !tile.tile<128x128xf32>
  %some = arith.cmpi slt, %row, %c256 : index
  scf.if %some {
    %s = scf.for %k = %c0 to %c256 step %c64 iter_args(%t = %s0) -> (!tile.tile<128x128xf32>) {
      %v = tile.load %w[%c0, %k] : !tile.memory<256xbf16> -> !tile.tile<128x64xf32>
      %u = tile.load %x[%row, %k] : !tile.memory<256xbf16> -> !tile.tile<128x64xf32>
      %p = tile.mma %u, transpose_rhs %v acc %t : !tile.tile<128x64xf32>, !tile.tile<128x64xf32>, !tile.tile<128x128xf32> -> !tile.tile<128x128xf32>
      scf.yield %p : !tile.tile<128x128xf32>
    }
    tile.store %s, %y[%row, %c0] : !tile.tile<128x128xf32>, !tile.memory<128xf32>
  } else {
    tile.store %s0, %y[%row, %c0] : !tile.tile<128x128xf32>, !tile.memory<128xf32>
  }
}
