// RUN: denim-opt %s --convert-tile-to-cpu=target=x86-64-v4 | FileCheck %s

// A load without bounds is its memory: nothing but the store copies, and no scratch is taken.
// CHECK-LABEL: llvm.func @alias
// CHECK-SAME: tile.scratch_bytes = 0
// CHECK: llvm.load {{.*}} vector<16xf32>
// CHECK-NOT: llvm.load {{.*}} vector
// CHECK: llvm.return
tile.kernel @alias(%x: !tile.memory<32xf32>, %y: !tile.memory<32xf32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %t = tile.load %x[%c0, %c0] : !tile.memory<32xf32> -> !tile.tile<8x32xf32>
  tile.store %t, %y[%c0, %c0] : !tile.tile<8x32xf32>, !tile.memory<32xf32>
}

// One whose memory is written before its last use is copied to scratch first.
// CHECK-LABEL: llvm.func @written
// CHECK-SAME: tile.scratch_bytes = 1024
tile.kernel @written(%x: !tile.memory<32xf32>, %y: !tile.memory<32xf32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0.0 : f32
  %z = tile.splat %zero : f32 -> !tile.tile<8x32xf32>
  %t = tile.load %x[%c0, %c0] : !tile.memory<32xf32> -> !tile.tile<8x32xf32>
  tile.store %z, %x[%c0, %c0] : !tile.tile<8x32xf32>, !tile.memory<32xf32>
  tile.store %t, %y[%c0, %c0] : !tile.tile<8x32xf32>, !tile.memory<32xf32>
}

// Maps write where the tile they read dies: one place for the whole chain. Rows of 37 are padded to 48.
// CHECK-LABEL: llvm.func @in_place
// CHECK-SAME: tile.scratch_bytes = 1536
tile.kernel @in_place(%x: !tile.memory<37xf32>, %y: !tile.memory<37xf32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %c8 = arith.constant 8 : index
  %t = tile.load %x[%c0, %c0] within [%c0, %c8] : !tile.memory<37xf32> -> !tile.tile<8x37xf32>
  %u = tile.map (%a = %t : !tile.tile<8x37xf32>) -> !tile.tile<8x37xf32> {
    %b = arith.negf %a : f32
    tile.yield %b : f32
  }
  %v = tile.map (%a = %u : !tile.tile<8x37xf32>) -> !tile.tile<8x37xf32> {
    %b = arith.mulf %a, %a : f32
    tile.yield %b : f32
  }
  tile.store %v, %y[%c0, %c0] : !tile.tile<8x37xf32>, !tile.memory<37xf32>
}

// A carried tile has one place through all rounds.
// CHECK-LABEL: llvm.func @carried
// CHECK-SAME: tile.scratch_bytes = 1024
// CHECK: scf.for
// CHECK: scf.for
tile.kernel @carried(%y: !tile.memory<32xf32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c8 = arith.constant 8 : index
  %one = arith.constant 1.0 : f32
  %s = tile.splat %one : f32 -> !tile.tile<8x32xf32>
  %r = scf.for %i = %c0 to %c8 step %c1 iter_args(%t = %s) -> (!tile.tile<8x32xf32>) {
    %u = tile.map (%a = %t : !tile.tile<8x32xf32>) -> !tile.tile<8x32xf32> {
      %b = arith.addf %a, %one : f32
      tile.yield %b : f32
    }
    scf.yield %u : !tile.tile<8x32xf32>
  }
  tile.store %r, %y[%c0, %c0] : !tile.tile<8x32xf32>, !tile.memory<32xf32>
}
