// RUN: denim-opt %s | denim-opt | FileCheck %s
// RUN: denim-opt %s --mlir-print-op-generic | denim-opt | FileCheck %s

// CHECK-LABEL: model.network @one
model.network @one(%ids: tensor<?xi32>) {
  %table = param "embed" : tensor<256x64xf32>
  %x = embed %ids, %table
  // CHECK: layers %{{.*}}, "model.layers.{i}" = 1 x @a{{$}}
  %y = layers %x, "model.layers.{i}" = 1 x @a
  %logits = linear %y, %table
  output %logits
}

// CHECK-LABEL: model.network @bare
model.network @bare(%ids: tensor<?xi32>) {
  %table = param "embed" : tensor<256x64xf32>
  %x = embed %ids, %table
  // CHECK: layers %{{.*}}, "model.layers.{i}" = 1 x @a{{$}}
  %y = layers %x, "model.layers.{i}" = @a
  %logits = linear %y, %table
  output %logits
}

// CHECK-LABEL: model.network @run
model.network @run(%ids: tensor<?xi32>) {
  %table = param "embed" : tensor<256x64xf32>
  %x = embed %ids, %table
  // CHECK: layers %{{.*}}, "model.layers.{i}" = 12 x @a{{$}}
  %y = layers %x, "model.layers.{i}" = 12 x @a
  %logits = linear %y, %table
  output %logits
}

// CHECK-LABEL: model.network @hybrid
model.network @hybrid(%ids: tensor<?xi32>) {
  %table = param "embed" : tensor<256x64xf32>
  %x = embed %ids, %table
  // CHECK: layers %{{.*}}, "model.layers.{i}" = 2 x (3 x @a, 1 x @b){{$}}
  %y = layers %x, "model.layers.{i}" = 2 x (3 x @a, 1 x @b)
  %logits = linear %y, %table
  output %logits
}

// CHECK-LABEL: model.network @nested
model.network @nested(%ids: tensor<?xi32>) {
  %table = param "embed" : tensor<256x64xf32>
  %x = embed %ids, %table
  // CHECK: layers %{{.*}}, "model.layers.{i}" = 2 x (2 x (1 x @a, 1 x @b), 3 x @a){{$}}
  %y = layers %x, "model.layers.{i}" = 2 x (2 x (1 x @a, 1 x @b), 3 x @a)
  %logits = linear %y, %table
  output %logits
}

// CHECK-LABEL: model.network @sequence
model.network @sequence(%ids: tensor<?xi32>) {
  %table = param "embed" : tensor<256x64xf32>
  %x = embed %ids, %table
  // CHECK: layers %{{.*}}, "model.layers.{i}" = 3 x @a, 1 x @b, 2 x @a{{$}}
  %y = layers %x, "model.layers.{i}" = 3 x @a, 1 x @b, 2 x @a
  %logits = linear %y, %table
  output %logits
}

model.block @a(%x: tensor<?x64xf32>) {
  yield %x
}

model.block @b(%x: tensor<?x64xf32>) {
  yield %x
}
