// RUN: denim-opt %s --tile-fuse-maps | FileCheck %s

// Two maps in a row, a splat and a repeated input become one map of one input.
// CHECK-LABEL: tile.kernel @chain
// CHECK-SAME: %[[X:.*]]: !tile.memory<32xf32>
// CHECK: %[[TWO:.*]] = arith.constant 2.000000e+00
// CHECK: %[[T:.*]] = tile.load
// CHECK-NOT: tile.splat
// CHECK: tile.map (%[[A:.*]] = %[[T]] : !tile.tile<8x32xf32>) -> !tile.tile<8x32xf32>
// CHECK-NEXT: %[[M:.*]] = arith.mulf %[[A]], %[[TWO]]
// CHECK-NEXT: %[[E:.*]] = math.exp %[[M]]
// CHECK-NEXT: %[[R:.*]] = arith.addf %[[E]], %[[A]]
// CHECK-NEXT: tile.yield %[[R]]
// CHECK-NOT: tile.map
tile.kernel @chain(%x: !tile.memory<32xf32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %two = arith.constant 2.0 : f32
  %s = tile.splat %two : f32 -> !tile.tile<8x32xf32>
  %t = tile.load %x[%c0, %c0] : !tile.memory<32xf32> -> !tile.tile<8x32xf32>
  %u = tile.map (%a = %t : !tile.tile<8x32xf32>, %b = %s : !tile.tile<8x32xf32>) -> !tile.tile<8x32xf32> {
    %m = arith.mulf %a, %b : f32
    tile.yield %m : f32
  }
  %v = tile.map (%a = %u : !tile.tile<8x32xf32>, %b = %t : !tile.tile<8x32xf32>) -> !tile.tile<8x32xf32> {
    %e = math.exp %a : f32
    %r = arith.addf %e, %b : f32
    tile.yield %r : f32
  }
  tile.store %v, %x[%c0, %c0] : !tile.tile<8x32xf32>, !tile.memory<32xf32>
}

// A column that is broadcast, a map used twice and a map outside a loop stay what they are.
// CHECK-LABEL: tile.kernel @stays
// CHECK-COUNT-4: tile.map
tile.kernel @stays(%x: !tile.memory<32xf32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c8 = arith.constant 8 : index
  %t = tile.load %x[%c0, %c0] : !tile.memory<32xf32> -> !tile.tile<8x32xf32>
  %s = tile.reduce add %t along 1 : !tile.tile<8x32xf32> -> !tile.tile<8x1xf32>
  %e = tile.map (%a = %s : !tile.tile<8x1xf32>) -> !tile.tile<8x1xf32> {
    %b = math.exp %a : f32
    tile.yield %b : f32
  }
  %u = tile.map (%a = %t : !tile.tile<8x32xf32>, %b = %e : !tile.tile<8x1xf32>) -> !tile.tile<8x32xf32> {
    %m = arith.mulf %a, %b : f32
    tile.yield %m : f32
  }
  scf.for %i = %c0 to %c8 step %c8 {
    %v = tile.map (%a = %u : !tile.tile<8x32xf32>) -> !tile.tile<8x32xf32> {
      %m = math.exp %a : f32
      tile.yield %m : f32
    }
    %w = tile.map (%a = %v : !tile.tile<8x32xf32>) -> !tile.tile<8x32xf32> {
      %m = arith.negf %a : f32
      tile.yield %m : f32
    }
    tile.store %v, %x[%i, %c0] : !tile.tile<8x32xf32>, !tile.memory<32xf32>
    tile.store %w, %x[%i, %c1] : !tile.tile<8x32xf32>, !tile.memory<32xf32>
  }
}
