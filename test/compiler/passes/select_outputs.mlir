// RUN: denim-opt %s --select-outputs | FileCheck %s
// RUN: denim-opt %s --select-outputs --select-outputs | FileCheck %s

model.block @b(%x: tensor<?x16xf32>) {
  %y = silu %x
  yield %y
}

// CHECK-LABEL: model.network @net
model.network @net(%ids: tensor<?xi32>) {
  %table = param "table" : tensor<32x16xf32>
  %norm = param "norm" : tensor<16xf32>
  %x = embed %ids, %table
  // CHECK: %[[Y:.*]] = layers
  // CHECK-NEXT: %[[S:.*]] = select %[[Y]]
  // CHECK-NOT: select
  // CHECK: rms_norm %[[S]]
  %y = layers %x, "layers.{i}" = 2 x @b
  %h = rms_norm %y, %norm
  %logits = linear %h, %table
  output %logits
}

// The author has chosen the rows.
// CHECK-LABEL: model.network @selected
model.network @selected(%ids: tensor<?xi32>) {
  %table = param "table" : tensor<32x16xf32>
  %x = embed %ids, %table
  %y = layers %x, "layers.{i}" = 2 x @b
  // CHECK: select
  // CHECK-NOT: select
  %s = select %y
  %logits = linear %s, %table
  output %logits
}
