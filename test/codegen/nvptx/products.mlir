// RUN: denim-opt %s --convert-tile-to-nvptx | FileCheck %s --check-prefixes=CHECK,BF16
// RUN: denim-opt %s --convert-tile-to-nvptx=exact | FileCheck %s --check-prefixes=CHECK,EXACT
// RUN: denim-opt %s --convert-tile-to-nvptx=target=sm_80 | FileCheck %s --check-prefix=SM80

// A machine without products of warpgroups does all of them by warps.
// SM80-NOT: wgmma
// SM80: mma.sync
// SM80-NOT: wgmma

// 64 rows: a warpgroup, steps of 16 of the contraction, both operands in shared memory (64 and 128 rows of 64 bf16).
// What is written there is fenced for the product, and a barrier stands between. What bf16 memory holds is one term,
// also in exact mode.
// CHECK-LABEL: llvm.func @group(
// CHECK-SAME: nvvm.kernel, nvvm.maxntid = array<i32: 128>, tile.shared_bytes = 24576 : i64, tile.threads = 128
// CHECK: ld.global.v4.b32
// CHECK: st.shared.v4.b32
// CHECK: fence.proxy.async.shared::cta
// CHECK-NEXT: bar.sync 1, 128;
// CHECK-COUNT-4: wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16
// CHECK-NOT: wgmma.mma_async
// CHECK: wgmma.commit_group
// CHECK: wgmma.wait_group.sync.aligned 0;
// CHECK-NOT: bar.sync
// CHECK: st.global.v2.b32
tile.kernel @group(%a: !tile.memory<64xbf16>, %b: !tile.memory<64xbf16>, %c: !tile.memory<128xf32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %x = tile.load %a[%c0, %c0] : !tile.memory<64xbf16> -> !tile.tile<64x64xf32>
  %y = tile.load %b[%c0, %c0] : !tile.memory<64xbf16> -> !tile.tile<128x64xf32>
  %p = tile.mma %x, transpose_rhs %y : !tile.tile<64x64xf32>, !tile.tile<128x64xf32> -> !tile.tile<64x128xf32>
  tile.store %p, %c[%c0, %c0] : !tile.tile<64x128xf32>, !tile.memory<128xf32>
}

// An operand of f32 is one rounded term, or the sum of three: of the nine products of terms, six count.
// CHECK-LABEL: llvm.func @terms(
// BF16-SAME: tile.shared_bytes = 16384
// EXACT-SAME: tile.shared_bytes = 49152
// BF16-COUNT-4: wgmma.mma_async.sync.aligned.m64n64k16
// EXACT-COUNT-24: wgmma.mma_async.sync.aligned.m64n64k16
// CHECK-NOT: wgmma.mma_async
// CHECK: wgmma.commit_group
tile.kernel @terms(%a: !tile.memory<64xf32>, %b: !tile.memory<64xf32>, %c: !tile.memory<64xf32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %x = tile.load %a[%c0, %c0] : !tile.memory<64xf32> -> !tile.tile<64x64xf32>
  %y = tile.load %b[%c0, %c0] : !tile.memory<64xf32> -> !tile.tile<64x64xf32>
  %p = tile.mma %x, %y : !tile.tile<64x64xf32>, !tile.tile<64x64xf32> -> !tile.tile<64x64xf32>
  tile.store %p, %c[%c0, %c0] : !tile.tile<64x64xf32>, !tile.memory<64xf32>
}

// 16 rows: single warps, 32 of the 128 columns each: four pieces of 8 columns by four steps of 16.
// CHECK-LABEL: llvm.func @warps(
// CHECK-NOT: wgmma
// CHECK: bar.sync 1, 128;
// CHECK: ldmatrix.sync.aligned.m8n8.x4.shared
// CHECK-COUNT-16: mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32
// CHECK-NOT: mma.sync
// CHECK: llvm.return
tile.kernel @warps(%a: !tile.memory<64xbf16>, %b: !tile.memory<64xbf16>, %c: !tile.memory<128xf32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %x = tile.load %a[%c0, %c0] : !tile.memory<64xbf16> -> !tile.tile<16x64xf32>
  %y = tile.load %b[%c0, %c0] : !tile.memory<64xbf16> -> !tile.tile<128x64xf32>
  %p = tile.mma %x, transpose_rhs %y : !tile.tile<16x64xf32>, !tile.tile<128x64xf32> -> !tile.tile<16x128xf32>
  tile.store %p, %c[%c0, %c0] : !tile.tile<16x128xf32>, !tile.memory<128xf32>
}

// The right operand as it lies, contracted over its rows, is turned on its way to registers.
// CHECK-LABEL: llvm.func @turned(
// CHECK: ldmatrix.sync.aligned.m8n8.x4.trans.shared
// CHECK: mma.sync
tile.kernel @turned(%a: !tile.memory<64xbf16>, %b: !tile.memory<128xbf16>, %c: !tile.memory<128xf32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %x = tile.load %a[%c0, %c0] : !tile.memory<64xbf16> -> !tile.tile<16x64xf32>
  %y = tile.load %b[%c0, %c0] : !tile.memory<128xbf16> -> !tile.tile<64x128xf32>
  %p = tile.mma %x, %y : !tile.tile<16x64xf32>, !tile.tile<64x128xf32> -> !tile.tile<16x128xf32>
  tile.store %p, %c[%c0, %c0] : !tile.tile<16x128xf32>, !tile.memory<128xf32>
}

// What a product leaves is the next one's left operand where it stands: nothing of it goes to shared memory, which
// holds the three loads alone (64x64, 128x64 and 128x64 bf16).
// CHECK-LABEL: llvm.func @chained(
// BF16-SAME: tile.shared_bytes = 40960
// BF16: wgmma.mma_async.sync.aligned.m64n128k16
// BF16: wgmma.wait_group.sync.aligned 0;
// BF16: cvt.rn.bf16x2.f32
// BF16-NOT: st.shared
// BF16: wgmma.mma_async.sync.aligned.m64n64k16
tile.kernel @chained(%a: !tile.memory<64xbf16>, %b: !tile.memory<64xbf16>, %v: !tile.memory<64xbf16>, %c: !tile.memory<64xf32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %x = tile.load %a[%c0, %c0] : !tile.memory<64xbf16> -> !tile.tile<64x64xf32>
  %y = tile.load %b[%c0, %c0] : !tile.memory<64xbf16> -> !tile.tile<128x64xf32>
  %z = tile.load %v[%c0, %c0] : !tile.memory<64xbf16> -> !tile.tile<128x64xf32>
  %p = tile.mma %x, transpose_rhs %y : !tile.tile<64x64xf32>, !tile.tile<128x64xf32> -> !tile.tile<64x128xf32>
  %q = tile.mma %p, %z : !tile.tile<64x128xf32>, !tile.tile<128x64xf32> -> !tile.tile<64x64xf32>
  tile.store %q, %c[%c0, %c0] : !tile.tile<64x64xf32>, !tile.memory<64xf32>
}

// A carried tile that is made into something else in front of the products that still read it: words of a left operand
// first, so that what is made can take its registers.
// CHECK-LABEL: llvm.func @replaced(
// BF16: scf.for
// BF16-NOT: arith.mulf
// BF16-COUNT-16: cvt.rn.bf16x2.f32
// BF16-NOT: cvt.rn.bf16x2.f32
// BF16: arith.mulf
// BF16-NOT: cvt.rn.bf16x2.f32
// BF16: wgmma.mma_async
// BF16: wgmma.commit_group
tile.kernel @replaced(%a: !tile.memory<64xbf16>, %c: !tile.memory<64xf32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %half = arith.constant 0.5 : f32
  %y = tile.load %a[%c0, %c0] : !tile.memory<64xbf16> -> !tile.tile<64x64xf32>
  %begin = tile.load %c[%c0, %c0] : !tile.memory<64xf32> -> !tile.tile<64x64xf32>
  %end = scf.for %i = %c0 to %c4 step %c1 iter_args(%s = %begin) -> (!tile.tile<64x64xf32>) {
    %kept = tile.map (%x = %s : !tile.tile<64x64xf32>) -> !tile.tile<64x64xf32> {
      %v = arith.mulf %x, %half : f32
      tile.yield %v : f32
    }
    %read = tile.mma %s, transpose_rhs %y : !tile.tile<64x64xf32>, !tile.tile<64x64xf32> -> !tile.tile<64x64xf32>
    %next = tile.mma %read, %y acc %kept : !tile.tile<64x64xf32>, !tile.tile<64x64xf32>, !tile.tile<64x64xf32> -> !tile.tile<64x64xf32>
    scf.yield %next : !tile.tile<64x64xf32>
  }
  tile.store %end, %c[%c0, %c0] : !tile.tile<64x64xf32>, !tile.memory<64xf32>
}

// A row times a matrix: f32 in registers, no matrix units. The four warps hold 16 of the rows each, so their sums meet
// in shared memory.
// CHECK-LABEL: llvm.func @vector(
// CHECK-NOT: mma
// CHECK: arith.mulf
// CHECK: nvvm.shfl.sync bfly
// CHECK: bar.sync 1, 128;
// CHECK-NOT: mma
// CHECK: llvm.return
tile.kernel @vector(%a: !tile.memory<64xf32>, %b: !tile.memory<64xf32>, %c: !tile.memory<64xf32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %x = tile.load %a[%c0, %c0] : !tile.memory<64xf32> -> !tile.tile<1x64xf32>
  %y = tile.load %b[%c0, %c0] : !tile.memory<64xf32> -> !tile.tile<64x64xf32>
  %p = tile.mma %x, %y : !tile.tile<1x64xf32>, !tile.tile<64x64xf32> -> !tile.tile<1x64xf32>
  tile.store %p, %c[%c0, %c0] : !tile.tile<1x64xf32>, !tile.memory<64xf32>
}

// A column times a row is one multiplication for each element; both lie where they are wanted.
// CHECK-LABEL: llvm.func @outer(
// CHECK-NOT: mma
// CHECK-NOT: bar.sync
// CHECK-COUNT-32: arith.mulf
// CHECK-NOT: arith.mulf
// CHECK: llvm.return
tile.kernel @outer(%a: !tile.memory<1xf32>, %b: !tile.memory<64xf32>, %c: !tile.memory<64xf32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %x = tile.load %a[%c0, %c0] : !tile.memory<1xf32> -> !tile.tile<64x1xf32>
  %y = tile.load %b[%c0, %c0] : !tile.memory<64xf32> -> !tile.tile<1x64xf32>
  %p = tile.mma %x, %y : !tile.tile<64x1xf32>, !tile.tile<1x64xf32> -> !tile.tile<64x64xf32>
  tile.store %p, %c[%c0, %c0] : !tile.tile<64x64xf32>, !tile.memory<64xf32>
}

// The inverse of the triangle, blocks of 16 first, then each row of blocks by one warp, which waits for nobody: right operands
// stand in shared memory, of the terms that the matrix was taken apart into. Then one product with the first term, where it
// stands.
// CHECK-LABEL: llvm.func @solve(
// CHECK: ld.shared.v4.b32
// CHECK: bar.sync
// CHECK-NOT: bar.sync
// CHECK: ldmatrix.sync.aligned.m8n8.x4.shared.b16
// CHECK-NOT: bar.sync
// CHECK: ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16
// CHECK-NOT: bar.sync
// 9 products of blocks, of 3 pairs of terms and two halves of the columns each.
// BF16-COUNT-54: {{ |"}}mma.sync.aligned
// BF16-NOT: {{ |"}}mma.sync.aligned
// CHECK: bar.sync
// CHECK-NOT: ldmatrix
// CHECK: wgmma.mma_async.sync.aligned.m64n128k16
// CHECK: llvm.return
tile.kernel @solve(%l: !tile.memory<64xf32>, %b: !tile.memory<128xf32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %x = tile.load %l[%c0, %c0] : !tile.memory<64xf32> -> !tile.tile<64x64xf32>
  %y = tile.load %b[%c0, %c0] : !tile.memory<128xf32> -> !tile.tile<64x128xf32>
  %s = tile.solve %x, %y : !tile.tile<64x64xf32>, !tile.tile<64x128xf32>
  tile.store %s, %b[%c0, %c0] : !tile.tile<64x128xf32>, !tile.memory<128xf32>
}

// An inverse that becomes a page: the first term is the page as it stands, and is copied by 16 bytes.
// BF16-LABEL: llvm.func @inverse_as_image(
// BF16: mma.sync.aligned
// BF16: bar.sync
// BF16-NOT: stmatrix
// BF16: ld.shared.v4.b32
// BF16: st.global.v4.b32
// BF16: llvm.return
tile.kernel @inverse_as_image(%l: !tile.memory<64xf32>, %p: !tile.pages<1x64x64xbf16>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %x = tile.load %l[%c0, %c0] : !tile.memory<64xf32> -> !tile.tile<64x64xf32>
  %i = tile.inverse %x : !tile.tile<64x64xf32>
  %page = tile.block %p[%c0, %c0] : !tile.pages<1x64x64xbf16> -> !tile.memory<64xbf16>
  tile.store %i, %page[%c0, %c0] : !tile.tile<64x64xf32>, !tile.memory<64xbf16>
}

// Two right sides of one triangle: the inverse, which warps make by products of their own, is made once. Another
// triangle has another inverse.
// CHECK-LABEL: llvm.func @solve_two_sides(
// CHECK: mma.sync.aligned
// CHECK: wgmma.mma_async.sync.aligned.m64n128k16
// CHECK-NOT: mma.sync.aligned
// CHECK: wgmma.mma_async.sync.aligned.m64n64k16
// CHECK: llvm.return
tile.kernel @solve_two_sides(%l: !tile.memory<64xf32>, %b: !tile.memory<128xf32>, %c: !tile.memory<64xf32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %x = tile.load %l[%c0, %c0] : !tile.memory<64xf32> -> !tile.tile<64x64xf32>
  %y = tile.load %b[%c0, %c0] : !tile.memory<128xf32> -> !tile.tile<64x128xf32>
  %z = tile.load %c[%c0, %c0] : !tile.memory<64xf32> -> !tile.tile<64x64xf32>
  %s = tile.solve %x, %y : !tile.tile<64x64xf32>, !tile.tile<64x128xf32>
  %t = tile.solve %x, %z : !tile.tile<64x64xf32>, !tile.tile<64x64xf32>
  tile.store %s, %b[%c0, %c0] : !tile.tile<64x128xf32>, !tile.memory<128xf32>
  tile.store %t, %c[%c0, %c0] : !tile.tile<64x64xf32>, !tile.memory<64xf32>
}

// CHECK-LABEL: llvm.func @solve_two_triangles(
// CHECK: mma.sync.aligned
// CHECK: wgmma.mma_async.sync.aligned.m64n128k16
// CHECK: mma.sync.aligned
// CHECK: wgmma.mma_async.sync.aligned.m64n64k16
// CHECK: llvm.return
tile.kernel @solve_two_triangles(%l: !tile.memory<64xf32>, %m: !tile.memory<64xf32>, %b: !tile.memory<128xf32>, %c: !tile.memory<64xf32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %x = tile.load %l[%c0, %c0] : !tile.memory<64xf32> -> !tile.tile<64x64xf32>
  %w = tile.load %m[%c0, %c0] : !tile.memory<64xf32> -> !tile.tile<64x64xf32>
  %y = tile.load %b[%c0, %c0] : !tile.memory<128xf32> -> !tile.tile<64x128xf32>
  %z = tile.load %c[%c0, %c0] : !tile.memory<64xf32> -> !tile.tile<64x64xf32>
  %s = tile.solve %x, %y : !tile.tile<64x64xf32>, !tile.tile<64x128xf32>
  %t = tile.solve %w, %z : !tile.tile<64x64xf32>, !tile.tile<64x64xf32>
  tile.store %s, %b[%c0, %c0] : !tile.tile<64x128xf32>, !tile.memory<128xf32>
  tile.store %t, %c[%c0, %c0] : !tile.tile<64x64xf32>, !tile.memory<64xf32>
}

// One row times a matrix in memory, along its rows. The row is 32 pieces of 16 bytes, one for each lane of a warp, and the
// four warps take rows of the matrix in turn: five loads of a thread, and one of its four sums by three exchanges of halves
// and three more.
// CHECK-LABEL: llvm.func @streamed(
// CHECK-NOT: ld.global.b32
// CHECK: ld.global.v4.b32
// CHECK-COUNT-4: ld.global.L1::no_allocate.v4.b32
// CHECK-NOT: ld.global
// CHECK-COUNT-6: nvvm.shfl.sync bfly
// CHECK-NOT: nvvm.shfl.sync bfly
// CHECK: llvm.return
tile.kernel @streamed(%a: !tile.memory<256xbf16>, %b: !tile.memory<256xbf16>, %c: !tile.memory<16xf32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %x = tile.load %a[%c0, %c0] : !tile.memory<256xbf16> -> !tile.tile<1x256xf32>
  %y = tile.load %b[%c0, %c0] : !tile.memory<256xbf16> -> !tile.tile<16x256xf32>
  %p = tile.mma %x, transpose_rhs %y : !tile.tile<1x256xf32>, !tile.tile<16x256xf32> -> !tile.tile<1x16xf32>
  tile.store %p, %c[%c0, %c0] : !tile.tile<1x16xf32>, !tile.memory<16xf32>
}

// A row that is computed as a matrix goes through shared memory once, and not as a fragment of one row.
// CHECK-LABEL: llvm.func @flattened(
// CHECK: st.shared.b32
// CHECK: bar.sync 1, 128;
// CHECK-COUNT-2: ld.shared.v4.b32
// CHECK-NOT: ld.shared
// CHECK: nvvm.shfl.sync bfly
tile.kernel @flattened(%a: !tile.memory<64xf32>, %b: !tile.memory<256xbf16>, %c: !tile.memory<16xf32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %y = tile.load %b[%c0, %c0] : !tile.memory<256xbf16> -> !tile.tile<16x256xf32>
  %m = tile.load %a[%c0, %c0] : !tile.memory<64xf32> -> !tile.tile<4x64xf32>
  %x = tile.flatten %m : !tile.tile<4x64xf32> -> !tile.tile<1x256xf32>
  %p = tile.mma %x, transpose_rhs %y : !tile.tile<1x256xf32>, !tile.tile<16x256xf32> -> !tile.tile<1x16xf32>
  tile.store %p, %c[%c0, %c0] : !tile.tile<1x16xf32>, !tile.memory<16xf32>
}

// Rows that are no whole number of pieces are read as fragments hold them.
// CHECK-LABEL: llvm.func @odd_columns(
// CHECK-NOT: ld.global.v4
// CHECK: ld.global.b32
// CHECK-NOT: ld.global.v4
// CHECK: llvm.return
tile.kernel @odd_columns(%a: !tile.memory<100xbf16>, %b: !tile.memory<100xbf16>, %c: !tile.memory<16xf32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %x = tile.load %a[%c0, %c0] : !tile.memory<100xbf16> -> !tile.tile<1x100xf32>
  %y = tile.load %b[%c0, %c0] : !tile.memory<100xbf16> -> !tile.tile<16x100xf32>
  %p = tile.mma %x, transpose_rhs %y : !tile.tile<1x100xf32>, !tile.tile<16x100xf32> -> !tile.tile<1x16xf32>
  tile.store %p, %c[%c0, %c0] : !tile.tile<1x16xf32>, !tile.memory<16xf32>
}

// A matrix that something else reads too is dealt as that wants it, and the vector with it.
// CHECK-LABEL: llvm.func @read_twice(
// CHECK-NOT: ld.global.v4
// CHECK: ld.global.v2.b32
// CHECK-NOT: ld.global.v4
// CHECK: llvm.return
tile.kernel @read_twice(%a: !tile.memory<256xbf16>, %b: !tile.memory<256xbf16>, %c: !tile.memory<16xf32>, %d: !tile.memory<1xf32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %x = tile.load %a[%c0, %c0] : !tile.memory<256xbf16> -> !tile.tile<1x256xf32>
  %y = tile.load %b[%c0, %c0] : !tile.memory<256xbf16> -> !tile.tile<16x256xf32>
  %p = tile.mma %x, transpose_rhs %y : !tile.tile<1x256xf32>, !tile.tile<16x256xf32> -> !tile.tile<1x16xf32>
  %s = tile.reduce add %y along 1 : !tile.tile<16x256xf32> -> !tile.tile<16x1xf32>
  tile.store %p, %c[%c0, %c0] : !tile.tile<1x16xf32>, !tile.memory<16xf32>
  tile.store %s, %d[%c0, %c0] : !tile.tile<16x1xf32>, !tile.memory<1xf32>
}

// Only pairs of rows in the same 16 are used, and a warp holds these of both sides: four warps, each two pieces of 8 columns
// by four steps of 16, from registers.
// CHECK-LABEL: llvm.func @blocks(
// CHECK-NOT: {{st.shared|ldmatrix|wgmma|bar.sync}}
// BF16-COUNT-8: mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32
// EXACT-COUNT-48: mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32
// CHECK-NOT: {{st.shared|ldmatrix|mma}}
// CHECK: llvm.return
tile.kernel @blocks(%a: !tile.memory<64xf32>, %b: !tile.memory<64xf32>, %c: !tile.memory<64xf32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %x = tile.load %a[%c0, %c0] : !tile.memory<64xf32> -> !tile.tile<64x64xf32>
  %y = tile.load %b[%c0, %c0] : !tile.memory<64xf32> -> !tile.tile<64x64xf32>
  %p = tile.mma %x, transpose_rhs %y blocks 16 : !tile.tile<64x64xf32>, !tile.tile<64x64xf32> -> !tile.tile<64x64xf32>
  tile.store %p, %c[%c0, %c0] : !tile.tile<64x64xf32>, !tile.memory<64xf32>
}
