// RUN: denim-opt %s -split-input-file -verify-diagnostics

model.block @activations(%x: tensor<?x64xf32>) {
  %table = param "embed" : tensor<256x64xbf16>
  // expected-error @below {{expected token ids of type tensor<?xi32>, but got 'tensor<?x64xf32>'}}
  %y = embed %x, %table
  yield %x
}

// -----

model.network @no_table(%ids: tensor<?xi32>) {
  %table = param "embed" : tensor<256xbf16>
  // expected-error @below {{expected a table of shape [vocabulary, hidden], but got 'tensor<256xbf16>'}}
  %x = embed %ids, %table
  output %x
}
