// RUN: denim-opt %s -split-input-file -verify-diagnostics

model.block @heads(%x: tensor<?x4x1xf32>) {
  %a = param "a" : tensor<4xbf16>
  // expected-error @below {{expected an input of shape [T, H], but got 'tensor<?x4x1xf32>'}}
  %y = attn.log_decay %x rate %a bias %a
  yield %x
}

// -----

model.block @rate(%x: tensor<?x4xf32>) {
  %a = param "a" : tensor<2xbf16>
  %b = param "b" : tensor<4xbf16>
  // expected-error @below {{expected a rate and a bias of 4 heads, but got 'tensor<2xbf16>'}}
  %y = attn.log_decay %x rate %a bias %b
  yield %x
}

// -----

model.block @bias(%x: tensor<?x4xf32>) {
  %a = param "a" : tensor<4xbf16>
  %b = param "b" : tensor<2xbf16>
  // expected-error @below {{expected a rate and a bias of 4 heads, but got 'tensor<2xbf16>'}}
  %y = attn.log_decay %x rate %a bias %b
  yield %x
}
