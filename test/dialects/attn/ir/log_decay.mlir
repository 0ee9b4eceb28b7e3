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

// CHECK-LABEL: model.block @per_channel
model.block @per_channel(%x: tensor<?x32xf32>) {
  %a = param "a" : tensor<2xf32>
  %b = param "b" : tensor<32xf32>
  %c = param "c" : tensor<2x16xf32>
  %h = heads %x, 2
  // CHECK: = attn.log_decay %{{.*}} rate %{{.*}} bias %{{.*}}
  %y = attn.log_decay %h rate %a bias %b
  // CHECK: = attn.log_decay %{{.*}} rate %{{.*}} bias %{{.*}} at_least -5
  %z = attn.log_decay %h rate %a bias %c at_least -5
  yield %x
}
