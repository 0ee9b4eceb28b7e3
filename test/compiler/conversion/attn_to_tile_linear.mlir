// RUN: denim-opt %s --convert-attn-to-tile --cse --canonicalize | FileCheck %s

// Panels of columns are items. With many tokens the panel of weights stands outside the loop over rows, and beside the only
// block of them where there is one; with few, rows are taken some at a time and one by one. What follows the product is done before it is written.
// CHECK-LABEL: tile.kernel @product
// CHECK-SAME: items <tokens by {{[0-9]+}} times [[PANELS:[0-9]+]]>
// CHECK: scf.if
// CHECK: %[[W:.*]] = tile.load %{{.*}} : !tile.memory<64xbf16> -> !tile.tile<[[PANEL:[0-9]+]]x64xf32>
// CHECK: scf.for
// CHECK: %[[Y:.*]] = tile.mma %{{.*}}, transpose_rhs %[[W]]
// CHECK: %[[S:.*]] = tile.map (%{{.*}} = %[[Y]]
// CHECK: math.exp
// CHECK: tile.store %[[S]]
// CHECK: } else {
// CHECK-NOT: scf.for
// CHECK: %[[W1:.*]] = tile.load %{{.*}} : !tile.memory<64xbf16> -> !tile.tile<[[PANEL]]x64xf32>
// CHECK: tile.mma %{{.*}}, transpose_rhs %[[W1]]
// CHECK: } else {
// CHECK: tile.mma {{.*}} -> !tile.tile<1x[[PANEL]]xf32>
plan.kernel @product(%x: tensor<?x64xf32>, %w: tensor<1024x64xbf16>) attributes {kind = "linear"} {
  %y = model.linear %x, %w
  %s = model.silu %y
  plan.yield %s : tensor<?x1024xf32>
}

// The last panel begins early enough to be whole.
// CHECK-LABEL: tile.kernel @no_multiple_of_a_panel
// CHECK: %[[FIRST:.*]] = arith.minsi
// CHECK: tile.load %{{.*}}[%[[FIRST]],
plan.kernel @no_multiple_of_a_panel(%x: tensor<?x64xf32>, %w: tensor<1000x64xf32>) attributes {kind = "linear"} {
  %y = model.linear %x, %w
  plan.yield %y : tensor<?x1000xf32>
}

// Two products of one input, joined.
// CHECK-LABEL: tile.kernel @gated
// CHECK: %[[G:.*]] = tile.mma
// CHECK: %[[U:.*]] = tile.mma
// CHECK: tile.store
plan.kernel @gated(%x: tensor<?x64xf32>, %a: tensor<64x64xf32>, %b: tensor<64x64xf32>) attributes {kind = "linear"} {
  %g = model.linear %x, %a
  %u = model.linear %x, %b
  %s = model.silu %g
  %p = model.mul %s, %u
  plan.yield %p : tensor<?x64xf32>
}
