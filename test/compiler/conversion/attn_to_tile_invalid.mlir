// RUN: denim-opt %s --convert-attn-to-tile -split-input-file -verify-diagnostics

// expected-error @below {{'plan.kernel' op expected a kind of kernel that has a tile program, but got "poem"}}
plan.kernel @unknown_kind(%x: tensor<?x16xf32>) attributes {kind = "poem"} {
  plan.yield %x : tensor<?x16xf32>
}

// -----

// expected-error @below {{'plan.kernel' op expected a kind of kernel that has a tile program, but got none}}
plan.kernel @no_kind(%x: tensor<?x16xf32>) {
  plan.yield %x : tensor<?x16xf32>
}

// -----

// expected-error @below {{expected a linear recurrence}}
plan.kernel @no_recurrence(%x: tensor<?x16xf32>) attributes {kind = "recurrence"} {
  plan.yield %x : tensor<?x16xf32>
}

// -----

// expected-error @below {{expected softmax attention}}
plan.kernel @no_softmax(%x: tensor<?x16xf32>) attributes {kind = "softmax"} {
  plan.yield %x : tensor<?x16xf32>
}

// -----

// expected-error @below {{expected to append to a cache or to remember rows}}
plan.kernel @no_write(%x: tensor<?x16xf32>) attributes {kind = "cache"} {
  plan.yield
}

// -----

// A norm needs all channels of its row, and a panel of a product holds a part.
plan.kernel @norm_behind_a_product(%x: tensor<?x64xf32>, %w: tensor<1024x64xf32>, %n: tensor<1024xf32>)
    attributes {kind = "linear"} {
  %y = model.linear %x, %w
  // expected-error-re @below {{expected a tile of the 1024 channels that are normed together, but got {{[0-9]+}}}}
  %z = model.rms_norm %y, %n
  plan.yield %z : tensor<?x1024xf32>
}

// -----

// A product inside a kernel of another kind.
plan.kernel @product_in_rows(%x: tensor<?x64xf32>, %w: tensor<64x64xf32>) attributes {kind = "rows"} {
  // expected-error @below {{expected a value that a tile program can compute here}}
  %y = model.linear %x, %w
  plan.yield %y : tensor<?x64xf32>
}

// -----

plan.kernel @computed_sinks(%q: tensor<?x2x32xf32>, %k: !attn.cache<paged 1x32xf32>, %v: !attn.cache<paged 1x32xf32>,
                            %w: tensor<2xf32>) attributes {kind = "softmax"} {
  %sinks = model.exp %w
  // expected-error @below {{expected sinks that are a parameter, but got the result of another op}}
  %o = attn.attend %q, %k, %v scale 0.5 sinks %sinks
  plan.yield %o : tensor<?x2x32xf32>
}

// -----

module attributes {plan.machine = "cuda"} {
  plan.kernel @linear(%x: tensor<?x64xf32>, %w: tensor<64x64xf32>) attributes {kind = "linear"} {
    %y = model.linear %x, %w
    plan.yield %y : tensor<?x64xf32>
  }
  plan.program @never(%x: tensor<?x64xf32>) {
    %w = model.param "w" : tensor<64x64xf32>
    // expected-error @below {{expected a variant of the kernel that meets {least = 1 : i64, most = 2 : i64, of = "sequence"}}}
    %y = plan.launch @linear(%x, %w) {when = {of = "sequence", least = 1, most = 2}} : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
    plan.return %y : tensor<?x64xf32>
  }
}

// -----

// Bf16 is made of a parameter in blocks, not of what is computed.
module attributes {plan.machine = "cuda"} {
  // expected-error @below {{expected a kernel that dequantizes to be a plan.cast of a weight [N, K] in blocks}}
  plan.kernel @no_blocks(%w: tensor<128x64xf32>) attributes {kind = "dequantize"} {
    %d = plan.cast %w : tensor<128x64xf32> to tensor<128x64xbf16>
    plan.yield %d : tensor<128x64xbf16>
  }
}

// -----

// Only the plan of a GPU has such kernels.
// expected-error @below {{expected a kind of kernel that has a tile program, but got "dequantize"}}
plan.kernel @for_a_cpu(%w: tensor<128x64x!model.q8_0>) attributes {kind = "dequantize"} {
  %d = plan.cast %w : tensor<128x64x!model.q8_0> to tensor<128x64xbf16>
  plan.yield %d : tensor<128x64xbf16>
}
