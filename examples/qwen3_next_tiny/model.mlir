// qwen3_next: 8 layers, hidden 192, vocabulary 256

model.network @qwen3_next(%ids: tensor<?xi32>) eos [0] {
  %table = param "model.embed_tokens.weight" : tensor<256x192xbf16>
  %norm  = param "model.norm.weight"         : tensor<192xbf16>
  %head  = param "lm_head.weight"            : tensor<256x192xbf16>

  %x = embed %ids, %table
  %y = layers %x, "model.layers.{i}" = 2 x (3 x @gated_delta_net, 1 x @gated_attention)
  %h = rms_norm %y, %norm zero_centered
  %logits = linear %h, %head
  output %logits
}

// A linear mixer: a state per head that forgets (decay) and corrects what it stored (delta rule); a gated MLP.
model.block @gated_delta_net(%x: tensor<?x192xf32>) {
  %norm    = param "input_layernorm.weight"          : tensor<192xbf16>
  %w_qkvz  = param "linear_attn.in_proj_qkvz.weight" : tensor<512x192xbf16>
  %w_ba    = param "linear_attn.in_proj_ba.weight"   : tensor<6x192xbf16>
  %w_conv  = param "linear_attn.conv1d.weight"       : tensor<320x1x4xbf16>
  %a_log   = param "linear_attn.A_log"               : tensor<3xbf16>
  %dt_bias = param "linear_attn.dt_bias"             : tensor<3xbf16>
  %w_onorm = param "linear_attn.norm.weight"         : tensor<64xbf16>
  %w_out   = param "linear_attn.out_proj.weight"     : tensor<192x192xbf16>

  // one group per key head: query 64, key 64, value 3x64, output gate 3x64; write strength 3, decay 3
  %h = rms_norm %x, %norm zero_centered
  %qkvz = linear %h, %w_qkvz
  %groups = heads %qkvz, 1
  %gq, %gk, %gv, %gz = split %groups into 64, 64, 192, 192
  %ba = linear %h, %w_ba
  %gba = heads %ba, 1
  %gb, %ga = split %gba into 3, 3

  // every channel of q, k, v sees its last 4 tokens
  %qkv = concat %gq, %gk, %gv
  %mixed = attn.short_conv %qkv, %w_conv
  %active = silu %mixed
  %q0, %k0, %v = split %active into 1x64, 1x64, 3x64
  %q = l2_norm %q0
  %k = l2_norm %k0

  // the state keeps exp(decay) of itself and is corrected by beta
  %b = flatten %gb
  %beta = sigmoid %b
  %a = flatten %ga
  %decay = attn.log_decay %a rate %a_log bias %dt_bias
  %o = attn.delta_rule %q, %k, %v beta %beta decay %decay

  %z = heads %gz, 3
  %gate = silu %z
  %on = rms_norm %o, %w_onorm
  %og = mul %on, %gate
  %mixer = linear %og, %w_out
  %x1 = add %x, %mixer

  %norm2  = param "post_attention_layernorm.weight" : tensor<192xbf16>
  %w_gate = param "mlp.gate_proj.weight"            : tensor<576x192xbf16>
  %w_up   = param "mlp.up_proj.weight"              : tensor<576x192xbf16>
  %w_down = param "mlp.down_proj.weight"            : tensor<192x576xbf16>

  %h1 = rms_norm %x1, %norm2 zero_centered
  %mg = linear %h1, %w_gate
  %mu = linear %h1, %w_up
  %ms = silu %mg
  %mp = mul %ms, %mu
  %mlp = linear %mp, %w_down
  %x2 = add %x1, %mlp
  yield %x2
}

// Softmax attention with normed queries and keys, rotation of 16 of 64 channels, and an output gate; a gated MLP.
model.block @gated_attention(%x: tensor<?x192xf32>) {
  %norm   = param "input_layernorm.weight"  : tensor<192xbf16>
  %w_q    = param "self_attn.q_proj.weight" : tensor<384x192xbf16>
  %w_k    = param "self_attn.k_proj.weight" : tensor<64x192xbf16>
  %w_v    = param "self_attn.v_proj.weight" : tensor<64x192xbf16>
  %w_o    = param "self_attn.o_proj.weight" : tensor<192x192xbf16>
  %q_norm = param "self_attn.q_norm.weight" : tensor<64xbf16>
  %k_norm = param "self_attn.k_norm.weight" : tensor<64xbf16>

  %h = rms_norm %x, %norm zero_centered
  %qg = linear %h, %w_q
  %per_head = heads %qg, 3
  %q0, %z = split %per_head into 64, 64
  %kf = linear %h, %w_k
  %k0 = heads %kf, 1
  %vf = linear %h, %w_v
  %v = heads %vf, 1

  %q1 = rms_norm %q0, %q_norm zero_centered
  %k1 = rms_norm %k0, %k_norm zero_centered
  %q = attn.rotary %q1 theta 10000 over 16
  %k = attn.rotary %k1 theta 10000 over 16
  %o = attn.softmax %q, %k, %v

  %gate = sigmoid %z
  %og = mul %o, %gate
  %mixer = linear %og, %w_o
  %x1 = add %x, %mixer

  %norm2  = param "post_attention_layernorm.weight" : tensor<192xbf16>
  %w_gate = param "mlp.gate_proj.weight"            : tensor<576x192xbf16>
  %w_up   = param "mlp.up_proj.weight"              : tensor<576x192xbf16>
  %w_down = param "mlp.down_proj.weight"            : tensor<192x576xbf16>

  %h1 = rms_norm %x1, %norm2 zero_centered
  %mg = linear %h1, %w_gate
  %mu = linear %h1, %w_up
  %ms = silu %mg
  %mp = mul %ms, %mu
  %mlp = linear %mp, %w_down
  %x2 = add %x1, %mlp
  yield %x2
}
