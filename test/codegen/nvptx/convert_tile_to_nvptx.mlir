// RUN: denim-opt %s --convert-tile-to-nvptx | FileCheck %s
// RUN: denim-opt %s --tile-to-nvptx | FileCheck %s --check-prefix=LLVM

// Products stand in products.mlir, copies ahead of their use in staging.mlir.

// All dynamic shared memory of a block; the pipeline leaves nothing but the LLVM and NVVM dialects.
// CHECK: llvm.mlir.global external @denim_shared() {addr_space = 3 : i32, alignment = 1024 : i64}
// LLVM-NOT: {{^ *(%[^ ]* = )?(arith|scf|tile|math)\.}}

// The parameters are the step, the number of items and the memories; the block is the item.
// CHECK-LABEL: llvm.func @map(
// CHECK-SAME: %{{.*}}: !llvm.ptr<1>, %{{.*}}: i64, %{{.*}}: !llvm.ptr<1>)
// CHECK-SAME: nvvm.kernel
// CHECK-SAME: tile.shared_bytes = 0
// CHECK: nvvm.read.ptx.sreg.ctaid.x
// Two neighbours of bf16 are one word. 16 x 32 elements, 128 threads: four of each.
// CHECK-COUNT-2: ld.global.b32
// CHECK-NOT: ld.global
// CHECK-COUNT-4: call_intrinsic "llvm.nvvm.ex2.approx.ftz"
// CHECK-NOT: ex2
// CHECK-COUNT-2: st.global.b32
// CHECK-NOT: st.global
// CHECK: llvm.return
tile.kernel @map(%x: !tile.memory<32xbf16>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %t = tile.load %x[%c0, %c0] : !tile.memory<32xbf16> -> !tile.tile<16x32xf32>
  %u = tile.map (%a = %t : !tile.tile<16x32xf32>) -> !tile.tile<16x32xf32> {
    %e = math.exp %a : f32
    tile.yield %e : f32
  }
  tile.store %u, %x[%c0, %c0] : !tile.tile<16x32xf32>, !tile.memory<32xbf16>
}

// Rows outside the bounds are neither read nor written; columns that are no even number come one by one.
// CHECK-LABEL: llvm.func @ragged(
// CHECK: setp.ne.b32 p, ${{[0-9]+}}, 0; {{.*}}@p ld.global.b32
// CHECK-NOT: ld.global.v2
// CHECK: setp.ne.b32 p, ${{[0-9]+}}, 0; @p st.global.b32
// CHECK: llvm.return
tile.kernel @ragged(%x: !tile.memory<37xf32>) items <tokens by 16 times 1> at %item {
  %c0 = arith.constant 0 : index
  %c16 = arith.constant 16 : index
  %n = tile.count tokens
  %row = arith.muli %item, %c16 : index
  %t = tile.load %x[%row, %c0] within [%c0, %n] : !tile.memory<37xf32> -> !tile.tile<16x37xf32>
  tile.store %t, %x[%row, %c0] within [%c0, %n] : !tile.tile<16x37xf32>, !tile.memory<37xf32>
}

// The columns of a row lie in one warp: two exchanges among the four lanes of a row, no barrier.
// CHECK-LABEL: llvm.func @sum_of_row(
// CHECK-NOT: bar.sync
// CHECK: nvvm.shfl.sync bfly {{.*}}, %c1_i32
// CHECK: nvvm.shfl.sync bfly {{.*}}, %c2_i32
// CHECK-NOT: bar.sync
// CHECK: llvm.return
tile.kernel @sum_of_row(%x: !tile.memory<64xf32>, %y: !tile.memory<1xf32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %t = tile.load %x[%c0, %c0] : !tile.memory<64xf32> -> !tile.tile<64x64xf32>
  %s = tile.reduce add %t along 1 : !tile.tile<64x64xf32> -> !tile.tile<64x1xf32>
  tile.store %s, %y[%c0, %c0] : !tile.tile<64x1xf32>, !tile.memory<1xf32>
}

// The rows of a column lie in four warps: lanes first, then shared memory behind a barrier.
// CHECK-LABEL: llvm.func @largest_of_column(
// CHECK: nvvm.shfl.sync bfly {{.*}}, %c4_i32
// CHECK: nvvm.shfl.sync bfly {{.*}}, %c8_i32
// CHECK: nvvm.shfl.sync bfly {{.*}}, %c16_i32
// CHECK: st.shared.b32
// CHECK: bar.sync 1, 128;
// CHECK: ld.shared.b32
// CHECK-NOT: bar.sync
// CHECK: llvm.return
tile.kernel @largest_of_column(%x: !tile.memory<64xf32>, %y: !tile.memory<64xf32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %t = tile.load %x[%c0, %c0] : !tile.memory<64xf32> -> !tile.tile<64x64xf32>
  %s = tile.reduce max %t along 0 : !tile.tile<64x64xf32> -> !tile.tile<1x64xf32>
  tile.store %s, %y[%c0, %c0] : !tile.tile<1x64xf32>, !tile.memory<64xf32>
}

// Sums that follow each other cross the warps together: each warp leaves its parts of both, and the barrier stands in front
// of the first op that asks for one.
// CHECK-LABEL: llvm.func @sums_together(
// CHECK: st.shared.b32
// CHECK-NOT: bar.sync
// CHECK: st.shared.b32
// CHECK: bar.sync 1, 128;
// CHECK-COUNT-8: ld.shared.b32
// CHECK-NOT: bar.sync
// CHECK: llvm.return
tile.kernel @sums_together(%x: !tile.memory<1xf32>, %y: !tile.memory<1xf32>, %o: !tile.memory<1xf32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %a = tile.load %x[%c0, %c0] : !tile.memory<1xf32> -> !tile.tile<128x1xf32>
  %b = tile.load %y[%c0, %c0] : !tile.memory<1xf32> -> !tile.tile<128x1xf32>
  %s = tile.reduce add %a along 0 : !tile.tile<128x1xf32> -> !tile.tile<1x1xf32>
  %p = tile.mma transpose_lhs %a, %b : !tile.tile<128x1xf32>, !tile.tile<128x1xf32> -> !tile.tile<1x1xf32>
  %z = tile.map (%i = %s : !tile.tile<1x1xf32>, %j = %p : !tile.tile<1x1xf32>) -> !tile.tile<1x1xf32> {
    %q = arith.divf %i, %j : f32
    tile.yield %q : f32
  }
  tile.store %z, %o[%c0, %c0] : !tile.tile<1x1xf32>, !tile.memory<1xf32>
}

// A column times a matrix needs no matrix units: a thread has four neighbours of f32. 128 x 32 elements, 128 threads: 8 loads.
// CHECK-LABEL: llvm.func @column_times_matrix(
// CHECK-COUNT-8: ld.global.v4.b32
// CHECK-NOT: ld.global.v
// CHECK-COUNT-8: st.global.v4.b32
// CHECK: llvm.return
tile.kernel @column_times_matrix(%s: !tile.memory<128xf32>, %x: !tile.memory<1xf32>, %o: !tile.memory<32xf32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %t = tile.load %s[%c0, %c0] : !tile.memory<128xf32> -> !tile.tile<128x32xf32>
  %v = tile.load %x[%c0, %c0] : !tile.memory<1xf32> -> !tile.tile<128x1xf32>
  %p = tile.mma transpose_lhs %v, %t : !tile.tile<128x1xf32>, !tile.tile<128x32xf32> -> !tile.tile<1x32xf32>
  %z = tile.map (%i = %t : !tile.tile<128x32xf32>, %j = %p : !tile.tile<1x32xf32>) -> !tile.tile<128x32xf32> {
    %q = arith.addf %i, %j : f32
    tile.yield %q : f32
  }
  tile.store %z, %s[%c0, %c0] : !tile.tile<128x32xf32>, !tile.memory<128xf32>
}

// CHECK-LABEL: llvm.func @prefix_sums(
// CHECK: nvvm.shfl.sync up
// CHECK: llvm.return
tile.kernel @prefix_sums(%x: !tile.memory<1xf32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %t = tile.load %x[%c0, %c0] : !tile.memory<1xf32> -> !tile.tile<64x1xf32>
  %s = tile.cumsum %t : !tile.tile<64x1xf32>
  tile.store %s, %x[%c0, %c0] : !tile.tile<64x1xf32>, !tile.memory<1xf32>
}

// A window moves elements to other threads: through shared memory. One of all of its tile moves nothing.
// CHECK-LABEL: llvm.func @window(
// CHECK: st.shared.b32
// CHECK: bar.sync 1, 128;
// CHECK: ld.shared.b32
// CHECK-NOT: bar.sync
// CHECK: llvm.return
tile.kernel @window(%x: !tile.memory<64xf32>, %y: !tile.memory<64xf32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %t = tile.load %x[%c0, %c0] : !tile.memory<64xf32> -> !tile.tile<16x64xf32>
  %w = tile.window %t[3, 5] : !tile.tile<16x64xf32> -> !tile.tile<8x16xf32>
  %v = tile.window %w[0, 0] : !tile.tile<8x16xf32> -> !tile.tile<8x16xf32>
  tile.store %v, %y[%c0, %c0] : !tile.tile<8x16xf32>, !tile.memory<64xf32>
}

// A store waits for the loads of other threads where it overwrites what they read, and not where each thread overwrites
// what it alone has loaded.
// CHECK-LABEL: llvm.func @overwritten(
// CHECK: ld.global
// CHECK: bar.sync 1, 128;
// CHECK: st.global
// CHECK-LABEL: llvm.func @in_place(
// CHECK-NOT: bar.sync
// CHECK: llvm.return
tile.kernel @overwritten(%x: !tile.memory<64xf32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %t = tile.load %x[%c1, %c0] : !tile.memory<64xf32> -> !tile.tile<16x64xf32>
  tile.store %t, %x[%c0, %c0] : !tile.tile<16x64xf32>, !tile.memory<64xf32>
}
tile.kernel @in_place(%x: !tile.memory<64xf32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %t = tile.load %x[%c0, %c0] : !tile.memory<64xf32> -> !tile.tile<16x64xf32>
  tile.store %t, %x[%c0, %c0] : !tile.tile<16x64xf32>, !tile.memory<64xf32>
}

// Columns of a window that begins at a whole piece are held by the threads that hold its rows.
// CHECK-LABEL: llvm.func @window_of_columns(
// CHECK-NOT: st.shared
// CHECK: llvm.return
tile.kernel @window_of_columns(%x: !tile.memory<64xf32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %t = tile.load %x[%c0, %c0] : !tile.memory<64xf32> -> !tile.tile<64x64xf32>
  %w = tile.window %t[0, 8] : !tile.tile<64x64xf32> -> !tile.tile<64x16xf32>
  tile.store %w, %x[%c0, %c0] : !tile.tile<64x16xf32>, !tile.memory<64xf32>
}

// A row of 16 or fewer comes from another lane of the warp, the same for both halves of 16 rows; one of more by way of
// shared memory: a tile of 64 x 64 has 32 registers a thread, 16 of each half, and a row of it 16 in 8 pairs. One exchange
// more makes the number of the warp the same for all of its threads.
// CHECK-LABEL: llvm.func @spread(
// CHECK-NOT: st.shared
// CHECK-COUNT-17: nvvm.shfl.sync idx
// CHECK-NOT: nvvm.shfl
// CHECK-NOT: bar.sync
// CHECK-COUNT-16: st.shared.v2.b32
// CHECK-NOT: st.shared
// CHECK: bar.sync 1, 128;
// CHECK-COUNT-8: ld.shared.v2.b32
// CHECK-NOT: ld.shared
// CHECK: llvm.return
tile.kernel @spread(%x: !tile.memory<64xf32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %t = tile.load %x[%c0, %c0] : !tile.memory<64xf32> -> !tile.tile<64x64xf32>
  %u = tile.spread %t row 7 of 16 : !tile.tile<64x64xf32>
  %v = tile.spread %u row 31 of 64 : !tile.tile<64x64xf32>
  tile.store %v, %x[%c0, %c0] : !tile.tile<64x64xf32>, !tile.memory<64xf32>
}

// Where memory is in slots, pages and stacks is read from tables of the step; a carried tile is carried by registers:
// 16 x 64 elements, 128 threads, eight of each.
// CHECK-LABEL: llvm.func @carried(
// CHECK-SAME: %[[STEP:[a-z0-9]+]]: !llvm.ptr<1>, %{{.*}}: i64
// CHECK: %[[FIELD:.*]] = llvm.getelementptr %[[STEP]][%{{.*}}]
// CHECK: llvm.load %[[FIELD]] {{.*}} : !llvm.ptr<1> -> !llvm.ptr<1>
// CHECK: scf.for
// CHECK-SAME: -> (f32, f32, f32, f32, f32, f32, f32, f32)
// CHECK: arith.addf
// CHECK: scf.yield
// CHECK: llvm.return
tile.kernel @carried(%s: !tile.slots<64xf32>, %x: !tile.memory<64xf32>) items <sequences by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %begin, %end, %past = tile.sequence %item
  %m = tile.slot %s[%item] : !tile.slots<64xf32> -> !tile.memory<64xf32>
  %t = tile.load %m[%c0, %c0] : !tile.memory<64xf32> -> !tile.tile<16x64xf32>
  %r = scf.for %i = %begin to %end step %c1 iter_args(%u = %t) -> (!tile.tile<16x64xf32>) {
    %y = tile.load %x[%i, %c0] : !tile.memory<64xf32> -> !tile.tile<1x64xf32>
    %v = tile.map (%a = %u : !tile.tile<16x64xf32>, %b = %y : !tile.tile<1x64xf32>) -> !tile.tile<16x64xf32> {
      %w = arith.addf %a, %b : f32
      tile.yield %w : f32
    }
    scf.yield %v : !tile.tile<16x64xf32>
  }
  tile.store %r, %m[%c0, %c0] : !tile.tile<16x64xf32>, !tile.memory<64xf32>
}

// Rows and columns change places between threads, through shared memory.
// CHECK-LABEL: llvm.func @transpose(
// CHECK: st.shared.b32
// CHECK: bar.sync 1, 128;
// CHECK: ld.shared.b32
// CHECK-NOT: bar.sync
// CHECK: llvm.return
tile.kernel @transpose(%x: !tile.memory<32xf32>, %y: !tile.memory<16xf32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %t = tile.load %x[%c0, %c0] : !tile.memory<32xf32> -> !tile.tile<16x32xf32>
  %u = tile.transpose %t : !tile.tile<16x32xf32> -> !tile.tile<32x16xf32>
  tile.store %u, %y[%c0, %c0] : !tile.tile<32x16xf32>, !tile.memory<16xf32>
}

// A kernel may say how many warps a block has and how many blocks a multiprocessor should hold; without, a tile this
// small has four warps and no such bound.
// CHECK-LABEL: llvm.func @occupancy(
// CHECK-SAME: nvvm.maxntid = array<i32: 256>, nvvm.minctasm = 2 : i32
// CHECK-SAME: tile.threads = 256
tile.kernel @occupancy(%x: !tile.memory<64xf32>, %y: !tile.memory<64xf32>) items <once by 1 times 1> at %item attributes {tile.warps = 8 : i64, tile.blocks = 2 : i64} {
  %c0 = arith.constant 0 : index
  %t = tile.load %x[%c0, %c0] : !tile.memory<64xf32> -> !tile.tile<16x64xf32>
  tile.store %t, %y[%c0, %c0] : !tile.tile<16x64xf32>, !tile.memory<64xf32>
}

// CHECK-LABEL: llvm.func @no_occupancy(
// CHECK-SAME: nvvm.maxntid = array<i32: 128>, tile.shared_bytes
// CHECK-SAME: tile.threads = 128
tile.kernel @no_occupancy(%x: !tile.memory<64xf32>, %y: !tile.memory<64xf32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %t = tile.load %x[%c0, %c0] : !tile.memory<64xf32> -> !tile.tile<16x64xf32>
  tile.store %t, %y[%c0, %c0] : !tile.tile<16x64xf32>, !tile.memory<64xf32>
}

// A load of bf16 that many ops take is copied in pieces of 16 bytes (8 for each of 128 threads) and read anew by each of
// them: four ops and 8 instructions for 64 registers. Two such loads are on their way together before either is stored.
// CHECK-LABEL: llvm.func @read_anew(
// CHECK-COUNT-16: ld.global.v4.b32
// CHECK-NOT: ld.global
// CHECK-COUNT-16: st.shared.v4.b32
// CHECK: bar.sync 1, 128;
// CHECK-COUNT-64: ldmatrix.sync.aligned.m8n8.x4.shared.b16
// CHECK-NOT: {{ldmatrix|bar.sync}}
// CHECK: llvm.return
tile.kernel @read_anew(%x: !tile.memory<128xbf16>, %y: !tile.memory<128xbf16>, %z: !tile.memory<128xf32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %t = tile.load %x[%c0, %c0] : !tile.memory<128xbf16> -> !tile.tile<64x128xf32>
  %u = tile.load %y[%c0, %c0] : !tile.memory<128xbf16> -> !tile.tile<64x128xf32>
  %a = tile.reduce add %t along 1 : !tile.tile<64x128xf32> -> !tile.tile<64x1xf32>
  %b = tile.reduce max %t along 1 : !tile.tile<64x128xf32> -> !tile.tile<64x1xf32>
  %c = tile.reduce add %u along 1 : !tile.tile<64x128xf32> -> !tile.tile<64x1xf32>
  %d = tile.reduce max %u along 1 : !tile.tile<64x128xf32> -> !tile.tile<64x1xf32>
  %e = tile.reduce min %u along 1 : !tile.tile<64x128xf32> -> !tile.tile<64x1xf32>
  %f = tile.map (%p = %t : !tile.tile<64x128xf32>, %q = %u : !tile.tile<64x128xf32>, %r = %a : !tile.tile<64x1xf32>, %s = %d : !tile.tile<64x1xf32>) -> !tile.tile<64x128xf32> {
    %k = arith.mulf %p, %q : f32
    %l = arith.addf %k, %r : f32
    %m = arith.addf %l, %s : f32
    tile.yield %m : f32
  }
  %g = tile.map (%p = %t : !tile.tile<64x128xf32>, %q = %f : !tile.tile<64x128xf32>, %r = %b : !tile.tile<64x1xf32>, %s = %c : !tile.tile<64x1xf32>, %v = %e : !tile.tile<64x1xf32>) -> !tile.tile<64x128xf32> {
    %k = arith.addf %p, %q : f32
    %l = arith.addf %k, %r : f32
    %m = arith.addf %l, %s : f32
    %n = arith.addf %m, %v : f32
    tile.yield %n : f32
  }
  %h = tile.spread %g row 0 of 2 : !tile.tile<64x128xf32>
  tile.store %h, %z[%c0, %c0] : !tile.tile<64x128xf32>, !tile.memory<128xf32>
}

// One row of a tile goes through memory for one row, 129 words, not 64 times as many; a thread has 32 elements of it.
// CHECK-LABEL: llvm.func @one_row_of_many(
// CHECK-SAME: tile.shared_bytes = 516
// CHECK-COUNT-32: st.shared.b32
// CHECK-NOT: st.shared
// CHECK: bar.sync 1, 128;
// CHECK: llvm.return
tile.kernel @one_row_of_many(%x: !tile.memory<128xf32>, %z: !tile.memory<128xf32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %t = tile.load %x[%c0, %c0] : !tile.memory<128xf32> -> !tile.tile<64x128xf32>
  %s = tile.spread %t row 0 of 2 : !tile.tile<64x128xf32>
  %u = tile.window %s[63, 0] : !tile.tile<64x128xf32> -> !tile.tile<1x128xf32>
  tile.store %u, %z[%c0, %c0] : !tile.tile<1x128xf32>, !tile.memory<128xf32>
}

// More than half of a multiprocessor's 228 KB, though it uses none of it: no other block of the kernel beside it.
// CHECK-LABEL: llvm.func @alone(
// CHECK-SAME: tile.shared_bytes = 116352 : i64
tile.kernel @alone(%x: !tile.memory<64xf32>, %y: !tile.memory<64xf32>) items <tokens by 64 times 1> at %item attributes {tile.blocks = 2 : i64, tile.spread} {
  %c0 = arith.constant 0 : index
  %a = tile.load %x[%c0, %c0] : !tile.memory<64xf32> -> !tile.tile<64x64xf32>
  tile.store %a, %y[%c0, %c0] : !tile.tile<64x64xf32>, !tile.memory<64xf32>
}

// The logarithm of 1 + x is the hardware's from sqrt(2) on; where x is an exponential of what is not above 0, it needs none.
// CHECK-LABEL: llvm.func @logarithms(
// CHECK: llvm.nvvm.lg2.approx
// CHECK: llvm.return
// CHECK-LABEL: llvm.func @softplus(
// CHECK-NOT: lg2
// CHECK: llvm.return
tile.kernel @logarithms(%x: !tile.memory<64xf32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %a = tile.load %x[%c0, %c0] : !tile.memory<64xf32> -> !tile.tile<16x64xf32>
  %b = tile.map (%e = %a : !tile.tile<16x64xf32>) -> !tile.tile<16x64xf32> {
    %l = math.log1p %e : f32
    tile.yield %l : f32
  }
  tile.store %b, %x[%c0, %c0] : !tile.tile<16x64xf32>, !tile.memory<64xf32>
}
tile.kernel @softplus(%x: !tile.memory<64xf32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %a = tile.load %x[%c0, %c0] : !tile.memory<64xf32> -> !tile.tile<16x64xf32>
  %b = tile.map (%e = %a : !tile.tile<16x64xf32>) -> !tile.tile<16x64xf32> {
    %m = math.absf %e : f32
    %n = arith.negf %m : f32
    %f = math.exp %n : f32
    %l = math.log1p %f : f32
    tile.yield %l : f32
  }
  tile.store %b, %x[%c0, %c0] : !tile.tile<16x64xf32>, !tile.memory<64xf32>
}
