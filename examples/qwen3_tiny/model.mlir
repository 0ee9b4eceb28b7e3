// qwen3: 8 layers, hidden 192, vocabulary 256

model.network @qwen3(%ids: tensor<?xi32>) eos [0] {
  %table = param "model.embed_tokens.weight" : tensor<256x192xbf16>
  %norm  = param "model.norm.weight"         : tensor<192xbf16>
  %head  = param "lm_head.weight"            : tensor<256x192xbf16>

  %x = embed %ids, %table
  %y = layers %x, "model.layers.{i}" = 8 x @attention
  %h = rms_norm %y, %norm
  %logits = linear %h, %head
  output %logits
}

// Softmax attention with normed queries and keys; a gated MLP.
model.block @attention(%x: tensor<?x192xf32>) {
  %norm   = param "input_layernorm.weight"  : tensor<192xbf16>
  %w_q    = param "self_attn.q_proj.weight" : tensor<192x192xbf16>
  %w_k    = param "self_attn.k_proj.weight" : tensor<64x192xbf16>
  %w_v    = param "self_attn.v_proj.weight" : tensor<64x192xbf16>
  %w_o    = param "self_attn.o_proj.weight" : tensor<192x192xbf16>
  %q_norm = param "self_attn.q_norm.weight" : tensor<64xbf16>
  %k_norm = param "self_attn.k_norm.weight" : tensor<64xbf16>

  %h = rms_norm %x, %norm
  %qf = linear %h, %w_q
  %q0 = heads %qf, 3
  %kf = linear %h, %w_k
  %k0 = heads %kf, 1
  %vf = linear %h, %w_v
  %v = heads %vf, 1

  %q1 = rms_norm %q0, %q_norm
  %k1 = rms_norm %k0, %k_norm
  %q = attn.rotary %q1 theta 10000 over 64
  %k = attn.rotary %k1 theta 10000 over 64
  %o = attn.softmax %q, %k, %v

  %mixer = linear %o, %w_o
  %x1 = add %x, %mixer

  %norm2  = param "post_attention_layernorm.weight" : tensor<192xbf16>
  %w_gate = param "mlp.gate_proj.weight"            : tensor<576x192xbf16>
  %w_up   = param "mlp.up_proj.weight"              : tensor<576x192xbf16>
  %w_down = param "mlp.down_proj.weight"            : tensor<192x576xbf16>

  %h1 = rms_norm %x1, %norm2
  %mg = linear %h1, %w_gate
  %mu = linear %h1, %w_up
  %ms = silu %mg
  %mp = mul %ms, %mu
  %mlp = linear %mp, %w_down
  %x2 = add %x1, %mlp
  yield %x2
}
