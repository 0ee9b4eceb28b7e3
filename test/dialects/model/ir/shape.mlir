// RUN: denim-opt %s | denim-opt | FileCheck %s
// RUN: denim-opt %s --mlir-print-op-generic | denim-opt | FileCheck %s

// CHECK-LABEL: model.block @heads
model.block @heads(%x: tensor<?x64xf32>) {
  // CHECK: %[[A:.*]] = heads %{{.*}}, 4
  %a = heads %x, 4
  // CHECK: %[[B:.*]] = heads %[[A]], 8
  %b = heads %a, 8
  // CHECK: = flatten %[[B]]
  %c = flatten %b
  yield %x
}

// CHECK-LABEL: model.block @split
model.block @split(%x: tensor<?x64xf32>) {
  // CHECK: %{{.*}}, %[[B:.*]] = split %{{.*}} into 16, 48
  %a, %b = split %x into 16, 48
  // CHECK: %{{.*}}, %{{.*}}, %{{.*}} = split %[[B]] into 1x8, 2x8, 24
  %q, %k, %v = split %b into 1x8, 2x8, 24
  yield %x
}

// Every head is cut in the same way.
// CHECK-LABEL: model.block @split_heads
model.block @split_heads(%x: tensor<?x64xf32>) {
  %h = heads %x, 4
  // CHECK: %{{.*}}, %{{.*}} = split %{{.*}} into 4, 12
  %a, %b = split %h into 4, 12
  yield %x
}

// Heads are taken in order: the result is [T, 192].
// CHECK-LABEL: model.block @concat
model.block @concat(%x: tensor<?x64xf32>) {
  %h = heads %x, 4
  // CHECK: %[[A:.*]] = concat %{{.*}}, %{{.*}}, %{{.*}}{{$}}
  %a = concat %x, %h, %x
  // CHECK: heads %[[A]], 12
  %b = heads %a, 12
  yield %x
}
