// RUN: denim-opt %s -split-input-file -verify-diagnostics

model.block @kind(%x: tensor<?x64xf32>) {
  // expected-error @below {{expected state, tail or paged, but got ring}}
  %c = attn.cache "state" : !attn.cache<ring 4x64xf32>
  yield %x
}

// -----

model.block @tensor(%x: tensor<?x64xf32>) {
  // expected-error @below {{result #0 must be cache, but got 'tensor<4x64xf32>'}}
  %c = attn.cache "state" : tensor<4x64xf32>
  yield %x
}

// -----

// A cache is no activation.
model.block @operand(%x: tensor<?x64xf32>) {
  %c = attn.cache "state" : !attn.cache<state 4x64xf32>
  // expected-error @below {{expected a tensor, but got '!attn.cache<state 4x64xf32>'}}
  %y = silu %c
  yield %x
}

// -----

// An activation is no cache.
model.block @activation(%x: tensor<?x64xf32>) {
  %w = param "w" : tensor<64x1x4xbf16>
  // expected-error @below {{expected a cache, but got 'tensor<?x64xf32>'}}
  %y = attn.short_conv %x, %w tail %x
  yield %x
}

// -----

model.block @extents(%x: tensor<?x64xf32>) {
  // expected-error @below {{expected two extents of a paged cache, but got 1}}
  %c = attn.cache "keys" : !attn.cache<paged 64xf32>
  yield %x
}
