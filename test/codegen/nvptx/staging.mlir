// RUN: denim-opt %s --convert-tile-to-nvptx | FileCheck %s
// RUN: denim-opt %s --convert-tile-to-nvptx=exact | FileCheck %s --check-prefix=NONE
// RUN: denim-opt %s --convert-tile-to-nvptx=target=sm_80 | FileCheck %s --check-prefix=NONE

// Three terms of a page are not what stands in memory, and an older machine has no such copies.
// NONE-NOT: {{mbarrier|cp.async|setmaxnreg}}

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
// CHECK: ldmatrix
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

// In a loop with pages, rows of other memory go along: a product's operand, a row of numbers, and a fragment that is turned
// on the way. What comes in boxes has a barrier that counts a thread and its bytes, as a page has (tensor_copies.mlir); the row of
// numbers one that counts the 32 lanes that copy it.
// Two blocks share a multiprocessor: registers are handed over to one computing warpgroup, too.
// CHECK-LABEL: llvm.func @rows(
// CHECK-SAME: nvvm.minctasm = 2
// CHECK-SAME: tile.threads = 256
// CHECK: mbarrier.init.shared::cta.b64 [$0], 1;
// CHECK: mbarrier.init.shared::cta.b64 [$0], 4;
// CHECK: mbarrier.init.shared::cta.b64 [$0], 32;
// CHECK: mbarrier.init.shared::cta.b64 [$0], 128;
// CHECK: setmaxnreg.inc.sync.aligned.u32 216
// CHECK: scf.for
// CHECK: mbarrier.try_wait.parity
// CHECK-NOT: fence.proxy.async
// CHECK: wgmma.mma_async
// CHECK: mbarrier.try_wait.parity
// CHECK: ldmatrix.sync.aligned.m8n8.x4.trans
// CHECK: setmaxnreg.dec.sync.aligned.u32 40
// CHECK: scf.for
// CHECK: cp.async.bulk.tensor
// CHECK: setp.eq.b32 p, $2, 0; cp.async.cg.shared.global [$0+0], [$1+0], 16, p;
// CHECK: cp.async.mbarrier.arrive.noinc
// CHECK: cp.async.bulk.shared::cluster.global{{.*}}, 8192
// CHECK: llvm.return
tile.kernel @rows(%q: !tile.memory<64xf32>, %k: !tile.memory<256xbf16>, %v: !tile.memory<128xbf16>, %f: !tile.memory<64xf32>, %a: !tile.pages<1x64x64xbf16>, %o: !tile.memory<64xf32>) items <sequences by 1 times 1> at %item attributes {tile.blocks = 2 : i64} {
  %c0 = arith.constant 0 : index
  %c64 = arith.constant 64 : index
  %begin, %end, %past = tile.sequence %item
  %x = tile.load %q[%c0, %c0] : !tile.memory<64xf32> -> !tile.tile<64x64xf32>
  %s = scf.for %row = %begin to %end step %c64 iter_args(%t = %x) -> (!tile.tile<64x64xf32>) {
    %keys = tile.load %k[%row, %c64] within [%begin, %end] : !tile.memory<256xbf16> -> !tile.tile<64x64xf32>
    %p = tile.mma %t, transpose_rhs %keys : !tile.tile<64x64xf32>, !tile.tile<64x64xf32> -> !tile.tile<64x64xf32>
    %values = tile.load %v[%row, %c0] within [%begin, %end] transposed : !tile.memory<128xbf16> -> !tile.tile<64x64xf32>
    %factors = tile.load %f[%row, %c0] : !tile.memory<64xf32> -> !tile.tile<1x64xf32>
    %w = tile.map (%y = %values : !tile.tile<64x64xf32>, %z = %p : !tile.tile<64x64xf32>, %b = %factors : !tile.tile<1x64xf32>) -> !tile.tile<64x64xf32> {
      %yz = arith.mulf %z, %b : f32
      %d = arith.subf %y, %yz : f32
      tile.yield %d : f32
    }
    %block = tile.block %a[%row, %c0] : !tile.pages<1x64x64xbf16> -> !tile.memory<64xbf16>
    %m = tile.load %block[%c0, %c0] : !tile.memory<64xbf16> -> !tile.tile<64x64xf32>
    %n = tile.mma %w, transpose_rhs %m : !tile.tile<64x64xf32>, !tile.tile<64x64xf32> -> !tile.tile<64x64xf32>
    scf.yield %n : !tile.tile<64x64xf32>
  }
  tile.store %s, %o[%c0, %c0] : !tile.tile<64x64xf32>, !tile.memory<64xf32>
}

// A warp copies one load after the other, and each keeps it busy beside its bytes: rows of numbers are dealt out to the
// warps of what is larger, too. Boxes and pages cost a warp nothing for their bytes, so these are dealt out evenly.
// CHECK-LABEL: llvm.func @dealt(
// CHECK: st.global
// CHECK: arith.cmpi eq, %[[WARP:.*]], %c4_i32{{.*}} : i32
// CHECK: cp.async.bulk.tensor
// CHECK: arith.cmpi eq, %[[WARP]], %c5_i32{{.*}} : i32
// CHECK: cp.async.bulk.tensor
// CHECK: arith.cmpi eq, %[[WARP]], %c7_i32{{.*}} : i32
// CHECK: cp.async.mbarrier.arrive.noinc
// CHECK: arith.cmpi eq, %[[WARP]], %c4_i32{{.*}} : i32
// CHECK: cp.async.mbarrier.arrive.noinc
// CHECK: arith.cmpi eq, %[[WARP]], %c5_i32{{.*}} : i32
// CHECK: cp.async.mbarrier.arrive.noinc
// CHECK: arith.cmpi eq, %[[WARP]], %c6_i32{{.*}} : i32
// CHECK: cp.async.mbarrier.arrive.noinc
// CHECK: arith.cmpi eq, %{{.*}}, %c192_i32{{.*}} : i32
// CHECK: cp.async.bulk.shared::cluster.global{{.*}}, 8192
// CHECK: llvm.return
tile.kernel @dealt(%q: !tile.memory<128xf32>, %k: !tile.memory<256xbf16>, %v: !tile.memory<128xbf16>, %f: !tile.memory<64xf32>, %g: !tile.memory<64xf32>, %h: !tile.memory<64xf32>, %i: !tile.memory<64xf32>, %a: !tile.pages<1x64x64xbf16>, %o: !tile.memory<128xf32>) items <sequences by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %c64 = arith.constant 64 : index
  %begin, %end, %past = tile.sequence %item
  %x = tile.load %q[%c0, %c0] : !tile.memory<128xf32> -> !tile.tile<64x128xf32>
  %s = scf.for %row = %begin to %end step %c64 iter_args(%t = %x) -> (!tile.tile<64x128xf32>) {
    %keys = tile.load %k[%row, %c0] within [%begin, %end] : !tile.memory<256xbf16> -> !tile.tile<64x128xf32>
    %p = tile.mma %t, transpose_rhs %keys : !tile.tile<64x128xf32>, !tile.tile<64x128xf32> -> !tile.tile<64x64xf32>
    %values = tile.load %v[%row, %c0] within [%begin, %end] transposed : !tile.memory<128xbf16> -> !tile.tile<64x64xf32>
    %b = tile.load %f[%row, %c0] : !tile.memory<64xf32> -> !tile.tile<1x64xf32>
    %c = tile.load %g[%row, %c0] : !tile.memory<64xf32> -> !tile.tile<1x64xf32>
    %d = tile.load %h[%row, %c0] : !tile.memory<64xf32> -> !tile.tile<1x64xf32>
    %last = tile.load %i[%row, %c0] : !tile.memory<64xf32> -> !tile.tile<1x64xf32>
    %block = tile.block %a[%row, %c0] : !tile.pages<1x64x64xbf16> -> !tile.memory<64xbf16>
    %m = tile.load %block[%c0, %c0] : !tile.memory<64xbf16> -> !tile.tile<64x64xf32>
    %w = tile.map (%y = %values : !tile.tile<64x64xf32>, %z = %p : !tile.tile<64x64xf32>, %e0 = %b : !tile.tile<1x64xf32>, %e1 = %c : !tile.tile<1x64xf32>, %e2 = %d : !tile.tile<1x64xf32>, %e3 = %last : !tile.tile<1x64xf32>) -> !tile.tile<64x64xf32> {
      %u0 = arith.mulf %z, %e0 : f32
      %u1 = arith.mulf %u0, %e1 : f32
      %u2 = arith.mulf %u1, %e2 : f32
      %u3 = arith.mulf %u2, %e3 : f32
      %u4 = arith.subf %y, %u3 : f32
      tile.yield %u4 : f32
    }
    %n = tile.mma %w, transpose_rhs %m : !tile.tile<64x64xf32>, !tile.tile<64x64xf32> -> !tile.tile<64x64xf32>
    %z = tile.mma %n, %keys acc %t : !tile.tile<64x64xf32>, !tile.tile<64x128xf32>, !tile.tile<64x128xf32> -> !tile.tile<64x128xf32>
    scf.yield %z : !tile.tile<64x128xf32>
  }
  tile.store %s, %o[%c0, %c0] : !tile.tile<64x128xf32>, !tile.memory<128xf32>
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

// A number that a tile is computed for is known to the computing warps alone;
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
    %next = tile.map (%a = %n : !tile.tile<1x1xi32>) -> !tile.tile<1x1xi32> {
      %b = arith.addi %a, %a : i32
      tile.yield %b : i32
    }
    %number = tile.extract %next[0, 0] : !tile.tile<1x1xi32> -> index
    %page = tile.page %k[%item, %number, %c0] : !tile.pages<1x64x64xbf16> -> !tile.memory<64xbf16>
    %y = tile.load %page[%c0, %c0] : !tile.memory<64xbf16> -> !tile.tile<64x64xf32>
    %p = tile.mma %x, transpose_rhs %y : !tile.tile<64x64xf32>, !tile.tile<64x64xf32> -> !tile.tile<64x64xf32>
    tile.store %p, %o[%c0, %c0] : !tile.tile<64x64xf32>, !tile.memory<64xf32>
  }
}

// one that stands in memory to all.
// CHECK-LABEL: llvm.func @chosen_by_number(
// CHECK-SAME: tile.threads = 256
// CHECK: cp.async.bulk.shared::cluster.global{{.*}}, 8192
// CHECK: llvm.return
tile.kernel @chosen_by_number(%q: !tile.memory<64xf32>, %which: !tile.memory<1xi32>, %k: !tile.pages<1x64x64xbf16>, %o: !tile.memory<64xf32>) items <sequences by 1 times 1> at %item {
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

// Panels of a page follow each other: those that only products read are copied alone, from where they begin. Whole panels of
// some rows of a page are stored as its image, from the row on: here row 64, 8192 bytes on, of two panels of 16384 bytes.
// CHECK-LABEL: llvm.func @panels(
// CHECK: wgmma.mma_async
// CHECK: stmatrix.sync.aligned.m8n8.x4.shared.b16
// CHECK: arith.addi %{{.*}}, %c8192_i64 : i64
// CHECK: st.global.v4.b32 [$4+1536]
// CHECK: st.global.v4.b32 [$4+16384]
// CHECK: %[[PANEL:.*]] = arith.shrui %{{.*}}, %c6_i64
// CHECK-NEXT: %[[BYTES:.*]] = arith.constant 8192
// CHECK-NEXT: arith.muli %[[PANEL]], %[[BYTES]]
// CHECK: mbarrier.arrive.expect_tx.shared::cta.b64 _, [$0], 16384;
// CHECK: llvm.return
tile.kernel @panels(%q: !tile.memory<128xf32>, %k: !tile.pages<1x64x256xbf16>, %o: !tile.pages<1x128x128xbf16>) items <sequences by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %c64 = arith.constant 64 : index
  %c128 = arith.constant 128 : index
  %zero = arith.constant 0.0 : f32
  %x = tile.load %q[%c0, %c0] : !tile.memory<128xf32> -> !tile.tile<64x64xf32>
  %s0 = tile.splat %zero : f32 -> !tile.tile<64x128xf32>
  %s = scf.for %j = %c0 to %c2 step %c1 iter_args(%t = %s0) -> (!tile.tile<64x128xf32>) {
    %page = tile.page %k[%item, %j, %c0] : !tile.pages<1x64x256xbf16> -> !tile.memory<256xbf16>
    %column = arith.muli %j, %c64 : index
    %y = tile.load %page[%c0, %column] : !tile.memory<256xbf16> -> !tile.tile<64x128xf32>
    %p = tile.mma %x, %y acc %t : !tile.tile<64x64xf32>, !tile.tile<64x128xf32>, !tile.tile<64x128xf32> -> !tile.tile<64x128xf32>
    scf.yield %p : !tile.tile<64x128xf32>
  }
  %block = tile.block %o[%item, %c0] : !tile.pages<1x128x128xbf16> -> !tile.memory<128xbf16>
  tile.store %s, %block[%c64, %c0] : !tile.tile<64x128xf32>, !tile.memory<128xbf16>
}
