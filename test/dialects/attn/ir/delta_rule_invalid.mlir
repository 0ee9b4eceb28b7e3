// RUN: denim-opt %s -split-input-file -verify-diagnostics

model.block @delta_rule_c1_flat(%x: tensor<?x256xf32>) {
  %q, %k, %v, %b, %g, %rest = split %x into 2x16, 2x16, 4x32, 4, 4, 56
  // expected-error @below {{expected a query of shape [T, H, D], but got 'tensor<?x256xf32>'}}
  %y = attn.delta_rule %x, %k, %v beta %b
  yield %x
}

// -----

model.block @delta_rule_c1(%x: tensor<?x256xf32>) {
  %q, %k, %v, %b, %g, %rest = split %x into 2x16, 2x16, 4x32, 4, 4, 56
  // expected-error @below {{expected a key of type 'tensor<?x2x16xf32>', but got 'tensor<?x4x32xf32>'}}
  %y = attn.delta_rule %q, %v, %v beta %b
  yield %x
}

// -----

model.block @delta_rule_c2_flat(%x: tensor<?x256xf32>) {
  %q, %k, %v, %b, %g, %rest = split %x into 2x16, 2x16, 4x32, 4, 4, 56
  // expected-error @below {{expected a value of shape [T, H, D], but got 'tensor<?x256xf32>'}}
  %y = attn.delta_rule %q, %k, %x beta %b
  yield %x
}

// -----

model.block @delta_rule_c2(%x: tensor<?x256xf32>) {
  %q, %k, %v, %b, %rest = split %x into 2x16, 2x16, 3x32, 3, 93
  // expected-error @below {{expected a multiple of 2 key heads as heads of the value, but got 3}}
  %y = attn.delta_rule %q, %k, %v beta %b
  yield %x
}

// -----

// One write strength per value head, not per key head.
model.block @delta_rule_c3(%x: tensor<?x256xf32>) {
  %q, %k, %v, %b, %rest = split %x into 2x16, 2x16, 4x32, 2, 62
  // expected-error @below {{expected beta of type 'tensor<?x4xf32>', but got 'tensor<?x2xf32>'}}
  %y = attn.delta_rule %q, %k, %v beta %b
  yield %x
}

// -----

model.block @delta_rule_c4(%x: tensor<?x256xf32>) {
  %q, %k, %v, %b, %g, %rest = split %x into 2x16, 2x16, 4x32, 4, 16, 44
  // expected-error @below {{expected a decay of type 'tensor<?x4xf32>', but got 'tensor<?x16xf32>'}}
  %y = attn.delta_rule %q, %k, %v beta %b decay %g
  yield %x
}
