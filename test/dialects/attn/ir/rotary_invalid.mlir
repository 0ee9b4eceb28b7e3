// RUN: denim-opt %s -split-input-file -verify-diagnostics

model.block @flat(%x: tensor<?x64xf32>) {
  // expected-error @below {{expected an input of shape [T, H, D], but got 'tensor<?x64xf32>'}}
  %y = attn.rotary %x theta 10000 over 32
  yield %x
}

// -----

model.block @odd(%x: tensor<?x64xf32>) {
  %h = heads %x, 2
  // expected-error @below {{expected to rotate an even number of at most 32 channels, but got 7}}
  %y = attn.rotary %h theta 10000 over 7
  yield %x
}

// -----

model.block @too_wide(%x: tensor<?x64xf32>) {
  %h = heads %x, 2
  // expected-error @below {{expected to rotate an even number of at most 32 channels, but got 64}}
  %y = attn.rotary %h theta 10000 over 64
  yield %x
}

// -----

model.block @none(%x: tensor<?x64xf32>) {
  %h = heads %x, 2
  // expected-error @below {{expected to rotate an even number of at most 32 channels, but got 0}}
  %y = attn.rotary %h theta 10000 over 0
  yield %x
}

// -----

model.block @theta(%x: tensor<?x64xf32>) {
  %h = heads %x, 2
  // expected-error @below {{expected a positive theta, but got 0}}
  %y = attn.rotary %h theta 0 over 32
  yield %x
}
