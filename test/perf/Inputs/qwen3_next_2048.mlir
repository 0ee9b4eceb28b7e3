// The shapes of a published whole-model benchmark: Qwen3-Next with dense MLPs, 8 layers, 665 M parameters.
//
//   denim-compile qwen3_next_2048.mlir --target=nvptx -o m.denim
//   denim-run bench m.denim --weights random --device cuda

model.network @qwen3_next_2048(%ids: tensor<?xi32>) eos [2] {
  %table = param "model.embed_tokens.weight" : tensor<32000x2048xbf16>
  %norm  = param "model.norm.weight"         : tensor<2048xbf16>
  %head  = param "lm_head.weight"            : tensor<32000x2048xbf16>

  %x = embed %ids, %table
  %y = layers %x, "model.layers.{i}" = 2 x (3 x @gated_delta_net, 1 x @gated_attention)
  %h = rms_norm %y, %norm zero_centered
  %logits = linear %h, %head
  output %logits
}

// 16 heads of keys and 32 of values, 128 channels each.
model.block @gated_delta_net(%x: tensor<?x2048xf32>) {
  %norm    = param "input_layernorm.weight"          : tensor<2048xbf16>
  %w_qkvz  = param "linear_attn.in_proj_qkvz.weight" : tensor<12288x2048xbf16>
  %w_ba    = param "linear_attn.in_proj_ba.weight"   : tensor<64x2048xbf16>
  %w_conv  = param "linear_attn.conv1d.weight"       : tensor<8192x1x4xbf16>
  %a_log   = param "linear_attn.A_log"               : tensor<32xbf16>
  %dt_bias = param "linear_attn.dt_bias"             : tensor<32xbf16>
  %w_onorm = param "linear_attn.norm.weight"         : tensor<128xbf16>
  %w_out   = param "linear_attn.out_proj.weight"     : tensor<2048x4096xbf16>

  %h = rms_norm %x, %norm zero_centered
  %qkvz = linear %h, %w_qkvz
  %groups = heads %qkvz, 16
  %gq, %gk, %gv, %gz = split %groups into 128, 128, 256, 256
  %ba = linear %h, %w_ba
  %gba = heads %ba, 16
  %gb, %ga = split %gba into 2, 2

  %qkv = concat %gq, %gk, %gv
  %mixed = attn.short_conv %qkv, %w_conv
  %active = silu %mixed
  %q0, %k0, %v = split %active into 16x128, 16x128, 32x128
  %q = l2_norm %q0
  %k = l2_norm %k0

  %b = flatten %gb
  %beta = sigmoid %b
  %a = flatten %ga
  %decay = attn.log_decay %a rate %a_log bias %dt_bias
  %o = attn.delta_rule %q, %k, %v beta %beta decay %decay

  %z = heads %gz, 32
  %gate = silu %z
  %on = rms_norm %o, %w_onorm
  %og = mul %on, %gate
  %mixer = linear %og, %w_out
  %x1 = add %x, %mixer

  %norm2  = param "post_attention_layernorm.weight" : tensor<2048xbf16>
  %w_gate = param "mlp.gate_proj.weight"            : tensor<5632x2048xbf16>
  %w_up   = param "mlp.up_proj.weight"              : tensor<5632x2048xbf16>
  %w_down = param "mlp.down_proj.weight"            : tensor<2048x5632xbf16>
  %h1 = rms_norm %x1, %norm2 zero_centered
  %g = linear %h1, %w_gate
  %u = linear %h1, %w_up
  %s = silu %g
  %p = mul %s, %u
  %mlp = linear %p, %w_down
  %x2 = add %x1, %mlp
  yield %x2
}

// 16 heads of queries and 2 of keys and values, 256 channels each, 64 of them rotated.
model.block @gated_attention(%x: tensor<?x2048xf32>) {
  %norm   = param "input_layernorm.weight"  : tensor<2048xbf16>
  %w_q    = param "self_attn.q_proj.weight" : tensor<8192x2048xbf16>
  %w_k    = param "self_attn.k_proj.weight" : tensor<512x2048xbf16>
  %w_v    = param "self_attn.v_proj.weight" : tensor<512x2048xbf16>
  %w_o    = param "self_attn.o_proj.weight" : tensor<2048x4096xbf16>
  %q_norm = param "self_attn.q_norm.weight" : tensor<256xbf16>
  %k_norm = param "self_attn.k_norm.weight" : tensor<256xbf16>

  %h = rms_norm %x, %norm zero_centered
  %qg = linear %h, %w_q
  %per_head = heads %qg, 16
  %q0, %z = split %per_head into 256, 256
  %kf = linear %h, %w_k
  %k0 = heads %kf, 2
  %vf = linear %h, %w_v
  %v = heads %vf, 2

  %q1 = rms_norm %q0, %q_norm zero_centered
  %k1 = rms_norm %k0, %k_norm zero_centered
  %q = attn.rotary %q1 theta 10000000 over 64
  %k = attn.rotary %k1 theta 10000000 over 64
  %o = attn.softmax %q, %k, %v

  %gate = sigmoid %z
  %og = mul %o, %gate
  %mixer = linear %og, %w_o
  %x1 = add %x, %mixer

  %norm2  = param "post_attention_layernorm.weight" : tensor<2048xbf16>
  %w_gate = param "mlp.gate_proj.weight"            : tensor<5632x2048xbf16>
  %w_up   = param "mlp.up_proj.weight"              : tensor<5632x2048xbf16>
  %w_down = param "mlp.down_proj.weight"            : tensor<2048x5632xbf16>
  %h1 = rms_norm %x1, %norm2 zero_centered
  %g = linear %h1, %w_gate
  %u = linear %h1, %w_up
  %s = silu %g
  %p = mul %s, %u
  %mlp = linear %p, %w_down
  %x2 = add %x1, %mlp
  yield %x2
}
