// RUN: denim-opt %s | denim-opt | FileCheck %s
// RUN: denim-opt %s --mlir-print-op-generic | denim-opt | FileCheck %s

// CHECK-LABEL: model.block @plain
model.block @plain(%x: tensor<?x64xf32>) {
  %w = param "w" : tensor<96x64xbf16>
  // CHECK: = linear %{{.*}}, %{{.*}}{{$}}
  %y = linear %x, %w
  yield %x
}

// CHECK-LABEL: model.block @with_bias
model.block @with_bias(%x: tensor<?x64xf32>) {
  %w = param "w" : tensor<96x64xbf16>
  %b = param "b" : tensor<96xbf16>
  // CHECK: = linear %{{.*}}, %{{.*}} bias %{{.*}}{{$}}
  %y = linear %x, %w bias %b
  yield %x
}

// Heads of the input are one behind the other: the result is [T, 96].
// CHECK-LABEL: model.block @of_heads
model.block @of_heads(%x: tensor<?x64xf32>) {
  %w = param "w" : tensor<96x64xf32>
  %h = heads %x, 4
  // CHECK: %[[Y:.*]] = linear %{{.*}}, %{{.*}}
  %y = linear %h, %w
  // CHECK: heads %[[Y]], 8
  %z = heads %y, 8
  yield %x
}

// Weights in blocks: eight bits and four bits with a scale for 32 of them.
// CHECK-LABEL: model.block @in_blocks
model.block @in_blocks(%x: tensor<?x64xf32>) {
  // CHECK: param "w" : tensor<5x64x!model.q8_0>
  %w = param "w" : tensor<5x64x!model.q8_0>
  // CHECK: param "v" : tensor<96x64x!model.q4_0>
  %v = param "v" : tensor<96x64x!model.q4_0>
  %y = linear %x, %w
  %z = linear %x, %v
  yield %x
}
