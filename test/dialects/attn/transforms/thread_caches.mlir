// RUN: denim-opt %s --attn-thread-caches | FileCheck %s
// RUN: denim-opt %s --attn-thread-caches --attn-thread-caches | FileCheck %s

// Keys and values go to pages, and attention reads all of them.
// CHECK-LABEL: model.block @softmax
model.block @softmax(%x: tensor<?x128xf32>) {
  // CHECK: %[[Q:.*]], %[[K:.*]], %[[V:.*]] = split
  %q, %k, %v = split %x into 2x32, 1x32, 1x32
  // CHECK-DAG: %[[KEYS:.*]] = attn.cache "keys" : !attn.cache<paged 1x32xf32>
  // CHECK-DAG: %[[VALUES:.*]] = attn.cache "values" : !attn.cache<paged 1x32xf32>
  // CHECK: attn.append %[[K]] to %[[KEYS]]
  // CHECK: attn.append %[[V]] to %[[VALUES]]
  // CHECK: attn.attend %[[Q]], %[[KEYS]], %[[VALUES]] scale 0.1767766{{[0-9]*}}
  // CHECK-NOT: attn.softmax
  %o = attn.softmax %q, %k, %v
  %y = flatten %o
  %z = concat %y, %y
  yield %z
}

// What the op says of itself is kept.
// CHECK-LABEL: model.block @softmax_options
model.block @softmax_options(%x: tensor<?x96xf32>) {
  %q, %k, %v = split %x into 1x32, 1x32, 1x32
  // CHECK: attn.attend {{.*}} scale 0.5 window 16 softcap 3
  %o = attn.softmax %q, %k, %v scale 0.5 window 16 softcap 3
  yield %x
}

// CHECK-LABEL: model.block @softmax_visible_keys
model.block @softmax_visible_keys(%x: tensor<?x96xf32>) {
  // CHECK: %[[SINKS:.*]] = param "sinks"
  %sinks = param "sinks" : tensor<1xf32>
  %q, %k, %v = split %x into 1x32, 1x32, 1x32
  // CHECK: attn.attend {{.*}} scale 0.5 blocks 8 local 2 global 3 sinks %[[SINKS]]
  %o = attn.softmax %q, %k, %v scale 0.5 blocks 8 local 2 global 3 sinks %sinks
  yield %x
}

// CHECK-LABEL: model.block @delta_rule
model.block @delta_rule(%x: tensor<?x130xf32>) {
  %q, %k, %v, %b = split %x into 1x32, 1x32, 2x32, 2
  // CHECK: %[[STATE:.*]] = attn.cache "state" : !attn.cache<state 2x32x32xf32>
  // CHECK: attn.delta_rule {{.*}} state %[[STATE]]
  %o = attn.delta_rule %q, %k, %v beta %b
  yield %x
}

// The last rows of the input are remembered behind the convolution that reads the earlier ones.
// CHECK-LABEL: model.block @short_conv
model.block @short_conv(%x: tensor<?x16xf32>) {
  %w = param "conv.weight" : tensor<16x4xf32>
  // CHECK: %[[TAIL:.*]] = attn.cache "conv" : !attn.cache<tail 3x16xf32>
  // CHECK: attn.short_conv %[[X:.*]], %{{.*}} tail %[[TAIL]]
  // CHECK-NEXT: attn.remember %[[X]] in %[[TAIL]]
  // CHECK-NOT: attn.remember
  %y = attn.short_conv %x, %w
  yield %y
}

// Two ops that want one name: the second gets a number. Another block begins anew.
// CHECK-LABEL: model.block @twice
model.block @twice(%x: tensor<?x130xf32>) {
  %q, %k, %v, %b = split %x into 1x32, 1x32, 2x32, 2
  // CHECK: attn.cache "state" :
  %o = attn.delta_rule %q, %k, %v beta %b
  // CHECK: attn.cache "state1" : {{.*$}}
  %p = attn.delta_rule %k, %q, %v beta %b
  // CHECK-NOT: attn.cache
  yield %x
}

// Nothing to remember.
// CHECK-LABEL: model.block @stateless
model.block @stateless(%x: tensor<?x16xf32>) {
  // CHECK-NOT: attn.
  %y = silu %x
  yield %y
}

// It has its cache already, under the author's name.
// CHECK-LABEL: model.block @threaded
model.block @threaded(%x: tensor<?x130xf32>) {
  %q, %k, %v, %b = split %x into 1x32, 1x32, 2x32, 2
  // CHECK: %[[MINE:.*]] = attn.cache "mine" {{.*$}}
  %s = attn.cache "mine" : !attn.cache<state 2x32x32xf32>
  // CHECK-NOT: attn.cache
  // CHECK: attn.delta_rule {{.*}} state %[[MINE]]
  %o = attn.delta_rule %q, %k, %v beta %b state %s
  yield %x
}

// A name that the author has used is not used again.
// CHECK-LABEL: model.block @half_threaded
model.block @half_threaded(%x: tensor<?x130xf32>) {
  %q, %k, %v, %b = split %x into 1x32, 1x32, 2x32, 2
  // CHECK: attn.cache "state" :
  %s = attn.cache "state" : !attn.cache<state 2x32x32xf32>
  %o = attn.delta_rule %q, %k, %v beta %b state %s
  // CHECK: attn.cache "state1" :
  %p = attn.delta_rule %k, %q, %v beta %b
  yield %x
}

// A latent and its key are one row of one cache, whatever the number of heads; the row is key and value.
// CHECK-LABEL: model.block @latent_softmax
model.block @latent_softmax(%x: tensor<?x256xf32>) {
  // CHECK: %[[W:.*]] = param
  %w = param "kv_b" : tensor<192x32xf32>
  // CHECK: %[[Q:.*]], %[[C:.*]], %[[QR:.*]], %[[KR:.*]], %{{.*}} = split
  %q, %c, %qr, %kr, %rest = split %x into 4x8, 32, 4x8, 1x8, 152
  // CHECK: %[[L:.*]] = attn.cache "latents" : !attn.cache<paged 1x40xf32>
  // CHECK: attn.append %[[C]], %[[KR]] to %[[L]]
  // CHECK: %[[A:.*]] = attn.absorb %[[Q]], %[[W]] rope %[[QR]]
  // The scale is that of heads of 8 + 8 channels.
  // CHECK: %[[M:.*]] = attn.attend %[[A]], %[[L]], %[[L]] columns 32 scale 0.25
  // CHECK: attn.attend_latent %[[M]] or %[[Q]], %[[L]], %[[W]] rope %[[QR]] scale 0.25
  // CHECK-NOT: attn.latent_softmax
  %o = attn.latent_softmax %q, %c, %w rope %qr, %kr
  yield %x
}
