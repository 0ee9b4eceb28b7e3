// RUN: denim-opt %s --convert-tile-to-cpu=target=x86-64-v4 | FileCheck %s

// A round takes exponentials of 4 x 16 elements: with row %i of them it asks, into the second cache, for that row of
// the next round.
// CHECK-LABEL: llvm.func @chunks
// CHECK: scf.for %[[ROW:[a-z0-9]+]] = %{{.*}} to %{{.*}} step %c4
// CHECK-NOT: prefetch
// CHECK: scf.for %[[I:[a-z0-9]+]] = %c0{{.*}} to %c4{{.*}} step
// CHECK: %[[NOW:.*]] = arith.index_cast %[[ROW]] : index to i64
// CHECK: %[[STEP:.*]] = arith.constant 4 : i64
// CHECK: %[[THEN:.*]] = arith.addi %[[NOW]], %[[STEP]]
// CHECK: %[[AT:.*]] = arith.addi %[[THEN]], %[[I]]
// CHECK: %[[WIDTH:.*]] = arith.constant 16 : i64
// CHECK: %[[ELEMENT:.*]] = arith.muli %[[AT]], %[[WIDTH]]
// CHECK: %[[POINTER:.*]] = llvm.getelementptr %{{.*}}[%[[ELEMENT]]] : (!llvm.ptr, i64) -> !llvm.ptr, f32
// CHECK: "llvm.intr.prefetch"(%[[POINTER]]) <{cache = 1 : i32, hint = 2 : i32, rw = 0 : i32}>
// CHECK: math.exp
// CHECK-NOT: prefetch
tile.kernel @chunks(%x: !tile.memory<16xf32>, %y: !tile.memory<16xf32>) items <sequences by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %c4 = arith.constant 4 : index
  %begin, %end, %past = tile.sequence %item
  scf.for %row = %begin to %end step %c4 {
    %t = tile.load %x[%row, %c0] within [%begin, %end] : !tile.memory<16xf32> -> !tile.tile<4x16xf32>
    %e = tile.map (%a = %t : !tile.tile<4x16xf32>) -> !tile.tile<4x16xf32> {
      %r = math.exp %a : f32
      tile.yield %r : f32
    }
    tile.store %e, %y[%row, %c0] within [%begin, %end] : !tile.tile<4x16xf32>, !tile.memory<16xf32>
  }
}

// Rows that are read where they stand, on one side of a branch.
// CHECK-LABEL: llvm.func @one_side
// CHECK: scf.for
// CHECK: scf.if
// CHECK: scf.for
// CHECK: "llvm.intr.prefetch"
// CHECK: math.exp
// CHECK: } else {
// CHECK-NOT: prefetch
// CHECK: llvm.return
tile.kernel @one_side(%x: !tile.memory<16xf32>, %y: !tile.memory<16xf32>) items <sequences by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %c4 = arith.constant 4 : index
  %begin, %end, %past = tile.sequence %item
  scf.for %row = %begin to %end step %c4 {
    %left = arith.subi %end, %row : index
    %all = arith.cmpi sge, %left, %c4 : index
    scf.if %all {
      %t = tile.load %x[%row, %c0] : !tile.memory<16xf32> -> !tile.tile<4x16xf32>
      %e = tile.map (%a = %t : !tile.tile<4x16xf32>) -> !tile.tile<4x16xf32> {
        %r = math.exp %a : f32
        tile.yield %r : f32
      }
      tile.store %e, %y[%row, %c0] : !tile.tile<4x16xf32>, !tile.memory<16xf32>
    } else {
      scf.for %one = %row to %end step %c4 {
        %t = tile.load %y[%one, %c0] within [%row, %end] : !tile.memory<16xf32> -> !tile.tile<4x16xf32>
        tile.store %t, %y[%one, %c0] within [%row, %end] : !tile.tile<4x16xf32>, !tile.memory<16xf32>
      }
    }
  }
}

// What one side reads is not asked for by the other, where its address is not known.
// CHECK-LABEL: llvm.func @other_side
// CHECK-NOT: prefetch
// CHECK: llvm.return
tile.kernel @other_side(%x: !tile.memory<16xf32>, %y: !tile.memory<16xf32>) items <sequences by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %c4 = arith.constant 4 : index
  %begin, %end, %past = tile.sequence %item
  %one = tile.load %x[%begin, %c0] within [%begin, %end] : !tile.memory<16xf32> -> !tile.tile<4x16xf32>
  scf.for %row = %begin to %end step %c4 {
    %left = arith.subi %end, %row : index
    %all = arith.cmpi sge, %left, %c4 : index
    scf.if %all {
      %t = tile.load %x[%row, %c0] : !tile.memory<16xf32> -> !tile.tile<4x16xf32>
      tile.store %t, %y[%row, %c0] : !tile.tile<4x16xf32>, !tile.memory<16xf32>
    } else {
      %e = tile.map (%a = %one : !tile.tile<4x16xf32>) -> !tile.tile<4x16xf32> {
        %r = math.exp %a : f32
        tile.yield %r : f32
      }
      tile.store %e, %y[%row, %c0] within [%begin, %end] : !tile.tile<4x16xf32>, !tile.memory<16xf32>
    }
  }
}

// Nothing is asked for by what has little to compute, for rows that every round reads, or for one row.
// CHECK-LABEL: llvm.func @no_chunks
// CHECK-NOT: prefetch
// CHECK: llvm.return
tile.kernel @no_chunks(%x: !tile.memory<16xf32>, %y: !tile.memory<16xf32>) items <sequences by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %c4 = arith.constant 4 : index
  %begin, %end, %past = tile.sequence %item
  scf.for %row = %begin to %end step %c4 {
    %t = tile.load %x[%row, %c0] within [%begin, %end] : !tile.memory<16xf32> -> !tile.tile<4x16xf32>
    %same = tile.load %x[%begin, %c0] within [%begin, %end] : !tile.memory<16xf32> -> !tile.tile<8x16xf32>
    %one = tile.load %x[%row, %c0] within [%begin, %end] : !tile.memory<16xf32> -> !tile.tile<1x16xf32>
    %n = tile.map (%a = %t : !tile.tile<4x16xf32>) -> !tile.tile<4x16xf32> {
      %r = arith.negf %a : f32
      tile.yield %r : f32
    }
    %e = tile.map (%a = %same : !tile.tile<8x16xf32>) -> !tile.tile<8x16xf32> {
      %r = math.exp %a : f32
      tile.yield %r : f32
    }
    %f = tile.map (%a = %one : !tile.tile<1x16xf32>) -> !tile.tile<1x16xf32> {
      %r = math.exp %a : f32
      tile.yield %r : f32
    }
    tile.store %n, %y[%row, %c0] within [%begin, %end] : !tile.tile<4x16xf32>, !tile.memory<16xf32>
    tile.store %e, %y[%row, %c0] within [%begin, %end] : !tile.tile<8x16xf32>, !tile.memory<16xf32>
    tile.store %f, %y[%row, %c0] within [%begin, %end] : !tile.tile<1x16xf32>, !tile.memory<16xf32>
  }
}
