// RUN: denim-opt %s -split-input-file -verify-diagnostics

model.block @channels(%x: tensor<?x64xf32>) {
  %w = param "w" : tensor<32x1x4xbf16>
  // expected-error @below {{expected an input [T, C] and a weight [C, K] or [C, 1, K], but got 'tensor<?x64xf32>' and 'tensor<32x1x4xbf16>'}}
  %y = attn.short_conv %x, %w
  yield %x
}

// -----

model.block @not_depthwise(%x: tensor<?x64xf32>) {
  %w = param "w" : tensor<64x2x4xbf16>
  // expected-error @below {{expected an input [T, C] and a weight [C, K] or [C, 1, K], but got 'tensor<?x64xf32>' and 'tensor<64x2x4xbf16>'}}
  %y = attn.short_conv %x, %w
  yield %x
}

// -----

model.block @heads(%x: tensor<?x64xf32>) {
  %w = param "w" : tensor<64x1x4xbf16>
  %h = heads %x, 2
  // expected-error @below {{expected an input [T, C] and a weight [C, K] or [C, 1, K], but got 'tensor<?x2x32xf32>' and 'tensor<64x1x4xbf16>'}}
  %y = attn.short_conv %h, %w
  yield %x
}

// -----

model.block @bias(%x: tensor<?x64xf32>) {
  %w = param "w" : tensor<64x1x4xbf16>
  %b = param "b" : tensor<4xbf16>
  // expected-error @below {{expected a bias of 64 channels, but got 'tensor<4xbf16>'}}
  %y = attn.short_conv %x, %w bias %b
  yield %x
}
