// RUN: denim-opt %s -split-input-file -verify-diagnostics

model.block @latent_softmax_c1(%x: tensor<?x256xf32>) {
  %w = param "kv_b" : tensor<192x32xf32>
  %c, %rest = split %x into 32, 224
  // expected-error @below {{expected a query of shape [T, H, D], but got 'tensor<?x256xf32>'}}
  %y = attn.latent_softmax %x, %c, %w
  yield %x
}

// -----

model.block @latent_softmax_c2(%x: tensor<?x256xf32>) {
  %w = param "kv_b" : tensor<192x32xf32>
  %q, %c, %rest = split %x into 4x16, 2x32, 128
  // expected-error @below {{expected a latent of shape [T, r], but got 'tensor<?x2x32xf32>'}}
  %y = attn.latent_softmax %q, %c, %w
  yield %x
}

// -----

model.block @latent_softmax_c3_rank(%x: tensor<?x256xf32>) {
  %w = param "kv_b" : tensor<192x48xf32>
  %q, %c, %rest = split %x into 4x16, 32, 160
  // expected-error @below {{expected kv_b of more than 16 rows for each of 4 heads and 32 columns, but got 'tensor<192x48xf32>'}}
  %y = attn.latent_softmax %q, %c, %w
  yield %x
}

// -----

model.block @latent_softmax_c3_no_values(%x: tensor<?x256xf32>) {
  %w = param "kv_b" : tensor<64x32xf32>
  %q, %c, %rest = split %x into 4x16, 32, 160
  // expected-error @below {{expected kv_b of more than 16 rows for each of 4 heads and 32 columns, but got 'tensor<64x32xf32>'}}
  %y = attn.latent_softmax %q, %c, %w
  yield %x
}

// -----

model.block @latent_softmax_c3_heads(%x: tensor<?x256xf32>) {
  %w = param "kv_b" : tensor<190x32xf32>
  %q, %c, %rest = split %x into 4x16, 32, 160
  // expected-error @below {{expected kv_b of more than 16 rows for each of 4 heads and 32 columns, but got 'tensor<190x32xf32>'}}
  %y = attn.latent_softmax %q, %c, %w
  yield %x
}

// -----

model.block @latent_softmax_c4_heads(%x: tensor<?x256xf32>) {
  %w = param "kv_b" : tensor<192x32xf32>
  %q, %c, %qr, %kr, %rest = split %x into 4x16, 32, 2x8, 1x8, 136
  // expected-error @below {{expected q_rope of type 'tensor<?x4x8xf32>', but got 'tensor<?x2x8xf32>'}}
  %y = attn.latent_softmax %q, %c, %w rope %qr, %kr
  yield %x
}

// -----

model.block @latent_softmax_c4_key(%x: tensor<?x256xf32>) {
  %w = param "kv_b" : tensor<192x32xf32>
  %q, %c, %qr, %kr, %rest = split %x into 4x16, 32, 4x8, 4x8, 96
  // expected-error @below {{expected k_rope of type 'tensor<?x1x8xf32>', but got 'tensor<?x4x8xf32>'}}
  %y = attn.latent_softmax %q, %c, %w rope %qr, %kr
  yield %x
}

// -----

model.block @latent_softmax_c4_both(%x: tensor<?x256xf32>) {
  %w = param "kv_b" : tensor<192x32xf32>
  %q, %c, %qr, %rest = split %x into 4x16, 32, 4x8, 128
  // expected-error @below {{expected q_rope and k_rope, but got one of them}}
  // expected-error @below {{failed to infer returned types}}
  %y = "attn.latent_softmax"(%q, %c, %w, %qr) {operandSegmentSizes = array<i32: 1, 1, 1, 1, 0, 0>}
      : (tensor<?x4x16xf32>, tensor<?x32xf32>, tensor<192x32xf32>, tensor<?x4x8xf32>) -> tensor<?x4x32xf32>
  yield %x
}

// -----

model.block @attend_latent_row(%x: tensor<?x256xf32>) {
  %w = param "kv_b" : tensor<192x32xf32>
  %q, %m, %rest = split %x into 4x16, 4x32, 64
  %latents = attn.cache "latents" : !attn.cache<paged 1x40xf32>
  // expected-error @below {{expected paged latents of 1 head of 32 columns, but got '!attn.cache<paged 1x40xf32>'}}
  %y = attn.attend_latent %m or %q, %latents, %w scale 1
  yield %x
}

// -----

model.block @attend_latent_absorbed(%x: tensor<?x256xf32>) {
  %w = param "kv_b" : tensor<192x32xf32>
  %q, %m, %rest = split %x into 4x16, 4x16, 128
  %latents = attn.cache "latents" : !attn.cache<paged 1x32xf32>
  // expected-error @below {{expected latents of type 'tensor<?x4x32xf32>', but got 'tensor<?x4x16xf32>'}}
  %y = attn.attend_latent %m or %q, %latents, %w scale 1
  yield %x
}

// -----

model.block @absorb_weights(%x: tensor<?x256xf32>) {
  %w = param "kv_b" : tensor<60x32xf32>
  %q, %rest = split %x into 4x16, 192
  // expected-error @below {{expected kv_b of more than 16 rows for each of 4 heads and 32 columns, but got 'tensor<60x32xf32>'}}
  %y = attn.absorb %q, %w
  yield %x
}
