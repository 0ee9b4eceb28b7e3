// RUN: denim-opt %s | denim-opt | FileCheck %s
// RUN: denim-opt %s --mlir-print-op-generic | denim-opt | FileCheck %s

// CHECK-LABEL: model.block @delta_net
model.block @delta_net(%x: tensor<?x256xf32>) {
  %q, %k, %v, %b, %g, %rest = split %x into 2x16, 2x16, 4x32, 4, 4, 56
  // CHECK: = attn.delta_rule %{{.*}}, %{{.*}}, %{{.*}} beta %{{.*}}{{$}}
  %y = attn.delta_rule %q, %k, %v beta %b
  yield %x
}

// CHECK-LABEL: model.block @gated
model.block @gated(%x: tensor<?x256xf32>) {
  %q, %k, %v, %b, %g, %rest = split %x into 2x16, 2x16, 4x32, 4, 4, 56
  // CHECK: = attn.delta_rule %{{.*}}, %{{.*}}, %{{.*}} beta %{{.*}} decay %{{.*}}{{$}}
  %y = attn.delta_rule %q, %k, %v beta %b decay %g
  yield %x
}

// CHECK-LABEL: model.block @scale
model.block @scale(%x: tensor<?x256xf32>) {
  %q, %k, %v, %b, %g, %rest = split %x into 2x16, 2x16, 4x32, 4, 4, 56
  // CHECK: = attn.delta_rule %{{.*}}, %{{.*}}, %{{.*}} beta %{{.*}} decay %{{.*}} scale 0.5{{$}}
  %y = attn.delta_rule %q, %k, %v beta %b decay %g scale 0.5
  yield %x
}

// CHECK-LABEL: model.block @with_state
model.block @with_state(%x: tensor<?x256xf32>) {
  %q, %k, %v, %b, %g, %rest = split %x into 2x16, 2x16, 4x32, 4, 4, 56
  // CHECK: %[[S:.*]] = attn.cache "state" : !attn.cache<state 4x16x32xf32>
  %s = attn.cache "state" : !attn.cache<state 4x16x32xf32>
  // CHECK: = attn.delta_rule %{{.*}}, %{{.*}}, %{{.*}} beta %{{.*}} decay %{{.*}} state %[[S]]
  %y = attn.delta_rule %q, %k, %v beta %b decay %g state %s
  yield %x
}

// CHECK-LABEL: model.block @chunk
model.block @chunk(%x: tensor<?x256xf32>) {
  %q, %k, %v, %b, %g, %rest = split %x into 2x16, 2x16, 4x32, 4, 4, 56
  // CHECK: = attn.delta_rule %{{.*}}, %{{.*}}, %{{.*}} beta %{{.*}} chunk 64{{$}}
  %y = attn.delta_rule %q, %k, %v beta %b chunk 64
  yield %x
}
