// RUN: denim-opt %s --convert-tile-to-nvptx | FileCheck %s
// RUN: denim-opt %s --convert-tile-to-nvptx=exact | FileCheck %s --check-prefix=NONE
// RUN: denim-opt %s --convert-tile-to-nvptx=target=sm_80 | FileCheck %s --check-prefix=NONE

// Three terms of a page are not what stands in memory, and an older machine has no such copies.
// NONE-NOT: {{mbarrier|cp.async.bulk|setmaxnreg}}

// Whole pages of bf16 that only products read: a warpgroup of its own copies them into a ring. Eight warps compute, so
// registers are handed over, and the copying threads are counted by no barrier but that behind the ring's start.
// CHECK-LABEL: llvm.func @staged(
// CHECK-SAME: tile.threads = 384
// CHECK: mbarrier.init.shared::cta.b64 [$0], 1;
// CHECK: mbarrier.init.shared::cta.b64 [$0], 8;
// CHECK: fence.mbarrier_init
// CHECK: bar.sync 0, 384;
// CHECK-NOT: bar.sync {{[0-9]+}}, 384
// CHECK: setmaxnreg.inc.sync.aligned.u32
// CHECK-NOT: bar.sync {{[0-9]+}}, 384
// CHECK: scf.for
// CHECK: mbarrier.try_wait.parity
// CHECK: wgmma.mma_async.sync.aligned.m64n64k16
// Arrives behind the last product that reads the slot.
// CHECK: wgmma.wait_group.sync.aligned 0;
// CHECK: bar.warp.sync
// CHECK: mbarrier.arrive.shared::cta.b64
// CHECK: st.global
// CHECK: setmaxnreg.dec.sync.aligned.u32
// CHECK-NOT: bar.sync
// CHECK: scf.for
// CHECK: mbarrier.try_wait.parity
// CHECK: mbarrier.arrive.expect_tx.shared::cta.b64 _, [$0], 16384;
// CHECK: cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [$0], [$1], 16384
// CHECK-NOT: {{wgmma|st.global|bar.sync}}
// CHECK: llvm.return
tile.kernel @staged(%q: !tile.memory<128xf32>, %k: !tile.pages<1x64x128xbf16>, %o: !tile.memory<64xf32>) items <sequences by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %zero = arith.constant 0.0 : f32
  %x = tile.load %q[%c0, %c0] : !tile.memory<128xf32> -> !tile.tile<128x128xf32>
  %s0 = tile.splat %zero : f32 -> !tile.tile<128x64xf32>
  %s = scf.for %j = %c0 to %c4 step %c1 iter_args(%t = %s0) -> (!tile.tile<128x64xf32>) {
    %page = tile.page %k[%item, %j, %c0] : !tile.pages<1x64x128xbf16> -> !tile.memory<128xbf16>
    %y = tile.load %page[%c0, %c0] : !tile.memory<128xbf16> -> !tile.tile<64x128xf32>
    %p = tile.mma %x, transpose_rhs %y acc %t : !tile.tile<128x128xf32>, !tile.tile<64x128xf32>, !tile.tile<128x64xf32> -> !tile.tile<128x64xf32>
    scf.yield %p : !tile.tile<128x64xf32>
  }
  tile.store %s, %o[%c0, %c0] : !tile.tile<128x64xf32>, !tile.memory<64xf32>
}

// What else reads the page finds it in its slot. Four warps compute: their registers need no help.
// CHECK-LABEL: llvm.func @also_added(
// CHECK-SAME: tile.threads = 256
// CHECK-NOT: setmaxnreg
// CHECK: mbarrier.try_wait.parity
// CHECK: ld.shared.b32
// CHECK: wgmma.mma_async
// CHECK: cp.async.bulk.shared::cluster.global{{.*}}, 8192
// CHECK: llvm.return
tile.kernel @also_added(%q: !tile.memory<64xf32>, %k: !tile.pages<1x64x64xbf16>, %o: !tile.memory<64xf32>) items <sequences by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %x = tile.load %q[%c0, %c0] : !tile.memory<64xf32> -> !tile.tile<64x64xf32>
  scf.for %j = %c0 to %c4 step %c1 {
    %page = tile.page %k[%item, %j, %c0] : !tile.pages<1x64x64xbf16> -> !tile.memory<64xbf16>
    %y = tile.load %page[%c0, %c0] : !tile.memory<64xbf16> -> !tile.tile<64x64xf32>
    %p = tile.mma %x, transpose_rhs %y acc %y : !tile.tile<64x64xf32>, !tile.tile<64x64xf32>, !tile.tile<64x64xf32> -> !tile.tile<64x64xf32>
    tile.store %p, %o[%c0, %c0] : !tile.tile<64x64xf32>, !tile.memory<64xf32>
  }
}

// A load of some rows of a page, a page of f32, which is no image, and a page that depends on a tile are loaded where they
// stand: no thread is there to copy.
// CHECK-LABEL: llvm.func @bounded(
// CHECK-SAME: tile.threads = 128
// CHECK-NOT: cp.async.bulk
// CHECK: llvm.return
tile.kernel @bounded(%q: !tile.memory<64xf32>, %k: !tile.pages<1x64x64xbf16>, %o: !tile.memory<64xf32>) items <sequences by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %x = tile.load %q[%c0, %c0] : !tile.memory<64xf32> -> !tile.tile<64x64xf32>
  scf.for %j = %c0 to %c4 step %c1 {
    %page = tile.page %k[%item, %j, %c0] : !tile.pages<1x64x64xbf16> -> !tile.memory<64xbf16>
    %y = tile.load %page[%c0, %c0] within [%c0, %j] : !tile.memory<64xbf16> -> !tile.tile<64x64xf32>
    %p = tile.mma %x, transpose_rhs %y : !tile.tile<64x64xf32>, !tile.tile<64x64xf32> -> !tile.tile<64x64xf32>
    tile.store %p, %o[%c0, %c0] : !tile.tile<64x64xf32>, !tile.memory<64xf32>
  }
}

// CHECK-LABEL: llvm.func @wide_page(
// CHECK-SAME: tile.threads = 128
// CHECK-NOT: cp.async.bulk
// CHECK: llvm.return
tile.kernel @wide_page(%q: !tile.memory<64xf32>, %k: !tile.pages<1x64x64xf32>, %o: !tile.memory<64xf32>) items <sequences by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %x = tile.load %q[%c0, %c0] : !tile.memory<64xf32> -> !tile.tile<64x64xf32>
  scf.for %j = %c0 to %c4 step %c1 {
    %page = tile.page %k[%item, %j, %c0] : !tile.pages<1x64x64xf32> -> !tile.memory<64xf32>
    %y = tile.load %page[%c0, %c0] : !tile.memory<64xf32> -> !tile.tile<64x64xf32>
    %p = tile.mma %x, transpose_rhs %y : !tile.tile<64x64xf32>, !tile.tile<64x64xf32> -> !tile.tile<64x64xf32>
    tile.store %p, %o[%c0, %c0] : !tile.tile<64x64xf32>, !tile.memory<64xf32>
  }
}

// CHECK-LABEL: llvm.func @chosen_by_tile(
// CHECK-SAME: tile.threads = 128
// CHECK-NOT: cp.async.bulk
// CHECK: llvm.return
tile.kernel @chosen_by_tile(%q: !tile.memory<64xf32>, %which: !tile.memory<1xi32>, %k: !tile.pages<1x64x64xbf16>, %o: !tile.memory<64xf32>) items <sequences by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %x = tile.load %q[%c0, %c0] : !tile.memory<64xf32> -> !tile.tile<64x64xf32>
  scf.for %j = %c0 to %c4 step %c1 {
    %n = tile.load %which[%j, %c0] : !tile.memory<1xi32> -> !tile.tile<1x1xi32>
    %number = tile.extract %n[0, 0] : !tile.tile<1x1xi32> -> index
    %page = tile.page %k[%item, %number, %c0] : !tile.pages<1x64x64xbf16> -> !tile.memory<64xbf16>
    %y = tile.load %page[%c0, %c0] : !tile.memory<64xbf16> -> !tile.tile<64x64xf32>
    %p = tile.mma %x, transpose_rhs %y : !tile.tile<64x64xf32>, !tile.tile<64x64xf32> -> !tile.tile<64x64xf32>
    tile.store %p, %o[%c0, %c0] : !tile.tile<64x64xf32>, !tile.memory<64xf32>
  }
}

// Blocks that another kernel of the step left are pages without a table: 64 rows of 64 bf16 are 8 KiB.
// CHECK-LABEL: llvm.func @blocks(
// CHECK-SAME: tile.threads = 256
// CHECK: mbarrier.try_wait.parity
// CHECK: wgmma.mma_async
// CHECK: cp.async.bulk.shared::cluster.global{{.*}}, 8192
// CHECK: llvm.return
tile.kernel @blocks(%q: !tile.memory<64xf32>, %k: !tile.pages<1x64x64xbf16>, %o: !tile.memory<64xf32>) items <sequences by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %x = tile.load %q[%c0, %c0] : !tile.memory<64xf32> -> !tile.tile<64x64xf32>
  scf.for %j = %c0 to %c4 step %c1 {
    %block = tile.block %k[%j, %c0] : !tile.pages<1x64x64xbf16> -> !tile.memory<64xbf16>
    %y = tile.load %block[%c0, %c0] : !tile.memory<64xbf16> -> !tile.tile<64x64xf32>
    %p = tile.mma %x, transpose_rhs %y : !tile.tile<64x64xf32>, !tile.tile<64x64xf32> -> !tile.tile<64x64xf32>
    tile.store %p, %o[%c0, %c0] : !tile.tile<64x64xf32>, !tile.memory<64xf32>
  }
}
