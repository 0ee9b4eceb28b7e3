// RUN: denim-opt %s -split-input-file -verify-diagnostics

model.block @width(%x: tensor<?x64xf32>) {
  %t = attn.cache "conv" : !attn.cache<tail 3x32xf32>
  // expected-error @below {{expected a tail of rows of 'tensor<?x64xf32>', but got '!attn.cache<tail 3x32xf32>'}}
  attn.remember %x in %t
  yield %x
}

// -----

model.block @state(%x: tensor<?x64xf32>) {
  %t = attn.cache "conv" : !attn.cache<state 3x64xf32>
  // expected-error @below {{expected a tail of rows of 'tensor<?x64xf32>', but got '!attn.cache<state 3x64xf32>'}}
  attn.remember %x in %t
  yield %x
}
