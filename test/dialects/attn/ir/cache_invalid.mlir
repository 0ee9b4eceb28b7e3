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
  // expected-error @below {{operand #0 must be ranked tensor of any type values}}
  %y = silu %c
  yield %x
}
