// RUN: denim-opt %s | denim-opt | FileCheck %s
// RUN: denim-opt %s --mlir-print-op-generic | denim-opt | FileCheck %s

// CHECK-LABEL: tile.kernel @scale_rows(
// CHECK-SAME: !tile.memory<192xf32>
// CHECK-SAME: items <tokens by 64 times 1> at
tile.kernel @scale_rows(%x: !tile.memory<192xf32>, %y: !tile.memory<192xf32>) items <tokens by 64 times 1> at %item {
  %c64 = arith.constant 64 : index
  %c0 = arith.constant 0 : index
  %two = arith.constant 2.0 : f32
  // CHECK: = tile.count tokens
  %n = tile.count tokens
  %row = arith.muli %item, %c64 : index
  // CHECK: tile.load %{{.*}}[%{{.*}}, %{{.*}}] within [%{{.*}}, %{{.*}}] : !tile.memory<192xf32> -> !tile.tile<64x192xf32>
  %t = tile.load %x[%row, %c0] within [%c0, %n] : !tile.memory<192xf32> -> !tile.tile<64x192xf32>
  // CHECK: = tile.reduce add %
  %s = tile.reduce add %t along 1 : !tile.tile<64x192xf32> -> !tile.tile<64x1xf32>
  // CHECK: tile.map (%{{.*}} = %{{.*}} : !tile.tile<64x192xf32>, %{{.*}} = %{{.*}} : !tile.tile<64x1xf32>) -> !tile.tile<64x192xf32>
  %u = tile.map (%a = %t : !tile.tile<64x192xf32>, %b = %s : !tile.tile<64x1xf32>) -> !tile.tile<64x192xf32> {
    %m = arith.mulf %a, %b : f32
    tile.yield %m : f32
  }
  tile.store %u, %y[%row, %c0] within [%c0, %n] : !tile.tile<64x192xf32>, !tile.memory<192xf32>
}

// CHECK-LABEL: tile.kernel @one_head
tile.kernel @one_head(%q: !tile.memory<128xf32>, %k: !tile.pages<4x64x128xf32>, %s: !tile.slots<128xf32>,
                      %w: !tile.stack<6x64xbf16>, %o: !tile.memory<128xf32>) items <sequences by 1 times 4> at %item {
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0.0 : f32
  // CHECK: tile.sequence
  %begin, %end, %past = tile.sequence %item
  // CHECK: tile.slot
  %state = tile.slot %s[%item] : !tile.slots<128xf32> -> !tile.memory<128xf32>
  // CHECK: tile.page
  %page = tile.page %k[%item, %c0, %c0] : !tile.pages<4x64x128xf32> -> !tile.memory<128xf32>
  // CHECK: tile.stacked
  %expert = tile.stacked %w[%c0] : !tile.stack<6x64xbf16> -> !tile.memory<64xbf16>
  // CHECK: tile.rows
  %rows = tile.rows positions[%begin] below %end : !tile.tile<16x1xi32>
  // CHECK: tile.gather
  %g = tile.gather %q[%rows, %c0] : !tile.memory<128xf32>, !tile.tile<16x1xi32> -> !tile.tile<16x128xf32>
  // CHECK: tile.scatter
  tile.scatter %g, %q[%rows, %c0] : !tile.tile<16x128xf32>, !tile.memory<128xf32>, !tile.tile<16x1xi32>
  %kt = tile.load %page[%c0, %c0] : !tile.memory<128xf32> -> !tile.tile<64x128xf32>
  // CHECK: tile.mma %{{.*}}, transpose_rhs
  %p = tile.mma %g, transpose_rhs %kt : !tile.tile<16x128xf32>, !tile.tile<64x128xf32> -> !tile.tile<16x64xf32>
  // CHECK: tile.splat
  %acc = tile.splat %zero : f32 -> !tile.tile<16x128xf32>
  // CHECK: tile.mma %{{.*}}, %{{.*}} acc
  %pv = tile.mma %p, %kt acc %acc : !tile.tile<16x64xf32>, !tile.tile<64x128xf32>, !tile.tile<16x128xf32> -> !tile.tile<16x128xf32>
  // CHECK: tile.window
  %l = tile.window %p[0, 16] : !tile.tile<16x64xf32> -> !tile.tile<16x16xf32>
  // CHECK: tile.solve
  %x = tile.solve %l, %pv : !tile.tile<16x16xf32>, !tile.tile<16x128xf32>
  // CHECK: tile.inverse
  %inv = tile.inverse %l : !tile.tile<16x16xf32>
  // CHECK: tile.cumsum
  %c = tile.cumsum %x : !tile.tile<16x128xf32>
  // CHECK: tile.spread %{{.*}} row 7 of 16 : !tile.tile<16x128xf32>
  %spread = tile.spread %c row 7 of 16 : !tile.tile<16x128xf32>
  // CHECK: tile.mma %{{.*}}, transpose_rhs %{{.*}} triangle result blocks 8 :
  %blocks = tile.mma %c, transpose_rhs %spread triangle result blocks 8 : !tile.tile<16x128xf32>, !tile.tile<16x128xf32> -> !tile.tile<16x16xf32>
  // CHECK: tile.index 0
  %m = tile.map (%a = %c : !tile.tile<16x128xf32>) -> !tile.tile<16x128xf32> {
    %i = tile.index 0
    %f = arith.sitofp %i : i32 to f32
    %y = arith.addf %a, %f : f32
    tile.yield %y : f32
  }
  tile.store %m, %o[%begin, %c0] within [%begin, %end] : !tile.tile<16x128xf32>, !tile.memory<128xf32>
}

// CHECK-LABEL: tile.kernel @turned
tile.kernel @turned(%x: !tile.pages<2x16x64xbf16>, %y: !tile.pages<2x64x16xbf16>) items <once by 1 times 6> at %item {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  // CHECK: tile.block %{{.*}}[%{{.*}}, %{{.*}}] : !tile.pages<2x16x64xbf16> -> !tile.memory<64xbf16>
  %from = tile.block %x[%item, %c1] : !tile.pages<2x16x64xbf16> -> !tile.memory<64xbf16>
  %to = tile.block %y[%item, %c0] : !tile.pages<2x64x16xbf16> -> !tile.memory<16xbf16>
  %t = tile.load %from[%c0, %c0] : !tile.memory<64xbf16> -> !tile.tile<16x64xf32>
  // CHECK: tile.transpose %{{.*}} : !tile.tile<16x64xf32> -> !tile.tile<64x16xf32>
  %u = tile.transpose %t : !tile.tile<16x64xf32> -> !tile.tile<64x16xf32>
  // CHECK: tile.flatten %{{.*}} : !tile.tile<16x64xf32> -> !tile.tile<1x1024xf32>
  %flat = tile.flatten %t : !tile.tile<16x64xf32> -> !tile.tile<1x1024xf32>
  tile.store %u, %to[%c0, %c0] : !tile.tile<64x16xf32>, !tile.memory<16xbf16>
}

// CHECK-LABEL: tile.kernel @in_blocks
tile.kernel @in_blocks(%x: !tile.memory<96x!model.q4_0>, %o: !tile.memory<64xf32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %c32 = arith.constant 32 : index
  // CHECK: tile.load %{{.*}}[%{{.*}}, %{{.*}}] : !tile.memory<96x!model.q4_0> -> !tile.tile<5x64xf32>
  %t = tile.load %x[%c0, %c32] : !tile.memory<96x!model.q4_0> -> !tile.tile<5x64xf32>
  tile.store %t, %o[%c0, %c0] : !tile.tile<5x64xf32>, !tile.memory<64xf32>
}
