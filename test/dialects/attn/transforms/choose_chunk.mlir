// RUN: denim-opt %s --attn-choose-chunk | FileCheck %s --check-prefixes=CHECK,DEFAULT
// RUN: denim-opt %s --attn-choose-chunk=length=16 | FileCheck %s --check-prefixes=CHECK,SHORT
// RUN: denim-opt %s --attn-choose-chunk --remarks-filter=attn 2>&1 | FileCheck %s --check-prefix=REMARK
// RUN: denim-opt %s --attn-choose-chunk=channels=64 | FileCheck %s --check-prefix=CHANNELS
// RUN: not denim-opt %s --attn-choose-chunk=channels=24 2>&1 | FileCheck %s --check-prefix=RAGGED
// RUN: not denim-opt %s --attn-choose-chunk=length=0 2>&1 | FileCheck %s --check-prefix=NONE
// RUN: not denim-opt %s --attn-choose-chunk=length=257 2>&1 | FileCheck %s --check-prefix=LONG

// NONE: error: expected a chunk length between 1 and 256, but got 0
// RAGGED: error: expected a multiple of 16 up to 256 or a power of two as the length under a decay per channel, but got 24
// LONG: error: expected a chunk length between 1 and 256, but got 257

// CHECK-LABEL: model.block @without_decay
model.block @without_decay(%x: tensor<?x97xf32>) {
  %q, %k, %v, %b = split %x into 1x32, 1x32, 1x32, 1
  // DEFAULT: attn.delta_rule {{.*}} chunk 64
  // SHORT: attn.delta_rule {{.*}} chunk 16
  // REMARK: chunks of 64 tokens
  %o = attn.delta_rule %q, %k, %v beta %b
  yield %x
}

// CHECK-LABEL: model.block @decay_per_head
model.block @decay_per_head(%x: tensor<?x98xf32>) {
  %q, %k, %v, %b, %g = split %x into 1x32, 1x32, 1x32, 1, 1
  // DEFAULT: attn.delta_rule {{.*}} decay {{.*}} chunk 64
  // SHORT: attn.delta_rule {{.*}} decay {{.*}} chunk 16
  %o = attn.delta_rule %q, %k, %v beta %b decay %g
  yield %x
}

// The author has chosen.
// CHECK-LABEL: model.block @chosen_already
model.block @chosen_already(%x: tensor<?x97xf32>) {
  %q, %k, %v, %b = split %x into 1x32, 1x32, 1x32, 1
  // CHECK: attn.delta_rule {{.*}} chunk 32
  %o = attn.delta_rule %q, %k, %v beta %b chunk 32
  yield %x
}

// No recurrence.
// CHECK-LABEL: model.block @softmax
model.block @softmax(%x: tensor<?x96xf32>) {
  %q, %k, %v = split %x into 1x32, 1x32, 1x32
  // CHECK: attn.softmax
  // CHECK-NOT: chunk
  %o = attn.softmax %q, %k, %v
  yield %x
}

// Chunks under a decay per channel have a length of their own.
// CHECK-LABEL: model.block @decay_per_channel
// CHANNELS-LABEL: model.block @decay_per_channel
model.block @decay_per_channel(%x: tensor<?x129xf32>) {
  %q, %k, %v, %b, %g = split %x into 1x32, 1x32, 1x32, 1, 1x32
  // CHECK: attn.delta_rule {{.*}} chunk 16
  // CHANNELS: attn.delta_rule {{.*}} chunk 64
  %o = attn.delta_rule %q, %k, %v beta %b decay %g
  yield %x
}

// A region inside the normal form is chunked, one outside keeps its tokens apart.
// CHECK-LABEL: model.block @regions
model.block @regions(%x: tensor<?x97xf32>) {
  %q, %k, %v, %b = split %x into 1x32, 1x32, 1x32, 1
  // DEFAULT: attn.recurrence {{.*}} chunk 64 {
  // SHORT: attn.recurrence {{.*}} chunk 16 {
  %o = attn.recurrence (%s : 32x32, %q = %q, %k = %k, %v = %v) {
    %d = decay %s, [-0.5]
    %n = write %d, %k, %v
    %y = read %n, %q
    yield %n, %y
  }
  // CHECK: attn.recurrence
  // CHECK-NOT: chunk
  // REMARK: a decay behind a write keeps it token by token
  %o2 = attn.recurrence (%s : 32x32, %q = %q, %k = %k, %v = %v) {
    %n = write %s, %k, %v
    %d = decay %n, [-0.5]
    %y = read %d, %q
    yield %d, %y
  }
  yield %x
}
