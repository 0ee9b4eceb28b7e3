// RUN: denim-opt %s | denim-opt | FileCheck %s
// RUN: denim-opt %s --mlir-print-op-generic | denim-opt | FileCheck %s

// CHECK-LABEL: model.network @lookup
model.network @lookup(%ids: tensor<?xi32>) {
  %table = param "embed" : tensor<256x64xbf16>
  // CHECK: %[[X:.*]] = embed %{{.*}}, %{{.*}}{{$}}
  %x = embed %ids, %table
  // CHECK: layers %[[X]]
  %y = layers %x, "model.layers.{i}" = 1 x @identity
  %logits = linear %y, %table
  output %logits
}

model.block @identity(%x: tensor<?x64xf32>) {
  yield %x
}
