// RUN: denim-opt %s --convert-tile-to-nvptx | FileCheck %s
// RUN: denim-opt %s --convert-tile-to-nvptx | denim-opt --verify-nvptx-synchronization

// Rows and weights of a product, without a page: copied ahead in pieces of 16 bytes, a warp and a ring for each. Which rows and
// which weights stands in memory: all threads read those numbers, the copying ones too.
// CHECK-LABEL: llvm.func @grouped(
// CHECK-SAME: tile.threads = 384
// CHECK: setmaxnreg.inc
// CHECK: scf.for
// CHECK: ld.global
// CHECK: scf.for
// CHECK: mbarrier.try_wait.parity
// CHECK: fence.proxy.async
// CHECK: wgmma.mma_async
// CHECK-NOT: cp.async
// CHECK: setmaxnreg.dec
// CHECK: scf.for
// CHECK: ld.global
// CHECK: scf.for
// CHECK: cp.async.cg.shared.global
// CHECK: cp.async.mbarrier.arrive.noinc
// CHECK-NOT: {{wgmma|st.global}}
// CHECK: llvm.return
tile.kernel @grouped(%x: !tile.memory<256xbf16>, %w: !tile.stack<8x256xbf16>, %list: !tile.memory<1xi32>,
                     %y: !tile.memory<128xf32>) items <once by 1 times 4> at %item attributes {tile.ahead, tile.blocks = 1 : i64, tile.warps = 8 : i64} {
  %c0 = arith.constant 0 : index
  %c4 = arith.constant 4 : index
  %c16 = arith.constant 16 : index
  %c64 = arith.constant 64 : index
  %c128 = arith.constant 128 : index
  %c256 = arith.constant 256 : index
  %zero = arith.constant 0.0 : f32
  scf.for %n = %item to %c16 step %c4 {
    %word = tile.load %list[%n, %c0] : !tile.memory<1xi32> -> !tile.tile<1x1xi32>
    %expert = tile.extract %word[0, 0] : !tile.tile<1x1xi32> -> index
    %m = tile.stacked %w[%expert] : !tile.stack<8x256xbf16> -> !tile.memory<256xbf16>
    %row = arith.muli %n, %c128 : index
    %s0 = tile.splat %zero : f32 -> !tile.tile<128x128xf32>
    %s = scf.for %k = %c0 to %c256 step %c64 iter_args(%t = %s0) -> (!tile.tile<128x128xf32>) {
      %v = tile.load %m[%c0, %k] : !tile.memory<256xbf16> -> !tile.tile<128x64xf32>
      %u = tile.load %x[%row, %k] : !tile.memory<256xbf16> -> !tile.tile<128x64xf32>
      %p = tile.mma %u, transpose_rhs %v acc %t : !tile.tile<128x64xf32>, !tile.tile<128x64xf32>, !tile.tile<128x128xf32> -> !tile.tile<128x128xf32>
      scf.yield %p : !tile.tile<128x128xf32>
    }
    tile.store %s, %y[%row, %c0] : !tile.tile<128x128xf32>, !tile.memory<128xf32>
  }
}

// Of 16 rows warps multiply, and read what was copied by `ldmatrix`: each lane gives a slot back for itself. (What warpgroups
// read, above, one lane of each warp gives back.)
// CHECK-LABEL: llvm.func @few(
// CHECK: mbarrier.init.shared::cta.b64 [$0], 32;
// CHECK: mbarrier.init.shared::cta.b64 [$0], 128;
// CHECK: mbarrier.init.shared::cta.b64 [$0], 32;
// CHECK: mbarrier.init.shared::cta.b64 [$0], 128;
// CHECK: ldmatrix
// CHECK: mma.sync
// CHECK: llvm.return
tile.kernel @few(%x: !tile.memory<256xbf16>, %w: !tile.memory<256xbf16>, %y: !tile.memory<16xf32>) items <once by 1 times 4> at %item attributes {tile.ahead, tile.blocks = 1 : i64, tile.warps = 4 : i64} {
  %c0 = arith.constant 0 : index
  %c64 = arith.constant 64 : index
  %c256 = arith.constant 256 : index
  %zero = arith.constant 0.0 : f32
  %s0 = tile.splat %zero : f32 -> !tile.tile<16x16xf32>
  %s = scf.for %k = %c0 to %c256 step %c64 iter_args(%t = %s0) -> (!tile.tile<16x16xf32>) {
    %v = tile.load %w[%c0, %k] : !tile.memory<256xbf16> -> !tile.tile<16x64xf32>
    %u = tile.load %x[%c0, %k] : !tile.memory<256xbf16> -> !tile.tile<16x64xf32>
    %p = tile.mma %u, transpose_rhs %v acc %t : !tile.tile<16x64xf32>, !tile.tile<16x64xf32>, !tile.tile<16x16xf32> -> !tile.tile<16x16xf32>
    scf.yield %p : !tile.tile<16x16xf32>
  }
  tile.store %s, %y[%c0, %c0] : !tile.tile<16x16xf32>, !tile.memory<16xf32>
}

// A list that the kernel writes itself: the copying warps would have to wait for that. Its rows go with the others'.
// CHECK-LABEL: llvm.func @written(
// CHECK-SAME: tile.threads = 256
// CHECK-NOT: {{setmaxnreg|mbarrier}}
// CHECK: llvm.return
tile.kernel @written(%x: !tile.memory<256xbf16>, %w: !tile.stack<8x256xbf16>, %list: !tile.memory<1xi32>,
                     %y: !tile.memory<128xf32>) items <once by 1 times 4> at %item attributes {tile.ahead, tile.blocks = 1 : i64, tile.warps = 8 : i64} {
  %c0 = arith.constant 0 : index
  %c64 = arith.constant 64 : index
  %c256 = arith.constant 256 : index
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1 : i32
  %ones = tile.splat %one : i32 -> !tile.tile<1x1xi32>
  tile.store %ones, %list[%item, %c0] : !tile.tile<1x1xi32>, !tile.memory<1xi32>
  %word = tile.load %list[%item, %c0] : !tile.memory<1xi32> -> !tile.tile<1x1xi32>
  %expert = tile.extract %word[0, 0] : !tile.tile<1x1xi32> -> index
  %m = tile.stacked %w[%expert] : !tile.stack<8x256xbf16> -> !tile.memory<256xbf16>
  %s0 = tile.splat %zero : f32 -> !tile.tile<128x128xf32>
  %s = scf.for %k = %c0 to %c256 step %c64 iter_args(%t = %s0) -> (!tile.tile<128x128xf32>) {
    %v = tile.load %m[%c0, %k] : !tile.memory<256xbf16> -> !tile.tile<128x64xf32>
    %u = tile.load %x[%expert, %k] : !tile.memory<256xbf16> -> !tile.tile<128x64xf32>
    %p = tile.mma %u, transpose_rhs %v acc %t : !tile.tile<128x64xf32>, !tile.tile<128x64xf32>, !tile.tile<128x128xf32> -> !tile.tile<128x128xf32>
    scf.yield %p : !tile.tile<128x128xf32>
  }
  tile.store %s, %y[%c0, %c0] : !tile.tile<128x128xf32>, !tile.memory<128xf32>
}

// With `tile.columns_ahead` a column of numbers, each in another row of memory, goes along: two of 4 bytes by each lane, zeros
// for rows that the load leaves out. Threads read it where it stands, and no longer from memory.
// CHECK-LABEL: llvm.func @columns(
// CHECK-SAME: tile.threads = 384
// CHECK: scf.for
// CHECK: mbarrier.try_wait.parity
// CHECK-NOT: ld.global
// CHECK: wgmma.mma_async
// CHECK: setmaxnreg.dec
// CHECK: scf.for
// CHECK: setp.eq.b32 p, $2, 0; cp.async.ca.shared.global [$0+0], [$1+0], 4, p;
// CHECK: setp.eq.b32 p, $2, 0; cp.async.ca.shared.global [$0+128], [$1+1024], 4, p;
// CHECK-NOT: cp.async.ca
// CHECK: cp.async.mbarrier.arrive.noinc
// CHECK: llvm.return
tile.kernel @columns(%x: !tile.memory<128xbf16>, %w: !tile.memory<128xbf16>, %g: !tile.memory<8xf32>,
                     %y: !tile.memory<64xf32>) items <once by 1 times 8> at %item attributes {tile.ahead, tile.blocks = 1 : i64, tile.columns_ahead, tile.warps = 8 : i64} {
  %c0 = arith.constant 0 : index
  %c64 = arith.constant 64 : index
  %c500 = arith.constant 500 : index
  %zero = arith.constant 0.0 : f32
  %s0 = tile.splat %zero : f32 -> !tile.tile<64x64xf32>
  %s = scf.for %row = %c0 to %c500 step %c64 iter_args(%t = %s0) -> (!tile.tile<64x64xf32>) {
    %f = tile.load %g[%row, %item] within [%c0, %c500] : !tile.memory<8xf32> -> !tile.tile<64x1xf32>
    %v = tile.load %w[%row, %c0] within [%c0, %c500] : !tile.memory<128xbf16> -> !tile.tile<64x128xf32>
    %u = tile.load %x[%row, %c0] within [%c0, %c500] : !tile.memory<128xbf16> -> !tile.tile<64x128xf32>
    %p = tile.mma %u, transpose_rhs %v : !tile.tile<64x128xf32>, !tile.tile<64x128xf32> -> !tile.tile<64x64xf32>
    %n = tile.map (%a = %p : !tile.tile<64x64xf32>, %b = %t : !tile.tile<64x64xf32>, %c = %f : !tile.tile<64x1xf32>) -> !tile.tile<64x64xf32> {
      %d = arith.mulf %a, %c : f32
      %e = arith.addf %b, %d : f32
      tile.yield %e : f32
    }
    scf.yield %n : !tile.tile<64x64xf32>
  }
  tile.store %s, %y[%c0, %c0] : !tile.tile<64x64xf32>, !tile.memory<64xf32>
}

// Not without a word about it, nor a column that is no whole number of lanes.
// CHECK-LABEL: llvm.func @no_columns(
// CHECK-SAME: tile.threads = 384
// CHECK: scf.for
// CHECK: ld.global
// CHECK: wgmma.mma_async
// CHECK-NOT: cp.async.ca
// CHECK-LABEL: llvm.func @short_column(
// CHECK-SAME: tile.threads = 384
// CHECK: scf.for
// CHECK: ld.global
// CHECK: wgmma.mma_async
// CHECK-NOT: cp.async.ca
tile.kernel @no_columns(%x: !tile.memory<128xbf16>, %w: !tile.memory<128xbf16>, %g: !tile.memory<8xf32>,
                     %y: !tile.memory<64xf32>) items <once by 1 times 8> at %item attributes {tile.ahead, tile.blocks = 1 : i64, tile.warps = 8 : i64} {
  %c0 = arith.constant 0 : index
  %c64 = arith.constant 64 : index
  %c512 = arith.constant 512 : index
  %zero = arith.constant 0.0 : f32
  %s0 = tile.splat %zero : f32 -> !tile.tile<64x64xf32>
  %s = scf.for %row = %c0 to %c512 step %c64 iter_args(%t = %s0) -> (!tile.tile<64x64xf32>) {
    %f = tile.load %g[%row, %item] : !tile.memory<8xf32> -> !tile.tile<64x1xf32>
    %sum = tile.reduce add %f along 0 : !tile.tile<64x1xf32> -> !tile.tile<1x1xf32>
    %v = tile.load %w[%row, %c0] : !tile.memory<128xbf16> -> !tile.tile<64x128xf32>
    %u = tile.load %x[%row, %c0] : !tile.memory<128xbf16> -> !tile.tile<64x128xf32>
    %p = tile.mma %u, transpose_rhs %v : !tile.tile<64x128xf32>, !tile.tile<64x128xf32> -> !tile.tile<64x64xf32>
    %n = tile.map (%a = %p : !tile.tile<64x64xf32>, %b = %t : !tile.tile<64x64xf32>, %c = %sum : !tile.tile<1x1xf32>) -> !tile.tile<64x64xf32> {
      %d = arith.mulf %a, %c : f32
      %e = arith.addf %b, %d : f32
      tile.yield %e : f32
    }
    scf.yield %n : !tile.tile<64x64xf32>
  }
  tile.store %s, %y[%c0, %c0] : !tile.tile<64x64xf32>, !tile.memory<64xf32>
}
tile.kernel @short_column(%x: !tile.memory<128xbf16>, %w: !tile.memory<128xbf16>, %g: !tile.memory<8xf32>,
                     %y: !tile.memory<64xf32>) items <once by 1 times 8> at %item attributes {tile.ahead, tile.blocks = 1 : i64, tile.columns_ahead, tile.warps = 8 : i64} {
  %c0 = arith.constant 0 : index
  %c64 = arith.constant 64 : index
  %c512 = arith.constant 512 : index
  %zero = arith.constant 0.0 : f32
  %s0 = tile.splat %zero : f32 -> !tile.tile<64x64xf32>
  %s = scf.for %row = %c0 to %c512 step %c64 iter_args(%t = %s0) -> (!tile.tile<64x64xf32>) {
    %f = tile.load %g[%row, %item] : !tile.memory<8xf32> -> !tile.tile<16x1xf32>
    %sum = tile.reduce add %f along 0 : !tile.tile<16x1xf32> -> !tile.tile<1x1xf32>
    %v = tile.load %w[%row, %c0] : !tile.memory<128xbf16> -> !tile.tile<64x128xf32>
    %u = tile.load %x[%row, %c0] : !tile.memory<128xbf16> -> !tile.tile<64x128xf32>
    %p = tile.mma %u, transpose_rhs %v : !tile.tile<64x128xf32>, !tile.tile<64x128xf32> -> !tile.tile<64x64xf32>
    %n = tile.map (%a = %p : !tile.tile<64x64xf32>, %b = %t : !tile.tile<64x64xf32>, %c = %sum : !tile.tile<1x1xf32>) -> !tile.tile<64x64xf32> {
      %d = arith.mulf %a, %c : f32
      %e = arith.addf %b, %d : f32
      tile.yield %e : f32
    }
    scf.yield %n : !tile.tile<64x64xf32>
  }
  tile.store %s, %y[%c0, %c0] : !tile.tile<64x64xf32>, !tile.memory<64xf32>
}
