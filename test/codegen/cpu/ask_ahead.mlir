// RUN: denim-opt %s --convert-tile-to-cpu=target=x86-64-v4 | FileCheck %s

// A round takes exponentials of 4 x 16 elements. With each vector it asks, into the second cache, for two lines: in turn
// those that the next round reads and those that it writes; in the last round for lines that are there.
// CHECK-LABEL: llvm.func @chunks
// CHECK: %[[X:.*]] = llvm.load %arg1
// CHECK: %[[Y:.*]] = llvm.load %{{.*}} : !llvm.ptr -> !llvm.ptr
// CHECK: scf.for %{{.*}} step %c4
// CHECK-NOT: prefetch
// CHECK: %[[GOES_ON:.*]] = arith.cmpi slt,
// CHECK: %[[BY:.*]] = arith.select %[[GOES_ON]], %c4_i64{{.*}}, %c0_i64
// CHECK: %[[THEN:.*]] = arith.addi %{{.*}}, %[[BY]]
// CHECK: %[[ELEMENT:.*]] = arith.muli %[[THEN]]
// CHECK: %[[FIRST_READ:.*]] = llvm.getelementptr %[[X]][%[[ELEMENT]]] : (!llvm.ptr, i64) -> !llvm.ptr, f32
// CHECK: %[[FIRST_WRITTEN:.*]] = llvm.getelementptr %[[Y]]
// CHECK: scf.for %[[I:[a-z0-9]+]] = %c0{{.*}} to %c4{{.*}} step
// CHECK: %[[READ:.*]] = llvm.getelementptr %[[FIRST_READ]][%[[OFFSET:.*]]] : (!llvm.ptr, i64) -> !llvm.ptr, i8
// CHECK: %[[FROM_SAME:.*]] = llvm.getelementptr %[[FIRST_WRITTEN]][-1024]
// CHECK: %[[WRITTEN:.*]] = llvm.getelementptr %[[FROM_SAME]][%{{.*}}] : (!llvm.ptr, i64) -> !llvm.ptr, i8
// CHECK: %[[IS_READ:.*]] = arith.cmpi slt, %{{.*}}, %c4_i64
// CHECK: %[[LINE:.*]] = arith.select %[[IS_READ]], %[[READ]], %[[WRITTEN]]
// CHECK: "llvm.intr.prefetch"(%[[LINE]]) <{cache = 1 : i32, hint = 2 : i32, rw = 0 : i32}>
// CHECK-COUNT-1: "llvm.intr.prefetch"
// CHECK-NOT: prefetch
// CHECK: math.exp
// CHECK-NOT: prefetch
tile.kernel @chunks(%x: !tile.memory<64xf32>, %y: !tile.memory<64xf32>) items <sequences by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %c4 = arith.constant 4 : index
  %begin, %end, %past = tile.sequence %item
  scf.for %row = %begin to %end step %c4 {
    %t = tile.load %x[%row, %c0] within [%begin, %end] : !tile.memory<64xf32> -> !tile.tile<4x16xf32>
    %e = tile.map (%a = %t : !tile.tile<4x16xf32>) -> !tile.tile<4x16xf32> {
      %r = math.exp %a : f32
      tile.yield %r : f32
    }
    tile.store %e, %y[%row, %c0] within [%begin, %end] : !tile.tile<4x16xf32>, !tile.memory<64xf32>
  }
}

// There are 64 lines: 16 rows of two are read, and as many written. The first product takes three quarters of the time and
// asks in its 48 rounds for all that are read and half of those written; the second one has the rest.
// CHECK-LABEL: llvm.func @products
// CHECK: scf.for %{{.*}} step %c16
// CHECK: iter_args
// CHECK: %[[READ:.*]] = arith.constant 32 : i64
// CHECK-NEXT: %[[IS_READ:.*]] = arith.cmpi slt, %{{.*}}, %[[READ]]
// CHECK-NEXT: %[[LINE:.*]] = arith.select %[[IS_READ]]
// CHECK-NEXT: "llvm.intr.prefetch"(%[[LINE]])
// CHECK-NOT: "llvm.intr.prefetch"
// CHECK: vector.fma
// CHECK: iter_args
// CHECK-COUNT-1: "llvm.intr.prefetch"
// CHECK-NOT: "llvm.intr.prefetch"
// CHECK: vector.fma
// CHECK: llvm.return
tile.kernel @products(%x: !tile.memory<96xf32>, %y: !tile.memory<96xf32>, %v: !tile.memory<96xf32>, %w: !tile.memory<32xf32>) items <sequences by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %c16 = arith.constant 16 : index
  %begin, %end, %past = tile.sequence %item
  %m = tile.load %w[%c0, %c0] : !tile.memory<32xf32> -> !tile.tile<96x32xf32>
  %n = tile.load %w[%c0, %c0] : !tile.memory<32xf32> -> !tile.tile<32x32xf32>
  %wide = tile.load %v[%c0, %c0] : !tile.memory<96xf32> -> !tile.tile<16x96xf32>
  scf.for %row = %begin to %end step %c16 {
    %t = tile.load %x[%row, %c0] within [%begin, %end] : !tile.memory<96xf32> -> !tile.tile<16x32xf32>
    %p = tile.mma %wide, %m acc %t : !tile.tile<16x96xf32>, !tile.tile<96x32xf32>, !tile.tile<16x32xf32> -> !tile.tile<16x32xf32>
    %q = tile.mma %p, %n : !tile.tile<16x32xf32>, !tile.tile<32x32xf32> -> !tile.tile<16x32xf32>
    tile.store %q, %y[%row, %c0] within [%begin, %end] : !tile.tile<16x32xf32>, !tile.memory<96xf32>
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
tile.kernel @one_side(%x: !tile.memory<64xf32>, %y: !tile.memory<64xf32>) items <sequences by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %c4 = arith.constant 4 : index
  %begin, %end, %past = tile.sequence %item
  scf.for %row = %begin to %end step %c4 {
    %left = arith.subi %end, %row : index
    %all = arith.cmpi sge, %left, %c4 : index
    scf.if %all {
      %t = tile.load %x[%row, %c0] : !tile.memory<64xf32> -> !tile.tile<4x16xf32>
      %e = tile.map (%a = %t : !tile.tile<4x16xf32>) -> !tile.tile<4x16xf32> {
        %r = math.exp %a : f32
        tile.yield %r : f32
      }
      tile.store %e, %y[%row, %c0] : !tile.tile<4x16xf32>, !tile.memory<64xf32>
    } else {
      scf.for %one = %row to %end step %c4 {
        %t = tile.load %y[%one, %c0] within [%row, %end] : !tile.memory<64xf32> -> !tile.tile<4x16xf32>
        tile.store %t, %y[%one, %c0] within [%row, %end] : !tile.tile<4x16xf32>, !tile.memory<64xf32>
      }
    }
  }
}

// What is read in front of a branch is asked for by the side that computes; what the other side reads is not.
// CHECK-LABEL: llvm.func @before_branch
// CHECK: scf.if
// CHECK-NOT: prefetch
// CHECK: } else {
// CHECK-COUNT-1: "llvm.intr.prefetch"
// CHECK: math.exp
// CHECK-NOT: prefetch
// CHECK: llvm.return
tile.kernel @before_branch(%x: !tile.memory<64xf32>, %y: !tile.memory<64xf32>, %z: !tile.memory<16xf32>) items <sequences by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %c4 = arith.constant 4 : index
  %begin, %end, %past = tile.sequence %item
  scf.for %row = %begin to %end step %c4 {
    %t = tile.load %x[%row, %c0] within [%begin, %end] : !tile.memory<64xf32> -> !tile.tile<4x16xf32>
    %left = arith.subi %end, %row : index
    %all = arith.cmpi sge, %left, %c4 : index
    scf.if %all {
      %u = tile.load %y[%row, %c0] : !tile.memory<64xf32> -> !tile.tile<4x16xf32>
      tile.store %u, %z[%row, %c0] : !tile.tile<4x16xf32>, !tile.memory<16xf32>
    } else {
      %e = tile.map (%a = %t : !tile.tile<4x16xf32>) -> !tile.tile<4x16xf32> {
        %r = math.exp %a : f32
        tile.yield %r : f32
      }
      tile.store %e, %z[%row, %c0] within [%begin, %end] : !tile.tile<4x16xf32>, !tile.memory<16xf32>
    }
  }
}

// Rows that begin in front of the round's, as log decays do, go along as well.
// CHECK-LABEL: llvm.func @from_row_before
// CHECK: scf.for
// CHECK: "llvm.intr.prefetch"
// CHECK: math.exp
// CHECK: llvm.return
tile.kernel @from_row_before(%x: !tile.memory<64xf32>, %y: !tile.memory<16xf32>) items <sequences by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %begin, %end, %past = tile.sequence %item
  scf.for %row = %begin to %end step %c4 {
    %first = arith.subi %row, %c1 : index
    %t = tile.load %x[%first, %c0] within [%begin, %end] : !tile.memory<64xf32> -> !tile.tile<4x16xf32>
    %e = tile.map (%a = %t : !tile.tile<4x16xf32>) -> !tile.tile<4x16xf32> {
      %r = math.exp %a : f32
      tile.yield %r : f32
    }
    tile.store %e, %y[%row, %c0] within [%begin, %end] : !tile.tile<4x16xf32>, !tile.memory<16xf32>
  }
}

// Nothing is asked for by what has little to compute.
// CHECK-LABEL: llvm.func @computes_little
// CHECK-NOT: prefetch
// CHECK: llvm.return
tile.kernel @computes_little(%x: !tile.memory<64xf32>, %y: !tile.memory<64xf32>) items <sequences by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %c4 = arith.constant 4 : index
  %begin, %end, %past = tile.sequence %item
  scf.for %row = %begin to %end step %c4 {
    %t = tile.load %x[%row, %c0] within [%begin, %end] : !tile.memory<64xf32> -> !tile.tile<4x16xf32>
    %n = tile.map (%a = %t : !tile.tile<4x16xf32>) -> !tile.tile<4x16xf32> {
      %r = arith.negf %a : f32
      tile.yield %r : f32
    }
    tile.store %n, %y[%row, %c0] within [%begin, %end] : !tile.tile<4x16xf32>, !tile.memory<64xf32>
  }
}

// Nor in front of the last rows that are read, where addresses need not be known; nor for rows that every round reads,
// for one row, for rows that follow each other and for less than a line of each.
// CHECK-LABEL: llvm.func @no_chunks
// CHECK-NOT: prefetch
// CHECK: llvm.return
tile.kernel @no_chunks(%x: !tile.memory<64xf32>, %y: !tile.memory<16xf32>) items <sequences by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %c4 = arith.constant 4 : index
  %begin, %end, %past = tile.sequence %item
  scf.for %row = %begin to %end step %c4 {
    %same = tile.load %x[%begin, %c0] within [%begin, %end] : !tile.memory<64xf32> -> !tile.tile<8x16xf32>
    %one = tile.load %x[%row, %c0] within [%begin, %end] : !tile.memory<64xf32> -> !tile.tile<1x16xf32>
    %less = tile.load %x[%row, %c0] within [%begin, %end] : !tile.memory<64xf32> -> !tile.tile<4x15xf32>
    %all = tile.load %y[%row, %c0] within [%begin, %end] : !tile.memory<16xf32> -> !tile.tile<4x16xf32>
    %e = tile.map (%a = %same : !tile.tile<8x16xf32>) -> !tile.tile<8x16xf32> {
      %r = math.exp %a : f32
      tile.yield %r : f32
    }
    %f = tile.map (%a = %one : !tile.tile<1x16xf32>) -> !tile.tile<1x16xf32> {
      %r = math.exp %a : f32
      tile.yield %r : f32
    }
    %g = tile.map (%a = %less : !tile.tile<4x15xf32>) -> !tile.tile<4x15xf32> {
      %r = math.exp %a : f32
      tile.yield %r : f32
    }
    %t = tile.load %x[%row, %c4] within [%begin, %end] : !tile.memory<64xf32> -> !tile.tile<4x16xf32>
    tile.store %e, %y[%begin, %c0] within [%begin, %end] : !tile.tile<8x16xf32>, !tile.memory<16xf32>
    tile.store %f, %y[%row, %c0] within [%begin, %end] : !tile.tile<1x16xf32>, !tile.memory<16xf32>
    tile.store %g, %y[%row, %c0] within [%begin, %end] : !tile.tile<4x15xf32>, !tile.memory<16xf32>
    tile.store %t, %y[%row, %c0] within [%begin, %end] : !tile.tile<4x16xf32>, !tile.memory<16xf32>
    tile.store %all, %y[%row, %c0] within [%begin, %end] : !tile.tile<4x16xf32>, !tile.memory<16xf32>
  }
}

// Nor by who computes so long for each line that memory keeps up: 8 x 32 x 512 steps of a vector for 16 lines.
// CHECK-LABEL: llvm.func @computes_long
// CHECK-NOT: prefetch
// CHECK: llvm.return
tile.kernel @computes_long(%x: !tile.memory<512xf32>, %y: !tile.memory<512xf32>, %w: !tile.memory<16xf32>) items <sequences by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %c16 = arith.constant 16 : index
  %begin, %end, %past = tile.sequence %item
  %m = tile.load %w[%c0, %c0] : !tile.memory<16xf32> -> !tile.tile<512x16xf32>
  scf.for %row = %begin to %end step %c16 {
    %t = tile.load %x[%row, %c0] within [%begin, %end] : !tile.memory<512xf32> -> !tile.tile<16x512xf32>
    %p = tile.mma %t, %m : !tile.tile<16x512xf32>, !tile.tile<512x16xf32> -> !tile.tile<16x16xf32>
    tile.store %p, %y[%row, %c0] within [%begin, %end] : !tile.tile<16x16xf32>, !tile.memory<512xf32>
  }
}

// Two maps have 16 rounds each for four lines: the first leaves them to the second.
// CHECK-LABEL: llvm.func @leaves_to_next
// CHECK-NOT: prefetch
// CHECK: math.exp
// CHECK-NOT: prefetch
// CHECK: scf.for
// CHECK: "llvm.intr.prefetch"
// CHECK: math.exp
// CHECK-NOT: prefetch
// CHECK: llvm.return
tile.kernel @leaves_to_next(%x: !tile.memory<64xf32>, %y: !tile.memory<16xf32>) items <sequences by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %c4 = arith.constant 4 : index
  %c16 = arith.constant 16 : index
  %begin, %end, %past = tile.sequence %item
  %t = tile.load %y[%begin, %c0] within [%begin, %end] : !tile.memory<16xf32> -> !tile.tile<16x16xf32>
  scf.for %row = %begin to %end step %c4 {
    %u = tile.load %x[%row, %c0] within [%begin, %end] : !tile.memory<64xf32> -> !tile.tile<4x16xf32>
    %e = tile.map (%a = %t : !tile.tile<16x16xf32>) -> !tile.tile<16x16xf32> {
      %r = math.exp %a : f32
      tile.yield %r : f32
    }
    tile.store %e, %y[%c16, %c0] : !tile.tile<16x16xf32>, !tile.memory<16xf32>
    %f = tile.map (%a = %e : !tile.tile<16x16xf32>) -> !tile.tile<16x16xf32> {
      %r = math.exp %a : f32
      tile.yield %r : f32
    }
    tile.store %f, %y[%c0, %c0] : !tile.tile<16x16xf32>, !tile.memory<16xf32>
    tile.store %u, %y[%row, %c0] : !tile.tile<4x16xf32>, !tile.memory<16xf32>
  }
}
