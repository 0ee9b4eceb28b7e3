// RUN: denim-opt %s -split-input-file -verify-diagnostics

model.block @columns(%x: tensor<?x64xf32>) {
  %w = param "w" : tensor<96x32xbf16>
  // expected-error @below {{expected a weight with 64 columns for the input 'tensor<?x64xf32>', but got 'tensor<96x32xbf16>'}}
  %y = linear %x, %w
  yield %x
}

// -----

model.block @vector(%x: tensor<?x64xf32>) {
  %w = param "w" : tensor<64xbf16>
  // expected-error @below {{expected a weight of shape [N, K], but got 'tensor<64xbf16>'}}
  %y = linear %x, %w
  yield %x
}

// -----

model.block @activation(%x: tensor<?x64xf32>) {
  // expected-error @below {{expected a weight of shape [N, K], but got 'tensor<?x64xf32>'}}
  %y = linear %x, %x
  yield %x
}

// -----

model.block @bias(%x: tensor<?x64xf32>) {
  %w = param "w" : tensor<96x64xbf16>
  %b = param "b" : tensor<64xbf16>
  // expected-error @below {{expected a bias of shape 'tensor<96xbf16>', but got 'tensor<64xbf16>'}}
  %y = linear %x, %w bias %b
  yield %x
}

// -----

model.block @input(%x: tensor<?x64xf32>) {
  %w = param "w" : tensor<96x64xbf16>
  %v = param "v" : tensor<64xbf16>
  // expected-error @below {{expected an input of shape [T, N] or [T, H, D], but got 'tensor<64xbf16>'}}
  %y = linear %v, %w
  yield %x
}

// -----

model.block @broken_blocks(%x: tensor<?x48xf32>) {
  // expected-error @below {{expected [N, K] with K a multiple of 32 for elements in blocks, but got 'tensor<96x48x!model.q8_0>'}}
  %w = param "w" : tensor<96x48x!model.q8_0>
  %y = linear %x, %w
  yield %x
}

// -----

model.block @norm_in_blocks(%x: tensor<?x64xf32>) {
  // expected-error @below {{expected [N, K] with K a multiple of 32 for elements in blocks, but got 'tensor<64x!model.q4_0>'}}
  %w = param "w" : tensor<64x!model.q4_0>
  %y = rms_norm %x, %w
  yield %x
}

// -----

// A table that is looked up and a head at once.
model.network @tied_in_blocks(%ids: tensor<?xi32>) {
  // expected-error @below {{expected elements in blocks to be used as a weight of linear, but got a use by model.embed}}
  %table = param "table" : tensor<32x64x!model.q8_0>
  %x = embed %ids, %table
  %y = layers %x, "l.{i}" = 1 x @b
  %logits = linear %y, %table
  output %logits
}
model.block @b(%x: tensor<?x64xf32>) {
  yield %x
}

// -----

model.block @type(%x: tensor<?x64xf32>) {
  // expected-error @below {{expected elements of bf16, f16, f32, !model.q8_0 or !model.q4_0, but got 'i8'}}
  %w = param "w" : tensor<96x64xi8>
  yield %x
}
