// RUN: denim-opt %s | denim-opt | FileCheck %s
// RUN: denim-opt %s --mlir-print-op-generic | denim-opt | FileCheck %s

// CHECK-LABEL: model.block @raw
model.block @raw(%x: tensor<?x64xf32>) {
  // CHECK: %{{.*}}, %{{.*}} = route %{{.*}} top 3{{$}}
  %w, %e = route %x top 3
  yield %x
}

// CHECK-LABEL: model.block @renormalized
model.block @renormalized(%x: tensor<?x64xf32>) {
  // CHECK: %[[W:.*]], %[[E:.*]] = route %{{.*}} top 3 renormalized
  %w, %e = route %x top 3 renormalized
  %gate = param "gate" : tensor<64x32x64xbf16>
  %up = param "up" : tensor<64x32x64xbf16>
  %down = param "down" : tensor<64x64x32xbf16>
  // CHECK: = experts %{{.*}}, %[[W]], %[[E]] gate %{{.*}} up %{{.*}} down %{{.*}}
  %y = experts %x, %w, %e gate %gate up %up down %down
  yield %x
}
