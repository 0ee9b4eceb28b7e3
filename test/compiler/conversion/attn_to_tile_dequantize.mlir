// RUN: denim-opt %s --split-input-file --convert-attn-to-tile --cse --canonicalize | FileCheck %s

// Items of 16 rows and 128 columns, as many in every step: the last of two panels begins early enough to be whole, and
// rows behind the last of the weight are neither read nor written.
// CHECK: tile.kernel @weight(%[[W:.*]]: !tile.memory<160x!model.q4_0>, %[[D:.*]]: !tile.memory<160xbf16>)
// CHECK-SAME: items <tokens by 2147483647 times 14>
// CHECK-SAME: tile.constants = array<i64: 0>
// CHECK-DAG: %[[ROWS:.*]] = arith.constant 101 : index
// CHECK-DAG: %[[LAST:.*]] = arith.constant 32 : index
// CHECK: %[[FIRST:.*]] = arith.minsi %{{.*}}, %[[LAST]] : index
// CHECK: %[[T:.*]] = tile.load %[[W]][%[[ROW:.*]], %[[FIRST]]] within [%[[ROW]], %[[ROWS]]] : {{.*}} -> !tile.tile<16x128xf32>
// CHECK: tile.store %[[T]], %[[D]][%[[ROW]], %[[FIRST]]] within [%[[ROW]], %[[ROWS]]]
module attributes {plan.machine = "cuda"} {
  plan.kernel @weight(%w: tensor<101x160x!model.q4_0>) attributes {kind = "dequantize"} {
    %d = plan.cast %w : tensor<101x160x!model.q4_0> to tensor<101x160xbf16>
    plan.yield %d : tensor<101x160xbf16>
  }
}

// -----

// Steps without outputs leave the head alone.
// CHECK-LABEL: tile.kernel @head
// CHECK-SAME: items <outputs by 2147483647 times 8>
// CHECK: tile.load {{.*}} -> !tile.tile<16x32xf32>
module attributes {plan.machine = "cuda"} {
  plan.kernel @head(%w: tensor<128x32x!model.q8_0>) attributes {kind = "dequantize", rows = "outputs"} {
    %d = plan.cast %w : tensor<128x32x!model.q8_0> to tensor<128x32xbf16>
    plan.yield %d : tensor<128x32xbf16>
  }
}

// -----

// A product of what a launch has made: a library may do it, and the kernel waits for it as for an activation. What is a
// parameter, its bias, it need not wait for.
// CHECK-LABEL: tile.kernel @product_many
// CHECK-SAME: tile.constants = array<i64: 2>
// CHECK-LABEL: tile.kernel @alone_many
// CHECK-NOT: tile.constants
// CHECK: plan.launch @alone_many({{.*}}product = {columns = 128 : i64, inner = 64 : i64, least = 17 : i64, out = 2 : i64, residual = -1 : i64, weight = 1 : i64, x = 0 : i64}
module attributes {plan.machine = "cuda"} {
  plan.kernel @product(%x: tensor<?x64xbf16>, %w: tensor<128x64xbf16>, %bias: tensor<128xf32>)
      attributes {dequantized = array<i64: 1>, kind = "linear"} {
    %i = plan.cast %x : tensor<?x64xbf16> to tensor<?x64xf32>
    %y = model.linear %i, %w bias %bias
    %r = plan.cast %y : tensor<?x128xf32> to tensor<?x128xbf16>
    plan.yield %r : tensor<?x128xbf16>
  }
  plan.kernel @alone(%x: tensor<?x64xbf16>, %w: tensor<128x64xbf16>) attributes {dequantized = array<i64: 1>, kind = "linear"} {
    %i = plan.cast %x : tensor<?x64xbf16> to tensor<?x64xf32>
    %y = model.linear %i, %w
    %r = plan.cast %y : tensor<?x128xf32> to tensor<?x128xbf16>
    plan.yield %r : tensor<?x128xbf16>
  }
  plan.program @p(%x: tensor<?x64xbf16>) {
    %w = model.param "w" : tensor<128x64x!model.q8_0>
    %b = model.param "b" : tensor<128xf32>
    %d = plan.launch @made(%w) {when = {of = "rows", least = 17, most = 2147483647}} : (tensor<128x64x!model.q8_0>) -> tensor<128x64xbf16>
    %y = plan.launch @product(%x, %d, %b) {when = {of = "rows", least = 17, most = 2147483647}}
      : (tensor<?x64xbf16>, tensor<128x64xbf16>, tensor<128xf32>) -> tensor<?x128xbf16>
    %z = plan.launch @alone(%x, %d) {when = {of = "rows", least = 17, most = 2147483647}}
      : (tensor<?x64xbf16>, tensor<128x64xbf16>) -> tensor<?x128xbf16>
    plan.return %z : tensor<?x128xbf16>
  }
}
