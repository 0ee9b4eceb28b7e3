// RUN: denim-opt %s -split-input-file -verify-diagnostics

model.block @width(%x: tensor<?x64xf32>) {
  %w = param "w" : tensor<32xbf16>
  // expected-error @below {{expected a weight of shape 'tensor<64xbf16>', but got 'tensor<32xbf16>'}}
  %y = rms_norm %x, %w
  yield %x
}

// -----

model.block @all_heads(%x: tensor<?x64xf32>) {
  %h = heads %x, 4
  %w = param "w" : tensor<64xbf16>
  // expected-error @below {{expected a weight of shape 'tensor<16xbf16>', but got 'tensor<64xbf16>'}}
  %y = rms_norm %h, %w
  yield %x
}

// -----

model.block @input(%x: tensor<?x64xf32>) {
  %w = param "w" : tensor<64xbf16>
  // expected-error @below {{expected an input of shape [T, N] or [T, H, D], but got 'tensor<64xbf16>'}}
  %y = rms_norm %w, %w
  yield %x
}

// -----

model.block @word(%x: tensor<?x64xf32>) {
  %w = param "w" : tensor<64xbf16>
  // expected-error @below {{expected a number, but got "small"}}
  %y = rms_norm %x, %w eps "small"
  yield %x
}
