// RUN: denim-opt %s --split-input-file --convert-attn-to-tile --cse --canonicalize | FileCheck %s

// A product has a variant for few rows and one for many; each launch becomes one of each, into one slot. Only the
// last is a product that a library may do: for it the positions of its arguments are named.
module attributes {plan.machine = "cuda"} {
  // CHECK-LABEL: plan.program @unconditional
  plan.program @unconditional(%x: tensor<?x2048xbf16>) {
    %w = model.param "w" : tensor<512x2048xbf16>
    // CHECK: %[[FEW:.*]] = plan.launch @linear_few(%[[X:.*]], %[[W:.*]]) slots [1] {when = {least = 1 : i64, most = 16 : i64, of = "rows"}}
    // CHECK-NEXT: %[[MANY:.*]] = plan.launch @linear_many(%[[X]], %[[W]]) slots [1]
    // CHECK-SAME: product = {columns = 512 : i64, inner = 2048 : i64, least = 17 : i64, out = 2 : i64, residual = -1 : i64, weight = 1 : i64, x = 0 : i64}
    // CHECK-SAME: when = {least = 17 : i64, most = 2147483647 : i64, of = "rows"}
    // CHECK-NEXT: %[[Y:.*]] = plan.merge %[[FEW]], %[[MANY]]
    %y = plan.launch @linear(%x, %w) slots [1] : (tensor<?x2048xbf16>, tensor<512x2048xbf16>) -> tensor<?x512xf32>
    // CHECK-NEXT: plan.return %[[Y]]
    plan.return %y : tensor<?x512xf32>
  }
  // A launch that has a condition keeps what meets it.
  // CHECK-LABEL: plan.program @conditional
  plan.program @conditional(%x: tensor<?x2048xbf16>) {
    %w = model.param "w" : tensor<512x2048xbf16>
    // CHECK: plan.launch @linear_few({{.*}} {when = {least = 2 : i64, most = 16 : i64, of = "rows"}}
    // CHECK-NEXT: plan.launch @linear_many({{.*}}when = {least = 17 : i64, most = 99 : i64, of = "rows"}}
    // CHECK-NEXT: plan.merge
    // CHECK-NEXT: plan.return
    %y = plan.launch @linear(%x, %w) slots [1] {when = {of = "rows", least = 2, most = 99}} : (tensor<?x2048xbf16>, tensor<512x2048xbf16>) -> tensor<?x512xf32>
    plan.return %y : tensor<?x512xf32>
  }
  // CHECK-LABEL: tile.kernel @linear_few(
  // CHECK-SAME: items <tokens by 16 times 32>
  // CHECK-SAME: linear.few_columns = {by = "model", {{.*}}shape = "inner=2048 columns=512 products=1", value = 16 : i64}
  // CHECK-SAME: tile.ahead
  // CHECK-SAME: tile.warps = 4
  // CHECK: scf.for
  // CHECK: tile.load {{.*}} -> !tile.tile<16x256xf32>
  // Rows behind the last may be read, but are not stored.
  // CHECK: tile.store {{.*}} within
  // CHECK-LABEL: tile.kernel @linear_many(
  // CHECK-SAME: items <tokens by 128 times 2>
  // CHECK-SAME: tile.ahead
  // CHECK: scf.for
  // CHECK: %[[W:.*]] = tile.load {{.*}} -> !tile.tile<256x64xf32>
  // CHECK: %[[X:.*]] = tile.load {{.*}} within {{.*}} -> !tile.tile<128x64xf32>
  // CHECK: tile.mma %[[X]], transpose_rhs %[[W]] acc
  // CHECK: tile.store {{.*}} within
  plan.kernel @linear(%kept: tensor<?x2048xbf16>, %w: tensor<512x2048xbf16>) attributes {kind = "linear"} {
    %x = plan.cast %kept : tensor<?x2048xbf16> to tensor<?x2048xf32>
    %y = model.linear %x, %w
    plan.yield %y : tensor<?x512xf32>
  }
}

// -----

// Of a kernel whose launches are all for many rows only that variant is left. The sum behind it belongs to the product.
module attributes {plan.machine = "cuda"} {
  // CHECK-LABEL: plan.program @residual
  plan.program @residual(%x: tensor<?x256xf32>, %h: tensor<?x128xbf16>) {
    %w = model.param "w" : tensor<256x128xbf16>
    // CHECK: plan.launch @sum_many({{.*}} slots [1]
    // CHECK-SAME: product = {columns = 256 : i64, inner = 128 : i64, least = 17 : i64, out = 3 : i64, residual = 0 : i64, weight = 2 : i64, x = 1 : i64}
    // CHECK-SAME: when = {least = 17 : i64, most = 99 : i64, of = "rows"}
    // CHECK-NEXT: plan.return
    %y = plan.launch @sum(%x, %h, %w) slots [1] {when = {of = "rows", least = 17, most = 99}} : (tensor<?x256xf32>, tensor<?x128xbf16>, tensor<256x128xbf16>) -> tensor<?x256xf32>
    plan.return %y : tensor<?x256xf32>
  }
  // CHECK-NOT: tile.kernel @sum_few
  // CHECK: tile.kernel @sum_many(
  plan.kernel @sum(%x: tensor<?x256xf32>, %kept: tensor<?x128xbf16>, %w: tensor<256x128xbf16>) attributes {kind = "linear"} {
    %h = plan.cast %kept : tensor<?x128xbf16> to tensor<?x128xf32>
    %p = model.linear %h, %w
    %y = model.add %x, %p
    plan.yield %y : tensor<?x256xf32>
  }
}

// -----

// Weights in blocks are copied ahead in steps of 512 channels, or of 256, and eight warps divide a step. So is one of bf16
// beside them. Of more items than multiprocessors two blocks are on each.
module attributes {plan.machine = "cuda"} {
  plan.program @blocks(%x: tensor<?x2048xbf16>, %y: tensor<?x768xbf16>, %z: tensor<?x384xbf16>) {
    %w = model.param "w" : tensor<512x2048x!model.q8_0>
    %v = model.param "v" : tensor<8192x768x!model.q4_0>
    %u = model.param "u" : tensor<64x768xbf16>
    %o = model.param "o" : tensor<64x768x!model.q4_0>
    %t = model.param "t" : tensor<64x384x!model.q8_0>
    %m0 = model.param "m0" : tensor<64x768x!model.q4_0>
    %m1 = model.param "m1" : tensor<64x768x!model.q4_0>
    %m2 = model.param "m2" : tensor<64x768x!model.q4_0>
    %m3 = model.param "m3" : tensor<64x768x!model.q4_0>
    %m4 = model.param "m4" : tensor<64x768x!model.q4_0>
    %m5 = model.param "m5" : tensor<64x768x!model.q4_0>
    %m6 = model.param "m6" : tensor<64x768x!model.q4_0>
    %m7 = model.param "m7" : tensor<64x768x!model.q4_0>
    %m8 = model.param "m8" : tensor<64x768x!model.q4_0>
    %m9 = model.param "m9" : tensor<64x768x!model.q4_0>
    %m10 = model.param "m10" : tensor<64x768x!model.q4_0>
    %m11 = model.param "m11" : tensor<64x768x!model.q4_0>
    %m12 = model.param "m12" : tensor<64x768x!model.q4_0>
    %m13 = model.param "m13" : tensor<64x768x!model.q4_0>
    %m14 = model.param "m14" : tensor<64x768x!model.q4_0>
    %m15 = model.param "m15" : tensor<64x768x!model.q4_0>
    %e = plan.launch @many_maps(%y, %m0, %m1, %m2, %m3, %m4, %m5, %m6, %m7, %m8, %m9, %m10, %m11, %m12, %m13, %m14, %m15) slots [5] {when = {of = "rows", least = 2, most = 16}} : (tensor<?x768xbf16>, tensor<64x768x!model.q4_0>, tensor<64x768x!model.q4_0>, tensor<64x768x!model.q4_0>, tensor<64x768x!model.q4_0>, tensor<64x768x!model.q4_0>, tensor<64x768x!model.q4_0>, tensor<64x768x!model.q4_0>, tensor<64x768x!model.q4_0>, tensor<64x768x!model.q4_0>, tensor<64x768x!model.q4_0>, tensor<64x768x!model.q4_0>, tensor<64x768x!model.q4_0>, tensor<64x768x!model.q4_0>, tensor<64x768x!model.q4_0>, tensor<64x768x!model.q4_0>, tensor<64x768x!model.q4_0>) -> tensor<?x64xf32>
    %a = plan.launch @bytes(%x, %w) slots [1] {when = {of = "rows", least = 2, most = 16}} : (tensor<?x2048xbf16>, tensor<512x2048x!model.q8_0>) -> tensor<?x512xf32>
    %b = plan.launch @four_bits(%y, %v) slots [2] {when = {of = "rows", least = 2, most = 16}} : (tensor<?x768xbf16>, tensor<8192x768x!model.q4_0>) -> tensor<?x8192xf32>
    %c = plan.launch @beside(%y, %u, %o) slots [3] {when = {of = "rows", least = 2, most = 16}} : (tensor<?x768xbf16>, tensor<64x768xbf16>, tensor<64x768x!model.q4_0>) -> tensor<?x64xf32>
    %d = plan.launch @no_pieces(%z, %t) slots [4] {when = {of = "rows", least = 2, most = 16}} : (tensor<?x384xbf16>, tensor<64x384x!model.q8_0>) -> tensor<?x64xf32>
    plan.return %d : tensor<?x64xf32>
  }
  // CHECK-LABEL: tile.kernel @bytes_few(
  // CHECK-SAME: linear.few_columns = {by = "model", {{.*}}shape = "inner=2048 columns=512 products=1 row_bytes=2176", value = 16 : i64}
  // CHECK-SAME: tile.ahead
  // CHECK-SAME: tile.blocks = 1
  // CHECK-SAME: tile.warps = 8
  // CHECK: tile.load {{.*}}q8_0> -> !tile.tile<16x512xf32>
  plan.kernel @bytes(%kept: tensor<?x2048xbf16>, %w: tensor<512x2048x!model.q8_0>) attributes {kind = "linear"} {
    %x = plan.cast %kept : tensor<?x2048xbf16> to tensor<?x2048xf32>
    %y = model.linear %x, %w
    plan.yield %y : tensor<?x512xf32>
  }
  // CHECK-LABEL: tile.kernel @four_bits_few(
  // CHECK-SAME: shape = "inner=768 columns=8192 products=1 row_bytes=432"
  // CHECK-SAME: tile.ahead
  // CHECK-SAME: tile.blocks = 2
  // CHECK: tile.load {{.*}}q4_0> -> !tile.tile<{{[0-9]+}}x256xf32>
  plan.kernel @four_bits(%kept: tensor<?x768xbf16>, %w: tensor<8192x768x!model.q4_0>) attributes {kind = "linear"} {
    %x = plan.cast %kept : tensor<?x768xbf16> to tensor<?x768xf32>
    %y = model.linear %x, %w
    plan.yield %y : tensor<?x8192xf32>
  }
  // CHECK-LABEL: tile.kernel @beside_few(
  // CHECK-SAME: row_bytes=1968
  // CHECK-SAME: tile.ahead
  // CHECK-SAME: tile.warps = 8
  plan.kernel @beside(%kept: tensor<?x768xbf16>, %w: tensor<64x768xbf16>, %v: tensor<64x768x!model.q4_0>) attributes {kind = "linear"} {
    %x = plan.cast %kept : tensor<?x768xbf16> to tensor<?x768xf32>
    %a = model.linear %x, %w
    %b = model.linear %x, %v
    %y = model.add %a, %b
    plan.yield %y : tensor<?x64xf32>
  }
  // More memories than a kernel may have maps of boxes for.
  // CHECK-LABEL: tile.kernel @many_maps_few(
  // CHECK-NOT: tile.ahead
  // CHECK: tile.store
  plan.kernel @many_maps(%kept: tensor<?x768xbf16>, %w0: tensor<64x768x!model.q4_0>, %w1: tensor<64x768x!model.q4_0>, %w2: tensor<64x768x!model.q4_0>, %w3: tensor<64x768x!model.q4_0>, %w4: tensor<64x768x!model.q4_0>, %w5: tensor<64x768x!model.q4_0>, %w6: tensor<64x768x!model.q4_0>, %w7: tensor<64x768x!model.q4_0>, %w8: tensor<64x768x!model.q4_0>, %w9: tensor<64x768x!model.q4_0>, %w10: tensor<64x768x!model.q4_0>, %w11: tensor<64x768x!model.q4_0>, %w12: tensor<64x768x!model.q4_0>, %w13: tensor<64x768x!model.q4_0>, %w14: tensor<64x768x!model.q4_0>, %w15: tensor<64x768x!model.q4_0>) attributes {kind = "linear"} {
    %x = plan.cast %kept : tensor<?x768xbf16> to tensor<?x768xf32>
    %a0 = model.linear %x, %w0
    %a1 = model.linear %x, %w1
    %a2 = model.linear %x, %w2
    %a3 = model.linear %x, %w3
    %a4 = model.linear %x, %w4
    %a5 = model.linear %x, %w5
    %a6 = model.linear %x, %w6
    %a7 = model.linear %x, %w7
    %a8 = model.linear %x, %w8
    %a9 = model.linear %x, %w9
    %a10 = model.linear %x, %w10
    %a11 = model.linear %x, %w11
    %a12 = model.linear %x, %w12
    %a13 = model.linear %x, %w13
    %a14 = model.linear %x, %w14
    %a15 = model.linear %x, %w15
    %s1 = model.add %a0, %a1
    %s2 = model.add %s1, %a2
    %s3 = model.add %s2, %a3
    %s4 = model.add %s3, %a4
    %s5 = model.add %s4, %a5
    %s6 = model.add %s5, %a6
    %s7 = model.add %s6, %a7
    %s8 = model.add %s7, %a8
    %s9 = model.add %s8, %a9
    %s10 = model.add %s9, %a10
    %s11 = model.add %s10, %a11
    %s12 = model.add %s11, %a12
    %s13 = model.add %s12, %a13
    %s14 = model.add %s13, %a14
    %s15 = model.add %s14, %a15
    plan.yield %s15 : tensor<?x64xf32>
  }
  // Rows of blocks of 384 channels are no whole pieces of 16 bytes.
  // CHECK-LABEL: tile.kernel @no_pieces_few(
  // CHECK-NOT: tile.ahead
  // CHECK: tile.store
  plan.kernel @no_pieces(%kept: tensor<?x384xbf16>, %w: tensor<64x384x!model.q8_0>) attributes {kind = "linear"} {
    %x = plan.cast %kept : tensor<?x384xbf16> to tensor<?x384xf32>
    %y = model.linear %x, %w
    plan.yield %y : tensor<?x64xf32>
  }
}

// -----

// Weights of few rows are copied ahead in steps that are whole panels of shared memory, as long as a copying warp can take.
// Others are read by those who multiply: channels that no panel divides or only one, rows of f32, weights of two lengths.
module attributes {plan.machine = "cuda"} {
  plan.program @few(%x: tensor<?x192xbf16>, %y: tensor<?x96xbf16>, %z: tensor<?x256xf32>, %u: tensor<?x256xbf16>, %g: tensor<?x64xbf16>) {
    %w = model.param "w" : tensor<64x192xbf16>
    %v = model.param "v" : tensor<64x96xbf16>
    %t = model.param "t" : tensor<64x256xbf16>
    %a = plan.launch @panels(%x, %w) slots [1] {when = {of = "rows", least = 2, most = 16}} : (tensor<?x192xbf16>, tensor<64x192xbf16>) -> tensor<?x64xf32>
    %b = plan.launch @no_panels(%y, %v) slots [2] {when = {of = "rows", least = 2, most = 16}} : (tensor<?x96xbf16>, tensor<64x96xbf16>) -> tensor<?x64xf32>
    %c = plan.launch @wide_rows(%z, %t) slots [3] {when = {of = "rows", least = 2, most = 16}} : (tensor<?x256xf32>, tensor<64x256xbf16>) -> tensor<?x64xf32>
    %d = plan.launch @two_lengths(%u, %x, %t, %w) slots [4] {when = {of = "rows", least = 2, most = 16}} : (tensor<?x256xbf16>, tensor<?x192xbf16>, tensor<64x256xbf16>, tensor<64x192xbf16>) -> tensor<?x64xf32>
    %o = model.param "o" : tensor<64x64xbf16>
    %e = plan.launch @one_panel(%g, %o) slots [5] {when = {of = "rows", least = 2, most = 16}} : (tensor<?x64xbf16>, tensor<64x64xbf16>) -> tensor<?x64xf32>
    plan.return %d : tensor<?x64xf32>
  }
  // CHECK-LABEL: tile.kernel @panels_few(
  // CHECK-SAME: tile.ahead
  // CHECK: tile.load {{.*}} -> !tile.tile<16x64xf32>
  plan.kernel @panels(%x: tensor<?x192xbf16>, %w: tensor<64x192xbf16>) attributes {kind = "linear"} {
    %a = plan.cast %x : tensor<?x192xbf16> to tensor<?x192xf32>
    %y = model.linear %a, %w
    plan.yield %y : tensor<?x64xf32>
  }
  // CHECK-LABEL: tile.kernel @no_panels_few(
  // CHECK-NOT: tile.ahead
  // CHECK: tile.load {{.*}} -> !tile.tile<16x96xf32>
  plan.kernel @no_panels(%x: tensor<?x96xbf16>, %w: tensor<64x96xbf16>) attributes {kind = "linear"} {
    %a = plan.cast %x : tensor<?x96xbf16> to tensor<?x96xf32>
    %y = model.linear %a, %w
    plan.yield %y : tensor<?x64xf32>
  }
  // CHECK-LABEL: tile.kernel @wide_rows_few(
  // CHECK-NOT: tile.ahead
  // CHECK: tile.load {{.*}} -> !tile.tile<16x256xf32>
  plan.kernel @wide_rows(%x: tensor<?x256xf32>, %w: tensor<64x256xbf16>) attributes {kind = "linear"} {
    %y = model.linear %x, %w
    plan.yield %y : tensor<?x64xf32>
  }
  // CHECK-LABEL: tile.kernel @two_lengths_few(
  // CHECK-NOT: tile.ahead
  // CHECK: tile.load {{.*}} -> !tile.tile<16x256xf32>
  plan.kernel @two_lengths(%x: tensor<?x256xbf16>, %h: tensor<?x192xbf16>, %w: tensor<64x256xbf16>, %u: tensor<64x192xbf16>) attributes {kind = "linear"} {
    %a = plan.cast %x : tensor<?x256xbf16> to tensor<?x256xf32>
    %b = plan.cast %h : tensor<?x192xbf16> to tensor<?x192xf32>
    %y = model.linear %a, %w
    %z = model.linear %b, %u
    %s = model.add %y, %z
    plan.yield %s : tensor<?x64xf32>
  }
  // CHECK-LABEL: tile.kernel @one_panel_few(
  // CHECK-NOT: tile.ahead
  // CHECK: tile.load {{.*}} -> !tile.tile<16x64xf32>
  plan.kernel @one_panel(%x: tensor<?x64xbf16>, %w: tensor<64x64xbf16>) attributes {kind = "linear"} {
    %a = plan.cast %x : tensor<?x64xbf16> to tensor<?x64xf32>
    %y = model.linear %a, %w
    plan.yield %y : tensor<?x64xf32>
  }
}

// -----

// Of eight products shared memory holds two steps of 16 columns each, and none of more: so wide are the items.
module attributes {plan.machine = "cuda"} {
  plan.program @eight(%x: tensor<?x2048xbf16>) {
    %w0 = model.param "w0" : tensor<2048x2048xbf16>
    %w1 = model.param "w1" : tensor<2048x2048xbf16>
    %w2 = model.param "w2" : tensor<2048x2048xbf16>
    %w3 = model.param "w3" : tensor<2048x2048xbf16>
    %w4 = model.param "w4" : tensor<2048x2048xbf16>
    %w5 = model.param "w5" : tensor<2048x2048xbf16>
    %w6 = model.param "w6" : tensor<2048x2048xbf16>
    %w7 = model.param "w7" : tensor<2048x2048xbf16>
    %y = plan.launch @products(%x, %w0, %w1, %w2, %w3, %w4, %w5, %w6, %w7) slots [1] {when = {of = "rows", least = 2, most = 16}} : (tensor<?x2048xbf16>, tensor<2048x2048xbf16>, tensor<2048x2048xbf16>, tensor<2048x2048xbf16>, tensor<2048x2048xbf16>, tensor<2048x2048xbf16>, tensor<2048x2048xbf16>, tensor<2048x2048xbf16>, tensor<2048x2048xbf16>) -> tensor<?x2048xf32>
    plan.return %y : tensor<?x2048xf32>
  }
  // CHECK-LABEL: tile.kernel @products_few(
  // CHECK-SAME: items <tokens by 16 times 128>
  // CHECK-SAME: tile.ahead
  plan.kernel @products(%x: tensor<?x2048xbf16>, %w0: tensor<2048x2048xbf16>, %w1: tensor<2048x2048xbf16>, %w2: tensor<2048x2048xbf16>, %w3: tensor<2048x2048xbf16>, %w4: tensor<2048x2048xbf16>, %w5: tensor<2048x2048xbf16>, %w6: tensor<2048x2048xbf16>, %w7: tensor<2048x2048xbf16>) attributes {kind = "linear"} {
    %a = plan.cast %x : tensor<?x2048xbf16> to tensor<?x2048xf32>
    %y0 = model.linear %a, %w0
    %y1 = model.linear %a, %w1
    %y2 = model.linear %a, %w2
    %y3 = model.linear %a, %w3
    %y4 = model.linear %a, %w4
    %y5 = model.linear %a, %w5
    %y6 = model.linear %a, %w6
    %y7 = model.linear %a, %w7
    %s1 = model.add %y0, %y1
    %s2 = model.add %s1, %y2
    %s3 = model.add %s2, %y3
    %s4 = model.add %s3, %y4
    %s5 = model.add %s4, %y5
    %s6 = model.add %s5, %y6
    %s7 = model.add %s6, %y7
    plan.yield %s7 : tensor<?x2048xf32>
  }
}

// -----

// A convolution whose channels are whole pieces of 16 bytes for the four lanes of a row: 128 rows of 32 channels, so that
// each thread has four neighbouring rows and reads three more. Others are 16 rows, as wide as they come.
module attributes {plan.machine = "cuda"} {
  // CHECK-LABEL: tile.kernel @convolution(
  // CHECK-SAME: items <tokens by 128 times 2>
  // CHECK-SAME: tile.blocks = 6
  // CHECK: tile.load {{.*}} -> !tile.tile<131x32xf32>
  // CHECK: tile.store {{.*}} within {{.*}}!tile.tile<128x32xf32>
  plan.kernel @convolution(%x: tensor<?x64xbf16>, %w: tensor<64x1x4xbf16>, %t: !attn.cache<tail 3x64xbf16>) attributes {kind = "rows"} {
    %a = plan.cast %x : tensor<?x64xbf16> to tensor<?x64xf32>
    %c = attn.short_conv %a, %w tail %t
    %y = plan.cast %c : tensor<?x64xf32> to tensor<?x64xbf16>
    plan.yield %y : tensor<?x64xbf16>
  }
  // CHECK-LABEL: tile.kernel @narrow_convolution(
  // CHECK-SAME: items <tokens by 16 times 1>
  // CHECK-NOT: tile.blocks
  // CHECK: tile.load {{.*}} -> !tile.tile<19x48xf32>
  // CHECK: tile.store {{.*}} within {{.*}}!tile.tile<16x48xf32>
  plan.kernel @narrow_convolution(%x: tensor<?x48xbf16>, %w: tensor<48x1x4xbf16>, %t: !attn.cache<tail 3x48xbf16>) attributes {kind = "rows"} {
    %a = plan.cast %x : tensor<?x48xbf16> to tensor<?x48xf32>
    %c = attn.short_conv %a, %w tail %t
    %y = plan.cast %c : tensor<?x48xf32> to tensor<?x48xbf16>
    plan.yield %y : tensor<?x48xbf16>
  }
}

// -----

// No library does a product of two element types, or one with more behind it.
module attributes {plan.machine = "cuda"} {
  // CHECK-LABEL: plan.program @own
  plan.program @own(%x: tensor<?x128xf32>) {
    %w = model.param "w" : tensor<256x128xbf16>
    // CHECK-NOT: product
    // CHECK: plan.return
    %a = plan.launch @mixed(%x, %w) slots [1] : (tensor<?x128xf32>, tensor<256x128xbf16>) -> tensor<?x256xf32>
    %v = model.param "v" : tensor<256x128xf32>
    %b = plan.launch @gated(%x, %v) slots [2] : (tensor<?x128xf32>, tensor<256x128xf32>) -> tensor<?x256xf32>
    plan.return %b : tensor<?x256xf32>
  }
  plan.kernel @mixed(%x: tensor<?x128xf32>, %w: tensor<256x128xbf16>) attributes {kind = "linear"} {
    %y = model.linear %x, %w
    plan.yield %y : tensor<?x256xf32>
  }
  plan.kernel @gated(%x: tensor<?x128xf32>, %w: tensor<256x128xf32>) attributes {kind = "linear"} {
    %p = model.linear %x, %w
    %y = model.silu %p
    plan.yield %y : tensor<?x256xf32>
  }
}

// -----

// A norm over all channels: an item is a row, seen as a matrix. The launch passes what is seen so a second time.
module attributes {plan.machine = "cuda"} {
  // CHECK-LABEL: plan.program @norms
  plan.program @norms(%x: tensor<?x2048xf32>) {
    %w = model.param "w" : tensor<2048xbf16>
    // CHECK: plan.launch @norm(%[[X:.*]], %[[W:.*]], %[[X]], %[[W]]) slots [1]
    %y = plan.launch @norm(%x, %w) slots [1] : (tensor<?x2048xf32>, tensor<2048xbf16>) -> tensor<?x2048xbf16>
    plan.return %y : tensor<?x2048xbf16>
  }
  // CHECK-LABEL: tile.kernel @norm(
  // CHECK-SAME: !tile.memory<2048xf32>, %{{.*}}: !tile.memory<2048xbf16>, %[[X:.*]]: !tile.memory<128xf32>, %[[W:.*]]: !tile.memory<128xbf16>, %[[Y:.*]]: !tile.memory<128xbf16>) items <tokens by 1 times 1> at %[[ITEM:[a-z0-9]+]] attributes {tile.constants = array<i64: 1, 3>} {
  // CHECK-DAG: %[[C16:.*]] = arith.constant 16 : index
  // CHECK: %[[ROW:.*]] = arith.muli %[[ITEM]], %[[C16]]
  // CHECK: tile.load %[[X]][%[[ROW]], %{{.*}}] : {{.*}} -> !tile.tile<16x128xf32>
  // CHECK: tile.reduce add
  // CHECK: tile.reduce add {{.*}} -> !tile.tile<1x1xf32>
  // CHECK: tile.store %{{.*}}, %[[Y]][%[[ROW]], %{{.*}}] : !tile.tile<16x128xf32>
  plan.kernel @norm(%x: tensor<?x2048xf32>, %w: tensor<2048xbf16>) attributes {kind = "rows"} {
    %n = model.rms_norm %x, %w
    %y = plan.cast %n : tensor<?x2048xf32> to tensor<?x2048xbf16>
    plan.yield %y : tensor<?x2048xbf16>
  }
  // Channels that stand alone are cut; 16 rows at once, those behind the last not stored. No loop over rows.
  // CHECK-LABEL: tile.kernel @gate(
  // CHECK-SAME: items <tokens by 16 times 8>
  // CHECK-NOT: scf.for
  // CHECK: tile.load {{.*}} -> !tile.tile<16x256xf32>
  // CHECK: tile.store {{.*}} within
  plan.kernel @gate(%g: tensor<?x2048xbf16>, %u: tensor<?x2048xbf16>) attributes {kind = "rows"} {
    %a = plan.cast %g : tensor<?x2048xbf16> to tensor<?x2048xf32>
    %b = plan.cast %u : tensor<?x2048xbf16> to tensor<?x2048xf32>
    %s = model.silu %a
    %p = model.mul %s, %b
    %y = plan.cast %p : tensor<?x2048xf32> to tensor<?x2048xbf16>
    plan.yield %y : tensor<?x2048xbf16>
  }
  // The halves of a rotation are stored one beside the other, and what is not rotated behind them.
  // CHECK-LABEL: tile.kernel @rotary(
  // CHECK-SAME: items <tokens by 16 times 4>
  // CHECK-NOT: tile.mma
  // CHECK: tile.store {{.*}} : !tile.tile<16x8xf32>
  // CHECK: tile.store {{.*}} : !tile.tile<16x8xf32>
  // CHECK: tile.store {{.*}} : !tile.tile<16x16xf32>
  plan.kernel @rotary(%kept: tensor<?x4x32xbf16>) attributes {kind = "rows"} {
    %x = plan.cast %kept : tensor<?x4x32xbf16> to tensor<?x4x32xf32>
    %r = attn.rotary %x theta 10000 over 16
    %y = plan.cast %r : tensor<?x4x32xf32> to tensor<?x4x32xbf16>
    plan.yield %y : tensor<?x4x32xbf16>
  }
}

// -----

// Keys reach their pages by sequences where those have few new tokens, and by blocks of tokens where they have many.
module attributes {plan.machine = "cuda"} {
  // CHECK-LABEL: plan.program @append
  plan.program @append(%x: tensor<?x2x32xbf16>) {
    %c = attn.cache "keys" : !attn.cache<paged 2x32xbf16>
    // CHECK: plan.launch @keys_few({{.*}}) {when = {least = 1 : i64, most = 16 : i64, of = "sequence"}}
    // CHECK-NEXT: plan.launch @keys_many({{.*}}) {when = {least = 17 : i64, most = 2147483647 : i64, of = "sequence"}}
    // CHECK-NEXT: plan.return
    plan.launch @keys(%x, %c) : (tensor<?x2x32xbf16>, !attn.cache<paged 2x32xbf16>) -> ()
    plan.return %x : tensor<?x2x32xbf16>
  }
  // CHECK-LABEL: tile.kernel @keys_few(
  // CHECK-SAME: items <sequences by 1 times 2>
  // CHECK-NOT: scf.for
  // CHECK-LABEL: tile.kernel @keys_many(
  // CHECK-SAME: items <tokens by 16 times 2>
  // CHECK: scf.for
  // CHECK: scf.if
  plan.kernel @keys(%kept: tensor<?x2x32xbf16>, %c: !attn.cache<paged 2x32xbf16>) attributes {kind = "cache"} {
    %x = plan.cast %kept : tensor<?x2x32xbf16> to tensor<?x2x32xf32>
    attn.append %x to %c
    plan.yield
  }
}

// -----

// Without a machine a plan is the CPU's: one kernel for any number of rows.
// CHECK-LABEL: plan.program @cpu
plan.program @cpu(%x: tensor<?x64xf32>) {
  %w = model.param "w" : tensor<64x64xf32>
  // CHECK: %[[Y:.*]] = plan.launch @linear_cpu(%{{.*}}, %{{.*}}) slots [1] : (
  // CHECK-NEXT: plan.return %[[Y]]
  %y = plan.launch @linear_cpu(%x, %w) slots [1] : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
  plan.return %y : tensor<?x64xf32>
}
plan.kernel @linear_cpu(%x: tensor<?x64xf32>, %w: tensor<64x64xf32>) attributes {kind = "linear"} {
  %y = model.linear %x, %w
  plan.yield %y : tensor<?x64xf32>
}
