// RUN: denim-opt %s --split-input-file --convert-tile-to-nvptx | FileCheck %s
// RUN: denim-opt %s --split-input-file --convert-tile-to-nvptx=target=sm_80 | FileCheck %s --check-prefix=OLD

// A kernel lets the next one begin at once, and waits for the ones before it in front of the first memory that some
// kernel may write. Parameters are asked for before that. Older machines end one kernel before they begin the next.
// OLD-NOT: griddepcontrol
// CHECK-LABEL: llvm.func @weights(
// CHECK: griddepcontrol.launch_dependents
// CHECK: ld.global.L1::no_allocate.v4.b32
// CHECK: griddepcontrol.wait
// CHECK: ld.global.v4.b32
// CHECK-NOT: griddepcontrol
// CHECK: st.global
// CHECK: llvm.return
tile.kernel @weights(%a: !tile.memory<256xbf16>, %b: !tile.memory<256xbf16>, %c: !tile.memory<16xf32>) items <once by 1 times 1> at %item attributes {tile.constants = array<i64: 1>} {
  %c0 = arith.constant 0 : index
  %y = tile.load %b[%c0, %c0] : !tile.memory<256xbf16> -> !tile.tile<16x256xf32>
  %x = tile.load %a[%c0, %c0] : !tile.memory<256xbf16> -> !tile.tile<1x256xf32>
  %p = tile.mma %x, transpose_rhs %y : !tile.tile<1x256xf32>, !tile.tile<16x256xf32> -> !tile.tile<1x16xf32>
  tile.store %p, %c[%c0, %c0] : !tile.tile<1x16xf32>, !tile.memory<16xf32>
}

// -----

// Without a word about what is constant all memory may be written by others.
// CHECK-LABEL: llvm.func @plain(
// CHECK: griddepcontrol.wait
// CHECK: ld.global
// CHECK-NOT: griddepcontrol.wait
// CHECK: llvm.return
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
