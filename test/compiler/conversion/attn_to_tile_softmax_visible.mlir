// RUN: denim-opt %s --convert-attn-to-tile --cse --canonicalize | FileCheck %s

// Local blocks stand behind each other up to the query: pages are walked from the first of them on. A key is near where it is not
// older than the first of these blocks.
// CHECK-LABEL: tile.kernel @local
// CHECK: scf.for %[[J:.*]] = %{{.*}} to {{.*}} iter_args
// CHECK-NOT: arith.select
// CHECK: tile.page %{{.*}}[%{{.*}}, %[[J]],
// CHECK: tile.map
// CHECK: arith.cmpi sge
// CHECK: arith.divui
// CHECK: arith.cmpi sge
// CHECK-NOT: arith.ori
// CHECK: arith.andi
plan.kernel @local(%q: tensor<?x2x32xf32>, %k: !attn.cache<paged 1x32xf32>, %v: !attn.cache<paged 1x32xf32>)
    attributes {kind = "softmax"} {
  %o = attn.attend %q, %k, %v scale 0.5 blocks 100 local 2
  plan.yield %o : tensor<?x2x32xf32>
}

// Two pages of global tokens come first; behind them those between are left out.
// CHECK-LABEL: tile.kernel @global
// CHECK-DAG: %[[TWO:.*]] = arith.constant 2 : index
// CHECK: scf.for %[[I:.*]] = %c0{{.*}} to {{.*}} iter_args
// CHECK: %[[IS_GLOBAL:.*]] = arith.cmpi slt, %[[I]], %[[TWO]]
// CHECK: %[[SKIP:.*]] = arith.select %[[IS_GLOBAL]], %c0{{.*}}, %{{.*}} : index
// CHECK: %[[J:.*]] = arith.addi %[[I]], %[[SKIP]]
// CHECK: tile.page %{{.*}}[%{{.*}}, %[[J]],
// CHECK: arith.ori
plan.kernel @global(%q: tensor<?x2x32xf32>, %k: !attn.cache<paged 1x32xf32>, %v: !attn.cache<paged 1x32xf32>)
    attributes {kind = "softmax"} {
  %o = attn.attend %q, %k, %v scale 0.5 window 100 global 65
  plan.yield %o : tensor<?x2x32xf32>
}

// Where all keys are visible, none of this stands there.
// CHECK-LABEL: tile.kernel @causal
// CHECK-NOT: arith.divui {{.*}} : i32
// CHECK-NOT: arith.ori
plan.kernel @causal(%q: tensor<?x2x32xf32>, %k: !attn.cache<paged 1x32xf32>, %v: !attn.cache<paged 1x32xf32>)
    attributes {kind = "softmax"} {
  %o = attn.attend %q, %k, %v scale 0.5
  plan.yield %o : tensor<?x2x32xf32>
}

// Sinks join the sum of weights behind the loop: one for a tile of queries of a head, a column of them for all heads of a token.
// CHECK-LABEL: tile.kernel @sinks
// CHECK-SAME: %[[SINKS:[a-z0-9]*]]: !tile.memory<1xf32>
// CHECK: scf.for
// CHECK: tile.load %[[SINKS]]{{.*}} -> !tile.tile<1x1xf32>
// CHECK: tile.map
// CHECK: math.exp2
// CHECK: arith.addf
// CHECK: arith.divf
// CHECK: tile.load %[[SINKS]]{{.*}} -> !tile.tile<2x1xf32>
// CHECK: arith.divf
plan.kernel @sinks(%q: tensor<?x2x32xf32>, %k: !attn.cache<paged 1x32xf32>, %v: !attn.cache<paged 1x32xf32>,
                   %sinks: tensor<2xf32>) attributes {kind = "softmax"} {
  %o = attn.attend %q, %k, %v scale 0.5 sinks %sinks
  plan.yield %o : tensor<?x2x32xf32>
}
