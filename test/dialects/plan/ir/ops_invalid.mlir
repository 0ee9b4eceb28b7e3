// RUN: denim-opt %s --split-input-file --verify-diagnostics

plan.kernel @cast_shape(%x: tensor<?x64xbf16>) {
  // expected-error @below {{expected one shape, but got 'tensor<?x64xbf16>' and 'tensor<?x32xf32>'}}
  %y = plan.cast %x : tensor<?x64xbf16> to tensor<?x32xf32>
  plan.yield %y : tensor<?x32xf32>
}

// -----

plan.kernel @cast_of_numbers(%x: tensor<?x64xi32>) {
  // expected-error @below {{expected elements that are floating-point numbers or in blocks, but got 'i32'}}
  %y = plan.cast %x : tensor<?x64xi32> to tensor<?x64xf32>
  plan.yield %y : tensor<?x64xf32>
}

// -----

plan.kernel @cast_to_blocks(%w: tensor<128x64xbf16>) {
  // expected-error @below {{expected to get elements that are floating-point numbers, but got '!model.q8_0'}}
  %d = plan.cast %w : tensor<128x64xbf16> to tensor<128x64x!model.q8_0>
  plan.yield %d : tensor<128x64x!model.q8_0>
}

// -----

// expected-error @below {{expected dequantized to have positions from 0 to 1, but got 2}}
plan.kernel @dequantized_position(%x: tensor<?x64xbf16>, %w: tensor<128x64xbf16>) attributes {dequantized = array<i64: 1, 2>} {
  plan.yield %x : tensor<?x64xbf16>
}

// -----

// expected-error @below {{expected argument 0, which is dequantized, to be a weight [N, K] of bf16, but got 'tensor<?x64xbf16>'}}
plan.kernel @dequantized_activation(%x: tensor<?x64xbf16>) attributes {dequantized = array<i64: 0>} {
  plan.yield %x : tensor<?x64xbf16>
}

// -----

// expected-error @below {{expected argument 1, which is dequantized, to be a weight [N, K] of bf16, but got 'tensor<128x64x!model.q8_0>'}}
plan.kernel @dequantized_blocks(%x: tensor<?x64xbf16>, %w: tensor<128x64x!model.q8_0>) attributes {dequantized = array<i64: 1>} {
  plan.yield %x : tensor<?x64xbf16>
}

// -----

plan.program @merge_without_condition(%x: tensor<?x64xf32>) {
  %a = plan.launch @k(%x) : (tensor<?x64xf32>) -> tensor<?x64xf32>
  // expected-error @below {{expected values that launches with a condition make, but got}}
  %m = plan.merge %a, %a : tensor<?x64xf32>
  plan.return %m : tensor<?x64xf32>
}

// -----

plan.program @merge_of_given(%x: tensor<?x64xf32>) {
  // expected-error @below {{expected values that launches with a condition make, but got}}
  %m = plan.merge %x : tensor<?x64xf32>
  plan.return %m : tensor<?x64xf32>
}

// -----

// expected-error @below {{expected plan.machine on a module and to be "cpu" or "cuda", but got "tpu"}}
module attributes {plan.machine = "tpu"} {
}

// -----

// expected-error @below {{expected no attribute of the plan dialect but plan.machine, plan.target and plan.overrides, but got "plan.chip"}}
module attributes {plan.chip = "cuda"} {
}

// -----

// expected-error @below {{expected plan.target on a module and to be the name of a target, but got 90 : i64}}
module attributes {plan.target = 90} {
}

// -----

// expected-error @below {{expected plan.overrides on a module and to be a list of {by = "user" or "table", choice = "NAME", value = NUMBER : i64}, but got [{by = "model", choice = "a.b", value = 1 : i64}]}}
module attributes {plan.overrides = [{by = "model", choice = "a.b", value = 1 : i64}]} {
}

// -----

// A shape is a text or absent.
// expected-error @below {{expected plan.overrides on a module}}
module attributes {plan.overrides = [{by = "user", choice = "a.b", shape = 4, value = 1 : i64}]} {
}
