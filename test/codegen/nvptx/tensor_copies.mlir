// RUN: denim-opt %s --convert-tile-to-nvptx -o %t.mlir
// RUN: FileCheck %s < %t.mlir
// RUN: denim-opt %t.mlir --verify-nvptx-synchronization -o /dev/null
// RUN: denim-opt %s --convert-tile-to-nvptx=target=sm_80 | FileCheck %s --check-prefix=EARLIER
// RUN: denim-compile %S/Inputs/delta_rule.mlir --target=nvptx,sm_90a --assembler=- --emit=ptx -o - | FileCheck %s --check-prefix=PTX

// Chunks of a sequence. Those that are whole come as boxes of 64 rows and 64 columns, two for keys of 128: one thread says how
// many bytes it waits for, and asks for them. Of the last, rows behind the end are zeros: the warp copies pieces, waits for them
// itself and fences them. Either way the mbarrier counts one arrival (but for those on top of what it expects), and who waits there fences nothing. A map describes each
// memory, once, also where two loads have boxes alike.
// CHECK-LABEL: llvm.func @chunks(
// CHECK-SAME: %[[K:arg[0-9]+]]: !llvm.ptr {llvm.align = 64 : i64, llvm.byval = !llvm.array<128 x i8>, nvvm.grid_constant}, %[[V:arg[0-9]+]]: !llvm.ptr {{{[^}]*}}})
// CHECK-SAME: tile.tensor_maps = [{box_columns = 64 : i64, box_rows = 64 : i64, columns = 256 : i64, memory = 1 : i64}, {box_columns = 64 : i64, box_rows = 64 : i64, columns = 128 : i64, memory = 2 : i64}]
// CHECK: setmaxnreg.inc
// CHECK-NOT: fence.proxy.async
// CHECK: setmaxnreg.dec
// CHECK: "prefetch.tensormap [$0];", "l,~{memory}" %[[K]]
// CHECK: "prefetch.tensormap [$0];", "l,~{memory}" %[[V]]
// CHECK: scf.for
// CHECK: mbarrier.try_wait.parity
// CHECK: %[[ROW:.*]] = arith.index_cast %{{.*}} : index to i64
// CHECK: %[[LAST:.*]] = arith.addi %[[ROW]], %c63
// CHECK: %[[NOTBEHIND:.*]] = arith.cmpi slt, %[[LAST]],
// CHECK: %[[NEXT:.*]] = arith.addi %[[ROW]], %c1
// CHECK: %[[NOTBEFORE:.*]] = arith.cmpi slt, %{{.*}}, %[[NEXT]]
// CHECK: %[[WHOLE:.*]] = arith.andi %[[NOTBEFORE]], %[[NOTBEHIND]]
// CHECK: scf.if %[[WHOLE]] {
// CHECK: mbarrier.arrive.expect_tx.shared::cta.b64 _, [$0], 16384;
// CHECK-COUNT-2: cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [$0], [$1, {$2, $3}], [$4];", "r,l,r,r,r,~{memory}" %{{[^,]*}}, %[[K]],
// CHECK-NOT: cp.async.bulk
// CHECK: } else {
// CHECK-COUNT-32: cp.async.cg.shared.global
// CHECK-NOT: cp.async.cg
// CHECK: cp.async.wait_all;
// CHECK-NEXT: fence.proxy.async.shared::cta;
// CHECK: cp.async.mbarrier.arrive.shared::cta.b64
// CHECK-NEXT: bar.warp.sync -1;
// CHECK: mbarrier.arrive.release.cta
// CHECK: mbarrier.arrive.expect_tx.shared::cta.b64 _, [$0], 8192;
// CHECK-COUNT-1: cp.async.bulk.tensor.2d{{.*}} %[[V]],
// CHECK-NOT: cp.async.bulk
// CHECK: } else {
// CHECK-COUNT-16: cp.async.cg.shared.global
// CHECK-NOT: cp.async.cg
// CHECK: mbarrier.arrive.release.cta
// CHECK: cp.async.bulk.shared::cluster.global{{.*}}, 8192
// CHECK: cp.async.bulk.tensor.2d{{.*}} %[[K]],
// CHECK: llvm.return

// No earlier machine has such copies, and its kernels no more parameters than memories.
// EARLIER-NOT: {{tensor|byval}}

// The address of a parameter is that of any memory.
// PTX-LABEL: .entry recurrence_{{[0-9]+}}_scan(
// PTX: .param .align 64 .b8 [[SCAN:recurrence_[0-9]+_scan]]_param_[[FIRST:[0-9]+]][128]
// PTX: mov.b64 %[[AT:rd[0-9]+]], [[SCAN]]_param_[[FIRST]];
// PTX: cvta.param.u64 %[[MAP:rd[0-9]+]], %[[AT]];
// PTX: prefetch.tensormap [%[[MAP]]];
// PTX: cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%r{{[0-9]+}}], [%[[MAP]], {%r{{[0-9]+}}, %r{{[0-9]+}}}], [%r{{[0-9]+}}];
tile.kernel @chunks(%q: !tile.memory<128xf32>, %k: !tile.memory<256xbf16>, %v: !tile.memory<128xbf16>, %f: !tile.memory<64xf32>, %a: !tile.pages<1x64x64xbf16>, %o: !tile.memory<128xf32>) items <sequences by 1 times 1> at %item attributes {tile.blocks = 2 : i64} {
  %c0 = arith.constant 0 : index
  %c64 = arith.constant 64 : index
  %c128 = arith.constant 128 : index
  %begin, %end, %past = tile.sequence %item
  %x = tile.load %q[%c0, %c0] : !tile.memory<128xf32> -> !tile.tile<64x128xf32>
  %s = scf.for %row = %begin to %end step %c64 iter_args(%t = %x) -> (!tile.tile<64x128xf32>) {
    %keys = tile.load %k[%row, %c128] within [%begin, %end] : !tile.memory<256xbf16> -> !tile.tile<64x128xf32>
    %p = tile.mma %t, transpose_rhs %keys : !tile.tile<64x128xf32>, !tile.tile<64x128xf32> -> !tile.tile<64x64xf32>
    %values = tile.load %v[%row, %c64] within [%begin, %end] transposed : !tile.memory<128xbf16> -> !tile.tile<64x64xf32>
    %factors = tile.load %f[%row, %c0] : !tile.memory<64xf32> -> !tile.tile<1x64xf32>
    %w = tile.map (%y = %values : !tile.tile<64x64xf32>, %z = %p : !tile.tile<64x64xf32>, %b = %factors : !tile.tile<1x64xf32>) -> !tile.tile<64x64xf32> {
      %yz = arith.mulf %z, %b : f32
      %d = arith.subf %y, %yz : f32
      tile.yield %d : f32
    }
    %block = tile.block %a[%row, %c0] : !tile.pages<1x64x64xbf16> -> !tile.memory<64xbf16>
    %m = tile.load %block[%c0, %c0] : !tile.memory<64xbf16> -> !tile.tile<64x64xf32>
    %n = tile.mma %w, transpose_rhs %m : !tile.tile<64x64xf32>, !tile.tile<64x64xf32> -> !tile.tile<64x64xf32>
    %others = tile.load %k[%row, %c0] within [%begin, %end] : !tile.memory<256xbf16> -> !tile.tile<64x128xf32>
    %next = tile.mma %n, %others acc %t : !tile.tile<64x64xf32>, !tile.tile<64x128xf32>, !tile.tile<64x128xf32> -> !tile.tile<64x128xf32>
    scf.yield %next : !tile.tile<64x128xf32>
  }
  tile.store %s, %o[%c0, %c0] : !tile.tile<64x128xf32>, !tile.memory<128xf32>
}

// Rows of a product are the same in all turns: pieces, and nobody waits for them but who reads them.
// CHECK-LABEL: llvm.func @product(
// CHECK-NOT: {{tensor|byval}}
// CHECK: fence.proxy.async
// CHECK: setmaxnreg.dec
// CHECK-NOT: cp.async.bulk
// CHECK: cp.async.mbarrier.arrive.noinc
// CHECK: llvm.return
tile.kernel @product(%x: !tile.memory<256xbf16>, %w: !tile.memory<256xbf16>, %y: !tile.memory<128xf32>) items <tokens by 128 times 1> at %item attributes {tile.ahead, tile.blocks = 1 : i64, tile.warps = 8 : i64} {
  %c0 = arith.constant 0 : index
  %c64 = arith.constant 64 : index
  %c128 = arith.constant 128 : index
  %c256 = arith.constant 256 : index
  %zero = arith.constant 0.0 : f32
  %row = arith.muli %item, %c128 : index
  %tokens = tile.count tokens
  %s0 = tile.splat %zero : f32 -> !tile.tile<128x128xf32>
  %s = scf.for %k = %c0 to %c256 step %c64 iter_args(%t = %s0) -> (!tile.tile<128x128xf32>) {
    %v = tile.load %w[%c0, %k] : !tile.memory<256xbf16> -> !tile.tile<128x64xf32>
    %u = tile.load %x[%row, %k] within [%row, %tokens] : !tile.memory<256xbf16> -> !tile.tile<128x64xf32>
    %p = tile.mma %u, transpose_rhs %v acc %t : !tile.tile<128x64xf32>, !tile.tile<128x64xf32>, !tile.tile<128x128xf32> -> !tile.tile<128x128xf32>
    scf.yield %p : !tile.tile<128x128xf32>
  }
  tile.store %s, %y[%row, %c0] within [%c0, %tokens] : !tile.tile<128x128xf32>, !tile.memory<128xf32>
}

// Rows that always exist come one way, by one thread; more of them than a box may have, in pieces.
// CHECK-LABEL: llvm.func @always(
// CHECK-SAME: tile.tensor_maps = [{box_columns = 64 : i64, box_rows = 256 : i64, columns = 64 : i64, memory = 0 : i64}], tile.threads
// CHECK: setmaxnreg.dec
// CHECK: mbarrier.arrive.expect_tx.shared::cta.b64 _, [$0], 32768;
// CHECK: cp.async.bulk.tensor.2d
// CHECK-NOT: cp.async.bulk
// CHECK: cp.async.cg.shared.global
// CHECK: cp.async.mbarrier.arrive.noinc
// CHECK-NOT: cp.async
// CHECK: llvm.return
tile.kernel @always(%x: !tile.memory<64xbf16>, %w: !tile.memory<64xbf16>, %y: !tile.memory<128xf32>) items <once by 1 times 1> at %item attributes {tile.ahead, tile.blocks = 1 : i64, tile.warps = 8 : i64} {
  %c0 = arith.constant 0 : index
  %c272 = arith.constant 272 : index
  %c1088 = arith.constant 1088 : index
  %zero = arith.constant 0.0 : f32
  %a = tile.splat %zero : f32 -> !tile.tile<128x256xf32>
  %b = tile.splat %zero : f32 -> !tile.tile<128x272xf32>
  %s0 = tile.splat %zero : f32 -> !tile.tile<128x64xf32>
  %s = scf.for %k = %c0 to %c1088 step %c272 iter_args(%t = %s0) -> (!tile.tile<128x64xf32>) {
    %u = tile.load %x[%k, %c0] : !tile.memory<64xbf16> -> !tile.tile<256x64xf32>
    %p = tile.mma %a, %u acc %t : !tile.tile<128x256xf32>, !tile.tile<256x64xf32>, !tile.tile<128x64xf32> -> !tile.tile<128x64xf32>
    %v = tile.load %w[%k, %c0] : !tile.memory<64xbf16> -> !tile.tile<272x64xf32>
    %q = tile.mma %b, %v acc %p : !tile.tile<128x272xf32>, !tile.tile<272x64xf32>, !tile.tile<128x64xf32> -> !tile.tile<128x64xf32>
    scf.yield %q : !tile.tile<128x64xf32>
  }
  tile.store %s, %y[%c0, %c0] : !tile.tile<128x64xf32>, !tile.memory<128xf32>
}
