// RUN: denim-opt %s --split-input-file --split-forms | FileCheck %s
// RUN: denim-opt %s --split-input-file --split-forms --convert-attn-to-tile --cse --canonicalize | FileCheck %s --check-prefix=TILE

// Few rows: two kernels, each row with the experts it has chosen. More: sorted by expert, and five. 6 experts, 3 of
// them for each row: two words of the order for each of 3 entries, three for a group, and for 6 groups more and
// the 6 experts, which the least number of rows that come here have to have room for, five.
// CHECK-DAG: plan.kernel @experts_few_inner({{.*}} form = "few_inner", kind = "experts", scratch = [!tile.memory<16xbf16>]}
// CHECK-DAG: plan.kernel @experts_few_outer({{.*}} form = "few_outer", kind = "experts", scratch = [!tile.memory<16xbf16>]}
// CHECK-DAG: plan.kernel @experts_gather({{.*}} scratch = [!tile.memory<1xi32>, !tile.memory<64xbf16>]}
// CHECK-DAG: plan.kernel @experts_inner({{.*}} scratch = [!tile.memory<1xi32>, !tile.memory<64xbf16>, !tile.memory<16xbf16>]}
// CHECK-NOT: plan.kernel @experts(
// CHECK: plan.program @p(%[[X:.*]]: tensor<?x64xbf16>, %[[W:.*]]: tensor<?x3xf32>, %[[E:.*]]: tensor<?x3xi32>)
// CHECK: %[[H:.*]] = plan.launch @experts_few_inner(%[[X]], %[[W]], %[[E]], {{.*}}) {when = {least = 1 : i64, most = [[FEW:[0-9]+]] : i64, of = "rows"}} : {{.*}} -> tensor<?x48xbf16>
// CHECK: %[[A:.*]] = plan.launch @experts_few_outer({{.*}}, %[[H]]) {when = {least = 1 : i64, most = [[FEW]] : i64, of = "rows"}} : {{.*}} -> tensor<?x64xbf16>
// CHECK: %[[ORDER:.*]] = plan.launch @experts_sort({{.*}}) {when = {least = [[MANY:[0-9]+]] : i64, most = 2147483647 : i64, of = "rows"}} : {{.*}} -> tensor<?x{{[0-9]+}}xi32>
// CHECK: %[[ROWS:.*]] = plan.launch @experts_gather({{.*}}, %[[ORDER]]) {{.*}} -> tensor<?x192xbf16>
// CHECK: %[[INNER:.*]] = plan.launch @experts_inner({{.*}}, %[[ORDER]], %[[ROWS]]) {{.*}} -> tensor<?x48xbf16>
// CHECK: %[[OUTER:.*]] = plan.launch @experts_outer({{.*}}, %[[ORDER]], %[[INNER]]) {{.*}} -> tensor<?x192xbf16>
// CHECK: %[[B:.*]] = plan.launch @experts_combine({{.*}}, %[[ORDER]], %[[OUTER]]) {{.*}} -> tensor<?x64xbf16>
// CHECK: %[[Y:.*]] = plan.merge %[[A]], %[[B]]
// CHECK: plan.return %[[Y]]

// An expert is an item of the sort, whatever the rows of the step; it writes a list by the numbers it finds.
// TILE-LABEL: tile.kernel @experts_sort
// TILE-SAME: items <tokens by 1073741824 times 6>
// TILE: tile.cumsum
// TILE: tile.scatter
// Blocks walk through groups of rows that only the sort knows.
// TILE-LABEL: tile.kernel @experts_inner
// TILE: scf.for
// TILE: tile.stacked
// TILE: tile.mma
// TILE: tile.mma
// TILE: tile.store
module attributes {plan.machine = "cuda"} {
  plan.kernel @experts(%x: tensor<?x64xbf16>, %w: tensor<?x3xf32>, %e: tensor<?x3xi32>, %gate: tensor<6x16x64xbf16>,
                       %up: tensor<6x16x64xbf16>, %down: tensor<6x64x16xbf16>) attributes {kind = "experts"} {
    %y = model.experts %x, %w, %e gate %gate up %up down %down
    plan.yield %y : tensor<?x64xbf16>
  }
  plan.program @p(%x: tensor<?x64xbf16>, %w: tensor<?x3xf32>, %e: tensor<?x3xi32>) {
    %gate = model.param "gate" : tensor<6x16x64xbf16>
    %up = model.param "up" : tensor<6x16x64xbf16>
    %down = model.param "down" : tensor<6x64x16xbf16>
    %y = plan.launch @experts(%x, %w, %e, %gate, %up, %down) : (tensor<?x64xbf16>, tensor<?x3xf32>, tensor<?x3xi32>, tensor<6x16x64xbf16>, tensor<6x16x64xbf16>, tensor<6x64x16xbf16>) -> tensor<?x64xbf16>
    plan.return %y : tensor<?x64xbf16>
  }
}

// -----

// On a CPU few rows are one kernel, and an item of the products is an expert and a panel of its weights.
// CHECK-LABEL: module attributes {plan.machine = "cpu"}
// CHECK: plan.program @p
// CHECK: %[[A:.*]] = plan.launch @experts_few({{.*}}) {when = {least = 1 : i64, most = [[FEW:[0-9]+]] : i64, of = "rows"}} : {{.*}} -> tensor<?x64xf32>
// CHECK: plan.launch @experts_sort
// CHECK: plan.launch @experts_gather
// CHECK: plan.launch @experts_inner
// CHECK: plan.launch @experts_outer
// CHECK: %[[B:.*]] = plan.launch @experts_combine
// CHECK: %[[Y:.*]] = plan.merge %[[A]], %[[B]]
// CHECK: plan.return %[[Y]]
// TILE-LABEL: module attributes {plan.machine = "cpu"}
// TILE: tile.kernel @experts_inner({{.*}} items <tokens by 1073741824 times 6>
// TILE: tile.mma {{.*}}!tile.tile<64x64xf32>, !tile.tile<16x64xf32>
module attributes {plan.machine = "cpu"} {
  plan.kernel @experts(%x: tensor<?x64xf32>, %w: tensor<?x3xf32>, %e: tensor<?x3xi32>, %gate: tensor<6x16x64xf32>,
                       %up: tensor<6x16x64xf32>, %down: tensor<6x64x16xf32>) attributes {kind = "experts"} {
    %y = model.experts %x, %w, %e gate %gate up %up down %down
    plan.yield %y : tensor<?x64xf32>
  }
  plan.program @p(%x: tensor<?x64xf32>, %w: tensor<?x3xf32>, %e: tensor<?x3xi32>) {
    %gate = model.param "gate" : tensor<6x16x64xf32>
    %up = model.param "up" : tensor<6x16x64xf32>
    %down = model.param "down" : tensor<6x64x16xf32>
    %y = plan.launch @experts(%x, %w, %e, %gate, %up, %down) : (tensor<?x64xf32>, tensor<?x3xf32>, tensor<?x3xi32>, tensor<6x16x64xf32>, tensor<6x16x64xf32>, tensor<6x64x16xf32>) -> tensor<?x64xf32>
    plan.return %y : tensor<?x64xf32>
  }
}
