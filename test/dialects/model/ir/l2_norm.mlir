// RUN: denim-opt %s | denim-opt | FileCheck %s
// RUN: denim-opt %s --mlir-print-op-generic | denim-opt | FileCheck %s

// CHECK-LABEL: model.block @plain
model.block @plain(%x: tensor<?x64xf32>) {
  // CHECK: = l2_norm %{{.*}}{{$}}
  %y = l2_norm %x
  yield %x
}

// CHECK-LABEL: model.block @eps
model.block @eps(%x: tensor<?x64xf32>) {
  %h = heads %x, 4
  // CHECK: = l2_norm %{{.*}} eps 0.5{{$}}
  %y = l2_norm %h eps 0.5
  yield %x
}
