// RUN: denim-opt %s | denim-opt | FileCheck %s
// RUN: denim-opt %s --mlir-print-op-generic | denim-opt | FileCheck %s

// CHECK-LABEL: model.block @delta
// CHECK: %[[O:.*]] = attn.recurrence (%[[S:.*]] : 16x32, %[[Q:.*]] = %{{.*}}, %[[K:.*]] = %{{.*}}, %[[V:.*]] = %{{.*}}, %[[B:.*]] = %{{.*}}, %[[G:.*]] = %{{.*}}) {
// CHECK-NEXT: %[[D:.*]] = decay %[[S]], %[[G]]
// CHECK-NEXT: %[[P:.*]] = read %[[D]], %[[K]]
// CHECK-NEXT: %[[E:.*]] = sub %[[V]], %[[P]]
// CHECK-NEXT: %[[W:.*]] = mul %[[B]], %[[E]]
// CHECK-NEXT: %[[N:.*]] = write %[[D]], %[[K]], %[[W]]
// CHECK-NEXT: %[[Y:.*]] = read %[[N]], %[[Q]]
// CHECK-NEXT: %[[Z:.*]] = scale %[[Y]], 0.25
// CHECK-NEXT: yield %[[N]], %[[Z]]
// CHECK-NEXT: }
// CHECK: yield
model.block @delta(%x: tensor<?x256xf32>) {
  %query, %key, %value, %beta, %gate, %rest = split %x into 2x16, 2x16, 4x32, 4, 4, 56
  %o = attn.recurrence (%s : 16x32, %q = %query, %k = %key, %v = %value, %b = %beta, %g = %gate) {
    %d = decay %s, %g
    %p = read %d, %k
    %e = sub %v, %p
    %w = mul %b, %e
    %n = write %d, %k, %w
    %y = read %n, %q
    %z = scale %y, 0.25
    yield %n, %z
  }
  yield %x
}

// A number for each head in the text, a chunk, a cache; names inside may be those outside.
// CHECK-LABEL: model.block @constant
// CHECK: attn.recurrence (%[[S:.*]] : 16x32, {{.*}}) chunk 64 state %{{.*}} {
// CHECK-NEXT: %[[D:.*]] = decay %[[S]], [-0.5, 0, -1, -0.25]
// CHECK-NEXT: %[[KK:.*]] = add %[[K:.*]], %[[K]]
// CHECK-NEXT: write %[[D]], %[[KK]], %{{.*}}
model.block @constant(%x: tensor<?x256xf32>) {
  %q, %k, %v, %rest = split %x into 2x16, 2x16, 4x32, 64
  %s = attn.cache "state" : !attn.cache<state 4x16x32xf32>
  %o = attn.recurrence (%s : 16x32, %q = %q, %k = %k, %v = %v) chunk 64 state %s {
    %d = decay %s, [-0.5, 0, -1, -0.25]
    %kk = add %k, %k
    %n = write %d, %kk, %v
    %y = read %n, %q
    yield %n, %y
  }
  yield %x
}
