// RUN: denim-opt %s -split-input-file -verify-diagnostics

model.block @no_eps(%x: tensor<?x64xf32>) {
  // expected-error @below {{expected attribute value}}
  %y = l2_norm %x eps %x
  yield %x
}
