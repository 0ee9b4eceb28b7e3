// RUN: denim-opt %s --split-input-file --convert-tile-to-nvptx | FileCheck %s
// RUN: denim-opt %s --split-input-file --convert-tile-to-nvptx | denim-opt --split-input-file --verify-nvptx-synchronization
// RUN: denim-opt %s --split-input-file --convert-tile-to-nvptx=exact | FileCheck %s --check-prefix=EXACT

// Few rows and weights in blocks: integers and rows in boxes, scales in pieces, each load by a warp of its own. Rows of
// 1024 channels of q8_0 are 64 bytes of scales and 1024 of integers: 544 elements of two bytes. The multiplying warps make
// bf16 of two integers at a time, multiply, and scale sums of 32 channels. Behind the loop each has a part of all sums.
// CHECK-LABEL: llvm.func @bytes(
// CHECK-SAME: tile.tensor_maps = [{box_columns = 64 : i64, box_rows = 32 : i64, columns = 544 : i64, memory = 1 : i64}, {box_columns = 64 : i64, box_rows = 16 : i64, columns = 1024 : i64, memory = 0 : i64}]
// CHECK-SAME: tile.threads = 384
// CHECK: scf.for
// CHECK: mbarrier.try_wait.parity
// CHECK: mbarrier.try_wait.parity
// CHECK: mbarrier.try_wait.parity
// CHECK: ldmatrix.sync.aligned.m8n8.x4.shared.b16
// CHECK-COUNT-2: ld.shared.v2.b32
// CHECK: prmt.b32
// CHECK: sub.rn.bf16x2
// CHECK: prmt.b32
// CHECK: sub.rn.bf16x2
// CHECK: mma.sync.aligned.m16n8k16
// CHECK-NOT: {{st.shared|bar.sync|cp.async}}
// CHECK: scf.yield
// CHECK: bar.sync 1, 256
// CHECK: st.shared.v4
// CHECK: bar.sync 1, 256
// CHECK-COUNT-8: ld.shared.v4
// CHECK-NOT: ld.shared.v4
// CHECK: st.global
// CHECK: scf.for
// CHECK: mbarrier.arrive.expect_tx.shared::cta.b64 _, [$0], 16384;
// CHECK-COUNT-4: cp.async.bulk.tensor.2d
// CHECK-COUNT-2: cp.async.cg.shared.global [$0+16384]
// CHECK: cp.async.mbarrier.arrive.noinc
// CHECK: mbarrier.arrive.expect_tx.shared::cta.b64 _, [$0], 16384;
// CHECK-COUNT-8: cp.async.bulk.tensor.2d
// CHECK-NOT: {{mma.sync|st.global}}
// CHECK: llvm.return
// EXACT-LABEL: llvm.func @bytes(
// EXACT-NOT: {{mbarrier|sub.rn.bf16x2}}
// EXACT: llvm.return
tile.kernel @bytes(%x: !tile.memory<1024xbf16>, %w: !tile.memory<1024x!model.q8_0>, %y: !tile.memory<32xf32>)
    items <once by 1 times 1> at %item attributes {tile.ahead, tile.blocks = 1 : i64, tile.warps = 8 : i64} {
  %c0 = arith.constant 0 : index
  %c512 = arith.constant 512 : index
  %c1024 = arith.constant 1024 : index
  %zero = arith.constant 0.0 : f32
  %s0 = tile.splat %zero : f32 -> !tile.tile<16x32xf32>
  %s = scf.for %k = %c0 to %c1024 step %c512 iter_args(%t = %s0) -> (!tile.tile<16x32xf32>) {
    %v = tile.load %w[%c0, %k] : !tile.memory<1024x!model.q8_0> -> !tile.tile<32x512xf32>
    %u = tile.load %x[%c0, %k] : !tile.memory<1024xbf16> -> !tile.tile<16x512xf32>
    %p = tile.mma %u, transpose_rhs %v acc %t : !tile.tile<16x512xf32>, !tile.tile<32x512xf32>, !tile.tile<16x32xf32> -> !tile.tile<16x32xf32>
    scf.yield %p : !tile.tile<16x32xf32>
  }
  tile.store %s, %y[%c0, %c0] : !tile.tile<16x32xf32>, !tile.memory<32xf32>
}

// -----

// Of four bits a word is two instructions' operands; steps of 256 channels are a block for each warp, and 16 bytes of scales.
// CHECK-LABEL: llvm.func @four_bits(
// CHECK-SAME: tile.tensor_maps = [{box_columns = 64 : i64, box_rows = 16 : i64, columns = 216 : i64, memory = 1 : i64}, {box_columns = 64 : i64, box_rows = 16 : i64, columns = 768 : i64, memory = 0 : i64}]
// CHECK: ldmatrix.sync.aligned.m8n8.x2.shared.b16
// CHECK-NOT: ldmatrix
// CHECK: cp.async.bulk.tensor.2d
// CHECK: cp.async.cg.shared.global [$0+2048]
// CHECK-NOT: cp.async.cg
// CHECK: llvm.return
// EXACT-LABEL: llvm.func @four_bits(
tile.kernel @four_bits(%x: !tile.memory<768xbf16>, %w: !tile.memory<768x!model.q4_0>, %y: !tile.memory<16xf32>)
    items <once by 1 times 1> at %item attributes {tile.ahead, tile.blocks = 1 : i64, tile.warps = 8 : i64} {
  %c0 = arith.constant 0 : index
  %c256 = arith.constant 256 : index
  %c768 = arith.constant 768 : index
  %zero = arith.constant 0.0 : f32
  %s0 = tile.splat %zero : f32 -> !tile.tile<16x16xf32>
  %s = scf.for %k = %c0 to %c768 step %c256 iter_args(%t = %s0) -> (!tile.tile<16x16xf32>) {
    %v = tile.load %w[%c0, %k] : !tile.memory<768x!model.q4_0> -> !tile.tile<16x256xf32>
    %u = tile.load %x[%c0, %k] : !tile.memory<768xbf16> -> !tile.tile<16x256xf32>
    %p = tile.mma %u, transpose_rhs %v acc %t : !tile.tile<16x256xf32>, !tile.tile<16x256xf32>, !tile.tile<16x16xf32> -> !tile.tile<16x16xf32>
    scf.yield %p : !tile.tile<16x16xf32>
  }
  tile.store %s, %y[%c0, %c0] : !tile.tile<16x16xf32>, !tile.memory<16xf32>
}

// -----

// Rows of 384 channels are no whole pieces: those who multiply read blocks, and rows alone come ahead.
// CHECK-LABEL: llvm.func @rows_of_384(
// CHECK-NOT: {{cp.async.bulk|sub.rn.bf16x2}}
// CHECK: llvm.return
// EXACT-LABEL: llvm.func @rows_of_384(
tile.kernel @rows_of_384(%x: !tile.memory<384xbf16>, %w: !tile.memory<384x!model.q8_0>, %y: !tile.memory<16xf32>)
    items <once by 1 times 1> at %item attributes {tile.ahead, tile.blocks = 1 : i64, tile.warps = 8 : i64} {
  %c0 = arith.constant 0 : index
  %c256 = arith.constant 256 : index
  %zero = arith.constant 0.0 : f32
  %s0 = tile.splat %zero : f32 -> !tile.tile<16x16xf32>
  %s = scf.for %k = %c0 to %c256 step %c256 iter_args(%t = %s0) -> (!tile.tile<16x16xf32>) {
    %v = tile.load %w[%c0, %k] : !tile.memory<384x!model.q8_0> -> !tile.tile<16x256xf32>
    %u = tile.load %x[%c0, %k] : !tile.memory<384xbf16> -> !tile.tile<16x256xf32>
    %p = tile.mma %u, transpose_rhs %v acc %t : !tile.tile<16x256xf32>, !tile.tile<16x256xf32>, !tile.tile<16x16xf32> -> !tile.tile<16x16xf32>
    scf.yield %p : !tile.tile<16x16xf32>
  }
  tile.store %s, %y[%c0, %c0] : !tile.tile<16x16xf32>, !tile.memory<16xf32>
}

// -----

// Sums that do not begin with zeros, are read in the loop by something else, or are of 32 rows; a kernel
// that does not ask for copies ahead.
// CHECK-LABEL: llvm.func @begun(
// CHECK-NOT: {{cp.async.bulk|sub.rn.bf16x2}}
// CHECK: llvm.return
// EXACT-LABEL: llvm.func @begun(
tile.kernel @begun(%x: !tile.memory<512xbf16>, %w: !tile.memory<512x!model.q8_0>, %y: !tile.memory<16xf32>)
    items <once by 1 times 1> at %item attributes {tile.ahead, tile.blocks = 1 : i64, tile.warps = 8 : i64} {
  %c0 = arith.constant 0 : index
  %c256 = arith.constant 256 : index
  %c512 = arith.constant 512 : index
  %one = arith.constant 1.0 : f32
  %s0 = tile.splat %one : f32 -> !tile.tile<16x16xf32>
  %s = scf.for %k = %c0 to %c512 step %c256 iter_args(%t = %s0) -> (!tile.tile<16x16xf32>) {
    %v = tile.load %w[%c0, %k] : !tile.memory<512x!model.q8_0> -> !tile.tile<16x256xf32>
    %u = tile.load %x[%c0, %k] : !tile.memory<512xbf16> -> !tile.tile<16x256xf32>
    %p = tile.mma %u, transpose_rhs %v acc %t : !tile.tile<16x256xf32>, !tile.tile<16x256xf32>, !tile.tile<16x16xf32> -> !tile.tile<16x16xf32>
    scf.yield %p : !tile.tile<16x16xf32>
  }
  tile.store %s, %y[%c0, %c0] : !tile.tile<16x16xf32>, !tile.memory<16xf32>
}
// CHECK-LABEL: llvm.func @read_inside(
// CHECK-NOT: {{cp.async.bulk|sub.rn.bf16x2}}
// CHECK: llvm.return
tile.kernel @read_inside(%x: !tile.memory<512xbf16>, %w: !tile.memory<512x!model.q8_0>, %y: !tile.memory<16xf32>)
    items <once by 1 times 1> at %item attributes {tile.ahead, tile.blocks = 1 : i64, tile.warps = 8 : i64} {
  %c0 = arith.constant 0 : index
  %c256 = arith.constant 256 : index
  %c512 = arith.constant 512 : index
  %zero = arith.constant 0.0 : f32
  %s0 = tile.splat %zero : f32 -> !tile.tile<16x16xf32>
  %s = scf.for %k = %c0 to %c512 step %c256 iter_args(%t = %s0) -> (!tile.tile<16x16xf32>) {
    %v = tile.load %w[%c0, %k] : !tile.memory<512x!model.q8_0> -> !tile.tile<16x256xf32>
    %u = tile.load %x[%c0, %k] : !tile.memory<512xbf16> -> !tile.tile<16x256xf32>
    %p = tile.mma %u, transpose_rhs %v acc %t : !tile.tile<16x256xf32>, !tile.tile<16x256xf32>, !tile.tile<16x16xf32> -> !tile.tile<16x16xf32>
    tile.store %p, %y[%c0, %c0] : !tile.tile<16x16xf32>, !tile.memory<16xf32>
    scf.yield %p : !tile.tile<16x16xf32>
  }
  tile.store %s, %y[%c0, %c0] : !tile.tile<16x16xf32>, !tile.memory<16xf32>
}
// CHECK-LABEL: llvm.func @more_rows(
// CHECK-NOT: {{cp.async.bulk|sub.rn.bf16x2}}
// CHECK: llvm.return
tile.kernel @more_rows(%x: !tile.memory<512xbf16>, %w: !tile.memory<512x!model.q8_0>, %y: !tile.memory<16xf32>)
    items <once by 1 times 1> at %item attributes {tile.ahead, tile.blocks = 1 : i64, tile.warps = 8 : i64} {
  %c0 = arith.constant 0 : index
  %c256 = arith.constant 256 : index
  %c512 = arith.constant 512 : index
  %zero = arith.constant 0.0 : f32
  %s0 = tile.splat %zero : f32 -> !tile.tile<32x16xf32>
  %s = scf.for %k = %c0 to %c512 step %c256 iter_args(%t = %s0) -> (!tile.tile<32x16xf32>) {
    %v = tile.load %w[%c0, %k] : !tile.memory<512x!model.q8_0> -> !tile.tile<16x256xf32>
    %u = tile.load %x[%c0, %k] : !tile.memory<512xbf16> -> !tile.tile<32x256xf32>
    %p = tile.mma %u, transpose_rhs %v acc %t : !tile.tile<32x256xf32>, !tile.tile<16x256xf32>, !tile.tile<32x16xf32> -> !tile.tile<32x16xf32>
    scf.yield %p : !tile.tile<32x16xf32>
  }
  tile.store %s, %y[%c0, %c0] : !tile.tile<32x16xf32>, !tile.memory<16xf32>
}
// CHECK-LABEL: llvm.func @not_asked(
// CHECK-NOT: {{cp.async.bulk|sub.rn.bf16x2}}
// CHECK: llvm.return
tile.kernel @not_asked(%x: !tile.memory<512xbf16>, %w: !tile.memory<512x!model.q8_0>, %y: !tile.memory<16xf32>)
    items <once by 1 times 1> at %item attributes {tile.warps = 8 : i64} {
  %c0 = arith.constant 0 : index
  %c256 = arith.constant 256 : index
  %c512 = arith.constant 512 : index
  %zero = arith.constant 0.0 : f32
  %s0 = tile.splat %zero : f32 -> !tile.tile<16x16xf32>
  %s = scf.for %k = %c0 to %c512 step %c256 iter_args(%t = %s0) -> (!tile.tile<16x16xf32>) {
    %v = tile.load %w[%c0, %k] : !tile.memory<512x!model.q8_0> -> !tile.tile<16x256xf32>
    %u = tile.load %x[%c0, %k] : !tile.memory<512xbf16> -> !tile.tile<16x256xf32>
    %p = tile.mma %u, transpose_rhs %v acc %t : !tile.tile<16x256xf32>, !tile.tile<16x256xf32>, !tile.tile<16x16xf32> -> !tile.tile<16x16xf32>
    scf.yield %p : !tile.tile<16x16xf32>
  }
  tile.store %s, %y[%c0, %c0] : !tile.tile<16x16xf32>, !tile.memory<16xf32>
}

// -----

// Rows of x that end somewhere are no box, and a row of a step is more pieces than a warp has lanes: they are read by those who multiply, and
// so are the blocks.
// CHECK-LABEL: llvm.func @bounded(
// CHECK-NOT: {{mbarrier|cp.async|setmaxnreg}}
// CHECK: llvm.return
tile.kernel @bounded(%x: !tile.memory<1024xbf16>, %w: !tile.memory<1024x!model.q8_0>, %y: !tile.memory<32xf32>)
    items <once by 1 times 1> at %item attributes {tile.ahead, tile.blocks = 1 : i64, tile.warps = 8 : i64} {
  %c0 = arith.constant 0 : index
  %c512 = arith.constant 512 : index
  %c1024 = arith.constant 1024 : index
  %n = tile.count tokens
  %zero = arith.constant 0.0 : f32
  %s0 = tile.splat %zero : f32 -> !tile.tile<16x32xf32>
  %s = scf.for %k = %c0 to %c1024 step %c512 iter_args(%t = %s0) -> (!tile.tile<16x32xf32>) {
    %v = tile.load %w[%c0, %k] : !tile.memory<1024x!model.q8_0> -> !tile.tile<32x512xf32>
    %u = tile.load %x[%c0, %k] within [%c0, %n] : !tile.memory<1024xbf16> -> !tile.tile<16x512xf32>
    %p = tile.mma %u, transpose_rhs %v acc %t : !tile.tile<16x512xf32>, !tile.tile<32x512xf32>, !tile.tile<16x32xf32> -> !tile.tile<16x32xf32>
    scf.yield %p : !tile.tile<16x32xf32>
  }
  tile.store %s, %y[%c0, %c0] : !tile.tile<16x32xf32>, !tile.memory<32xf32>
}
