// RUN: denim-opt %s --convert-tile-to-cpu=target=x86-64-v4 | FileCheck %s --check-prefix=WIDE
// RUN: denim-opt %s --convert-tile-to-cpu=target=x86-64-v3 | FileCheck %s --check-prefix=NARROW

// One row: scales of a few columns are converted at once, in front of the loop over blocks; inside, integers are summed
// up and the sum is multiplied by a scale. A row is 4 scales and 128 bytes.
// WIDE-LABEL: llvm.func @row
// WIDE: llvm.getelementptr %{{.*}}[8]
// WIDE: arith.extf %{{.*}} : vector<16xf16> to vector<16xf32>
// WIDE: scf.for
// WIDE-NOT: f16
// WIDE: llvm.load %{{.*}} {alignment = 1 : i64} : !llvm.ptr -> vector<16xi8>
// WIDE-NEXT: arith.extsi %{{.*}} : vector<16xi8> to vector<16xi32>
// WIDE-NEXT: arith.sitofp
// WIDE: %[[SUM:.*]] = arith.mulf
// WIDE: %[[ALL:.*]] = vector.fma %{{.*}}, %{{.*}}, %[[SUM]]
// WIDE: vector.fma %{{.*}}, %[[ALL]], %{{.*}}
// WIDE: scf.yield
tile.kernel @row(%x: !tile.memory<128xf32>, %w: !tile.memory<128x!model.q8_0>, %y: !tile.memory<16xf32>)
    items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %a = tile.load %x[%c0, %c0] : !tile.memory<128xf32> -> !tile.tile<1x128xf32>
  %b = tile.load %w[%c0, %c0] : !tile.memory<128x!model.q8_0> -> !tile.tile<16x128xf32>
  %p = tile.mma %a, transpose_rhs %b : !tile.tile<1x128xf32>, !tile.tile<16x128xf32> -> !tile.tile<1x16xf32>
  tile.store %p, %y[%c0, %c0] : !tile.tile<1x16xf32>, !tile.memory<16xf32>
}

// Integers of four bits come out of a table where there is an instruction for it, and are computed elsewhere.
// WIDE-LABEL: llvm.func @four_bits
// WIDE: llvm.call_intrinsic "llvm.x86.avx512.permvar.sf.512"
// WIDE: arith.shrui
// WIDE: llvm.call_intrinsic "llvm.x86.avx512.permvar.sf.512"
// NARROW-LABEL: llvm.func @four_bits
// NARROW-NOT: call_intrinsic
// NARROW: arith.extui %{{.*}} : vector<8xi8> to vector<8xi32>
// NARROW: arith.andi
// NARROW: arith.sitofp
tile.kernel @four_bits(%x: !tile.memory<128xf32>, %w: !tile.memory<128x!model.q4_0>, %y: !tile.memory<16xf32>)
    items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %a = tile.load %x[%c0, %c0] : !tile.memory<128xf32> -> !tile.tile<1x128xf32>
  %b = tile.load %w[%c0, %c0] : !tile.memory<128x!model.q4_0> -> !tile.tile<16x128xf32>
  %p = tile.mma %a, transpose_rhs %b : !tile.tile<1x128xf32>, !tile.tile<16x128xf32> -> !tile.tile<1x16xf32>
  tile.store %p, %y[%c0, %c0] : !tile.tile<1x16xf32>, !tile.memory<16xf32>
}
