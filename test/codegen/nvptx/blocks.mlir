// RUN: denim-opt %s --convert-tile-to-nvptx | FileCheck %s
// RUN: denim-opt %s --convert-tile-to-nvptx=exact | FileCheck %s --check-prefix=EXACT

// One row: eight integers by one load of two words, a scale for them; bytes become numbers by picking bytes. The scale is
// a factor of the sum.
// CHECK-LABEL: llvm.func @row
// CHECK: ld.global.L1::no_allocate.v2.b32
// CHECK: ld.global{{.*}}.b16
// CHECK: prmt.b32
// CHECK-NOT: sitofp
tile.kernel @row(%x: !tile.memory<2048xf32>, %w: !tile.memory<2048x!model.q8_0>, %y: !tile.memory<16xf32>)
    items <once by 1 times 1> at %item attributes {tile.warps = 8 : i64} {
  %c0 = arith.constant 0 : index
  %a = tile.load %x[%c0, %c0] : !tile.memory<2048xf32> -> !tile.tile<1x2048xf32>
  %b = tile.load %w[%c0, %c0] : !tile.memory<2048x!model.q8_0> -> !tile.tile<16x2048xf32>
  %p = tile.mma %a, transpose_rhs %b : !tile.tile<1x2048xf32>, !tile.tile<16x2048xf32> -> !tile.tile<1x16xf32>
  tile.store %p, %y[%c0, %c0] : !tile.tile<1x16xf32>, !tile.memory<16xf32>
}

// Rows that begin at no multiple of 8 bytes are read by half words.
// CHECK-LABEL: llvm.func @odd_rows
// CHECK-NOT: ld.global.L1::no_allocate
// EXACT-LABEL: llvm.func @odd_rows
tile.kernel @odd_rows(%x: !tile.memory<96xf32>, %w: !tile.memory<96x!model.q4_0>, %y: !tile.memory<16xf32>)
    items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %a = tile.load %x[%c0, %c0] : !tile.memory<96xf32> -> !tile.tile<1x96xf32>
  %b = tile.load %w[%c0, %c0] : !tile.memory<96x!model.q4_0> -> !tile.tile<16x96xf32>
  %p = tile.mma %a, transpose_rhs %b : !tile.tile<1x96xf32>, !tile.tile<16x96xf32> -> !tile.tile<1x16xf32>
  tile.store %p, %y[%c0, %c0] : !tile.tile<1x16xf32>, !tile.memory<16xf32>
}

// Many rows: an operand of products is made in shared memory, in pieces of 16 bytes of bf16, without a fragment.
// CHECK-LABEL: llvm.func @rows
// CHECK: ld.global.v2.b32
// CHECK: prmt.b32
// CHECK: cvt.rn.bf16x2.f32
// CHECK: st.shared.v4.b32
// CHECK: mma.sync
tile.kernel @rows(%x: !tile.memory<128xbf16>, %w: !tile.memory<128x!model.q4_0>, %y: !tile.memory<64xf32>)
    items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %a = tile.load %x[%c0, %c0] : !tile.memory<128xbf16> -> !tile.tile<16x128xf32>
  %b = tile.load %w[%c0, %c0] : !tile.memory<128x!model.q4_0> -> !tile.tile<64x128xf32>
  %p = tile.mma %a, transpose_rhs %b : !tile.tile<16x128xf32>, !tile.tile<64x128xf32> -> !tile.tile<16x64xf32>
  tile.store %p, %y[%c0, %c0] : !tile.tile<16x64xf32>, !tile.memory<64xf32>
}

// No product: eight neighbours of a thread are a piece, read by one load and written as 16 bytes.
// CHECK-LABEL: llvm.func @as_bf16
// CHECK: ld.global.v2.b32
// CHECK: prmt.b32
// CHECK: st.global.v4.b32
// CHECK-NOT: st.global.b32
tile.kernel @as_bf16(%w: !tile.memory<2048x!model.q4_0>, %y: !tile.memory<2048xbf16>) items <once by 1 times 8> at %item {
  %c0 = arith.constant 0 : index
  %c256 = arith.constant 256 : index
  %column = arith.muli %item, %c256 : index
  %a = tile.load %w[%c0, %column] : !tile.memory<2048x!model.q4_0> -> !tile.tile<16x256xf32>
  tile.store %a, %y[%c0, %column] : !tile.tile<16x256xf32>, !tile.memory<2048xbf16>
}
