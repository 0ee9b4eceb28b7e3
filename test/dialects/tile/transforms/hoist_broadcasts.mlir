// RUN: denim-opt %s --tile-hoist-broadcasts | FileCheck %s

// exp of a column and a quotient of a row are done once; the product, which is cheap, stays.
// CHECK-LABEL: tile.kernel @once
// CHECK: %[[E:.*]] = tile.map (%{{.*}} : !tile.tile<8x1xf32>) -> !tile.tile<8x1xf32>
// CHECK-NEXT: math.exp
// CHECK: %[[Q:.*]] = tile.map (%{{.*}} : !tile.tile<1x32xf32>) -> !tile.tile<1x32xf32>
// CHECK-NEXT: arith.divf
// CHECK: tile.map
// CHECK-SAME: = %[[E]] : !tile.tile<8x1xf32>, {{.*}} = %[[Q]] : !tile.tile<1x32xf32>) -> !tile.tile<8x32xf32>
// CHECK-NOT: math.exp
// CHECK: tile.yield
tile.kernel @once(%x: !tile.memory<32xf32>, %c: !tile.memory<1xf32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %one = arith.constant 1.0 : f32
  %t = tile.load %x[%c0, %c0] : !tile.memory<32xf32> -> !tile.tile<8x32xf32>
  %r = tile.load %x[%c0, %c0] : !tile.memory<32xf32> -> !tile.tile<1x32xf32>
  %d = tile.load %c[%c0, %c0] : !tile.memory<1xf32> -> !tile.tile<8x1xf32>
  %u = tile.map (%a = %t : !tile.tile<8x32xf32>, %g = %d : !tile.tile<8x1xf32>, %b = %r : !tile.tile<1x32xf32>) -> !tile.tile<8x32xf32> {
    %e = math.exp %g : f32
    %q = arith.divf %one, %b : f32
    %m = arith.mulf %a, %e : f32
    %n = arith.mulf %m, %q : f32
    tile.yield %n : f32
  }
  tile.store %u, %x[%c0, %c0] : !tile.tile<8x32xf32>, !tile.memory<32xf32>
}

// What depends on both coordinates stays.
// CHECK-LABEL: tile.kernel @both
// CHECK-COUNT-1: tile.map
// CHECK-NOT: tile.map
tile.kernel @both(%x: !tile.memory<32xf32>, %c: !tile.memory<1xf32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %r = tile.load %x[%c0, %c0] : !tile.memory<32xf32> -> !tile.tile<1x32xf32>
  %d = tile.load %c[%c0, %c0] : !tile.memory<1xf32> -> !tile.tile<8x1xf32>
  %u = tile.map (%g = %d : !tile.tile<8x1xf32>, %b = %r : !tile.tile<1x32xf32>) -> !tile.tile<8x32xf32> {
    %s = arith.subf %g, %b : f32
    %e = math.exp %s : f32
    tile.yield %e : f32
  }
  tile.store %u, %x[%c0, %c0] : !tile.tile<8x32xf32>, !tile.memory<32xf32>
}
