// RUN: denim-opt %s --convert-tile-to-nvptx | FileCheck %s
// RUN: denim-opt %s --convert-tile-to-nvptx | denim-opt --verify-nvptx-synchronization -o /dev/null

// A page and rows in each turn of a loop.
// CHECK-LABEL: llvm.func @one(
// CHECK-SAME: tile.shared_bytes = [[$BYTES:[0-9]+]]
// CHECK-COUNT-16: mbarrier.init.shared::cta.b64
// CHECK-NOT: mbarrier.init
// CHECK: llvm.return
tile.kernel @one(%x: !tile.memory<64xbf16>, %k: !tile.pages<1x64x64xbf16>, %o: !tile.memory<64xf32>) items <once by 1 times 1> at %item attributes {tile.warps = 8 : i64} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c9 = arith.constant 9 : index
  %c64 = arith.constant 64 : index
  %zero = arith.constant 0.0 : f32
  %a = tile.splat %zero : f32 -> !tile.tile<128x64xf32>
  %s = scf.for %j = %c0 to %c9 step %c1 iter_args(%t = %a) -> (!tile.tile<128x64xf32>) {
    %page = tile.block %k[%j, %c0] : !tile.pages<1x64x64xbf16> -> !tile.memory<64xbf16>
    %y = tile.load %page[%c0, %c0] : !tile.memory<64xbf16> -> !tile.tile<64x64xf32>
    %r = arith.muli %j, %c64 : index
    %z = tile.load %x[%r, %c0] : !tile.memory<64xbf16> -> !tile.tile<64x64xf32>
    %p = tile.mma %t, %y : !tile.tile<128x64xf32>, !tile.tile<64x64xf32> -> !tile.tile<128x64xf32>
    %q = tile.mma %p, %z acc %t : !tile.tile<128x64xf32>, !tile.tile<64x64xf32>, !tile.tile<128x64xf32> -> !tile.tile<128x64xf32>
    scf.yield %q : !tile.tile<128x64xf32>
  }
  tile.store %s, %o[%c0, %c0] : !tile.tile<128x64xf32>, !tile.memory<64xf32>
}

// A second loop that reads pages of its own has the slots and mbarriers of the first one's: as much shared memory, and
// the place in the ring of pages goes on from loop to loop while that of rows stands still. Copying threads remember more
// than for one loop, and what they give back is what the others wait for: 48 of 128 threads and 224 of 256 are no more
// than the 168 of 384 that the block began with.
// CHECK-LABEL: llvm.func @two(
// CHECK-SAME: tile.shared_bytes = [[$BYTES]]
// CHECK-COUNT-16: mbarrier.init.shared::cta.b64
// CHECK-NOT: mbarrier.init
// CHECK: setmaxnreg.inc.sync.aligned.u32 224
// CHECK: setmaxnreg.dec.sync.aligned.u32 48
// CHECK: llvm.return
tile.kernel @two(%x: !tile.memory<64xbf16>, %k: !tile.pages<1x64x64xbf16>, %l: !tile.pages<1x64x64xbf16>, %o: !tile.memory<64xf32>) items <once by 1 times 1> at %item attributes {tile.warps = 8 : i64} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c9 = arith.constant 9 : index
  %c64 = arith.constant 64 : index
  %zero = arith.constant 0.0 : f32
  %a = tile.splat %zero : f32 -> !tile.tile<128x64xf32>
  %first = scf.for %j = %c0 to %c9 step %c1 iter_args(%t = %a) -> (!tile.tile<128x64xf32>) {
    %page = tile.block %l[%j, %c0] : !tile.pages<1x64x64xbf16> -> !tile.memory<64xbf16>
    %y = tile.load %page[%c0, %c0] : !tile.memory<64xbf16> -> !tile.tile<64x64xf32>
    %p = tile.mma %t, %y acc %t : !tile.tile<128x64xf32>, !tile.tile<64x64xf32>, !tile.tile<128x64xf32> -> !tile.tile<128x64xf32>
    scf.yield %p : !tile.tile<128x64xf32>
  }
  %s = scf.for %j = %c0 to %c9 step %c1 iter_args(%t = %first) -> (!tile.tile<128x64xf32>) {
    %page = tile.block %k[%j, %c0] : !tile.pages<1x64x64xbf16> -> !tile.memory<64xbf16>
    %y = tile.load %page[%c0, %c0] : !tile.memory<64xbf16> -> !tile.tile<64x64xf32>
    %r = arith.muli %j, %c64 : index
    %z = tile.load %x[%r, %c0] : !tile.memory<64xbf16> -> !tile.tile<64x64xf32>
    %p = tile.mma %t, %y : !tile.tile<128x64xf32>, !tile.tile<64x64xf32> -> !tile.tile<128x64xf32>
    %q = tile.mma %p, %z acc %t : !tile.tile<128x64xf32>, !tile.tile<64x64xf32>, !tile.tile<128x64xf32> -> !tile.tile<128x64xf32>
    scf.yield %q : !tile.tile<128x64xf32>
  }
  tile.store %s, %o[%c0, %c0] : !tile.tile<128x64xf32>, !tile.memory<64xf32>
}

// Rows that the other loop has not are no loads ahead: pages of both loops share one ring then.
// CHECK-LABEL: llvm.func @unlike(
// CHECK-NOT: cp.async.bulk.tensor
// CHECK: setmaxnreg.inc
// CHECK: llvm.return
tile.kernel @unlike(%x: !tile.memory<64xbf16>, %k: !tile.pages<1x64x64xbf16>, %l: !tile.pages<1x128x64xbf16>, %o: !tile.memory<64xf32>) items <once by 1 times 1> at %item attributes {tile.warps = 8 : i64} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c9 = arith.constant 9 : index
  %c64 = arith.constant 64 : index
  %zero = arith.constant 0.0 : f32
  %a = tile.splat %zero : f32 -> !tile.tile<128x64xf32>
  %first = scf.for %j = %c0 to %c9 step %c1 iter_args(%t = %a) -> (!tile.tile<128x64xf32>) {
    %page = tile.block %l[%j, %c0] : !tile.pages<1x128x64xbf16> -> !tile.memory<64xbf16>
    %y = tile.load %page[%c0, %c0] : !tile.memory<64xbf16> -> !tile.tile<128x64xf32>
    %u = tile.mma %t, transpose_rhs %y : !tile.tile<128x64xf32>, !tile.tile<128x64xf32> -> !tile.tile<128x128xf32>
    %p = tile.mma %u, %y acc %t : !tile.tile<128x128xf32>, !tile.tile<128x64xf32>, !tile.tile<128x64xf32> -> !tile.tile<128x64xf32>
    scf.yield %p : !tile.tile<128x64xf32>
  }
  %s = scf.for %j = %c0 to %c9 step %c1 iter_args(%t = %first) -> (!tile.tile<128x64xf32>) {
    %page = tile.block %k[%j, %c0] : !tile.pages<1x64x64xbf16> -> !tile.memory<64xbf16>
    %y = tile.load %page[%c0, %c0] : !tile.memory<64xbf16> -> !tile.tile<64x64xf32>
    %r = arith.muli %j, %c64 : index
    %z = tile.load %x[%r, %c0] : !tile.memory<64xbf16> -> !tile.tile<64x64xf32>
    %p = tile.mma %t, %y : !tile.tile<128x64xf32>, !tile.tile<64x64xf32> -> !tile.tile<128x64xf32>
    %q = tile.mma %p, %z acc %t : !tile.tile<128x64xf32>, !tile.tile<64x64xf32>, !tile.tile<128x64xf32> -> !tile.tile<128x64xf32>
    scf.yield %q : !tile.tile<128x64xf32>
  }
  tile.store %s, %o[%c0, %c0] : !tile.tile<128x64xf32>, !tile.memory<64xf32>
}
