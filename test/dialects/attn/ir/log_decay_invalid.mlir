// RUN: denim-opt %s -split-input-file -verify-diagnostics

model.block @heads(%x: tensor<?x4x1x1xf32>) {
  %a = param "a" : tensor<4xbf16>
  // expected-error @below {{expected an input of shape [T, H] or [T, H, D], but got 'tensor<?x4x1x1xf32>'}}
  %y = attn.log_decay %x rate %a bias %a
  yield %x
}

// -----

model.block @rate(%x: tensor<?x4xf32>) {
  %a = param "a" : tensor<2xbf16>
  %b = param "b" : tensor<4xbf16>
  // expected-error @below {{expected a rate of 4 heads, but got 'tensor<2xbf16>'}}
  %y = attn.log_decay %x rate %a bias %b
  yield %x
}

// -----

model.block @bias(%x: tensor<?x4xf32>) {
  %a = param "a" : tensor<4xbf16>
  %b = param "b" : tensor<2xbf16>
  // expected-error @below {{expected a bias for each of 4 channels, but got 'tensor<2xbf16>'}}
  %y = attn.log_decay %x rate %a bias %b
  yield %x
}

// -----

model.block @rate_of_channels(%x: tensor<?x32xf32>) {
  %a = param "a" : tensor<32xf32>
  %h = heads %x, 2
  // expected-error @below {{expected a rate of 2 heads, but got 'tensor<32xf32>'}}
  %y = attn.log_decay %h rate %a bias %a
  yield %x
}

// -----

model.block @bias_of_heads(%x: tensor<?x32xf32>) {
  %a = param "a" : tensor<2xf32>
  %h = heads %x, 2
  // expected-error @below {{expected a bias for each of 32 channels, but got 'tensor<2xf32>'}}
  %y = attn.log_decay %h rate %a bias %a
  yield %x
}

// -----

model.block @bound(%x: tensor<?x4xf32>) {
  %a = param "a" : tensor<4xf32>
  // expected-error @below {{expected a lower bound below 0, but got}}
  %y = attn.log_decay %x rate %a bias %a at_least 0
  yield %x
}
