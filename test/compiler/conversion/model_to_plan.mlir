// RUN: denim-opt %s --convert-model-to-plan | FileCheck %s

// Launches are left alone.
// CHECK-LABEL: plan.program @planned
// CHECK-NEXT: plan.launch @done(%{{.*}}) slots [0]
// CHECK-NEXT: plan.return
plan.kernel @done(%x: tensor<?x16xf32>) attributes {kind = "rows"} {
  %y = model.scale %x, 2
  plan.yield %y : tensor<?x16xf32>
}
plan.program @planned(%x: tensor<?x16xf32>) {
  %y = plan.launch @done(%x) slots [0] : (tensor<?x16xf32>) -> tensor<?x16xf32>
  plan.return %y : tensor<?x16xf32>
}

// Two products of one input and the gate between them are one kernel; so are a product and the sum behind it. A norm that
// products read is written once. What is read to the end may not be overwritten: a copy moves the result to the stream.
// CHECK-LABEL: plan.program @mlp
// CHECK-SAME: %[[X:.*]]: tensor<?x64xf32>
// CHECK: %[[H:.*]] = plan.launch @[[NORM:rows_[0-9]+]](%[[X]], %{{.*}}) :
// CHECK-NEXT: %[[P:.*]] = plan.launch @[[GATED:linear_[0-9]+]](%[[H]], %{{.*}}, %{{.*}}) :
// CHECK-NEXT: %[[Y:.*]] = plan.launch @[[DOWN:linear_[0-9]+]](%[[X]], %[[P]], %{{.*}}) :
// CHECK-NEXT: %[[Z:.*]] = plan.launch @{{.*}}(%[[Y]]) :
// CHECK-NEXT: plan.return %[[Z]]
// CHECK: plan.kernel @[[NORM]]
// CHECK-NEXT: model.rms_norm
// CHECK-NEXT: plan.yield
// CHECK: plan.kernel @[[GATED]]
// CHECK-NEXT: model.linear
// CHECK-NEXT: model.linear
// CHECK-NEXT: model.silu
// CHECK-NEXT: model.mul
// CHECK-NEXT: plan.yield
// CHECK: plan.kernel @[[DOWN]]
// CHECK-NEXT: model.linear
// CHECK-NEXT: model.add
// CHECK-NEXT: plan.yield
// CHECK: plan.kernel
// CHECK-NEXT: model.scale %{{.*}}, 1
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

// Equal kernels are one.
// CHECK-LABEL: plan.program @shared
// CHECK: %[[A:.*]] = plan.launch @[[LINEAR:linear_[0-9]+]](%{{.*}}, %{{.*}}) :
// CHECK-NEXT: plan.launch @[[LINEAR]](%[[A]], %{{.*}}) :
// CHECK-NEXT: plan.return
model.block @shared(%x: tensor<?x64xf32>) {
  %w1 = param "w1" : tensor<64x64xf32>
  %w2 = param "w2" : tensor<64x64xf32>
  %a = linear %x, %w1
  %b = linear %a, %w2
  yield %b
}

// A product that is read in two ways is written; what follows is a kernel of its own.
// CHECK-LABEL: plan.program @branch
// CHECK: %[[A:.*]] = plan.launch @linear_{{.*}} :
// CHECK-NEXT: plan.launch @[[BRANCH:rows_[0-9]+]](%[[A]]) :
// CHECK-NEXT: plan.return
// CHECK: plan.kernel @[[BRANCH]]
// CHECK-NEXT: model.silu
// CHECK-NEXT: model.exp
// CHECK-NEXT: model.add
// CHECK-NEXT: plan.yield
model.block @branch(%x: tensor<?x64xf32>) {
  %w = param "w" : tensor<64x64xf32>
  %a = linear %x, %w
  %b = silu %a
  %c = exp %a
  %d = add %b, %c
  yield %d
}

// A convolution is computed where it is used. Its tail is overwritten behind everything that reads it.
// CHECK-LABEL: plan.program @convolution
// CHECK: %[[TAIL:.*]] = attn.cache "conv"
// CHECK: %[[P:.*]] = plan.launch @linear_
// CHECK-NEXT: plan.launch @[[CONV:rows_[0-9]+]](%[[P]], %{{.*}}, %[[TAIL]]) :
// CHECK-NEXT: plan.launch @linear_
// CHECK-NEXT: plan.launch @[[REMEMBER:cache_[0-9]+]](%[[P]], %[[TAIL]]) :
// CHECK-NEXT: plan.return
// CHECK: plan.kernel @[[CONV]]
// CHECK: attn.short_conv
// CHECK-NEXT: model.silu
// CHECK-NEXT: model.mul
// CHECK: plan.kernel @[[REMEMBER]]
// CHECK: attn.remember
// CHECK-NEXT: plan.yield
model.block @convolution(%x: tensor<?x64xf32>) {
  %w = param "w" : tensor<64x4xf32>
  %w_in = param "w_in" : tensor<128x64xf32>
  %w_out = param "w_out" : tensor<64x64xf32>
  %p = linear %x, %w_in
  %a, %z = split %p into 64, 64
  %t = attn.cache "conv" : !attn.cache<tail 3x64xf32>
  %c = attn.short_conv %a, %w tail %t
  attn.remember %a in %t
  %s = silu %c
  %g = mul %s, %z
  %y = linear %g, %w_out
  yield %y
}

// What a convolution reads stands in memory or is cut out of it: rows before the sequence must be zero, and sigmoid of 0 is not.
// CHECK-LABEL: plan.program @computed_input
// CHECK: %[[S:.*]] = plan.launch @[[SIGMOID:rows_[0-9]+]](
// CHECK-NEXT: plan.launch @[[CONV:rows_[0-9]+]](%[[S]], %{{.*}}, %{{.*}})
// CHECK: plan.kernel @[[SIGMOID]]
// CHECK: model.sigmoid
// CHECK: plan.kernel @[[CONV]]
// CHECK-NOT: model.sigmoid
// CHECK: attn.short_conv
model.block @computed_input(%x: tensor<?x64xf32>) {
  %w = param "w" : tensor<64x4xf32>
  %t = attn.cache "conv" : !attn.cache<tail 3x64xf32>
  %s = sigmoid %x
  %c = attn.short_conv %s, %w tail %t
  attn.remember %s in %t
  %y = exp %c
  yield %y
}

// New keys and values reach their pages before attention reads them; the rotation is part of the write. The gate is
// attention's epilogue.
// CHECK-LABEL: plan.program @attention
// CHECK: %[[Q:.*]] = plan.launch @rows_
// CHECK-NEXT: plan.launch @[[KEYS:cache_[0-9]+]]
// CHECK-NEXT: plan.launch @cache_
// CHECK-NEXT: %[[O:.*]] = plan.launch @[[SOFTMAX:softmax_[0-9]+]](%[[Q]], {{.*}})
// CHECK-NEXT: plan.launch @linear_{{[0-9]+}}(%[[O]], %{{.*}})
// CHECK: plan.kernel @[[KEYS]]
// CHECK: attn.rotary
// CHECK-NEXT: attn.append
// CHECK: plan.kernel @[[SOFTMAX]]
// CHECK: attn.attend
// CHECK-NEXT: model.sigmoid
// CHECK-NEXT: model.mul
// CHECK-NEXT: plan.yield
model.block @attention(%x: tensor<?x96xf32>) {
  %norm = param "norm" : tensor<32xf32>
  %w_out = param "w_out" : tensor<96x32xf32>
  %q0, %k0, %v = split %x into 1x32, 1x32, 1x32
  %q1 = rms_norm %q0, %norm
  %q = attn.rotary %q1 theta 10000 over 32
  %k = attn.rotary %k0 theta 10000 over 32
  %keys = attn.cache "keys" : !attn.cache<paged 1x32xf32>
  %values = attn.cache "values" : !attn.cache<paged 1x32xf32>
  attn.append %k to %keys
  attn.append %v to %values
  %o = attn.attend %q, %keys, %values scale 0.5
  %z = sigmoid %q0
  %g = mul %o, %z
  %y = linear %g, %w_out
  yield %y
}

// Parts are brought together in memory where an op needs them side by side.
// CHECK-LABEL: plan.program @concatenation
// CHECK: %[[C:.*]] = plan.launch @[[CONCAT:rows_[0-9]+]]
// CHECK-NEXT: %[[S:.*]] = plan.launch @rows_{{[0-9]+}}(%[[C]]) :
// CHECK-NEXT: plan.launch @linear_{{[0-9]+}}(%[[S]], %{{.*}}) :
// CHECK: plan.kernel @[[CONCAT]]
// CHECK: model.concat
// CHECK-NEXT: plan.yield
model.block @concatenation(%x: tensor<?x64xf32>) {
  %w = param "w" : tensor<64x64xf32>
  %a, %b = split %x into 32, 32
  %c = concat %b, %a
  %s = silu %c
  %y = linear %s, %w
  yield %y
}

// One part of a split stands in memory, another is made by the kernel that reads both.
// CHECK-LABEL: plan.program @gate_beside_query
// CHECK: plan.kernel @[[SOFTMAX:softmax_[0-9]+]](%[[Q:.*]]: tensor<?x1x16xf32>, %{{.*}}: !attn.cache{{.*}}, %{{.*}}: !attn.cache{{.*}}, %[[X:.*]]: tensor<?x64xf32>)
// CHECK-NEXT: %{{.*}}, %[[GATE:[0-9]+]] = model.split %[[X]]
// CHECK-NEXT: attn.attend %[[Q]],
// CHECK-NEXT: model.sigmoid %[[GATE]]
model.block @gate_beside_query(%x: tensor<?x64xf32>) {
  %keys = attn.cache "keys" : !attn.cache<paged 1x16xf32>
  %values = attn.cache "values" : !attn.cache<paged 1x16xf32>
  %query, %key, %value, %gate = split %x into 1x16, 1x16, 1x16, 1x16
  attn.append %key to %keys
  attn.append %value to %values
  %a = attn.attend %query, %keys, %values scale 1
  %g = sigmoid %gate
  %o = mul %a, %g
  %y = concat %o, %query, %key, %value
  yield %y
}

// A gate that is a product of its own: a mixer shares its kernel with no product.
// CHECK-LABEL: plan.program @gate_by_product
// CHECK: %[[G:.*]] = plan.launch @linear_{{[0-9]+}}(%{{.*}}, %{{.*}}) :
// CHECK: plan.launch @softmax_{{[0-9]+}}({{.*}}%[[G]]
model.block @gate_by_product(%x: tensor<?x16xf32>) {
  %w = param "w" : tensor<16x16xf32>
  %keys = attn.cache "keys" : !attn.cache<paged 1x16xf32>
  %values = attn.cache "values" : !attn.cache<paged 1x16xf32>
  %query = heads %x, 1
  %product = linear %x, %w
  attn.append %query to %keys
  attn.append %query to %values
  %a = attn.attend %query, %keys, %values scale 1
  %flat = flatten %a
  %g = sigmoid %product
  %y = mul %flat, %g
  yield %y
}

// A network becomes two programs around those of its layers; rows behind `select` are outputs.
// CHECK-LABEL: plan.program @net_embed
// CHECK: model.embed
// CHECK-LABEL: plan.program @net_head
// CHECK: plan.kernel @linear_{{.*}} attributes {kind = "linear", rows = "outputs"}
// CHECK: plan.schedule @net programs [@net_embed, @shared, @branch, @shared, @branch, @net_head]
// CHECK-SAME: prefixes ["", "h.0.", "h.1.", "h.2.", "h.3.", ""] layers [-1, 0, 1, 2, 3, -1] vocabulary 32 eos [7]
model.network @net(%ids: tensor<?xi32>) eos [7] {
  %table = param "table" : tensor<32x64xf32>
  %x = embed %ids, %table
  %y = layers %x, "h.{i}" = 2 x (1 x @shared, 1 x @branch)
  %s = select %y
  %logits = linear %s, %table
  output %logits
}
