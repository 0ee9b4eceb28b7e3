// RUN: denim-opt %s | denim-opt | FileCheck %s

// CHECK: module attributes {plan.machine = "cuda"}
module attributes {plan.machine = "cuda"} {
  // CHECK-LABEL: plan.kernel @gate
  plan.kernel @gate(%kept: tensor<?x64xbf16>) attributes {kind = "rows"} {
    // CHECK: plan.cast %{{.*}} : tensor<?x64xbf16> to tensor<?x64xf32>
    %x = plan.cast %kept : tensor<?x64xbf16> to tensor<?x64xf32>
    %y = model.silu %x
    // CHECK: plan.cast %{{.*}} : tensor<?x64xf32> to tensor<?x64xbf16>
    %r = plan.cast %y : tensor<?x64xf32> to tensor<?x64xbf16>
    plan.yield %r : tensor<?x64xbf16>
  }
  // CHECK-LABEL: plan.program @p
  plan.program @p(%x: tensor<?x64xbf16>) {
    // CHECK: %[[A:.*]] = plan.launch @gate({{.*}}) slots [1] {when = {least = 1 : i64, most = 16 : i64, of = "rows"}}
    %a = plan.launch @gate(%x) slots [1] {when = {of = "rows", least = 1, most = 16}} : (tensor<?x64xbf16>) -> tensor<?x64xbf16>
    %b = plan.launch @gate(%x) slots [1] {when = {of = "rows", least = 17, most = 32}} : (tensor<?x64xbf16>) -> tensor<?x64xbf16>
    %c = plan.launch @gate(%x) slots [1] {when = {of = "rows", least = 33, most = 99}} : (tensor<?x64xbf16>) -> tensor<?x64xbf16>
    // CHECK: %[[M:.*]] = plan.merge %[[A]], %{{.*}} : tensor<?x64xbf16>
    %m = plan.merge %a, %b : tensor<?x64xbf16>
    // A merged value is merged again.
    // CHECK: plan.merge %[[M]], %{{.*}} : tensor<?x64xbf16>
    %n = plan.merge %m, %c : tensor<?x64xbf16>
    plan.return %n : tensor<?x64xbf16>
  }
}

// What two kernels of one op hand to each other: the first yields it, the second takes it.
// CHECK-LABEL: plan.kernel @first
plan.kernel @first(%x: tensor<?x64xbf16>) attributes {kind = "rows"} {
  // CHECK: %[[S:.*]]:2 = plan.scratch of %{{.*}} : tensor<?x64xbf16> -> tensor<?x128xbf16>, tensor<?x1xf32>
  %a, %b = plan.scratch of %x : tensor<?x64xbf16> -> tensor<?x128xbf16>, tensor<?x1xf32>
  // CHECK: plan.yield %[[S]]#0, %[[S]]#1
  plan.yield %a, %b : tensor<?x128xbf16>, tensor<?x1xf32>
}

// A weight in blocks, and a product of what was made of it: its second argument is no parameter.
// CHECK-LABEL: plan.kernel @dequantize(%{{.*}}: tensor<128x64x!model.q4_0>)
plan.kernel @dequantize(%w: tensor<128x64x!model.q4_0>) attributes {kind = "dequantize"} {
  // CHECK: plan.cast %{{.*}} : tensor<128x64x!model.q4_0> to tensor<128x64xbf16>
  %d = plan.cast %w : tensor<128x64x!model.q4_0> to tensor<128x64xbf16>
  plan.yield %d : tensor<128x64xbf16>
}
// CHECK-LABEL: plan.kernel @product
// CHECK-SAME: attributes {dequantized = array<i64: 1>, kind = "linear"}
plan.kernel @product(%x: tensor<?x64xbf16>, %w: tensor<128x64xbf16>) attributes {dequantized = array<i64: 1>, kind = "linear"} {
  %y = model.linear %x, %w
  %r = plan.cast %y : tensor<?x128xf32> to tensor<?x128xbf16>
  plan.yield %r : tensor<?x128xbf16>
}
