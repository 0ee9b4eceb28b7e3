// RUN: denim-opt %s --convert-attn-to-tile --cse --canonicalize | FileCheck %s

// Blockwise online softmax over pages: running maximum, sum and output are carried. Blocks of queries for many new tokens;
// one token with all heads that share its keys for few, which sees the queries as rows of one head: the launch passes them twice.
// CHECK-LABEL: tile.kernel @causal
// CHECK-SAME: (%[[Q:.*]]: !tile.memory<64xf32>, %{{.*}}: !tile.pages<1x64x32xf32>, %{{.*}}: !tile.pages<1x64x32xf32>,
// CHECK-SAME: %[[HEADS:.*]]: !tile.memory<32xf32>, %{{.*}}: !tile.memory<64xf32>)
// CHECK: tile.load %[[Q]]
// CHECK: scf.for {{.*}} iter_args
// CHECK: tile.page
// CHECK: tile.page
// CHECK: tile.mma
// CHECK: tile.reduce max
// CHECK: tile.reduce add
// CHECK: tile.mma
// CHECK: arith.divf
// CHECK: tile.store
// CHECK: tile.load %[[HEADS]]{{.*}} -> !tile.tile<2x32xf32>
// CHECK: scf.for {{.*}} iter_args
// CHECK: tile.store
plan.kernel @causal(%q: tensor<?x2x32xf32>, %k: !attn.cache<paged 1x32xf32>, %v: !attn.cache<paged 1x32xf32>)
    attributes {kind = "softmax"} {
  %o = attn.attend %q, %k, %v scale 0.5
  plan.yield %o : tensor<?x2x32xf32>
}

// CHECK-LABEL: plan.program @layer
// CHECK: plan.launch @causal(%arg0, %[[K:.*]], %[[V:.*]], %arg0)
plan.program @layer(%q: tensor<?x2x32xf32>) {
  %k = attn.cache "keys" : !attn.cache<paged 1x32xf32>
  %v = attn.cache "values" : !attn.cache<paged 1x32xf32>
  %o = plan.launch @causal(%q, %k, %v) slots [1]
      : (tensor<?x2x32xf32>, !attn.cache<paged 1x32xf32>, !attn.cache<paged 1x32xf32>) -> tensor<?x2x32xf32>
  plan.return %o : tensor<?x2x32xf32>
}

// A bound on the logits is part of the map behind the product.
// CHECK-LABEL: tile.kernel @softcap
// CHECK: tile.mma
// CHECK: math.tanh
// CHECK: tile.reduce max
plan.kernel @softcap(%q: tensor<?x2x32xf32>, %k: !attn.cache<paged 1x32xf32>, %v: !attn.cache<paged 1x32xf32>)
    attributes {kind = "softmax"} {
  %o = attn.attend %q, %k, %v scale 0.5 softcap 30
  plan.yield %o : tensor<?x2x32xf32>
}
