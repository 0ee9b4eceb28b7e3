// RUN: denim-opt %s --convert-model-to-plan -split-input-file -verify-diagnostics

model.block @no_pages(%x: tensor<?x96xf32>) {
  %q, %k, %v = split %x into 1x32, 1x32, 1x32
  // expected-error @below {{expected a cache for each need of the op; run attn-thread-caches first}}
  %o = attn.softmax %q, %k, %v
  yield %x
}

// -----

model.block @no_tail(%x: tensor<?x16xf32>) {
  %w = param "conv.weight" : tensor<16x4xf32>
  // expected-error @below {{expected a cache for each need of the op; run attn-thread-caches first}}
  %y = attn.short_conv %x, %w
  yield %y
}
