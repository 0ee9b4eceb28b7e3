// RUN: denim-opt %s | denim-opt | FileCheck %s
// RUN: denim-opt %s --mlir-print-op-generic | denim-opt | FileCheck %s

// CHECK-LABEL: model.block @plain
model.block @plain(%x: tensor<?x64xf32>) {
  %w = param "w" : tensor<64xbf16>
  // CHECK: = rms_norm %{{.*}}, %{{.*}}{{$}}
  %y = rms_norm %x, %w
  yield %x
}

// CHECK-LABEL: model.block @zero_centered
model.block @zero_centered(%x: tensor<?x64xf32>) {
  %w = param "w" : tensor<64xbf16>
  // CHECK: = rms_norm %{{.*}}, %{{.*}} zero_centered{{$}}
  %y = rms_norm %x, %w zero_centered
  yield %x
}

// CHECK-LABEL: model.block @eps
model.block @eps(%x: tensor<?x64xf32>) {
  %w = param "w" : tensor<64xbf16>
  // CHECK: = rms_norm %{{.*}}, %{{.*}} zero_centered eps 1.0e-5{{$}}
  %y = rms_norm %x, %w zero_centered eps 1.0e-5
  yield %x
}

// The usual constant is not printed.
// CHECK-LABEL: model.block @default_eps
model.block @default_eps(%x: tensor<?x64xf32>) {
  %w = param "w" : tensor<64xbf16>
  // CHECK: = rms_norm %{{.*}}, %{{.*}}{{$}}
  %y = rms_norm %x, %w eps 1.0e-6
  yield %x
}

// A weight of one head wide norms each head alone.
// CHECK-LABEL: model.block @each_head
model.block @each_head(%x: tensor<?x64xf32>) {
  %h = heads %x, 4
  %w = param "w" : tensor<16xbf16>
  // CHECK: %[[Y:.*]] = rms_norm %{{.*}}, %{{.*}}
  %y = rms_norm %h, %w
  // CHECK: split %[[Y]] into 8, 8
  %a, %b = split %y into 8, 8
  yield %x
}
