// RUN: denim-opt %s -split-input-file -verify-diagnostics

model.block @heads_divide(%x: tensor<?x64xf32>) {
  // expected-error @below {{expected a count of heads that divides 64 channels, but got 5}}
  %y = heads %x, 5
  yield %x
}

// -----

model.block @no_heads(%x: tensor<?x64xf32>) {
  // expected-error @below {{expected a count of heads that divides 64 channels, but got 0}}
  %y = heads %x, 0
  yield %x
}

// -----

model.block @heads_of_vector(%x: tensor<?x64xf32>) {
  %w = param "w" : tensor<64xbf16>
  // expected-error @below {{expected an input of shape [T, N] or [T, H, D], but got 'tensor<64xbf16>'}}
  %y = heads %w, 2
  yield %x
}

// -----

model.block @flatten_vector(%x: tensor<?x64xf32>) {
  %w = param "w" : tensor<64xbf16>
  // expected-error @below {{expected an input of shape [T, N] or [T, H, D], but got 'tensor<64xbf16>'}}
  %y = flatten %w
  yield %x
}

// -----

model.block @parts_short(%x: tensor<?x64xf32>) {
  // expected-error @below {{expected parts that fill 64 channels, but got 32}}
  %a, %b = split %x into 16, 16
  yield %x
}

// -----

model.block @parts_long(%x: tensor<?x64xf32>) {
  // expected-error @below {{expected parts that fill 64 channels, but got 72}}
  %a, %b = split %x into 2x16, 40
  yield %x
}

// -----

model.block @empty_part(%x: tensor<?x64xf32>) {
  // expected-error @below {{expected parts of positive width, as heads only of an input [T, N], but got 0x0 of 'tensor<?x64xf32>'}}
  %a, %b = split %x into 0, 64
  yield %x
}

// -----

model.block @heads_of_heads(%x: tensor<?x64xf32>) {
  %h = heads %x, 4
  // expected-error @below {{expected parts of positive width, as heads only of an input [T, N], but got 2x4 of 'tensor<?x4x16xf32>'}}
  %a, %b = split %h into 2x4, 8
  yield %x
}

// -----

model.block @three_extents(%x: tensor<?x64xf32>) {
  // expected-error @below {{expected a width or heads x width, but got 3 extents}}
  %a = split %x into 2x4x8
  yield %x
}

// -----

model.block @too_few_names(%x: tensor<?x64xf32>) {
  // expected-error @below {{operation defines 2 results but was provided 1 to bind}}
  %a = split %x into 32, 32
  yield %x
}

// -----

model.block @concat_vector(%x: tensor<?x64xf32>) {
  %w = param "w" : tensor<64xbf16>
  // expected-error @below {{expected an input of shape [T, N] or [T, H, D], but got 'tensor<64xbf16>'}}
  %y = concat %x, %w
  yield %x
}

// -----

model.block @concat_nothing(%x: tensor<?x64xf32>) {
  // expected-error @below {{expected at least one input, but got none}}
  // expected-error @below {{failed to infer returned types}}
  %y = "model.concat"() : () -> tensor<?x64xf32>
  yield %x
}

// -----

model.block @heads_without_width(%x: tensor<?x64xf32>) {
  // expected-error @below {{expected as many heads as widths, but got 2 and 1}}
  // expected-error @below {{failed to infer returned types}}
  %y = "model.split"(%x) <{heads = array<i64: 0, 0>, widths = array<i64: 64>}> : (tensor<?x64xf32>) -> tensor<?x64xf32>
  yield %x
}
