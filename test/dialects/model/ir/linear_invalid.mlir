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
