// RUN: denim-opt %s --split-input-file --dequantize-weights | FileCheck %s

// Few rows are multiplied with blocks as before; for more, the weight is made bf16 in front of the product. How many are
// few is what is recorded on the kernel.
// CHECK-LABEL: module attributes {plan.machine = "cuda"}
// CHECK: plan.kernel @dequantize_0(%[[B:.*]]: tensor<128x64x!model.q8_0>) attributes {kind = "dequantize"} {
// CHECK-NEXT: %[[D:.*]] = plan.cast %[[B]] : tensor<128x64x!model.q8_0> to tensor<128x64xbf16>
// CHECK-NEXT: plan.yield %[[D]] : tensor<128x64xbf16>
// CHECK: plan.kernel @linear_0_dequantized(%{{.*}}: tensor<?x64xbf16>, %[[M:.*]]: tensor<128x64xbf16>)
// CHECK-SAME: dequantized = array<i64: 1>, kind = "linear"
// CHECK: model.linear %{{.*}}, %[[M]]
// CHECK: plan.kernel @linear_0(%{{.*}}: tensor<?x64xbf16>, %{{.*}}: tensor<128x64x!model.q8_0>)
// CHECK: plan.program @p(%[[X:.*]]: tensor<?x64xbf16>)
// CHECK: %[[V:.*]] = model.param "v"
// CHECK: %[[W:.*]] = model.param "w"
// CHECK-NEXT: %[[FEW:.*]] = plan.launch @linear_0(%[[X]], %[[V]]) {when = {least = 1 : i64, most = 128 : i64, of = "rows"}}
// CHECK-NEXT: %[[MADE:.*]] = plan.launch @dequantize_0(%[[V]]) {when = {least = 129 : i64, most = 2147483647 : i64, of = "rows"}}
// CHECK-NEXT: %[[MANY:.*]] = plan.launch @linear_0_dequantized(%[[X]], %[[MADE]]) {when = {least = 129 : i64, most = 2147483647 : i64, of = "rows"}}
// CHECK-NEXT: %[[Y:.*]] = plan.merge %[[FEW]], %[[MANY]]
// Another weight of the type has the same kernels.
// CHECK-NEXT: %[[FEW:.*]] = plan.launch @linear_0(%[[X]], %[[W]]) {when = {least = 17 : i64, most = 128 : i64
// CHECK-NEXT: %[[MADE:.*]] = plan.launch @dequantize_0(%[[W]]) {when = {least = 129 : i64
// CHECK-NEXT: plan.launch @linear_0_dequantized(%[[X]], %[[MADE]])
// CHECK-NEXT: plan.merge
// Steps of few rows are left as they are.
// CHECK-NEXT: plan.launch @linear_0(%[[X]], %[[W]]) {when = {least = 1 : i64, most = 16 : i64
// CHECK-NEXT: plan.return %[[Y]]
module attributes {plan.machine = "cuda"} {
  plan.kernel @linear_0(%x: tensor<?x64xbf16>, %w: tensor<128x64x!model.q8_0>)
      attributes {choices = {linear.dequantizing_rows = {by = "user", candidates = array<i64: 16, 128>,
                                                         predicted = array<f64: 1.0, 2.0>, shape = "inner=64 columns=128 bits=8", value = 128 : i64}},
                  kind = "linear"} {
    %i = plan.cast %x : tensor<?x64xbf16> to tensor<?x64xf32>
    %y = model.linear %i, %w
    %r = plan.cast %y : tensor<?x128xf32> to tensor<?x128xbf16>
    plan.yield %r : tensor<?x128xbf16>
  }
  plan.program @p(%x: tensor<?x64xbf16>) {
    %v = model.param "v" : tensor<128x64x!model.q8_0>
    %w = model.param "w" : tensor<128x64x!model.q8_0>
    %y = plan.launch @linear_0(%x, %v) : (tensor<?x64xbf16>, tensor<128x64x!model.q8_0>) -> tensor<?x128xbf16>
    %z = plan.launch @linear_0(%x, %w) {when = {of = "rows", least = 17, most = 2147483647}}
      : (tensor<?x64xbf16>, tensor<128x64x!model.q8_0>) -> tensor<?x128xbf16>
    %few = plan.launch @linear_0(%x, %w) {when = {of = "rows", least = 1, most = 16}}
      : (tensor<?x64xbf16>, tensor<128x64x!model.q8_0>) -> tensor<?x128xbf16>
    plan.return %y : tensor<?x128xbf16>
  }
}

// -----

// A kernel that only many rows have is replaced. Rows that are outputs have a kernel of their own that makes bf16 for them.
// CHECK-LABEL: module attributes {plan.machine = "cuda"
// CHECK-NOT: plan.kernel @linear_1(
// CHECK: plan.kernel @dequantize_0({{.*}} attributes {kind = "dequantize"}
// CHECK: plan.kernel @linear_1_dequantized(
// CHECK-NOT: plan.kernel @linear_2(
// CHECK: plan.kernel @dequantize_1({{.*}} attributes {kind = "dequantize", rows = "outputs"}
// CHECK: plan.kernel @linear_2_dequantized({{.*}}rows = "outputs"}
// CHECK: plan.launch @dequantize_0
// CHECK-NEXT: plan.launch @linear_1_dequantized
// CHECK-NEXT: plan.launch @dequantize_1
// CHECK-NEXT: plan.launch @linear_2_dequantized
module attributes {plan.machine = "cuda", plan.overrides = [{by = "user", choice = "linear.dequantizing_rows", value = 16 : i64}]} {
  plan.kernel @linear_1(%x: tensor<?x64xbf16>, %w: tensor<64x64x!model.q4_0>) attributes {kind = "linear"} {
    %i = plan.cast %x : tensor<?x64xbf16> to tensor<?x64xf32>
    %y = model.linear %i, %w
    %r = plan.cast %y : tensor<?x64xf32> to tensor<?x64xbf16>
    plan.yield %r : tensor<?x64xbf16>
  }
  plan.kernel @linear_2(%x: tensor<?x64xbf16>, %w: tensor<64x64x!model.q4_0>) attributes {kind = "linear", rows = "outputs"} {
    %i = plan.cast %x : tensor<?x64xbf16> to tensor<?x64xf32>
    %y = model.linear %i, %w
    plan.yield %y : tensor<?x64xf32>
  }
  plan.program @p(%x: tensor<?x64xbf16>) {
    %w = model.param "w" : tensor<64x64x!model.q4_0>
    %y = plan.launch @linear_1(%x, %w) {when = {of = "rows", least = 17, most = 2147483647}}
      : (tensor<?x64xbf16>, tensor<64x64x!model.q4_0>) -> tensor<?x64xbf16>
    %z = plan.launch @linear_2(%y, %w) {when = {of = "rows", least = 17, most = 2147483647}}
      : (tensor<?x64xbf16>, tensor<64x64x!model.q4_0>) -> tensor<?x64xf32>
    plan.return %z : tensor<?x64xf32>
  }
}

// -----

// Nothing to do: rows of f32 (all of an exact plan), weights that are no blocks, several products in one kernel, and a
// weight so small that each item makes its numbers sooner than a launch begins. For small steps alone there is no choice.
// CHECK-LABEL: module attributes {plan.machine = "cuda"
// CHECK-NOT: dequantize_0
// CHECK-NOT: plan.merge
// CHECK: plan.kernel @few_alone({{.*}}) attributes {kind = "linear"} {
// CHECK-NOT: dequantize_0
// CHECK-NOT: plan.merge
module attributes {plan.machine = "cuda", plan.target = "sm_90a"} {
  plan.kernel @exact(%x: tensor<?x4096xf32>, %w: tensor<4096x4096x!model.q8_0>) attributes {kind = "linear"} {
    %y = model.linear %x, %w
    plan.yield %y : tensor<?x4096xf32>
  }
  plan.kernel @numbers(%x: tensor<?x4096xbf16>, %w: tensor<4096x4096xbf16>) attributes {kind = "linear"} {
    %i = plan.cast %x : tensor<?x4096xbf16> to tensor<?x4096xf32>
    %y = model.linear %i, %w
    plan.yield %y : tensor<?x4096xf32>
  }
  plan.kernel @several(%x: tensor<?x4096xbf16>, %w: tensor<4096x4096x!model.q8_0>) attributes {kind = "linear"} {
    %i = plan.cast %x : tensor<?x4096xbf16> to tensor<?x4096xf32>
    %y = model.linear %i, %w
    %s = model.silu %y
    %z = model.linear %i, %w
    %m = model.mul %s, %z
    plan.yield %m : tensor<?x4096xf32>
  }
  plan.kernel @small(%x: tensor<?x64xbf16>, %w: tensor<64x64x!model.q8_0>) attributes {kind = "linear"} {
    %i = plan.cast %x : tensor<?x64xbf16> to tensor<?x64xf32>
    %y = model.linear %i, %w
    plan.yield %y : tensor<?x64xf32>
  }
  plan.kernel @few_alone(%x: tensor<?x4096xbf16>, %w: tensor<4096x4096x!model.q8_0>) attributes {kind = "linear"} {
    %i = plan.cast %x : tensor<?x4096xbf16> to tensor<?x4096xf32>
    %y = model.linear %i, %w
    plan.yield %y : tensor<?x4096xf32>
  }
  plan.program @p(%x: tensor<?x4096xf32>, %b: tensor<?x4096xbf16>, %c: tensor<?x64xbf16>) {
    %w = model.param "w" : tensor<4096x4096x!model.q8_0>
    %n = model.param "n" : tensor<4096x4096xbf16>
    %s = model.param "s" : tensor<64x64x!model.q8_0>
    %0 = plan.launch @exact(%x, %w) : (tensor<?x4096xf32>, tensor<4096x4096x!model.q8_0>) -> tensor<?x4096xf32>
    %1 = plan.launch @numbers(%b, %n) : (tensor<?x4096xbf16>, tensor<4096x4096xbf16>) -> tensor<?x4096xf32>
    %2 = plan.launch @several(%b, %w) : (tensor<?x4096xbf16>, tensor<4096x4096x!model.q8_0>) -> tensor<?x4096xf32>
    %3 = plan.launch @small(%c, %s) : (tensor<?x64xbf16>, tensor<64x64x!model.q8_0>) -> tensor<?x64xf32>
    %4 = plan.launch @few_alone(%b, %w) {when = {of = "rows", least = 2, most = 16}}
      : (tensor<?x4096xbf16>, tensor<4096x4096x!model.q8_0>) -> tensor<?x4096xf32>
    plan.return %2 : tensor<?x4096xf32>
  }
}

// -----

// A CPU multiplies with blocks where they lie.
// CHECK-LABEL: plan.kernel @on_a_cpu
// CHECK-NOT: dequantize
plan.kernel @on_a_cpu(%x: tensor<?x4096xbf16>, %w: tensor<4096x4096x!model.q8_0>) attributes {kind = "linear"} {
  %i = plan.cast %x : tensor<?x4096xbf16> to tensor<?x4096xf32>
  %y = model.linear %i, %w
  plan.yield %y : tensor<?x4096xf32>
}
plan.program @p(%x: tensor<?x4096xbf16>) {
  %w = model.param "w" : tensor<4096x4096x!model.q8_0>
  %y = plan.launch @on_a_cpu(%x, %w) : (tensor<?x4096xbf16>, tensor<4096x4096x!model.q8_0>) -> tensor<?x4096xf32>
  plan.return %y : tensor<?x4096xf32>
}
