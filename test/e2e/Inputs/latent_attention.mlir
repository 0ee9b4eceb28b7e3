// Multi-head latent attention as models have it, and in unusual places.

model.network @net(%ids: tensor<?xi32>) {
  %table = param "table" : tensor<32x64xf32>
  %head = param "head" : tensor<32x64xf32>
  %x = embed %ids, %table
  %y = layers %x, "l.{i}" = 1 x (1 x @rotated, 1 x @nope_gated, 1 x @latent_only, 1 x @many_heads, 1 x @wide, 1 x @twice)
  %logits = linear %y, %head
  output %logits
}

// A DeepSeek layer: queries of low rank, a latent and one rotated key, in pairs side by side.
model.block @rotated(%x: tensor<?x64xf32>) {
  %n = param "input_layernorm.weight" : tensor<64xf32>
  %wqa = param "q_a_proj.weight" : tensor<32x64xf32>
  %nq = param "q_a_layernorm.weight" : tensor<32xf32>
  %wqb = param "q_b_proj.weight" : tensor<96x32xf32>
  %wkva = param "kv_a_proj_with_mqa.weight" : tensor<40x64xf32>
  %nkv = param "kv_a_layernorm.weight" : tensor<32xf32>
  %kv_b = param "kv_b_proj.weight" : tensor<128x32xf32>
  %wo = param "o_proj.weight" : tensor<64x64xf32>
  %h = rms_norm %x, %n
  %a = linear %h, %wqa
  %an = rms_norm %a, %nq
  %b = linear %an, %wqb
  %q = heads %b, 4
  %qn, %qt = split %q into 16, 8
  %qr = attn.rotary %qt theta 10000 over 8 interleaved
  %kv = linear %h, %wkva
  %l, %kt = split %kv into 32, 1x8
  %c = rms_norm %l, %nkv
  %kr = attn.rotary %kt theta 10000 over 8 interleaved
  %o = attn.latent_softmax %qn, %c, %kv_b rope %qr, %kr scale 0.25
  %f = flatten %o
  %p = linear %f, %wo
  %y = add %x, %p
  yield %y
}

// A Kimi Linear layer: no rotation. Behind it a gate.
model.block @nope_gated(%x: tensor<?x64xf32>) {
  %wq = param "q_proj.weight" : tensor<60x64xf32>
  %wkva = param "kv_a_proj_with_mqa.weight" : tensor<28x64xf32>
  %nkv = param "kv_a_layernorm.weight" : tensor<20xf32>
  %kv_b = param "kv_b_proj.weight" : tensor<84x20xf32>
  %wg = param "g_proj.weight" : tensor<48x64xf32>
  %wo = param "o_proj.weight" : tensor<64x48xf32>
  %b = linear %x, %wq
  %q = heads %b, 3
  %qn, %qr = split %q into 12, 8
  %kv = linear %x, %wkva
  %l, %kr = split %kv into 20, 1x8
  %c = rms_norm %l, %nkv
  // 12 channels of a key, 16 of a value.
  %o = attn.latent_softmax %qn, %c, %kv_b rope %qr, %kr
  %g = linear %x, %wg
  %gh = heads %g, 3
  %s = sigmoid %gh
  %m = mul %o, %s
  %f = flatten %m
  %p = linear %f, %wo
  %y = add %x, %p
  yield %y
}

// No key beside the latent, which is the stream itself.
model.block @latent_only(%x: tensor<?x64xf32>) {
  %kv_b = param "kv_b" : tensor<96x64xf32>
  %wo = param "wo" : tensor<64x32xf32>
  %q = heads %x, 2
  %o = attn.latent_softmax %q, %x, %kv_b
  %f = flatten %o
  %y = linear %f, %wo
  yield %y
}

// More heads than one tile of them takes.
model.block @many_heads(%x: tensor<?x64xf32>) {
  %wq = param "q_proj" : tensor<288x64xf32>
  %wkv = param "kv_proj" : tensor<24x64xf32>
  %kv_b = param "kv_b" : tensor<384x16xf32>
  %wo = param "wo" : tensor<64x192xf32>
  %b = linear %x, %wq
  %q = heads %b, 24
  %qn, %qr = split %q into 8, 4
  %kv = linear %x, %wkv
  %c, %kr, %rest = split %kv into 16, 1x4, 4
  %o = attn.latent_softmax %qn, %c, %kv_b rope %qr, %kr
  %f = flatten %o
  %p = linear %f, %wo
  %y = add %x, %p
  yield %y
}

// A latent of more columns than are expanded, absorbed or merged at once.
model.block @wide(%x: tensor<?x64xf32>) {
  %wkv = param "kv_proj" : tensor<280x64xf32>
  %nkv = param "kv_norm" : tensor<272xf32>
  %kv_b = param "kv_b" : tensor<96x272xf32>
  %wo = param "o_proj" : tensor<64x64xf32>
  %q, %qr, %rest = split %x into 2x16, 2x8, 16
  %kv = linear %x, %wkv
  %l, %kr = split %kv into 272, 1x8
  %c = rms_norm %l, %nkv
  %o = attn.latent_softmax %q, %c, %kv_b rope %qr, %kr
  %f = flatten %o
  %p = linear %f, %wo
  %y = add %x, %p
  yield %y
}

// Two of them on one latent: a cache each.
model.block @twice(%x: tensor<?x64xf32>) {
  %kv_b = param "kv_b" : tensor<64x32xf32>
  %q, %c = split %x into 2x16, 32
  %o = attn.latent_softmax %q, %c, %kv_b
  %p = attn.latent_softmax %q, %c, %kv_b scale 0.5
  %y = concat %o, %p
  yield %y
}
