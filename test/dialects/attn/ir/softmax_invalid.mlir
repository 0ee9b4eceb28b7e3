// RUN: denim-opt %s -split-input-file -verify-diagnostics

model.block @softmax_c1(%x: tensor<?x256xf32>) {
  %q, %k, %v, %rest = split %x into 4x16, 2x16, 2x32, 96
  // expected-error @below {{expected a query of shape [T, H, D], but got 'tensor<?x256xf32>'}}
  %y = attn.softmax %x, %k, %v
  yield %x
}

// -----

model.block @softmax_c2_width(%x: tensor<?x256xf32>) {
  %q, %k, %v, %rest = split %x into 4x16, 2x16, 2x32, 96
  // expected-error @below {{expected a key of type 'tensor<?x2x16xf32>', but got 'tensor<?x2x32xf32>'}}
  %y = attn.softmax %q, %v, %v
  yield %x
}

// -----

model.block @softmax_c2_heads(%x: tensor<?x256xf32>) {
  %q, %k, %v, %rest = split %x into 4x16, 3x16, 3x32, 48
  // expected-error @below {{expected a multiple of 3 key heads as heads of the query, but got 4}}
  %y = attn.softmax %q, %k, %v
  yield %x
}

// -----

model.block @softmax_c3(%x: tensor<?x256xf32>) {
  %q, %k, %v, %rest = split %x into 4x16, 2x16, 1x32, 128
  // expected-error @below {{expected a value of type 'tensor<?x2x32xf32>', but got 'tensor<?x1x32xf32>'}}
  %y = attn.softmax %q, %k, %v
  yield %x
}

// -----

model.block @softmax_c4(%x: tensor<?x256xf32>) {
  %q, %k, %v, %rest = split %x into 4x16, 2x16, 2x32, 96
  // expected-error @below {{expected a positive window, but got 0}}
  %y = attn.softmax %q, %k, %v window 0
  yield %x
}
