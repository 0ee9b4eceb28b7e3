// RUN: denim-opt %s -split-input-file -verify-diagnostics

model.block @widths(%x: tensor<?x64xf32>) {
  %a, %b = split %x into 48, 16
  // expected-error @below {{expected operands of one shape, or one that is the tail of the other or has a last axis of 1, but got 'tensor<?x64xf32>' and 'tensor<?x16xf32>'}}
  %y = add %x, %b
  yield %x
}

// -----

model.block @leading_axis(%x: tensor<?x64xf32>) {
  %h = heads %x, 4
  // expected-error @below {{expected operands of one shape, or one that is the tail of the other or has a last axis of 1, but got 'tensor<?x4x16xf32>' and 'tensor<?x64xf32>'}}
  %y = mul %h, %x
  yield %x
}

// -----

model.block @scale(%x: tensor<?x64xf32>) {
  // expected-error @below {{expected attribute value}}
  %y = scale %x, %x
  yield %x
}

// -----

model.block @true_factor(%x: tensor<?x64xf32>) {
  // expected-error @below {{expected a number, but got true}}
  %y = scale %x, true
  yield %x
}
