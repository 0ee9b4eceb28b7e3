// RUN: denim-opt %s --split-input-file --convert-attn-to-tile --cse --canonicalize | FileCheck %s

// All products of one value, for a step of one row: 16 columns an item, those of the second result behind those of the
// first. Weights are asked for first. The norm in front of them is computed by every item, as a matrix of the row, which
// the launch passes once more.
module attributes {plan.machine = "cuda"} {
  // CHECK-LABEL: plan.program @norm_in_front
  plan.program @norm_in_front(%x: tensor<?x2048xf32>) {
    %n = model.param "n" : tensor<2048xbf16>
    %w = model.param "w" : tensor<512x2048xbf16>
    %v = model.param "v" : tensor<64x2048xbf16>
    // CHECK: plan.launch @products(%[[X:.*]], %[[N:.*]], %{{.*}}, %{{.*}}, %[[X]], %[[N]]) slots [1, 2]
    %y:2 = plan.launch @products(%x, %n, %w, %v) slots [1, 2] {when = {of = "rows", least = 1, most = 1}} : (tensor<?x2048xf32>, tensor<2048xbf16>, tensor<512x2048xbf16>, tensor<64x2048xbf16>) -> (tensor<?x512xbf16>, tensor<?x64xf32>)
    plan.return %y#1 : tensor<?x64xf32>
  }
  // CHECK-LABEL: tile.kernel @products(
  // CHECK-SAME: items <tokens by 1 times 36>
  // CHECK-SAME: tile.constants = array<i64: 1, 2, 3, 5>
  // CHECK: scf.if
  // CHECK: %[[W:.*]] = tile.load {{.*}} : !tile.memory<2048xbf16> -> !tile.tile<16x2048xf32>
  // CHECK: tile.load {{.*}} : !tile.memory<128xf32> -> !tile.tile<16x128xf32>
  // CHECK: tile.reduce add {{.*}} -> !tile.tile<1x1xf32>
  // CHECK: %[[ROW:.*]] = tile.flatten %{{.*}} : !tile.tile<16x128xf32> -> !tile.tile<1x2048xf32>
  // CHECK: %[[P:.*]] = tile.mma %[[ROW]], transpose_rhs %[[W]]
  // CHECK: tile.store %[[P]]
  // CHECK: } else {
  // CHECK: %[[V:.*]] = tile.load {{.*}} : !tile.memory<2048xbf16> -> !tile.tile<16x2048xf32>
  // CHECK: tile.mma %{{.*}}, transpose_rhs %[[V]]
  plan.kernel @products(%x: tensor<?x2048xf32>, %n: tensor<2048xbf16>, %w: tensor<512x2048xbf16>, %v: tensor<64x2048xbf16>) attributes {kind = "one_row"} {
    %h = model.rms_norm %x, %n
    %y = model.linear %h, %w
    %z = model.linear %h, %v
    %kept = plan.cast %y : tensor<?x512xf32> to tensor<?x512xbf16>
    plan.yield %kept, %z : tensor<?x512xbf16>, tensor<?x64xf32>
  }
}

// -----

// A row that stands in memory is read as it is. Longer rows of weights leave room for fewer columns.
module attributes {plan.machine = "cuda"} {
  plan.program @down(%x: tensor<?x5632xbf16>, %s: tensor<?x2048xf32>) {
    %w = model.param "w" : tensor<2048x5632xbf16>
    %y = plan.launch @sum(%x, %s, %w) slots [1] {when = {of = "rows", least = 1, most = 1}} : (tensor<?x5632xbf16>, tensor<?x2048xf32>, tensor<2048x5632xbf16>) -> tensor<?x2048xf32>
    plan.return %y : tensor<?x2048xf32>
  }
  // CHECK-LABEL: tile.kernel @sum(
  // CHECK-SAME: items <tokens by 1 times 256>
  // CHECK-NOT: tile.flatten
  // CHECK: %[[W:.*]] = tile.load {{.*}} -> !tile.tile<8x5632xf32>
  // CHECK: %[[X:.*]] = tile.load {{.*}} -> !tile.tile<1x5632xf32>
  // CHECK: tile.mma %[[X]], transpose_rhs %[[W]]
  // CHECK: tile.load {{.*}} : !tile.memory<2048xf32> -> !tile.tile<1x8xf32>
  // CHECK: tile.store
  plan.kernel @sum(%kept: tensor<?x5632xbf16>, %s: tensor<?x2048xf32>, %w: tensor<2048x5632xbf16>) attributes {kind = "one_row"} {
    %x = plan.cast %kept : tensor<?x5632xbf16> to tensor<?x5632xf32>
    %p = model.linear %x, %w
    %y = model.add %s, %p
    plan.yield %y : tensor<?x2048xf32>
  }
}

// -----

// Heads are normed one by one, in rows of the matrix; their gate is cut out of memory, a row of it for each head.
module attributes {plan.machine = "cuda"} {
  plan.program @gated(%o: tensor<?x4x128xbf16>, %g: tensor<?x1024xbf16>) {
    %n = model.param "n" : tensor<128xbf16>
    %w = model.param "w" : tensor<64x512xbf16>
    %y = plan.launch @out(%o, %g, %n, %w) slots [1] {when = {of = "rows", least = 1, most = 1}} : (tensor<?x4x128xbf16>, tensor<?x1024xbf16>, tensor<128xbf16>, tensor<64x512xbf16>) -> tensor<?x64xf32>
    plan.return %y : tensor<?x64xf32>
  }
  // CHECK-LABEL: tile.kernel @out(
  // CHECK: tile.load {{.*}} -> !tile.tile<4x128xf32>
  // CHECK: tile.reduce add %{{.*}} along 1 : !tile.tile<4x128xf32> -> !tile.tile<4x1xf32>
  // CHECK: tile.gather {{.*}} -> !tile.tile<4x128xf32>
  // CHECK: tile.flatten {{.*}} -> !tile.tile<1x512xf32>
  plan.kernel @out(%o: tensor<?x4x128xbf16>, %g: tensor<?x1024xbf16>, %n: tensor<128xbf16>, %w: tensor<64x512xbf16>) attributes {kind = "one_row"} {
    %of = plan.cast %o : tensor<?x4x128xbf16> to tensor<?x4x128xf32>
    %gf = plan.cast %g : tensor<?x1024xbf16> to tensor<?x1024xf32>
    %groups = model.heads %gf, 2
    %skip, %part = model.split %groups into 256, 256
    %z = model.heads %part, 4
    %gate = model.silu %z
    %on = model.rms_norm %of, %n
    %h = model.mul %on, %gate
    %y = model.linear %h, %w
    plan.yield %y : tensor<?x64xf32>
  }
}
