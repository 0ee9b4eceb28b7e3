// RUN: denim-opt %s --convert-tile-to-nvptx | FileCheck %s
// RUN: denim-opt %s --tile-to-nvptx -o /dev/null
// RUN: denim-opt %s --convert-tile-to-nvptx=exact | FileCheck %s --check-prefix=ONE
// RUN: denim-opt %s --convert-tile-to-nvptx=target=sm_80 | FileCheck %s --check-prefix=ONE

// Without copies ahead nobody computes ahead: teams share nothing but pages.
// ONE-NOT: mbarrier

// Eight warps hold the sum, four compute its weights, a warpgroup copies. Each team asks for the registers it needs.
// CHECK-LABEL: llvm.func @ahead(
// CHECK-SAME: tile.threads = 512
// A page comes in three parts, and is given back by the warps of both teams; weights and factors are handed over.
// CHECK: mbarrier.init.shared::cta.b64 [$0], 1;
// CHECK: mbarrier.init.shared::cta.b64 [$0], 1;
// CHECK: mbarrier.init.shared::cta.b64 [$0], 1;
// CHECK: mbarrier.init.shared::cta.b64 [$0], 12;
// CHECK: mbarrier.init.shared::cta.b64 [$0], 4;
// CHECK: mbarrier.init.shared::cta.b64 [$0], 8;
// CHECK: bar.sync 0, 512;
// The team of the sum: it meets no other at a barrier, and never sees scores.
// CHECK: setmaxnreg.inc.sync.aligned.u32 168;
// CHECK-NOT: {{bar.sync|m64n64k16.f32.bf16.bf16 .*, 1, 1, 0, 0;|mbarrier.arrive.release}}
// CHECK: scf.for
// CHECK: wgmma.wait_group.sync.aligned 0;
// CHECK: mbarrier.arrive.shared::cta.b64
// CHECK: mbarrier.arrive.shared::cta.b64
// CHECK: st.global
// The team ahead: it waits for a part of a page when its product comes there, and stores weights by matrices.
// CHECK: setmaxnreg.inc.sync.aligned.u32 152;
// CHECK: bar.sync 4, 128;
// CHECK-NOT: bar.sync
// CHECK: scf.for
// CHECK: mbarrier.try_wait.parity
// CHECK: wgmma.mma_async.sync.aligned.m64n64k16
// CHECK: mbarrier.try_wait.parity
// CHECK: wgmma.mma_async.sync.aligned.m64n64k16
// CHECK: mbarrier.try_wait.parity
// CHECK: wgmma.mma_async.sync.aligned.m64n64k16
// CHECK: wgmma.wait_group.sync.aligned 0;
// CHECK: mbarrier.arrive.shared::cta.b64
// CHECK: mbarrier.try_wait.parity
// CHECK: st.shared
// CHECK: mbarrier.arrive.release.cta.shared::cta.b64
// CHECK: mbarrier.try_wait.parity
// CHECK: stmatrix
// CHECK: fence.proxy.async
// CHECK: bar.warp.sync
// CHECK: mbarrier.arrive.release.cta.shared::cta.b64
// CHECK: setmaxnreg.dec.sync.aligned.u32 24;
// CHECK: mbarrier.arrive.expect_tx.shared::cta.b64 _, [$0], 8192;
// CHECK: mbarrier.arrive.expect_tx.shared::cta.b64 _, [$0], 8192;
// CHECK: mbarrier.arrive.expect_tx.shared::cta.b64 _, [$0], 8192;
// CHECK: llvm.return
tile.kernel @ahead(%q: !tile.memory<192xbf16>, %k: !tile.pages<1x64x192xbf16>, %o: !tile.memory<129xf32>) items <sequences by 1 times 1> at %item attributes {tile.warps_ahead = 4 : i64, tile.blocks = 1 : i64, tile.warps = 8 : i64} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %c128 = arith.constant 128 : index
  %zero = arith.constant 0.0 : f32
  %least = arith.constant 0xFF800000 : f32
  %x = tile.load %q[%c0, %c0] : !tile.memory<192xbf16> -> !tile.tile<64x192xf32>
  %m0 = tile.splat %least : f32 -> !tile.tile<64x1xf32>
  %s0 = tile.splat %zero : f32 -> !tile.tile<64x128xf32>
  %r:2 = scf.for %j = %c0 to %c4 step %c1 iter_args(%m = %m0, %sum = %s0) -> (!tile.tile<64x1xf32>, !tile.tile<64x128xf32>) {
    %page = tile.page %k[%item, %j, %c0] : !tile.pages<1x64x192xbf16> -> !tile.memory<192xbf16>
    %y = tile.load %page[%c0, %c0] : !tile.memory<192xbf16> -> !tile.tile<64x192xf32>
    %v = tile.window %y[0, 0] : !tile.tile<64x192xf32> -> !tile.tile<64x128xf32>
    %s = tile.mma %x, transpose_rhs %y : !tile.tile<64x192xf32>, !tile.tile<64x192xf32> -> !tile.tile<64x64xf32>
    %top = tile.reduce max %s along 1 : !tile.tile<64x64xf32> -> !tile.tile<64x1xf32>
    %next = tile.map (%a = %m : !tile.tile<64x1xf32>, %b = %top : !tile.tile<64x1xf32>) -> !tile.tile<64x1xf32> {
      %n = arith.maximumf %a, %b : f32
      tile.yield %n : f32
    }
    %fade = tile.map (%a = %m : !tile.tile<64x1xf32>, %b = %next : !tile.tile<64x1xf32>) -> !tile.tile<64x1xf32> {
      %d = arith.subf %a, %b : f32
      %n = math.exp %d : f32
      tile.yield %n : f32
    }
    %p = tile.map (%a = %s : !tile.tile<64x64xf32>, %b = %next : !tile.tile<64x1xf32>) -> !tile.tile<64x64xf32> {
      %d = arith.subf %a, %b : f32
      %n = math.exp %d : f32
      tile.yield %n : f32
    }
    %kept = tile.map (%a = %sum : !tile.tile<64x128xf32>, %b = %fade : !tile.tile<64x1xf32>) -> !tile.tile<64x128xf32> {
      %n = arith.mulf %a, %b : f32
      tile.yield %n : f32
    }
    %acc = tile.mma %p, %v acc %kept : !tile.tile<64x64xf32>, !tile.tile<64x128xf32>, !tile.tile<64x128xf32> -> !tile.tile<64x128xf32>
    scf.yield %next, %acc : !tile.tile<64x1xf32>, !tile.tile<64x128xf32>
  }
  tile.store %r#1, %o[%c0, %c0] : !tile.tile<64x128xf32>, !tile.memory<129xf32>
  tile.store %r#0, %o[%c0, %c128] : !tile.tile<64x1xf32>, !tile.memory<129xf32>
}

// The scores want the sum itself: one team does all of it.
// CHECK-LABEL: llvm.func @depends(
// CHECK-SAME: tile.threads = 384
// CHECK-NOT: mbarrier.arrive.release
// CHECK: llvm.return
tile.kernel @depends(%q: !tile.memory<128xbf16>, %k: !tile.pages<1x64x128xbf16>, %o: !tile.memory<128xf32>) items <sequences by 1 times 1> at %item attributes {tile.warps_ahead = 4 : i64, tile.blocks = 1 : i64, tile.warps = 8 : i64} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %zero = arith.constant 0.0 : f32
  %s0 = tile.splat %zero : f32 -> !tile.tile<64x128xf32>
  %r = scf.for %j = %c0 to %c4 step %c1 iter_args(%sum = %s0) -> (!tile.tile<64x128xf32>) {
    %page = tile.page %k[%item, %j, %c0] : !tile.pages<1x64x128xbf16> -> !tile.memory<128xbf16>
    %y = tile.load %page[%c0, %c0] : !tile.memory<128xbf16> -> !tile.tile<64x128xf32>
    %s = tile.mma %sum, transpose_rhs %y : !tile.tile<64x128xf32>, !tile.tile<64x128xf32> -> !tile.tile<64x64xf32>
    %acc = tile.mma %s, %y acc %sum : !tile.tile<64x64xf32>, !tile.tile<64x128xf32>, !tile.tile<64x128xf32> -> !tile.tile<64x128xf32>
    scf.yield %acc : !tile.tile<64x128xf32>
  }
  tile.store %r, %o[%c0, %c0] : !tile.tile<64x128xf32>, !tile.memory<128xf32>
}
