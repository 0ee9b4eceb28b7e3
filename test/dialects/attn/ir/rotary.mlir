// RUN: denim-opt %s | denim-opt | FileCheck %s
// RUN: denim-opt %s --mlir-print-op-generic | denim-opt | FileCheck %s

// CHECK-LABEL: model.block @half
model.block @half(%x: tensor<?x64xf32>) {
  %h = heads %x, 2
  // CHECK: = attn.rotary %{{.*}} theta 10000 over 32{{$}}
  %y = attn.rotary %h theta 10000 over 32
  yield %x
}

// CHECK-LABEL: model.block @quarter
model.block @quarter(%x: tensor<?x64xf32>) {
  %h = heads %x, 2
  // CHECK: = attn.rotary %{{.*}} theta 10000000 over 8{{$}}
  %y = attn.rotary %h theta 1.0e7 over 8
  yield %x
}

// CHECK-LABEL: model.block @interleaved
model.block @interleaved(%x: tensor<?x64xf32>) {
  %h = heads %x, 2
  // CHECK: = attn.rotary %{{.*}} theta 500000 over 32 interleaved{{$}}
  %y = attn.rotary %h theta 500000 over 32 interleaved
  yield %x
}
