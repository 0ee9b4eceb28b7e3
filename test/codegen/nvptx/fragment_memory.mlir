// RUN: split-file %s %t
// RUN: denim-opt %t/right.mlir --convert-tile-to-nvptx | FileCheck %s
// RUN: denim-opt %t/right.mlir --convert-tile-to-nvptx=target=sm_80 | FileCheck %s
// RUN: not denim-opt %t/row.mlir --convert-tile-to-nvptx 2>&1 | FileCheck %s --check-prefix=REFUSED
// RUN: not denim-opt %t/columns.mlir --convert-tile-to-nvptx 2>&1 | FileCheck %s --check-prefix=REFUSED
// RUN: not denim-opt %t/bounds.mlir --convert-tile-to-nvptx 2>&1 | FileCheck %s --check-prefix=REFUSED
// RUN: not denim-opt %t/vectors.mlir --convert-tile-to-nvptx 2>&1 | FileCheck %s --check-prefix=REFUSED
// RUN: not denim-opt %t/operand.mlir --convert-tile-to-nvptx 2>&1 | FileCheck %s --check-prefix=REFUSED

// A tile of 64 x 32 in four warps: a slab of 16 rows each, which are 16 x 32 words, and four groups of 8 columns, each
// 512 bytes of memory for a warp and 16 for a lane. The same memory without the attribute takes 8 bytes at a time, of
// rows of 128.
// CHECK-LABEL: llvm.func @handed(
// CHECK: ld.global.v4.b32 {$0, $1, $2, $3}, [$4];", {{.*}} :
// CHECK: ld.global.v4.b32 {$0, $1, $2, $3}, [$4+512];"
// CHECK: ld.global.v4.b32 {$0, $1, $2, $3}, [$4+1024];"
// CHECK: ld.global.v4.b32 {$0, $1, $2, $3}, [$4+1536];"
// CHECK: st.global.v4.b32 [$4], {$0, $1, $2, $3};"
// CHECK: st.global.v4.b32 [$4+512], {$0, $1, $2, $3};"
// CHECK: st.global.v4.b32 [$4+1024], {$0, $1, $2, $3};"
// CHECK: st.global.v4.b32 [$4+1536], {$0, $1, $2, $3};"
// CHECK-NOT: st.global
// CHECK-LABEL: llvm.func @plain(
// CHECK: ld.global.v2.b32 {$0, $1}, [$2+32];"
// CHECK-NOT: st.global.v4
// CHECK-COUNT-8: st.global.v2.b32
// CHECK-NOT: st.global
// CHECK: llvm.return

//--- right.mlir
tile.kernel @handed(%x: !tile.memory<64xbf16>, %w: !tile.memory<32xf32>) items <once by 1 times 1> at %item attributes {tile.fragments = array<i64: 1>} {
  %c0 = arith.constant 0 : index
  %c64 = arith.constant 64 : index
  %from = arith.muli %item, %c64 : index
  %a = tile.load %x[%c0, %c0] : !tile.memory<64xbf16> -> !tile.tile<64x64xf32>
  %b = tile.load %x[%c64, %c0] : !tile.memory<64xbf16> -> !tile.tile<32x64xf32>
  %s = tile.load %w[%from, %c0] : !tile.memory<32xf32> -> !tile.tile<64x32xf32>
  %p = tile.mma %a, transpose_rhs %b acc %s : !tile.tile<64x64xf32>, !tile.tile<32x64xf32>, !tile.tile<64x32xf32> -> !tile.tile<64x32xf32>
  tile.store %p, %w[%from, %c0] : !tile.tile<64x32xf32>, !tile.memory<32xf32>
}
tile.kernel @plain(%x: !tile.memory<64xbf16>, %w: !tile.memory<32xf32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %c64 = arith.constant 64 : index
  %from = arith.muli %item, %c64 : index
  %a = tile.load %x[%c0, %c0] : !tile.memory<64xbf16> -> !tile.tile<64x64xf32>
  %b = tile.load %x[%c64, %c0] : !tile.memory<64xbf16> -> !tile.tile<32x64xf32>
  %s = tile.load %w[%from, %c0] : !tile.memory<32xf32> -> !tile.tile<64x32xf32>
  %p = tile.mma %a, transpose_rhs %b acc %s : !tile.tile<64x64xf32>, !tile.tile<32x64xf32>, !tile.tile<64x32xf32> -> !tile.tile<64x32xf32>
  tile.store %p, %w[%from, %c0] : !tile.tile<64x32xf32>, !tile.memory<32xf32>
}

// Rows that may begin inside of a slab, a part of the columns, rows that are left out, a kernel whose threads have
// neighbouring columns, an operand that products read from memory.
// REFUSED: expected whole rows of f32 from a multiple of 16 on, in a kernel with products, where a memory stands in fragments, but got '!tile.tile<64x64xf32>'
//--- row.mlir
tile.kernel @row(%x: !tile.memory<64xbf16>, %w: !tile.memory<64xf32>) items <once by 1 times 1> at %item attributes {tile.fragments = array<i64: 1>} {
  %c0 = arith.constant 0 : index
  %c8 = arith.constant 8 : index
  %from = arith.muli %item, %c8 : index
  %a = tile.load %x[%c0, %c0] : !tile.memory<64xbf16> -> !tile.tile<64x64xf32>
  %p = tile.mma %a, transpose_rhs %a : !tile.tile<64x64xf32>, !tile.tile<64x64xf32> -> !tile.tile<64x64xf32>
  tile.store %p, %w[%from, %c0] : !tile.tile<64x64xf32>, !tile.memory<64xf32>
}
//--- columns.mlir
tile.kernel @columns(%x: !tile.memory<64xbf16>, %w: !tile.memory<128xf32>) items <once by 1 times 1> at %item attributes {tile.fragments = array<i64: 1>} {
  %c0 = arith.constant 0 : index
  %a = tile.load %x[%c0, %c0] : !tile.memory<64xbf16> -> !tile.tile<64x64xf32>
  %p = tile.mma %a, transpose_rhs %a : !tile.tile<64x64xf32>, !tile.tile<64x64xf32> -> !tile.tile<64x64xf32>
  tile.store %p, %w[%c0, %c0] : !tile.tile<64x64xf32>, !tile.memory<128xf32>
}
//--- bounds.mlir
tile.kernel @bounds(%x: !tile.memory<64xbf16>, %w: !tile.memory<64xf32>) items <once by 1 times 1> at %item attributes {tile.fragments = array<i64: 1>} {
  %c0 = arith.constant 0 : index
  %c40 = arith.constant 40 : index
  %a = tile.load %x[%c0, %c0] : !tile.memory<64xbf16> -> !tile.tile<64x64xf32>
  %p = tile.mma %a, transpose_rhs %a : !tile.tile<64x64xf32>, !tile.tile<64x64xf32> -> !tile.tile<64x64xf32>
  tile.store %p, %w[%c0, %c0] within [%c0, %c40] : !tile.tile<64x64xf32>, !tile.memory<64xf32>
}
//--- vectors.mlir
tile.kernel @vectors(%x: !tile.memory<64xf32>, %w: !tile.memory<64xf32>) items <once by 1 times 1> at %item attributes {tile.fragments = array<i64: 1>} {
  %c0 = arith.constant 0 : index
  %a = tile.load %x[%c0, %c0] : !tile.memory<64xf32> -> !tile.tile<64x64xf32>
  tile.store %a, %w[%c0, %c0] : !tile.tile<64x64xf32>, !tile.memory<64xf32>
}
//--- operand.mlir
tile.kernel @operand(%x: !tile.memory<64xf32>, %w: !tile.memory<64xf32>) items <once by 1 times 1> at %item attributes {tile.fragments = array<i64: 0>} {
  %c0 = arith.constant 0 : index
  %a = tile.load %x[%c0, %c0] : !tile.memory<64xf32> -> !tile.tile<64x64xf32>
  %p = tile.mma %a, transpose_rhs %a : !tile.tile<64x64xf32>, !tile.tile<64x64xf32> -> !tile.tile<64x64xf32>
  tile.store %p, %w[%c0, %c0] : !tile.tile<64x64xf32>, !tile.memory<64xf32>
}
