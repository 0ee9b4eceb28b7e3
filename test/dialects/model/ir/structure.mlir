// RUN: denim-opt %s | denim-opt | FileCheck %s
// RUN: denim-opt %s --mlir-print-op-generic | denim-opt | FileCheck %s

// CHECK-LABEL: model.network @tiny(%{{.*}}: tensor<?xi32>) eos [2, 5] {
model.network @tiny(%ids: tensor<?xi32>) eos [2, 5] {
  // CHECK-NEXT: %[[TABLE:.*]] = param "model.embed_tokens.weight" : tensor<256x64xbf16>
  %table = param "model.embed_tokens.weight" : tensor<256x64xbf16>
  %x = embed %ids, %table
  // CHECK: layers %{{.*}}, "model.layers.{i}" = 1 x @identity
  %y = layers %x, "model.layers.{i}" = 1 x @identity
  // CHECK-NEXT: %[[LOGITS:.*]] = linear %{{.*}}, %[[TABLE]]
  %logits = linear %y, %table
  // CHECK-NEXT: output %[[LOGITS]]
  output %logits
}

// A network that no token ends.
// CHECK-LABEL: model.network @endless(%{{.*}}: tensor<?xi32>) {
model.network @endless(%ids: tensor<?xi32>) {
  %table = param "model.embed_tokens.weight" : tensor<256x64xf16>
  %x = embed %ids, %table
  %y = layers %x, "model.layers.{i}" = 1 x @identity
  %logits = linear %y, %table
  output %logits
}

// CHECK-LABEL: model.block @identity(%{{.*}}: tensor<?x64xf32>) {
model.block @identity(%x: tensor<?x64xf32>) {
  // CHECK-NEXT: yield %{{.*}}
  yield %x
}

// The full names of ops are read as well, and other dialects keep theirs.
// CHECK-LABEL: model.block @full_names
model.block @full_names(%x: tensor<?x64xf32>) {
  // CHECK-NEXT: = silu
  %a = model.silu %x
  // CHECK-NEXT: = heads
  %b = model.heads %a, 2
  // CHECK-NEXT: = attn.rotary
  %c = attn.rotary %b theta 10000 over 32
  %y = flatten %c
  model.yield %y
}

// Stacks: one tensor of the checkpoint per index of the first axis.
// CHECK-LABEL: model.block @stack
model.block @stack(%x: tensor<?x64xf32>) {
  // CHECK-NEXT: param "experts.{e}.up_proj.weight" : tensor<8x32x64xf32>
  %up = param "experts.{e}.up_proj.weight" : tensor<8x32x64xf32>
  yield %x
}
