// RUN: denim-opt %s --convert-attn-to-tile --cse --canonicalize | FileCheck %s

// CHECK-LABEL: tile.kernel @route
// CHECK: tile.reduce max
// CHECK: math.exp
// CHECK: tile.store
plan.kernel @route(%scores: tensor<?x6xf32>) attributes {kind = "route"} {
  %w, %e = model.route %scores top 3 renormalized
  plan.yield %w, %e : tensor<?x3xf32>, tensor<?x3xi32>
}

// The numbers of the chosen experts choose the weights.
// CHECK-LABEL: tile.kernel @experts
// CHECK-SAME: !tile.stack<6x64xf32>
// CHECK: %[[N:.*]] = tile.extract {{.*}} -> index
// CHECK: tile.stacked %{{.*}}[%[[N]]]
// CHECK: tile.mma
// CHECK: tile.store
plan.kernel @experts(%x: tensor<?x64xf32>, %w: tensor<?x3xf32>, %e: tensor<?x3xi32>, %gate: tensor<6x16x64xf32>,
                     %up: tensor<6x16x64xf32>, %down: tensor<6x64x16xf32>) attributes {kind = "experts"} {
  %y = model.experts %x, %w, %e gate %gate up %up down %down
  plan.yield %y : tensor<?x64xf32>
}
