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

// -----

model.block @softmax_c4_blocks(%x: tensor<?x256xf32>) {
  %q, %k, %v, %rest = split %x into 4x16, 2x16, 2x32, 96
  // expected-error @below {{expected blocks of at least 1 token and at least 1 local block, but got blocks 0 local 2}}
  %y = attn.softmax %q, %k, %v blocks 0 local 2
  yield %x
}

// -----

model.block @softmax_c4_local(%x: tensor<?x256xf32>) {
  %q, %k, %v, %rest = split %x into 4x16, 2x16, 2x32, 96
  // expected-error @below {{expected blocks of at least 1 token and at least 1 local block, but got blocks 16 local -1}}
  %y = attn.softmax %q, %k, %v blocks 16 local -1
  yield %x
}

// -----

model.block @softmax_c4_size_only(%x: tensor<?x256xf32>) {
  %q, %k, %v, %rest = split %x into 4x16, 2x16, 2x32, 96
  // expected-error @below {{expected a size of blocks and a number of local ones, but got only one of them}}
  // expected-error @below {{failed to infer returned types}}
  %y = "attn.softmax"(%q, %k, %v) {block_size = 16 : i64, operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 0>} : (tensor<?x4x16xf32>, tensor<?x2x16xf32>, tensor<?x2x32xf32>) -> tensor<?x4x32xf32>
  yield %x
}

// -----

model.block @softmax_c4_both(%x: tensor<?x256xf32>) {
  %q, %k, %v, %rest = split %x into 4x16, 2x16, 2x32, 96
  // expected-error @below {{expected a window or blocks, but got both}}
  %y = attn.softmax %q, %k, %v window 4 blocks 16 local 2
  yield %x
}

// -----

model.block @softmax_c4_large(%x: tensor<?x256xf32>) {
  %q, %k, %v, %rest = split %x into 4x16, 2x16, 2x32, 96
  // expected-error @below {{expected at most 2147483647 keys in a window, in local blocks, and of global tokens}}
  %y = attn.softmax %q, %k, %v blocks 65536 local 65536
  yield %x
}

// -----

model.block @softmax_c5(%x: tensor<?x256xf32>) {
  %q, %k, %v, %rest = split %x into 4x16, 2x16, 2x32, 96
  // expected-error @below {{expected a positive number of global tokens, but got 0}}
  %y = attn.softmax %q, %k, %v window 4 global 0
  yield %x
}

// -----

model.block @softmax_c5_alone(%x: tensor<?x256xf32>) {
  %q, %k, %v, %rest = split %x into 4x16, 2x16, 2x32, 96
  // expected-error @below {{expected a window or blocks beside global tokens, but got none: all keys are visible}}
  %y = attn.softmax %q, %k, %v global 3
  yield %x
}

// -----

model.block @softmax_c6(%x: tensor<?x256xf32>) {
  %q, %k, %v, %rest = split %x into 4x16, 2x16, 2x32, 96
  %sinks = param "sinks" : tensor<2xf32>
  // expected-error @below {{expected sinks of shape [4], one for each head, but got 'tensor<2xf32>'}}
  %y = attn.softmax %q, %k, %v sinks %sinks
  yield %x
}

// -----

model.block @softmax_c5_negative(%x: tensor<?x256xf32>) {
  %q, %k, %v, %rest = split %x into 4x16, 2x16, 2x32, 96
  // expected-error @below {{expected a positive number of global tokens, but got -1}}
  %y = attn.softmax %q, %k, %v window 4 global -1
  yield %x
}

// -----

model.block @softmax_c7(%x: tensor<?x256xf32>) {
  %q, %k, %v, %rest = split %x into 4x16, 2x16, 2x32, 96
  // expected-error @below {{expected a positive scale, but got -5.000000e-01}}
  %y = attn.softmax %q, %k, %v scale -0.5
  yield %x
}

// -----

model.block @softmax_c7_softcap(%x: tensor<?x256xf32>) {
  %q, %k, %v, %rest = split %x into 4x16, 2x16, 2x32, 96
  // expected-error @below {{expected a positive softcap, but got 0.000000e+00}}
  %y = attn.softmax %q, %k, %v softcap 0
  yield %x
}
