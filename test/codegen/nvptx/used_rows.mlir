// RUN: denim-opt %s --convert-tile-to-nvptx | FileCheck %s

// Four warps hold 64 x 64 in 32 registers of each thread, half of them for the first eight rows of a slab. Four rows are stored:
// of what they are made of, also by turns of a loop and through a sum along the columns, the other half is not computed.
// CHECK-LABEL: llvm.func @four(
// CHECK: scf.for
// CHECK-COUNT-16: ex2.approx
// CHECK-NOT: ex2.approx
// CHECK: scf.yield
// CHECK-COUNT-16: math.absf
// CHECK-NOT: math.absf
// CHECK: llvm.return
tile.kernel @four(%x: !tile.memory<64xf32>, %y: !tile.memory<64xf32>) items <tokens by 64 times 1> at %item {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %row = arith.muli %item, %c4 : index
  %end = arith.addi %row, %c4 : index
  %t0 = tile.load %x[%row, %c0] : !tile.memory<64xf32> -> !tile.tile<64x64xf32>
  %t = scf.for %i = %c0 to %c4 step %c1 iter_args(%a = %t0) -> (!tile.tile<64x64xf32>) {
    %e = tile.map (%u = %a : !tile.tile<64x64xf32>) -> !tile.tile<64x64xf32> {
      %0 = math.exp2 %u : f32
      tile.yield %0 : f32
    }
    scf.yield %e : !tile.tile<64x64xf32>
  }
  %b = tile.map (%u = %t : !tile.tile<64x64xf32>) -> !tile.tile<64x64xf32> {
    %0 = math.absf %u : f32
    tile.yield %0 : f32
  }
  %s = tile.reduce add %b along 1 : !tile.tile<64x64xf32> -> !tile.tile<64x1xf32>
  tile.store %t, %y[%row, %c0] within [%row, %end] : !tile.tile<64x64xf32>, !tile.memory<64xf32>
  tile.store %s, %y[%row, %c0] within [%row, %end] : !tile.tile<64x1xf32>, !tile.memory<64xf32>
}

// Products: the words of the left operand of rows 8 to 15, every second one, are zero and are not packed.
// CHECK-LABEL: llvm.func @product(
// CHECK-COUNT-8: cvt.rn.bf16x2.f32
// CHECK-NOT: cvt.rn.bf16x2.f32
// CHECK: wgmma.mma_async
// CHECK-NOT: cvt.rn.bf16x2.f32
// CHECK: llvm.return
tile.kernel @product(%x: !tile.memory<64xf32>, %w: !tile.memory<64xbf16>, %y: !tile.memory<64xf32>) items <tokens by 64 times 1> at %item {
  %c0 = arith.constant 0 : index
  %c8 = arith.constant 8 : index
  %end = arith.addi %item, %c8 : index
  %a = tile.load %x[%item, %c0] : !tile.memory<64xf32> -> !tile.tile<64x64xf32>
  %e = tile.map (%u = %a : !tile.tile<64x64xf32>) -> !tile.tile<64x64xf32> {
    %0 = math.absf %u : f32
    tile.yield %0 : f32
  }
  %b = tile.load %w[%c0, %c0] : !tile.memory<64xbf16> -> !tile.tile<64x64xf32>
  %p = tile.mma %e, %b : !tile.tile<64x64xf32>, !tile.tile<64x64xf32> -> !tile.tile<64x64xf32>
  tile.store %p, %y[%item, %c0] within [%item, %end] : !tile.tile<64x64xf32>, !tile.memory<64xf32>
}

// Nothing is left out where nine rows are stored, for these stand in both halves; where the bounds are not a constant apart; where
// rows become columns; and where another op asks for all.
// CHECK-LABEL: llvm.func @all(
// CHECK-COUNT-32: ex2.approx
// CHECK-NOT: ex2.approx
// CHECK-COUNT-32: math.absf
// CHECK-NOT: math.absf
// CHECK-COUNT-32: math.floor
// CHECK-NOT: math.floor
// CHECK-COUNT-32: math.ceil
// CHECK-NOT: math.ceil
// CHECK: llvm.return
tile.kernel @all(%x: !tile.memory<64xf32>, %y: !tile.memory<64xf32>) items <tokens by 64 times 1> at %item {
  %c0 = arith.constant 0 : index
  %c4 = arith.constant 4 : index
  %c9 = arith.constant 9 : index
  %four = arith.addi %item, %c4 : index
  %nine = arith.addi %item, %c9 : index
  %tokens = tile.count tokens
  %a = tile.load %x[%item, %c0] : !tile.memory<64xf32> -> !tile.tile<64x64xf32>
  %b = tile.map (%u = %a : !tile.tile<64x64xf32>) -> !tile.tile<64x64xf32> {
    %0 = math.exp2 %u : f32
    tile.yield %0 : f32
  }
  tile.store %b, %y[%item, %c0] within [%item, %nine] : !tile.tile<64x64xf32>, !tile.memory<64xf32>
  %c = tile.map (%u = %a : !tile.tile<64x64xf32>) -> !tile.tile<64x64xf32> {
    %0 = math.absf %u : f32
    tile.yield %0 : f32
  }
  tile.store %c, %y[%item, %c0] within [%item, %tokens] : !tile.tile<64x64xf32>, !tile.memory<64xf32>
  %d = tile.map (%u = %a : !tile.tile<64x64xf32>) -> !tile.tile<64x64xf32> {
    %0 = math.floor %u : f32
    tile.yield %0 : f32
  }
  %e = tile.transpose %d : !tile.tile<64x64xf32> -> !tile.tile<64x64xf32>
  tile.store %e, %y[%item, %c0] within [%item, %four] : !tile.tile<64x64xf32>, !tile.memory<64xf32>
  %f = tile.map (%u = %a : !tile.tile<64x64xf32>) -> !tile.tile<64x64xf32> {
    %0 = math.ceil %u : f32
    tile.yield %0 : f32
  }
  %s = tile.reduce add %f along 0 : !tile.tile<64x64xf32> -> !tile.tile<1x64xf32>
  tile.store %f, %y[%item, %c0] within [%item, %four] : !tile.tile<64x64xf32>, !tile.memory<64xf32>
  tile.store %s, %y[%item, %c0] : !tile.tile<1x64xf32>, !tile.memory<64xf32>
}
