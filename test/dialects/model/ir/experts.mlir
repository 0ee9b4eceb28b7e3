// RUN: denim-opt %s | denim-opt | FileCheck %s
// RUN: denim-opt %s --mlir-print-op-generic | denim-opt | FileCheck %s

// CHECK-LABEL: model.block @swiglu
model.block @swiglu(%x: tensor<?x64xf32>) {
  %s, %rest = split %x into 6, 58
  %w, %e = route %s top 2
  %gate = param "gate" : tensor<6x32x64xbf16>
  %up = param "up" : tensor<6x32x64xbf16>
  %down = param "down" : tensor<6x64x32xbf16>
  // CHECK: = experts %{{.*}}, %{{.*}}, %{{.*}} gate %{{.*}} up %{{.*}} down %{{.*}}{{$}}
  %y = experts %x, %w, %e gate %gate up %up down %down
  yield %x
}
