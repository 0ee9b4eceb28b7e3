// RUN: denim-opt %s --tile-sink-windows --cse --convert-tile-to-nvptx | FileCheck %s

// Nothing is multiplied: a thread has eight neighbours of each of its two rows, 16 bytes of bf16 and twice that of f32.
// CHECK-LABEL: llvm.func @elementwise(
// CHECK-COUNT-2: ld.global.v4.b32
// CHECK-NOT: ld.global
// CHECK-COUNT-4: st.global.v4.b32
// CHECK-NOT: st.global
// CHECK: llvm.return
tile.kernel @elementwise(%x: !tile.memory<128xbf16>, %y: !tile.memory<128xf32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %t = tile.load %x[%c0, %c0] : !tile.memory<128xbf16> -> !tile.tile<16x128xf32>
  tile.store %t, %y[%c0, %c0] : !tile.tile<16x128xf32>, !tile.memory<128xf32>
}

// Columns of memory that do not begin at a multiple of eight are read by pairs, whatever columns a thread has.
// CHECK-LABEL: llvm.func @elsewhere(
// CHECK-NOT: ld.global.v
// CHECK-COUNT-8: ld.global.b32
// CHECK-NOT: ld.global
// CHECK-COUNT-2: st.global.v4.b32
// CHECK-NOT: st.global
// CHECK: llvm.return
tile.kernel @elsewhere(%x: !tile.memory<256xbf16>, %y: !tile.memory<128xbf16>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %c4 = arith.constant 4 : index
  %c2 = arith.constant 2 : index
  %column = arith.addi %c4, %c2 : index
  %t = tile.load %x[%c0, %column] : !tile.memory<256xbf16> -> !tile.tile<16x128xf32>
  tile.store %t, %y[%c0, %c0] : !tile.tile<16x128xf32>, !tile.memory<128xbf16>
}

// 32 columns are a group of eight for each of four warps: nothing to join, and one number is for all tiles of a kernel.
// CHECK-LABEL: llvm.func @narrow(
// CHECK-NOT: .v4.b32
// CHECK: llvm.return
tile.kernel @narrow(%x: !tile.memory<128xbf16>, %n: !tile.memory<32xbf16>, %y: !tile.memory<128xbf16>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %t = tile.load %x[%c0, %c0] : !tile.memory<128xbf16> -> !tile.tile<16x128xf32>
  tile.store %t, %y[%c0, %c0] : !tile.tile<16x128xf32>, !tile.memory<128xbf16>
  %s = tile.load %n[%c0, %c0] : !tile.memory<32xbf16> -> !tile.tile<16x32xf32>
  tile.store %s, %n[%c0, %c0] : !tile.tile<16x32xf32>, !tile.memory<32xbf16>
}

// A product wants pairs of columns, and so does all that stands around it.
// CHECK-LABEL: llvm.func @product(
// CHECK-COUNT-8: st.global.b32
// CHECK: llvm.return
tile.kernel @product(%x: !tile.memory<128xbf16>, %y: !tile.memory<128xbf16>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %t = tile.load %x[%c0, %c0] : !tile.memory<128xbf16> -> !tile.tile<64x128xf32>
  %p = tile.mma %t, transpose_rhs %t : !tile.tile<64x128xf32>, !tile.tile<64x128xf32> -> !tile.tile<64x64xf32>
  tile.store %p, %y[%c0, %c0] : !tile.tile<64x64xf32>, !tile.memory<128xbf16>
}

// Two windows, a row apart: a thread has four neighbouring rows, so five are read, not eight. Both taps of its eight
// channels are 32 bytes, read once for both.
// CHECK-LABEL: llvm.func @sliding(
// CHECK-COUNT-7: ld.global.v4.b32
// CHECK-NOT: ld.global
// CHECK-COUNT-4: st.global.v4.b32
// CHECK-NOT: st.global
// CHECK: llvm.return
tile.kernel @sliding(%x: !tile.memory<64xbf16>, %w: !tile.memory<2xbf16>, %y: !tile.memory<64xbf16>) items <tokens by 128 times 1> at %item attributes {tile.constants = array<i64: 1>} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c128 = arith.constant 128 : index
  %n = tile.count tokens
  %row = arith.muli %item, %c128 : index
  %before = arith.subi %row, %c1 : index
  %t = tile.load %x[%before, %c0] within [%c0, %n] : !tile.memory<64xbf16> -> !tile.tile<129x32xf32>
  %u = tile.load %w[%c0, %c0] transposed : !tile.memory<2xbf16> -> !tile.tile<2x32xf32>
  %a = tile.window %t[0, 0] : !tile.tile<129x32xf32> -> !tile.tile<128x32xf32>
  %b = tile.window %t[1, 0] : !tile.tile<129x32xf32> -> !tile.tile<128x32xf32>
  %p = tile.window %u[0, 0] : !tile.tile<2x32xf32> -> !tile.tile<1x32xf32>
  %q = tile.window %u[1, 0] : !tile.tile<2x32xf32> -> !tile.tile<1x32xf32>
  %o = tile.map (%i = %a : !tile.tile<128x32xf32>, %j = %b : !tile.tile<128x32xf32>, %k = %p : !tile.tile<1x32xf32>, %l = %q : !tile.tile<1x32xf32>) -> !tile.tile<128x32xf32> {
    %1 = arith.mulf %i, %k : f32
    %2 = arith.mulf %j, %l : f32
    %3 = arith.addf %1, %2 : f32
    tile.yield %3 : f32
  }
  tile.store %o, %y[%row, %c0] within [%row, %n] : !tile.tile<128x32xf32>, !tile.memory<64xbf16>
}

// Weights that a kernel writes are not kept: each row is read for itself.
// CHECK-LABEL: llvm.func @no_parameter(
// CHECK-COUNT-8: ld.global.b16
// CHECK: llvm.return
tile.kernel @no_parameter(%w: !tile.memory<2xbf16>, %y: !tile.memory<64xbf16>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %u = tile.load %w[%c0, %c0] transposed : !tile.memory<2xbf16> -> !tile.tile<1x32xf32>
  tile.store %u, %y[%c0, %c0] : !tile.tile<1x32xf32>, !tile.memory<64xbf16>
}

// Half the rows to a thread, but no windows that overlap: rows of a slab stay where they are.
// CHECK-LABEL: llvm.func @apart(
// CHECK-COUNT-8: ld.global.v4.b32
// CHECK-NOT: ld.global
// CHECK: llvm.return
tile.kernel @apart(%x: !tile.memory<64xbf16>, %z: !tile.memory<64xbf16>, %y: !tile.memory<64xbf16>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %a = tile.load %x[%c0, %c0] : !tile.memory<64xbf16> -> !tile.tile<128x32xf32>
  %b = tile.load %z[%c1, %c0] : !tile.memory<64xbf16> -> !tile.tile<128x32xf32>
  %o = tile.map (%i = %a : !tile.tile<128x32xf32>, %j = %b : !tile.tile<128x32xf32>) -> !tile.tile<128x32xf32> {
    %1 = arith.addf %i, %j : f32
    tile.yield %1 : f32
  }
  tile.store %o, %y[%c0, %c0] : !tile.tile<128x32xf32>, !tile.memory<64xbf16>
}

// What is stored between two windows is seen by the second: four rows are read again, and the barrier of a store.
// CHECK-LABEL: llvm.func @stored_between(
// CHECK-COUNT-4: ld.global.v4.b32
// CHECK-COUNT-4: st.global.v4.b32
// CHECK: bar.sync
// CHECK-COUNT-4: ld.global.v4.b32
// CHECK-NOT: ld.global
// CHECK: llvm.return
tile.kernel @stored_between(%x: !tile.memory<64xbf16>, %y: !tile.memory<64xbf16>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c200 = arith.constant 200 : index
  %row = arith.addi %item, %c1 : index
  %a = tile.load %x[%item, %c0] : !tile.memory<64xbf16> -> !tile.tile<128x32xf32>
  tile.store %a, %x[%c200, %c0] : !tile.tile<128x32xf32>, !tile.memory<64xbf16>
  %b = tile.load %x[%row, %c0] : !tile.memory<64xbf16> -> !tile.tile<128x32xf32>
  tile.store %b, %y[%c0, %c0] : !tile.tile<128x32xf32>, !tile.memory<64xbf16>
}

// A matrix of f32 times a vector: eight lanes of a row have a line of memory together, so an access of a warp is four whole
// lines. The rows of a thread are neighbours, and the eight of them that it needs of a vector are one access.
// CHECK-LABEL: llvm.func @lines(
// CHECK-COUNT-8: ld.global.v4.b32
// CHECK-NOT: ld.global
// CHECK: ld.global.v4.b32
// CHECK-NOT: ld.global
// CHECK-COUNT-8: st.global.v4.b32
// CHECK: llvm.return
tile.kernel @lines(%s: !tile.memory<64xf32>, %k: !tile.memory<256xbf16>, %y: !tile.memory<64xf32>) items <tokens by 1 times 2> at %item {
  %c0 = arith.constant 0 : index
  %c2 = arith.constant 2 : index
  %c32 = arith.constant 32 : index
  %c128 = arith.constant 128 : index
  %row = arith.divui %item, %c2 : index
  %part = arith.remui %item, %c2 : index
  %column = arith.muli %part, %c32 : index
  %from = arith.muli %part, %c128 : index
  %t = tile.load %s[%c0, %column] : !tile.memory<64xf32> -> !tile.tile<128x32xf32>
  %v = tile.load %k[%row, %from] transposed : !tile.memory<256xbf16> -> !tile.tile<128x1xf32>
  %p = tile.mma transpose_lhs %v, %t : !tile.tile<128x1xf32>, !tile.tile<128x32xf32> -> !tile.tile<1x32xf32>
  %o = tile.map (%a = %t : !tile.tile<128x32xf32>, %b = %v : !tile.tile<128x1xf32>, %c = %p : !tile.tile<1x32xf32>) -> !tile.tile<128x32xf32> {
    %1 = arith.mulf %b, %c : f32
    %2 = arith.addf %a, %1 : f32
    tile.yield %2 : f32
  }
  tile.store %o, %s[%c0, %column] : !tile.tile<128x32xf32>, !tile.memory<64xf32>
}

// Sixteen columns are half of a line: four lanes share a row, as elsewhere.
// CHECK-LABEL: llvm.func @half_lines(
// CHECK-COUNT-4: ld.global.v4.b32
// CHECK-NOT: ld.global.v4
// CHECK-COUNT-4: ld.global.b16
// CHECK: llvm.return
tile.kernel @half_lines(%s: !tile.memory<64xf32>, %k: !tile.memory<256xbf16>, %y: !tile.memory<64xf32>) items <tokens by 1 times 4> at %item {
  %c0 = arith.constant 0 : index
  %c4 = arith.constant 4 : index
  %c16 = arith.constant 16 : index
  %row = arith.divui %item, %c4 : index
  %part = arith.remui %item, %c4 : index
  %column = arith.muli %part, %c16 : index
  %t = tile.load %s[%c0, %column] : !tile.memory<64xf32> -> !tile.tile<128x16xf32>
  %v = tile.load %k[%row, %c0] transposed : !tile.memory<256xbf16> -> !tile.tile<128x1xf32>
  %p = tile.mma transpose_lhs %v, %t : !tile.tile<128x1xf32>, !tile.tile<128x16xf32> -> !tile.tile<1x16xf32>
  tile.store %p, %y[%item, %c0] : !tile.tile<1x16xf32>, !tile.memory<64xf32>
}

// What is loaded in front of a branch for one of its sides stays there: the assembler moves no load across this barrier.
// CHECK-LABEL: llvm.func @loaded_ahead(
// CHECK-COUNT-4: ld.global.v4.b32
// CHECK-NOT: ld.global
// CHECK: bar.warp.sync
// CHECK: scf.if
// CHECK: llvm.return
tile.kernel @loaded_ahead(%x: !tile.memory<128xf32>, %y: !tile.memory<128xf32>) items <sequences by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %begin, %end, %past = tile.sequence %item
  %count = arith.subi %end, %begin : index
  %t = tile.load %x[%c0, %c0] : !tile.memory<128xf32> -> !tile.tile<16x128xf32>
  %one = arith.cmpi eq, %count, %c1 : index
  scf.if %one {
    tile.store %t, %y[%c0, %c0] : !tile.tile<16x128xf32>, !tile.memory<128xf32>
  }
}
