// RUN: denim-opt %s --convert-tile-to-nvptx | FileCheck %s
// RUN: denim-opt %s --convert-tile-to-nvptx=exact | FileCheck %s --check-prefix=NONE
// RUN: denim-opt %s --convert-tile-to-nvptx=target=sm_80 | FileCheck %s --check-prefix=NONE

// Neither pairs nor turns where nobody copies pages ahead.
// NONE-NOT: {{cp.async.bulk|bar.arrive}}

// Scores of two pages are one product of 128 columns, and their values one along 128 rows: eight steps each. The copying
// warpgroup interleaves the panels of both, so that rows of the second follow those of the first.
// CHECK-LABEL: llvm.func @pairs(
// CHECK-NOT: bar.arrive
// CHECK: scf.for
// CHECK: mbarrier.try_wait.parity
// CHECK-NOT: n64k16
// CHECK: wgmma.mma_async.sync.aligned.m64n128k16
// CHECK: mbarrier.try_wait.parity
// CHECK-NOT: n64k16
// CHECK: wgmma.mma_async.sync.aligned.m64n128k16
// CHECK-NOT: mbarrier.try_wait
// CHECK: st.global
// CHECK: setmaxnreg.dec
// CHECK: mbarrier.arrive.expect_tx.shared::cta.b64 _, [$0], 32768;
// CHECK-COUNT-4: cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [$0], [$1], 8192
// CHECK: mbarrier.arrive.expect_tx.shared::cta.b64 _, [$0], 32768;
// CHECK-COUNT-4: cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [$0], [$1], 8192
// CHECK-NOT: cp.async.bulk
// CHECK: llvm.return
tile.kernel @pairs(%q: !tile.memory<128xbf16>, %k: !tile.pages<1x64x128xbf16>, %v: !tile.pages<1x64x128xbf16>, %o: !tile.memory<128xf32>) items <sequences by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %c4 = arith.constant 4 : index
  %zero = arith.constant 0.0 : f32
  %x = tile.load %q[%c0, %c0] : !tile.memory<128xbf16> -> !tile.tile<128x128xf32>
  %o0 = tile.splat %zero : f32 -> !tile.tile<128x128xf32>
  %r = scf.for %j = %c0 to %c4 step %c2 iter_args(%acc = %o0) -> (!tile.tile<128x128xf32>) {
    %j1 = arith.addi %j, %c1 : index
    %kp0 = tile.page %k[%item, %j, %c0] : !tile.pages<1x64x128xbf16> -> !tile.memory<128xbf16>
    %k0 = tile.load %kp0[%c0, %c0] : !tile.memory<128xbf16> -> !tile.tile<64x128xf32>
    %s0 = tile.mma %x, transpose_rhs %k0 : !tile.tile<128x128xf32>, !tile.tile<64x128xf32> -> !tile.tile<128x64xf32>
    %kp1 = tile.page %k[%item, %j1, %c0] : !tile.pages<1x64x128xbf16> -> !tile.memory<128xbf16>
    %k1 = tile.load %kp1[%c0, %c0] : !tile.memory<128xbf16> -> !tile.tile<64x128xf32>
    %s1 = tile.mma %x, transpose_rhs %k1 : !tile.tile<128x128xf32>, !tile.tile<64x128xf32> -> !tile.tile<128x64xf32>
    %vp0 = tile.page %v[%item, %j, %c0] : !tile.pages<1x64x128xbf16> -> !tile.memory<128xbf16>
    %v0 = tile.load %vp0[%c0, %c0] : !tile.memory<128xbf16> -> !tile.tile<64x128xf32>
    %a0 = tile.mma %s0, %v0 acc %acc : !tile.tile<128x64xf32>, !tile.tile<64x128xf32>, !tile.tile<128x128xf32> -> !tile.tile<128x128xf32>
    %vp1 = tile.page %v[%item, %j1, %c0] : !tile.pages<1x64x128xbf16> -> !tile.memory<128xbf16>
    %v1 = tile.load %vp1[%c0, %c0] : !tile.memory<128xbf16> -> !tile.tile<64x128xf32>
    %a1 = tile.mma %s1, %v1 acc %a0 : !tile.tile<128x64xf32>, !tile.tile<64x128xf32>, !tile.tile<128x128xf32> -> !tile.tile<128x128xf32>
    scf.yield %a1 : !tile.tile<128x128xf32>
  }
  tile.store %r, %o[%c0, %c0] : !tile.tile<128x128xf32>, !tile.memory<128xf32>
}

// With `tile.alternate` the second warpgroup gives the first turn away, and each waits for its own in front of the loop's
// products. The copying warpgroup takes no part.
// CHECK-LABEL: llvm.func @turns(
// CHECK: setmaxnreg.inc
// CHECK: bar.arrive $0, 256;
// CHECK: scf.for
// CHECK: bar.sync $0, 256;
// CHECK: wgmma.mma_async.sync.aligned.m64n64k16
// CHECK: bar.arrive $0, 256;
// CHECK: st.global
// CHECK: setmaxnreg.dec
// A single page is no pair.
// CHECK: mbarrier.arrive.expect_tx.shared::cta.b64 _, [$0], 16384;
// CHECK-NOT: {{bar.sync|bar.arrive}}
// CHECK: llvm.return
tile.kernel @turns(%q: !tile.memory<128xbf16>, %k: !tile.pages<1x64x128xbf16>, %o: !tile.memory<64xf32>) items <sequences by 1 times 1> at %item attributes {tile.alternate} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %zero = arith.constant 0.0 : f32
  %x = tile.load %q[%c0, %c0] : !tile.memory<128xbf16> -> !tile.tile<128x128xf32>
  %s0 = tile.splat %zero : f32 -> !tile.tile<128x64xf32>
  %s = scf.for %j = %c0 to %c4 step %c1 iter_args(%t = %s0) -> (!tile.tile<128x64xf32>) {
    %page = tile.page %k[%item, %j, %c0] : !tile.pages<1x64x128xbf16> -> !tile.memory<128xbf16>
    %y = tile.load %page[%c0, %c0] : !tile.memory<128xbf16> -> !tile.tile<64x128xf32>
    %p = tile.mma %x, transpose_rhs %y acc %t : !tile.tile<128x128xf32>, !tile.tile<64x128xf32>, !tile.tile<128x64xf32> -> !tile.tile<128x64xf32>
    scf.yield %p : !tile.tile<128x64xf32>
  }
  tile.store %s, %o[%c0, %c0] : !tile.tile<128x64xf32>, !tile.memory<64xf32>
}

// Pages of two different heads belong together no less; but a sum between the two products of a pair does not.
// CHECK-LABEL: llvm.func @apart(
// CHECK-NOT: n128k16
// CHECK: wgmma.mma_async.sync.aligned.m64n64k16
// CHECK: mbarrier.arrive.expect_tx.shared::cta.b64 _, [$0], 16384;
// CHECK: llvm.return
tile.kernel @apart(%q: !tile.memory<128xbf16>, %k: !tile.pages<1x64x128xbf16>, %o: !tile.memory<64xf32>) items <sequences by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %c4 = arith.constant 4 : index
  %zero = arith.constant 0.0 : f32
  %x = tile.load %q[%c0, %c0] : !tile.memory<128xbf16> -> !tile.tile<128x128xf32>
  %t0 = tile.splat %zero : f32 -> !tile.tile<128x64xf32>
  %r = scf.for %j = %c0 to %c4 step %c2 iter_args(%t = %t0) -> (!tile.tile<128x64xf32>) {
    %j1 = arith.addi %j, %c1 : index
    %kp0 = tile.page %k[%item, %j, %c0] : !tile.pages<1x64x128xbf16> -> !tile.memory<128xbf16>
    %k0 = tile.load %kp0[%c0, %c0] : !tile.memory<128xbf16> -> !tile.tile<64x128xf32>
    %s0 = tile.mma %x, transpose_rhs %k0 : !tile.tile<128x128xf32>, !tile.tile<64x128xf32> -> !tile.tile<128x64xf32>
    %u = tile.map (%a = %s0 : !tile.tile<128x64xf32>, %b = %t : !tile.tile<128x64xf32>) -> !tile.tile<128x64xf32> {
      %z = arith.addf %a, %b : f32
      tile.yield %z : f32
    }
    %kp1 = tile.page %k[%item, %j1, %c0] : !tile.pages<1x64x128xbf16> -> !tile.memory<128xbf16>
    %k1 = tile.load %kp1[%c0, %c0] : !tile.memory<128xbf16> -> !tile.tile<64x128xf32>
    %s1 = tile.mma %x, transpose_rhs %k1 : !tile.tile<128x128xf32>, !tile.tile<64x128xf32> -> !tile.tile<128x64xf32>
    %w = tile.map (%a = %s1 : !tile.tile<128x64xf32>, %b = %u : !tile.tile<128x64xf32>) -> !tile.tile<128x64xf32> {
      %z = arith.addf %a, %b : f32
      tile.yield %z : f32
    }
    scf.yield %w : !tile.tile<128x64xf32>
  }
  tile.store %r, %o[%c0, %c0] : !tile.tile<128x64xf32>, !tile.memory<64xf32>
}

// No turns where a barrier of both warpgroups stands between the products: what is stored to shared memory for the second
// is waited for by all. (The first turn is given away all the same, and nobody waits for it.)
// CHECK-LABEL: llvm.func @meets(
// CHECK: bar.arrive $0, 256;
// CHECK: scf.for
// CHECK-NOT: {{bar.sync .0|bar.arrive}}
// CHECK: llvm.return
tile.kernel @meets(%q: !tile.memory<128xbf16>, %w: !tile.memory<64xf32>, %k: !tile.pages<1x64x128xbf16>, %o: !tile.memory<64xf32>) items <sequences by 1 times 1> at %item attributes {tile.alternate} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %zero = arith.constant 0.0 : f32
  %x = tile.load %q[%c0, %c0] : !tile.memory<128xbf16> -> !tile.tile<128x128xf32>
  %s0 = tile.splat %zero : f32 -> !tile.tile<128x64xf32>
  %s = scf.for %j = %c0 to %c4 step %c1 iter_args(%t = %s0) -> (!tile.tile<128x64xf32>) {
    %page = tile.page %k[%item, %j, %c0] : !tile.pages<1x64x128xbf16> -> !tile.memory<128xbf16>
    %y = tile.load %page[%c0, %c0] : !tile.memory<128xbf16> -> !tile.tile<64x128xf32>
    %p = tile.mma %x, transpose_rhs %y : !tile.tile<128x128xf32>, !tile.tile<64x128xf32> -> !tile.tile<128x64xf32>
    %z = tile.load %w[%j, %c0] : !tile.memory<64xf32> -> !tile.tile<64x64xf32>
    %r = tile.mma %p, %z acc %t : !tile.tile<128x64xf32>, !tile.tile<64x64xf32>, !tile.tile<128x64xf32> -> !tile.tile<128x64xf32>
    scf.yield %r : !tile.tile<128x64xf32>
  }
  tile.store %s, %o[%c0, %c0] : !tile.tile<128x64xf32>, !tile.memory<64xf32>
}

// The first panels of a page are an operand of their own where it stands: one copy of all of it, given back behind both.
// CHECK-LABEL: llvm.func @panels(
// CHECK: scf.for
// CHECK: mbarrier.try_wait.parity
// CHECK-NOT: mbarrier.arrive.shared
// CHECK: wgmma.mma_async.sync.aligned.m64n32k16
// CHECK-NOT: mbarrier.arrive.shared
// CHECK: wgmma.mma_async.sync.aligned.m64n64k16
// CHECK: mbarrier.arrive.shared
// CHECK: setmaxnreg.dec
// CHECK: mbarrier.arrive.expect_tx.shared::cta.b64 _, [$0], 24576;
// CHECK-NOT: cp.async.bulk{{.*}}, 16384
// CHECK: llvm.return
tile.kernel @panels(%q: !tile.memory<192xbf16>, %k: !tile.pages<1x64x192xbf16>, %o: !tile.memory<128xf32>) items <sequences by 1 times 1> at %item attributes {tile.warps = 8 : i64} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %zero = arith.constant 0.0 : f32
  %x = tile.load %q[%c0, %c0] : !tile.memory<192xbf16> -> !tile.tile<64x192xf32>
  %o0 = tile.splat %zero : f32 -> !tile.tile<64x128xf32>
  %r = scf.for %j = %c0 to %c4 step %c1 iter_args(%acc = %o0) -> (!tile.tile<64x128xf32>) {
    %page = tile.page %k[%item, %j, %c0] : !tile.pages<1x64x192xbf16> -> !tile.memory<192xbf16>
    %y = tile.load %page[%c0, %c0] : !tile.memory<192xbf16> -> !tile.tile<64x192xf32>
    %s = tile.mma %x, transpose_rhs %y : !tile.tile<64x192xf32>, !tile.tile<64x192xf32> -> !tile.tile<64x64xf32>
    %v = tile.window %y[0, 0] : !tile.tile<64x192xf32> -> !tile.tile<64x128xf32>
    %a = tile.mma %s, %v acc %acc : !tile.tile<64x64xf32>, !tile.tile<64x128xf32>, !tile.tile<64x128xf32> -> !tile.tile<64x128xf32>
    scf.yield %a : !tile.tile<64x128xf32>
  }
  tile.store %r, %o[%c0, %c0] : !tile.tile<64x128xf32>, !tile.memory<128xf32>
}
