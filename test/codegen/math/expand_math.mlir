// RUN: denim-opt %s --expand-math | FileCheck %s --check-prefixes=CHECK,FUSED
// RUN: denim-opt %s --expand-math=fused=false | FileCheck %s --check-prefixes=CHECK,SPLIT

// Only functions of f32 are written out; what machines have an instruction for stays.
// CHECK-LABEL: tile.kernel @element
// CHECK-NOT: math.exp
// SPLIT-NOT: fma
// FUSED: llvm.intr.fma
// CHECK: arith.shrsi
// CHECK-NOT: math.exp
// SPLIT-NOT: fma
// CHECK: math.sqrt
tile.kernel @element(%x: !tile.memory<16xf32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %t = tile.load %x[%c0, %c0] : !tile.memory<16xf32> -> !tile.tile<1x16xf32>
  %u = tile.map (%a = %t : !tile.tile<1x16xf32>) -> !tile.tile<1x16xf32> {
    %e = math.exp %a : f32
    %r = math.sqrt %e : f32
    tile.yield %r : f32
  }
  tile.store %u, %x[%c0, %c0] : !tile.tile<1x16xf32>, !tile.memory<16xf32>
}

// No tile is of f64: its functions stay.
// CHECK-LABEL: tile.kernel @other
// CHECK: math.exp %{{.*}} : f64
tile.kernel @other(%x: !tile.memory<16xf32>, %s: !tile.memory<1xi32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %n = arith.index_cast %item : index to i32
  %wide = arith.sitofp %n : i32 to f64
  %e = math.exp %wide : f64
  %r = arith.truncf %e : f64 to f32
  %t = tile.splat %r : f32 -> !tile.tile<1x16xf32>
  tile.store %t, %x[%c0, %c0] : !tile.tile<1x16xf32>, !tile.memory<16xf32>
}
