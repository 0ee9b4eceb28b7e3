// RUN: denim-opt %s | denim-opt | FileCheck %s
// RUN: denim-opt %s --mlir-print-op-generic | denim-opt | FileCheck %s

// CHECK-LABEL: model.block @plain
model.block @plain(%x: tensor<?x4xf32>) {
  %a = param "a" : tensor<4xf32>
  %b = param "b" : tensor<4xbf16>
  // CHECK: = attn.log_decay %{{.*}} rate %{{.*}} bias %{{.*}}
  %y = attn.log_decay %x rate %a bias %b
  yield %x
}
