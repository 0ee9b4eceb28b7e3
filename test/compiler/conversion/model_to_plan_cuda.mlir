// RUN: denim-opt %s --convert-model-to-plan=machine=cuda | FileCheck %s
// RUN: denim-opt %s "--convert-model-to-plan=machine=cuda exact=true" | FileCheck %s --check-prefix=EXACT
// RUN: denim-opt %s "--convert-model-to-plan=machine=cuda narrow-stream=true" | FileCheck %s --check-prefix=NARROW
// RUN: not denim-opt %s --convert-model-to-plan=machine=tpu 2>&1 | FileCheck %s --check-prefix=MACHINE
// MACHINE: expected a machine cpu or cuda, but got tpu

// CHECK: module attributes {plan.machine = "cuda"}
// EXACT-NOT: bf16

// The stream is f32; what is between is bf16. One row takes a product in one kernel with the norm in front of it and what
// follows it. More rows have the norm by itself; a gated product is one kernel for few of them, and for many two products
// and a kernel behind them: all write one value. A product with its sum is a product alone.
// CHECK-LABEL: plan.program @mlp(
// CHECK-SAME: %[[X:.*]]: tensor<?x64xf32>)
// CHECK: %[[H:.*]] = plan.launch @[[NORM:rows_[0-9]+]](%[[X]], %{{.*}}) {when = {least = 2 : i64, most = 2147483647 : i64, of = "rows"}} : {{.*}} -> tensor<?x64xbf16>
// CHECK-NEXT: %[[ONE:.*]] = plan.launch @[[ROW:one_row_[0-9]+]](%[[X]], %{{.*}}, %{{.*}}, %{{.*}}) {when = {least = 1 : i64, most = 1 : i64, of = "rows"}}{{.*}} -> tensor<?x96xbf16>
// CHECK-NEXT: %[[FUSED:.*]] = plan.launch @[[GATED:linear_[0-9]+]](%[[H]], %{{.*}}, %{{.*}}) {when = {least = 2 : i64, most = 16 : i64, of = "rows"}}{{.*}} -> tensor<?x96xbf16>
// CHECK-NEXT: %[[G:.*]] = plan.launch @[[ALONE:linear_[0-9]+]](%[[H]], %{{.*}}) {when = {least = 17 : i64, most = 2147483647 : i64, of = "rows"}}
// CHECK-NEXT: %[[U:.*]] = plan.launch @[[ALONE]](%[[H]], %{{.*}}) {when = {least = 17 : i64, most = 2147483647 : i64, of = "rows"}}
// CHECK-NEXT: %[[SPLIT:.*]] = plan.launch @[[GATE:rows_[0-9]+]](%[[G]], %[[U]]) {when = {least = 17 : i64, most = 2147483647 : i64, of = "rows"}}
// CHECK-NEXT: %[[P:.*]] = plan.merge %[[ONE]], %[[FUSED]], %[[SPLIT]] : tensor<?x96xbf16>
// CHECK-NEXT: %[[D:.*]] = plan.launch @one_row_{{[0-9]+}}(%[[X]], %[[P]], %{{.*}}) {when = {least = 1 : i64, most = 1 : i64, of = "rows"}}{{.*}} -> tensor<?x64xf32>
// CHECK-NEXT: %[[E:.*]] = plan.launch @[[DOWN:linear_[0-9]+]](%[[X]], %[[P]], %{{.*}}) {when = {least = 2 : i64, most = 2147483647 : i64, of = "rows"}} : {{.*}} -> tensor<?x64xf32>
// CHECK-NEXT: plan.merge %[[D]], %[[E]]
// Kernels compute in f32.
// CHECK: plan.kernel @[[NORM]](%[[A:.*]]: tensor<?x64xf32>
// CHECK-NEXT: %[[N:.*]] = model.rms_norm %[[A]]
// CHECK-NEXT: %[[R:.*]] = plan.cast %[[N]] : tensor<?x64xf32> to tensor<?x64xbf16>
// CHECK-NEXT: plan.yield %[[R]]
// CHECK: plan.kernel @[[ROW]](%[[A:.*]]: tensor<?x64xf32>
// CHECK-SAME: kind = "one_row"
// CHECK-NEXT: %[[N:.*]] = model.rms_norm %[[A]]
// CHECK-NEXT: model.linear %[[N]]
// CHECK-NEXT: model.linear %[[N]]
// CHECK-NEXT: model.silu
// CHECK-NEXT: model.mul
// CHECK: plan.kernel @[[GATED]](%[[A:.*]]: tensor<?x64xbf16>
// CHECK-NEXT: %[[W:.*]] = plan.cast %[[A]] : tensor<?x64xbf16> to tensor<?x64xf32>
// CHECK-NEXT: model.linear %[[W]]
// CHECK-NEXT: model.linear %[[W]]
// CHECK-NEXT: model.silu
// CHECK-NEXT: model.mul
// CHECK: plan.kernel @[[GATE]](
// CHECK: model.silu
// CHECK-NEXT: model.mul
// CHECK: plan.kernel @[[DOWN]](%[[A:[^:]*]]: tensor<?x64xf32>
// CHECK: %[[L:.*]] = model.linear
// CHECK-NEXT: %[[S:.*]] = model.add %[[A]], %[[L]]
// CHECK-NEXT: plan.yield %[[S]] : tensor<?x64xf32>
// NARROW-LABEL: plan.program @mlp(
// NARROW-SAME: tensor<?x64xbf16>)
model.block @mlp(%x: tensor<?x64xf32>) {
  %norm = param "norm" : tensor<64xf32>
  %w_gate = param "gate" : tensor<96x64xf32>
  %w_up = param "up" : tensor<96x64xf32>
  %w_down = param "down" : tensor<64x96xf32>
  %h = rms_norm %x, %norm
  %g = linear %h, %w_gate
  %u = linear %h, %w_up
  %s = silu %g
  %p = mul %s, %u
  %d = linear %p, %w_down
  %y = add %x, %d
  yield %y
}

// What only decays and strengths are computed from is f32; the tail of the convolution is what its input is; a state is
// f32.
// CHECK-LABEL: plan.program @delta(
// CHECK: attn.cache "conv" : !attn.cache<tail 3x48xbf16>
// CHECK: attn.cache "state" : !attn.cache<state 1x16x16xf32>
// One row takes both products of the input in one kernel.
// CHECK: plan.launch @one_row_{{.*}} -> (tensor<?x48xbf16>, tensor<?x2xf32>)
// CHECK-NEXT: plan.launch @linear_{{.*}} -> tensor<?x48xbf16>
// CHECK: plan.launch @linear_{{.*}} -> tensor<?x2xf32>
// CHECK: plan.launch @recurrence_{{.*}} -> tensor<?x1x16xbf16>
model.block @delta(%x: tensor<?x64xf32>) {
  %w = param "qkv" : tensor<48x64xf32>
  %w_ba = param "ba" : tensor<2x64xf32>
  %w_conv = param "conv" : tensor<48x4xf32>
  %w_out = param "out" : tensor<64x16xf32>
  %rate = param "rate" : tensor<1xf32>
  %bias = param "bias" : tensor<1xf32>
  %qkv = linear %x, %w
  %ba = linear %x, %w_ba
  %b, %a = split %ba into 1, 1
  %tail = attn.cache "conv" : !attn.cache<tail 3x48xf32>
  %c = attn.short_conv %qkv, %w_conv tail %tail
  attn.remember %qkv in %tail
  %q, %k, %v = split %c into 1x16, 1x16, 1x16
  %beta = sigmoid %b
  %decay = attn.log_decay %a rate %rate bias %bias
  %state = attn.cache "state" : !attn.cache<state 1x16x16xf32>
  %o = attn.delta_rule %q, %k, %v beta %beta decay %decay chunk 64 state %state
  %f = flatten %o
  %y = linear %f, %w_out
  %z = add %x, %y
  yield %z
}

// Pages are bf16; parts of attention over split keys are f32; so are scores of experts and their weights.
// CHECK-LABEL: plan.program @attention(
// CHECK: attn.cache "keys" : !attn.cache<paged 1x32xbf16>
// CHECK: attn.cache "values" : !attn.cache<paged 1x32xbf16>
// CHECK: plan.launch @softmax_part_{{.*}} -> tensor<?x1x68xf32>
// CHECK: plan.launch @softmax_{{.*}} -> tensor<?x1x32xbf16>
// What experts read too is not computed again in front of the product.
// CHECK: %[[S:.*]] = plan.launch @rows_{{[0-9]+}}(%{{[^ ]*}}) : {{.*}} -> tensor<?x96xbf16>
// CHECK-NEXT: plan.launch @one_row_{{[0-9]+}}(%[[S]], %{{.*}}) {{.*}} -> tensor<?x4xf32>
// CHECK-NEXT: plan.launch @linear_{{.*}} -> tensor<?x4xf32>
// CHECK: plan.launch @route_{{.*}} -> (tensor<?x2xf32>, tensor<?x2xi32>)
// CHECK-NEXT: plan.launch @experts_{{.*}} -> tensor<?x96xbf16>
model.block @attention(%x: tensor<?x96xf32>) {
  %router = param "router" : tensor<4x96xf32>
  %w_out = param "out" : tensor<96x32xf32>
  %gate = param "e.{e}.gate" : tensor<4x16x96xf32>
  %up = param "e.{e}.up" : tensor<4x16x96xf32>
  %down = param "e.{e}.down" : tensor<4x96x16xf32>
  %q, %k, %v = split %x into 1x32, 1x32, 1x32
  %keys = attn.cache "keys" : !attn.cache<paged 1x32xf32>
  %values = attn.cache "values" : !attn.cache<paged 1x32xf32>
  attn.append %k to %keys
  attn.append %v to %values
  %parts = attn.attend_part %q, %keys, %values splits 2 scale 0.5
  %o = attn.attend %q, %keys, %values scale 0.5 parts %parts
  %m = linear %o, %w_out
  %x1 = add %x, %m
  %s0 = silu %x1
  %scores = linear %s0, %router
  %weights, %chosen = route %scores top 2
  %e = experts %s0, %weights, %chosen gate %gate up %up down %down
  %t = silu %e
  %y = add %x1, %t
  yield %y
}

// Logits are f32.
// CHECK-LABEL: plan.program @net_head(
// CHECK-SAME: tensor<?x64xf32>)
// CHECK: plan.launch @linear_{{.*}} -> tensor<?x32xf32>
model.network @net(%ids: tensor<?xi32>) eos [7] {
  %table = param "table" : tensor<32x64xf32>
  %norm = param "norm" : tensor<64xf32>
  %x = embed %ids, %table
  %y = layers %x, "h.{i}" = 2 x @mlp
  %s = select %y
  %h = rms_norm %s, %norm
  %logits = linear %h, %table
  output %logits
}

// Logits that are as wide as the stream do not become the stream: the head returns what it makes, without a copy.
// CHECK-LABEL: plan.program @as_wide_head
// CHECK: %[[ONE:.*]] = plan.launch @one_row_{{[0-9]+}}(
// CHECK-NEXT: %[[MORE:.*]] = plan.launch @linear_{{[0-9]+}}(
// CHECK-NEXT: %[[LOGITS:.*]] = plan.merge %[[ONE]], %[[MORE]]
// CHECK-NEXT: plan.return %[[LOGITS]]
model.network @as_wide(%ids: tensor<?xi32>) {
  %table = param "table" : tensor<64x64xf32>
  %x = embed %ids, %table
  %y = layers %x, "h.{i}" = 1 x @mlp
  %s = select %y
  %logits = linear %s, %table
  output %logits
}
