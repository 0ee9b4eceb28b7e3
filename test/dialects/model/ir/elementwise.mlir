// RUN: denim-opt %s | denim-opt | FileCheck %s
// RUN: denim-opt %s --mlir-print-op-generic | denim-opt | FileCheck %s

// CHECK-LABEL: model.block @unary
model.block @unary(%x: tensor<?x64xf32>) {
  // CHECK: = silu %{{.*}}
  %silu = silu %x
  // CHECK: = sigmoid %{{.*}}
  %sigmoid = sigmoid %x
  // CHECK: = softplus %{{.*}}
  %softplus = softplus %x
  // CHECK: = exp %{{.*}}
  %exp = exp %x
  yield %x
}

// CHECK-LABEL: model.block @same_shape
model.block @same_shape(%x: tensor<?x64xf32>) {
  %s = silu %x
  // CHECK: = add %{{.*}}, %{{.*}}
  %a = add %x, %s
  // CHECK: = mul %{{.*}}, %{{.*}}
  %m = mul %x, %s
  yield %x
}

// `[D]` meets every row of `[T, H, D]`, from either side.
// CHECK-LABEL: model.block @rows
model.block @rows(%x: tensor<?x64xf32>) {
  %v = param "v" : tensor<64xbf16>
  %h = heads %x, 4
  %d = param "d" : tensor<16xbf16>
  // CHECK: %[[A:.*]] = add
  %a = add %x, %v
  // CHECK: %[[B:.*]] = add %{{.*}}, %[[A]]
  %b = add %v, %a
  // CHECK: %[[C:.*]] = mul
  %c = mul %h, %d
  // CHECK: concat %[[B]], %[[C]]
  %y = concat %b, %c
  yield %x
}

// `[T, 1]` meets every channel of `[T, N]`, from either side.
// CHECK-LABEL: model.block @column
model.block @column(%x: tensor<?x64xf32>) {
  %w = param "w" : tensor<1x64xbf16>
  // CHECK: %[[G:.*]] = linear
  %g = linear %x, %w
  // CHECK: mul %{{.*}}, %[[G]]
  %a = mul %x, %g
  // CHECK: %[[B:.*]] = mul %[[G]], %{{.*}}
  %b = mul %g, %x
  // CHECK: linear %[[B]]
  %y = linear %b, %w
  yield %x
}

// Constants print as the shortest decimal that reads back as the same double.
// CHECK-LABEL: model.block @scale
model.block @scale(%x: tensor<?x64xf32>) {
  // CHECK: = scale %{{.*}}, 2{{$}}
  %a = scale %x, 2
  // CHECK: = scale %{{.*}}, -0.125{{$}}
  %b = scale %x, -0.125
  // CHECK: = scale %{{.*}}, -3{{$}}
  %c = scale %x, -3
  // CHECK: = scale %{{.*}}, 1.0e-20{{$}}
  %d = scale %x, 1.0e-20
  // CHECK: = scale %{{.*}}, 0.7071067811865476{{$}}
  %e = scale %x, 0.70710678118654757
  yield %x
}
