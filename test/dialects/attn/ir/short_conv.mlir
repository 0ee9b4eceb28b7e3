// RUN: denim-opt %s | denim-opt | FileCheck %s
// RUN: denim-opt %s --mlir-print-op-generic | denim-opt | FileCheck %s

// CHECK-LABEL: model.block @checkpoint
model.block @checkpoint(%x: tensor<?x64xf32>) {
  %w = param "w" : tensor<64x1x4xbf16>
  // CHECK: = attn.short_conv %{{.*}}, %{{.*}}{{$}}
  %y = attn.short_conv %x, %w
  yield %x
}

// CHECK-LABEL: model.block @flat
model.block @flat(%x: tensor<?x64xf32>) {
  %w = param "w" : tensor<64x4xbf16>
  %b = param "b" : tensor<64xbf16>
  // CHECK: = attn.short_conv %{{.*}}, %{{.*}} bias %{{.*}}{{$}}
  %y = attn.short_conv %x, %w bias %b
  yield %x
}

// CHECK-LABEL: model.block @with_tail
model.block @with_tail(%x: tensor<?x64xf32>) {
  %w = param "w" : tensor<64x1x4xbf16>
  // CHECK: %[[C:.*]] = attn.cache "conv" : !attn.cache<tail 3x64xf32>
  %c = attn.cache "conv" : !attn.cache<tail 3x64xf32>
  // CHECK: = attn.short_conv %{{.*}}, %{{.*}} tail %[[C]]
  %y = attn.short_conv %x, %w tail %c
  yield %x
}
