// RUN: denim-opt %s --tile-sink-windows | FileCheck %s

// A window of a load is a smaller load.
// CHECK-LABEL: tile.kernel @of_load
// CHECK-DAG: %[[C8:.*]] = arith.constant 8 : index
// CHECK-DAG: %[[C3:.*]] = arith.constant 3 : index
// CHECK-DAG: %[[C5:.*]] = arith.constant 5 : index
// CHECK-DAG: %[[ROW:.*]] = arith.addi %[[C8]], %[[C3]]
// CHECK-DAG: %[[COLUMN:.*]] = arith.addi %{{.*}}, %[[C5]]
// CHECK: tile.load %{{.*}}[%[[ROW]], %[[COLUMN]]] : !tile.memory<64xf32> -> !tile.tile<4x16xf32>
// CHECK-NOT: tile.window
// CHECK: tile.store
tile.kernel @of_load(%x: !tile.memory<64xf32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %c8 = arith.constant 8 : index
  %t = tile.load %x[%c8, %c0] : !tile.memory<64xf32> -> !tile.tile<16x64xf32>
  %w = tile.window %t[3, 5] : !tile.tile<16x64xf32> -> !tile.tile<4x16xf32>
  tile.store %w, %x[%c0, %c0] : !tile.tile<4x16xf32>, !tile.memory<64xf32>
}

// Of a transposed load: rows of the tile are columns of memory.
// CHECK-LABEL: tile.kernel @of_transposed
// CHECK-DAG: %[[C3:.*]] = arith.constant 3 : index
// CHECK-DAG: %[[C5:.*]] = arith.constant 5 : index
// CHECK-DAG: %[[ROW:.*]] = arith.addi %{{.*}}, %[[C5]]
// CHECK-DAG: %[[COLUMN:.*]] = arith.addi %{{.*}}, %[[C3]]
// CHECK: tile.load %{{.*}}[%[[ROW]], %[[COLUMN]]] transposed
// CHECK-NOT: tile.window
// CHECK: tile.store
tile.kernel @of_transposed(%x: !tile.memory<16xf32>, %y: !tile.memory<64xf32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %t = tile.load %x[%c0, %c0] transposed : !tile.memory<16xf32> -> !tile.tile<16x64xf32>
  %w = tile.window %t[3, 5] : !tile.tile<16x64xf32> -> !tile.tile<4x16xf32>
  tile.store %w, %y[%c0, %c0] : !tile.tile<4x16xf32>, !tile.memory<64xf32>
}

// Through a map to what it reads: a column keeps its one column, a splat has no place, an index starts later.
// CHECK-LABEL: tile.kernel @through_map
// CHECK: tile.load {{.*}} -> !tile.tile<4x16xf32>
// CHECK: tile.load {{.*}} -> !tile.tile<4x1xf32>
// CHECK: tile.splat %{{.*}} : f32 -> !tile.tile<4x16xf32>
// CHECK: tile.map {{.*}} -> !tile.tile<4x16xf32>
// CHECK: %[[I:.*]] = tile.index 0
// CHECK: %[[C3:.*]] = arith.constant 3 : i32
// CHECK: arith.addi %[[I]], %[[C3]] : i32
// CHECK-NOT: tile.window
// CHECK: tile.store
tile.kernel @through_map(%x: !tile.memory<64xf32>, %c: !tile.memory<1xf32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %two = arith.constant 2.0 : f32
  %t = tile.load %x[%c0, %c0] : !tile.memory<64xf32> -> !tile.tile<16x64xf32>
  %d = tile.load %c[%c0, %c0] : !tile.memory<1xf32> -> !tile.tile<16x1xf32>
  %s = tile.splat %two : f32 -> !tile.tile<16x64xf32>
  %u = tile.map (%a = %t : !tile.tile<16x64xf32>, %b = %d : !tile.tile<16x1xf32>, %e = %s : !tile.tile<16x64xf32>) -> !tile.tile<16x64xf32> {
    %i = tile.index 0
    %f = arith.sitofp %i : i32 to f32
    %m = arith.mulf %a, %b : f32
    %n = arith.mulf %m, %e : f32
    %r = arith.addf %n, %f : f32
    tile.yield %r : f32
  }
  %w = tile.window %u[3, 5] : !tile.tile<16x64xf32> -> !tile.tile<4x16xf32>
  tile.store %w, %x[%c0, %c0] : !tile.tile<4x16xf32>, !tile.memory<64xf32>
}

// Memory that may be written in between is not read later.
// CHECK-LABEL: tile.kernel @written
// CHECK: tile.load {{.*}} -> !tile.tile<16x64xf32>
// CHECK: tile.store
// CHECK-NEXT: tile.window
tile.kernel @written(%x: !tile.memory<64xf32>, %y: !tile.memory<64xf32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0.0 : f32
  %z = tile.splat %zero : f32 -> !tile.tile<16x64xf32>
  %t = tile.load %x[%c0, %c0] : !tile.memory<64xf32> -> !tile.tile<16x64xf32>
  tile.store %z, %x[%c0, %c0] : !tile.tile<16x64xf32>, !tile.memory<64xf32>
  %w = tile.window %t[3, 5] : !tile.tile<16x64xf32> -> !tile.tile<4x16xf32>
  tile.store %w, %y[%c0, %c0] : !tile.tile<4x16xf32>, !tile.memory<64xf32>
}

// A map that is needed whole is computed once, and what a reduction leaves is not cut before it is there.
// CHECK-LABEL: tile.kernel @stays
// CHECK-COUNT-1: tile.map
// CHECK-NOT: tile.map
// CHECK: tile.window {{.*}} -> !tile.tile<4x16xf32>
// CHECK: tile.reduce
// CHECK-NEXT: tile.window {{.*}} -> !tile.tile<4x1xf32>
tile.kernel @stays(%x: !tile.memory<64xf32>, %y: !tile.memory<64xf32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %t = tile.load %x[%c0, %c0] : !tile.memory<64xf32> -> !tile.tile<16x64xf32>
  %u = tile.map (%a = %t : !tile.tile<16x64xf32>) -> !tile.tile<16x64xf32> {
    %e = math.exp %a : f32
    tile.yield %e : f32
  }
  tile.store %u, %y[%c0, %c0] : !tile.tile<16x64xf32>, !tile.memory<64xf32>
  %w = tile.window %u[3, 5] : !tile.tile<16x64xf32> -> !tile.tile<4x16xf32>
  tile.store %w, %x[%c0, %c0] : !tile.tile<4x16xf32>, !tile.memory<64xf32>
  %s = tile.reduce add %u along 1 : !tile.tile<16x64xf32> -> !tile.tile<16x1xf32>
  %v = tile.window %s[3, 0] : !tile.tile<16x1xf32> -> !tile.tile<4x1xf32>
  tile.store %v, %y[%c0, %c0] : !tile.tile<4x1xf32>, !tile.memory<64xf32>
}

// The first columns of an operand that stands whole for another product are read where it stands; columns from the middle
// are loaded by themselves.
// CHECK-LABEL: tile.kernel @part_of_operand
// CHECK: %[[K:.*]] = tile.load %{{.*}}[%c0, %c0] {{.*}} -> !tile.tile<64x128xf32>
// CHECK: tile.mma %{{.*}}, transpose_rhs %[[K]]
// CHECK: %[[V:.*]] = tile.window %[[K]][0, 0] {{.*}} -> !tile.tile<64x64xf32>
// CHECK: tile.mma %{{.*}}, %[[V]]
// CHECK: tile.load %{{.*}} -> !tile.tile<64x64xf32>
// CHECK-NOT: tile.window
tile.kernel @part_of_operand(%x: !tile.memory<128xf32>, %y: !tile.memory<64xf32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %q = tile.load %y[%c0, %c0] : !tile.memory<64xf32> -> !tile.tile<64x64xf32>
  %p = tile.map (%a = %q : !tile.tile<64x64xf32>) -> !tile.tile<64x64xf32> {
    %e = math.exp %a : f32
    tile.yield %e : f32
  }
  %w = tile.load %x[%c0, %c0] : !tile.memory<128xf32> -> !tile.tile<16x128xf32>
  %k = tile.load %x[%c0, %c0] : !tile.memory<128xf32> -> !tile.tile<64x128xf32>
  %s = tile.mma %w, transpose_rhs %k : !tile.tile<16x128xf32>, !tile.tile<64x128xf32> -> !tile.tile<16x64xf32>
  %v = tile.window %k[0, 0] : !tile.tile<64x128xf32> -> !tile.tile<64x64xf32>
  %o = tile.mma %p, %v acc %p : !tile.tile<64x64xf32>, !tile.tile<64x64xf32>, !tile.tile<64x64xf32> -> !tile.tile<64x64xf32>
  %m = tile.window %k[0, 64] : !tile.tile<64x128xf32> -> !tile.tile<64x64xf32>
  %r = tile.mma %p, %m acc %o : !tile.tile<64x64xf32>, !tile.tile<64x64xf32>, !tile.tile<64x64xf32> -> !tile.tile<64x64xf32>
  tile.store %s, %y[%c0, %c0] : !tile.tile<16x64xf32>, !tile.memory<64xf32>
  tile.store %r, %y[%c0, %c0] : !tile.tile<64x64xf32>, !tile.memory<64xf32>
}

// Panels of a block that one kernel hands to another are read where it stands, from the middle, too: it comes by one copy.
// Columns that are no panels are loaded by themselves.
// CHECK-LABEL: tile.kernel @panels_of_block
// CHECK: %[[ALL:.*]] = tile.load %{{.*}}[%c0, %c0] {{.*}} -> !tile.tile<64x192xf32>
// CHECK: %[[K:.*]] = tile.window %[[ALL]][0, 0] {{.*}} -> !tile.tile<64x64xf32>
// CHECK: tile.mma %{{.*}}, transpose_rhs %[[K]]
// CHECK: %[[Q:.*]] = tile.window %[[ALL]][0, 64] {{.*}} -> !tile.tile<64x64xf32>
// CHECK: tile.mma %{{.*}}, transpose_rhs %[[Q]]
// CHECK: %[[R:.*]] = tile.load %{{.*}} -> !tile.tile<64x64xf32>
// CHECK: tile.mma %{{.*}}, %[[R]]
tile.kernel @panels_of_block(%x: !tile.pages<2x64x192xbf16>, %y: !tile.memory<64xf32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %block = tile.block %x[%item, %c0] : !tile.pages<2x64x192xbf16> -> !tile.memory<192xbf16>
  %p = tile.load %y[%c0, %c0] : !tile.memory<64xf32> -> !tile.tile<64x64xf32>
  %all = tile.load %block[%c0, %c0] : !tile.memory<192xbf16> -> !tile.tile<64x192xf32>
  %k = tile.window %all[0, 0] : !tile.tile<64x192xf32> -> !tile.tile<64x64xf32>
  %s = tile.mma %p, transpose_rhs %k : !tile.tile<64x64xf32>, !tile.tile<64x64xf32> -> !tile.tile<64x64xf32>
  %q = tile.window %all[0, 64] : !tile.tile<64x192xf32> -> !tile.tile<64x64xf32>
  %t = tile.mma %s, transpose_rhs %q : !tile.tile<64x64xf32>, !tile.tile<64x64xf32> -> !tile.tile<64x64xf32>
  %r = tile.window %all[0, 96] : !tile.tile<64x192xf32> -> !tile.tile<64x64xf32>
  %u = tile.mma %t, %r : !tile.tile<64x64xf32>, !tile.tile<64x64xf32> -> !tile.tile<64x64xf32>
  tile.store %u, %y[%c0, %c0] : !tile.tile<64x64xf32>, !tile.memory<64xf32>
}

// Of a memory in blocks whole blocks are loaded: rows and blocks of the window, but no part of one.
// CHECK-LABEL: tile.kernel @of_blocks
tile.kernel @of_blocks(%x: !tile.memory<96x!model.q8_0>, %y: !tile.memory<32xf32>, %z: !tile.memory<20xf32>)
    items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  // CHECK-DAG: %[[ALL:.*]] = tile.load %{{.*}} -> !tile.tile<6x96xf32>
  // CHECK-DAG: tile.window %[[ALL]][1, 24] : !tile.tile<6x96xf32> -> !tile.tile<5x20xf32>
  // CHECK-DAG: tile.load %{{.*}}[%{{.*}}, %{{.*}}] : !tile.memory<96x!model.q8_0> -> !tile.tile<4x32xf32>
  %all = tile.load %x[%c0, %c0] : !tile.memory<96x!model.q8_0> -> !tile.tile<6x96xf32>
  %v = tile.window %all[2, 32] : !tile.tile<6x96xf32> -> !tile.tile<4x32xf32>
  tile.store %v, %y[%c0, %c0] : !tile.tile<4x32xf32>, !tile.memory<32xf32>
  %w = tile.window %all[1, 24] : !tile.tile<6x96xf32> -> !tile.tile<5x20xf32>
  tile.store %w, %z[%c0, %c0] : !tile.tile<5x20xf32>, !tile.memory<20xf32>
}
