// RUN: denim-opt %s --convert-tile-to-cpu=target=x86-64-v4 | FileCheck %s
// RUN: denim-opt %s --convert-tile-to-cpu=target=x86-64-v2 | FileCheck %s --check-prefix=V2
// RUN: denim-opt %s --convert-tile-to-cpu=target=x86-64-v4-amx | FileCheck %s --check-prefix=AMX
// RUN: denim-opt %s --convert-tile-to-cpu="target=x86-64-v4-amx bf16-products" | FileCheck %s --check-prefix=BF16

// Outer form: accumulators are carried by the loop over k, lhs comes as broadcast scalars, rhs in place; the result is
// made in the memory it is stored to.
// CHECK-LABEL: llvm.func @outer
// CHECK-SAME: tile.scratch_bytes = 0 
// CHECK: %{{.*}}:16 = scf.for {{.*}} -> (vector<16xf32>
// CHECK: llvm.load {{.*}} -> vector<16xf32>
// CHECK: vector.broadcast %{{.*}} : f32 to vector<16xf32>
// CHECK: vector.fma
// CHECK: scf.yield
// Without the fused instruction a product and a sum are written, or LLVM would call fma.
// V2-LABEL: llvm.func @outer
// V2-NOT: vector.fma
// V2: arith.mulf %{{.*}} : vector<4xf32>
tile.kernel @outer(%a: !tile.memory<64xf32>, %b: !tile.memory<64xf32>, %c: !tile.memory<64xf32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %x = tile.load %a[%c0, %c0] : !tile.memory<64xf32> -> !tile.tile<64x64xf32>
  %y = tile.load %b[%c0, %c0] : !tile.memory<64xf32> -> !tile.tile<64x64xf32>
  %p = tile.mma %x, %y : !tile.tile<64x64xf32>, !tile.tile<64x64xf32> -> !tile.tile<64x64xf32>
  tile.store %p, %c[%c0, %c0] : !tile.tile<64x64xf32>, !tile.memory<64xf32>
}

// A sum of products: the accumulators go from the first loop into the second one, and are stored once.
// CHECK-LABEL: llvm.func @sum
// CHECK: %[[FIRST:.*]]:16 = scf.for {{.*}} -> (vector<16xf32>
// CHECK: vector.fma
// CHECK-NOT: llvm.store
// CHECK: scf.for {{.*}} iter_args(%{{[a-z0-9]+}} = %[[FIRST]]#0,
// CHECK: vector.fma
// CHECK-COUNT-16: llvm.store
// CHECK-NOT: vector.fma
// CHECK: llvm.return
tile.kernel @sum(%a: !tile.memory<64xf32>, %b: !tile.memory<64xf32>, %c: !tile.memory<64xf32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %x = tile.load %a[%c0, %c0] : !tile.memory<64xf32> -> !tile.tile<64x64xf32>
  %y = tile.load %b[%c0, %c0] : !tile.memory<64xf32> -> !tile.tile<64x64xf32>
  %p = tile.mma %x, %y : !tile.tile<64x64xf32>, !tile.tile<64x64xf32> -> !tile.tile<64x64xf32>
  %q = tile.mma transpose_lhs %y, %x acc %p : !tile.tile<64x64xf32>, !tile.tile<64x64xf32>, !tile.tile<64x64xf32> -> !tile.tile<64x64xf32>
  tile.store %q, %c[%c0, %c0] : !tile.tile<64x64xf32>, !tile.memory<64xf32>
}

// What is used for itself as well is written before the sum.
// CHECK-LABEL: llvm.func @used
// CHECK: vector.fma
// CHECK-COUNT-16: llvm.store
// CHECK: vector.fma
// CHECK-COUNT-16: llvm.store
// CHECK: llvm.return
tile.kernel @used(%a: !tile.memory<64xf32>, %b: !tile.memory<64xf32>, %c: !tile.memory<64xf32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %c64 = arith.constant 64 : index
  %x = tile.load %a[%c0, %c0] : !tile.memory<64xf32> -> !tile.tile<64x64xf32>
  %y = tile.load %b[%c0, %c0] : !tile.memory<64xf32> -> !tile.tile<64x64xf32>
  %p = tile.mma %x, %y : !tile.tile<64x64xf32>, !tile.tile<64x64xf32> -> !tile.tile<64x64xf32>
  %q = tile.mma %y, %x acc %p : !tile.tile<64x64xf32>, !tile.tile<64x64xf32>, !tile.tile<64x64xf32> -> !tile.tile<64x64xf32>
  tile.store %q, %c[%c0, %c0] : !tile.tile<64x64xf32>, !tile.memory<64xf32>
  tile.store %p, %c[%c64, %c0] : !tile.tile<64x64xf32>, !tile.memory<64xf32>
}

// Of a triangle the register tiles on the diagonal take the vectors that reach into it: eight sums for the first one, not 16.
// CHECK-LABEL: llvm.func @lower
// CHECK: %{{.*}}:8 = scf.for
// CHECK: vector.fma
// CHECK: %{{.*}}:16 = scf.for
// CHECK: vector.fma
// CHECK: llvm.return
tile.kernel @lower(%a: !tile.memory<64xf32>, %b: !tile.memory<32xf32>, %c: !tile.memory<32xf32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %x = tile.load %a[%c0, %c0] : !tile.memory<64xf32> -> !tile.tile<32x64xf32>
  %y = tile.load %b[%c0, %c0] : !tile.memory<32xf32> -> !tile.tile<64x32xf32>
  %p = tile.mma %x, %y triangle result : !tile.tile<32x64xf32>, !tile.tile<64x32xf32> -> !tile.tile<32x32xf32>
  tile.store %p, %c[%c0, %c0] : !tile.tile<32x32xf32>, !tile.memory<32xf32>
}

// Dot form: one row and rows of weights; bf16 is read in place and widened by a shift, and lanes are summed at the end.
// CHECK-LABEL: llvm.func @dot
// CHECK: %{{.*}}:4 = scf.for {{.*}} -> (vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>)
// CHECK: llvm.load {{.*}} -> vector<16xi16>
// CHECK: arith.extui
// CHECK: arith.shli
// CHECK: vector.fma
// CHECK: vector.shuffle
tile.kernel @dot(%a: !tile.memory<64xf32>, %b: !tile.memory<64xbf16>, %c: !tile.memory<32xf32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %x = tile.load %a[%c0, %c0] : !tile.memory<64xf32> -> !tile.tile<1x64xf32>
  %y = tile.load %b[%c0, %c0] : !tile.memory<64xbf16> -> !tile.tile<32x64xf32>
  %p = tile.mma %x, transpose_rhs %y : !tile.tile<1x64xf32>, !tile.tile<32x64xf32> -> !tile.tile<1x32xf32>
  tile.store %p, %c[%c0, %c0] : !tile.tile<1x32xf32>, !tile.memory<32xf32>
}

// Q K^T in a loop, followed by a sum over keys: Q is transposed once, before the loop, and nothing inside it is.
// CHECK-LABEL: llvm.func @scores
// CHECK: vector.shuffle
// CHECK: scf.for %{{.*}} = %{{.*}} to %{{.*}} step %{{.*}} {
// CHECK-NOT: vector.shuffle
// CHECK: llvm.return
tile.kernel @scores(%a: !tile.memory<64xf32>, %b: !tile.memory<64xf32>, %c: !tile.memory<1xf32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %c64 = arith.constant 64 : index
  %c640 = arith.constant 640 : index
  %q = tile.load %a[%c0, %c0] : !tile.memory<64xf32> -> !tile.tile<32x64xf32>
  scf.for %i = %c0 to %c640 step %c64 {
    %k = tile.load %b[%i, %c0] : !tile.memory<64xf32> -> !tile.tile<64x64xf32>
    %s = tile.mma %q, transpose_rhs %k : !tile.tile<32x64xf32>, !tile.tile<64x64xf32> -> !tile.tile<32x64xf32>
    %m = tile.reduce add %s along 1 : !tile.tile<32x64xf32> -> !tile.tile<32x1xf32>
    tile.store %m, %c[%i, %c0] : !tile.tile<32x1xf32>, !tile.memory<1xf32>
  }
}

// Weights that a loop multiplies are turned in front of it, a MiB of them as well; its rounds only multiply. Blocks of k
// go round the strips of columns: the second and later ones add to the sums in memory.
// CHECK-LABEL: llvm.func @turned_once
// CHECK-SAME: tile.scratch_bytes = 1048576
// CHECK: vector.shuffle
// CHECK: scf.for
// CHECK-NOT: vector.shuffle
// CHECK: scf.for {{.*}} {
// CHECK: llvm.return
tile.kernel @turned_once(%a: !tile.memory<2048xf32>, %b: !tile.memory<2048xf32>, %c: !tile.memory<128xf32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %c64 = arith.constant 64 : index
  %c640 = arith.constant 640 : index
  %w = tile.load %b[%c0, %c0] : !tile.memory<2048xf32> -> !tile.tile<128x2048xf32>
  scf.for %i = %c0 to %c640 step %c64 {
    %x = tile.load %a[%i, %c0] : !tile.memory<2048xf32> -> !tile.tile<64x2048xf32>
    %p = tile.mma %x, transpose_rhs %w : !tile.tile<64x2048xf32>, !tile.tile<128x2048xf32> -> !tile.tile<64x128xf32>
    tile.store %p, %c[%i, %c0] : !tile.tile<64x128xf32>, !tile.memory<128xf32>
  }
}

// Used once, they are turned by panels of some columns and some steps of k.
// CHECK-LABEL: llvm.func @turned_in_panels
// CHECK-SAME: tile.scratch_bytes = {{[1-9][0-9]?[0-9]?[0-9]?[0-9]?}} 
tile.kernel @turned_in_panels(%a: !tile.memory<2048xf32>, %b: !tile.memory<2048xbf16>, %c: !tile.memory<128xf32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %w = tile.load %b[%c0, %c0] : !tile.memory<2048xbf16> -> !tile.tile<128x2048xf32>
  %x = tile.load %a[%c0, %c0] : !tile.memory<2048xf32> -> !tile.tile<64x2048xf32>
  %p = tile.mma %x, transpose_rhs %w : !tile.tile<64x2048xf32>, !tile.tile<128x2048xf32> -> !tile.tile<64x128xf32>
  tile.store %p, %c[%c0, %c0] : !tile.tile<64x128xf32>, !tile.memory<128xf32>
}

// A lower triangular lhs ends the loop over k behind the rows of the register tile.
// CHECK-LABEL: llvm.func @triangle
// CHECK: arith.minsi
tile.kernel @triangle(%a: !tile.memory<64xf32>, %b: !tile.memory<64xf32>, %c: !tile.memory<64xf32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %x = tile.load %a[%c0, %c0] : !tile.memory<64xf32> -> !tile.tile<64x64xf32>
  %y = tile.load %b[%c0, %c0] : !tile.memory<64xf32> -> !tile.tile<64x64xf32>
  %p = tile.mma %x, %y triangle lhs : !tile.tile<64x64xf32>, !tile.tile<64x64xf32> -> !tile.tile<64x64xf32>
  tile.store %p, %c[%c0, %c0] : !tile.tile<64x64xf32>, !tile.memory<64xf32>
}

// Weights of bf16 that a loop reads are brought into tiles once, in front of it. f32 rows times them are three tile
// products for each of the 2 x 2 tiles of sums, rounded ones are one. The last piece of k stores to the memory itself.
// AMX-LABEL: llvm.func @linear
// AMX: llvm.call_intrinsic "llvm.x86.ldtilecfg"
// AMX-NOT: llvm.x86.tdpbf16ps
// AMX: scf.for
// AMX: vector.shuffle {{.*}} : vector<16xi32>, vector<16xi32>
// AMX: scf.for
// AMX-COUNT-4: llvm.call_intrinsic "llvm.x86.tilezero"
// AMX: scf.for
// AMX-COUNT-12: llvm.call_intrinsic "llvm.x86.tdpbf16ps"
// AMX-NOT: llvm.x86.tdpbf16ps
// AMX: llvm.call_intrinsic "llvm.x86.tilestored64"
// AMX: llvm.call_intrinsic "llvm.x86.tilerelease"
// BF16-LABEL: llvm.func @linear
// BF16: llvm.call_intrinsic "llvm.x86.ldtilecfg"
// BF16: scf.for
// BF16-COUNT-4: llvm.call_intrinsic "llvm.x86.tdpbf16ps"
// BF16-NOT: llvm.x86.tdpbf16ps
// BF16: llvm.call_intrinsic "llvm.x86.tilerelease"
tile.kernel @linear(%a: !tile.memory<128xf32>, %b: !tile.memory<128xbf16>, %c: !tile.memory<64xf32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %c64 = arith.constant 64 : index
  %c256 = arith.constant 256 : index
  %y = tile.load %b[%c0, %c0] : !tile.memory<128xbf16> -> !tile.tile<64x128xf32>
  scf.for %i = %c0 to %c256 step %c64 {
    %x = tile.load %a[%i, %c0] : !tile.memory<128xf32> -> !tile.tile<64x128xf32>
    %p = tile.mma %x, transpose_rhs %y : !tile.tile<64x128xf32>, !tile.tile<64x128xf32> -> !tile.tile<64x64xf32>
    tile.store %p, %c[%i, %c0] : !tile.tile<64x64xf32>, !tile.memory<64xf32>
  }
}

// Splitting both operands of a small product costs more than its multiply-adds.
// AMX-LABEL: llvm.func @small
// AMX-NOT: llvm.x86
// AMX: vector.fma
tile.kernel @small(%a: !tile.memory<16xf32>, %b: !tile.memory<16xf32>, %c: !tile.memory<16xf32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %x = tile.load %a[%c0, %c0] : !tile.memory<16xf32> -> !tile.tile<16x16xf32>
  %y = tile.load %b[%c0, %c0] : !tile.memory<16xf32> -> !tile.tile<16x16xf32>
  %p = tile.mma %x, %y : !tile.tile<16x16xf32>, !tile.tile<16x16xf32> -> !tile.tile<16x16xf32>
  tile.store %p, %c[%c0, %c0] : !tile.tile<16x16xf32>, !tile.memory<16xf32>
}
