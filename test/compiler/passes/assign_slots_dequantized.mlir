// RUN: denim-opt %s --assign-slots | FileCheck %s

// Weights that launches make share one slot, as large as the largest: also those of rows that are outputs, and of
// another program. Activations of their type have none of it.
plan.kernel @half(%x: tensor<?x16xf32>) attributes {kind = "rows"} {
  %r = plan.cast %x : tensor<?x16xf32> to tensor<?x16xbf16>
  plan.yield %r : tensor<?x16xbf16>
}
plan.kernel @small(%w: tensor<16x32x!model.q8_0>) attributes {kind = "dequantize"} {
  %d = plan.cast %w : tensor<16x32x!model.q8_0> to tensor<16x32xbf16>
  plan.yield %d : tensor<16x32xbf16>
}
plan.kernel @large(%w: tensor<64x32x!model.q8_0>) attributes {kind = "dequantize", rows = "outputs"} {
  %d = plan.cast %w : tensor<64x32x!model.q8_0> to tensor<64x32xbf16>
  plan.yield %d : tensor<64x32xbf16>
}
plan.kernel @product(%x: tensor<?x16xbf16>, %w: tensor<16x32xbf16>) attributes {dequantized = array<i64: 1>, kind = "linear"} {
  %y = plan.cast %x : tensor<?x16xbf16> to tensor<?x16xf32>
  plan.yield %y : tensor<?x16xf32>
}
plan.kernel @head(%x: tensor<?x16xf32>, %w: tensor<64x32xbf16>) attributes {dequantized = array<i64: 1>, kind = "linear", rows = "outputs"} {
  plan.yield %x : tensor<?x16xf32>
}

// CHECK-LABEL: plan.program @layer
plan.program @layer(%x: tensor<?x16xf32>) {
  %w = model.param "w" : tensor<16x32x!model.q8_0>
  // CHECK: plan.launch @half({{.*}}) slots [1]
  %h = plan.launch @half(%x) : (tensor<?x16xf32>) -> tensor<?x16xbf16>
  // CHECK: plan.launch @small({{.*}}) slots [2]
  %d = plan.launch @small(%w) : (tensor<16x32x!model.q8_0>) -> tensor<16x32xbf16>
  // CHECK: plan.launch @product({{.*}}) slots [0]
  %y = plan.launch @product(%h, %d) : (tensor<?x16xbf16>, tensor<16x32xbf16>) -> tensor<?x16xf32>
  // CHECK: plan.launch @half({{.*}}) slots [1]
  %i = plan.launch @half(%y) : (tensor<?x16xf32>) -> tensor<?x16xbf16>
  // CHECK: plan.launch @small({{.*}}) slots [2]
  %e = plan.launch @small(%w) : (tensor<16x32x!model.q8_0>) -> tensor<16x32xbf16>
  // CHECK: plan.launch @product({{.*}}) slots [0]
  %z = plan.launch @product(%i, %e) : (tensor<?x16xbf16>, tensor<16x32xbf16>) -> tensor<?x16xf32>
  plan.return %z : tensor<?x16xf32>
}
// CHECK-LABEL: plan.program @end
plan.program @end(%x: tensor<?x16xf32>) {
  %w = model.param "w" : tensor<64x32x!model.q8_0>
  // CHECK: plan.launch @large({{.*}}) slots [2]
  %d = plan.launch @large(%w) : (tensor<64x32x!model.q8_0>) -> tensor<64x32xbf16>
  // CHECK: plan.launch @head({{.*}}) slots [3]
  %y = plan.launch @head(%x, %d) : (tensor<?x16xf32>, tensor<64x32xbf16>) -> tensor<?x16xf32>
  plan.return %y : tensor<?x16xf32>
}
// CHECK: slots [{row_bytes = 64 : i64, rows = "tokens"}, {row_bytes = 32 : i64, rows = "tokens", type = "bf16"},
// CHECK-SAME: {row_bytes = 4096 : i64, rows = "once", type = "bf16"}, {row_bytes = 64 : i64, rows = "outputs"}] logits 3
plan.schedule @net programs [@layer, @end] prefixes ["0.", ""] layers [0, -1] vocabulary 16 eos []
