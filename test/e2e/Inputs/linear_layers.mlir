// Whole layers around linear mixers, as models use them, small.

model.network @net(%ids: tensor<?xi32>) {
  %table = param "table" : tensor<32x48xf32>
  %head = param "head" : tensor<32x48xf32>
  %x = embed %ids, %table
  %y = layers %x, "l.{i}" = 1 x (1 x @lightning, 1 x @kda, 1 x @mamba2, 1 x @gla)
  %logits = linear %y, %head
  output %logits
}

// MiniMax: silu on queries, keys and values; a constant decay for each head; a norm over all heads, then a gate.
model.block @lightning(%x: tensor<?x48xf32>) {
  %norm = param "input_layernorm.weight" : tensor<48xf32>
  %w_qkv = param "qkv_proj.weight" : tensor<96x48xf32>
  %w_gate = param "output_gate.weight" : tensor<32x48xf32>
  %w_norm = param "norm.weight" : tensor<32xf32>
  %w_out = param "out_proj.weight" : tensor<48x32xf32>
  %h = rms_norm %x, %norm
  %qkv = linear %h, %w_qkv
  %active = silu %qkv
  %heads = heads %active, 2
  %query, %key, %value = split %heads into 16, 16, 16
  %o = attn.recurrence (%s : 16x16, %q = %query, %k = %key, %v = %value) {
    %d = decay %s, [-0.0625, -0.00390625]
    %n = write %d, %k, %v
    %y = read %n, %q
    yield %n, %y
  }
  %flat = flatten %o
  %normed = rms_norm %flat, %w_norm
  %g = linear %h, %w_gate
  %gate = sigmoid %g
  %gated = mul %normed, %gate
  %out = linear %gated, %w_out
  %y = add %x, %out
  yield %y
}

// Kimi Linear: a decay per channel and an output gate, both of low rank.
model.block @kda(%x: tensor<?x48xf32>) {
  %norm = param "input_layernorm.weight" : tensor<48xf32>
  %w_q = param "q_proj.weight" : tensor<32x48xf32>
  %w_k = param "k_proj.weight" : tensor<32x48xf32>
  %w_v = param "v_proj.weight" : tensor<32x48xf32>
  %c_q = param "q_conv1d.weight" : tensor<32x1x4xf32>
  %c_k = param "k_conv1d.weight" : tensor<32x1x4xf32>
  %c_v = param "v_conv1d.weight" : tensor<32x1x4xf32>
  %w_fa = param "f_a_proj.weight" : tensor<8x48xf32>
  %w_fb = param "f_b_proj.weight" : tensor<32x8xf32>
  %w_b = param "b_proj.weight" : tensor<2x48xf32>
  %a_log = param "A_log" : tensor<2xf32>
  %dt_bias = param "dt_bias" : tensor<32xf32>
  %w_ga = param "g_a_proj.weight" : tensor<8x48xf32>
  %w_gb = param "g_b_proj.weight" : tensor<32x8xf32>
  %w_norm = param "o_norm.weight" : tensor<16xf32>
  %w_out = param "o_proj.weight" : tensor<48x32xf32>
  %h = rms_norm %x, %norm
  %q0 = linear %h, %w_q
  %k0 = linear %h, %w_k
  %v0 = linear %h, %w_v
  %q1 = attn.short_conv %q0, %c_q
  %k1 = attn.short_conv %k0, %c_k
  %v1 = attn.short_conv %v0, %c_v
  %q2 = silu %q1
  %k2 = silu %k1
  %v2 = silu %v1
  %q3 = heads %q2, 2
  %k3 = heads %k2, 2
  %value = heads %v2, 2
  %query = l2_norm %q3
  %key = l2_norm %k3
  %b0 = linear %h, %w_b
  %beta = sigmoid %b0
  %fa = linear %h, %w_fa
  %fb = linear %fa, %w_fb
  %f = heads %fb, 2
  %gate = attn.log_decay %f rate %a_log bias %dt_bias
  %o = attn.recurrence (%s : 16x16, %q = %query, %k = %key, %v = %value, %b = %beta, %g = %gate) {
    %d = decay %s, %g
    %p = read %d, %k
    %e = sub %v, %p
    %w = mul %b, %e
    %n = write %d, %k, %w
    %y = read %n, %q
    %z = scale %y, 0.25
    yield %n, %z
  }
  %ga = linear %h, %w_ga
  %gb = linear %ga, %w_gb
  %gh = heads %gb, 2
  %open = sigmoid %gh
  %normed = rms_norm %o, %w_norm
  %gated = mul %normed, %open
  %out = linear %gated, %w_out
  %y = add %x, %out
  yield %y
}

// Mamba-2: keys and queries of two groups of heads, steps, a skip, a gate before the norm.
model.block @mamba2(%x: tensor<?x48xf32>) {
  %norm = param "norm.weight" : tensor<48xf32>
  %w_in = param "in_proj.weight" : tensor<132x48xf32>
  %w_conv = param "conv1d.weight" : tensor<80x1x4xf32>
  %b_conv = param "conv1d.bias" : tensor<80xf32>
  %dt_bias = param "dt_bias" : tensor<4xf32>
  %a_log = param "A_log" : tensor<4xf32>
  %skip = param "D" : tensor<4xf32>
  %w_norm = param "mixer.norm.weight" : tensor<48xf32>
  %w_out = param "out_proj.weight" : tensor<48x48xf32>
  %h = rms_norm %x, %norm
  %all = linear %h, %w_in
  %z, %xbc, %dt0 = split %all into 48, 80, 4
  %conv = attn.short_conv %xbc, %w_conv bias %b_conv
  %active = silu %conv
  %xs, %bs, %cs = split %active into 4x12, 2x8, 2x8
  %dt1 = add %dt0, %dt_bias
  %step = softplus %dt1
  %positive = exp %a_log
  %rate = scale %positive, -0.1
  %o = attn.recurrence (%s : 8x12, %q = %cs, %k = %bs, %v = %xs, %dt = %step, %a = %rate, %s0 = %skip) {
    %g = mul %dt, %a
    %d = decay %s, %g
    %u = mul %dt, %v
    %n = write %d, %k, %u
    %y = read %n, %q
    %dx = mul %s0, %v
    %z = add %y, %dx
    yield %n, %z
  }
  %y1 = flatten %o
  %gate = silu %z
  %gated = mul %y1, %gate
  %normed = rms_norm %gated, %w_norm
  %out = linear %normed, %w_out
  %y = add %x, %out
  yield %y
}

// Gated linear attention: log sigmoid / 16 of a gate of low rank for each channel.
model.block @gla(%x: tensor<?x48xf32>) {
  %norm = param "norm.weight" : tensor<48xf32>
  %w_qkv = param "qkv.weight" : tensor<96x48xf32>
  %w_a = param "gk_proj.0.weight" : tensor<8x48xf32>
  %w_b = param "gk_proj.1.weight" : tensor<32x8xf32>
  %b_b = param "gk_proj.1.bias" : tensor<32xf32>
  %w_g = param "g_proj.weight" : tensor<32x48xf32>
  %w_norm = param "g_norm.weight" : tensor<16xf32>
  %w_out = param "o_proj.weight" : tensor<48x32xf32>
  %h = rms_norm %x, %norm
  %qkv = linear %h, %w_qkv
  %query, %key, %value = split %qkv into 2x16, 2x16, 2x16
  %ga = linear %h, %w_a
  %gb = linear %ga, %w_b
  %gc = add %gb, %b_b
  %negative = scale %gc, -1
  %positive = softplus %negative
  %log = scale %positive, -0.0625
  %gate = heads %log, 2
  %o = attn.recurrence (%s : 16x16, %q = %query, %k = %key, %v = %value, %g = %gate) {
    %d = decay %s, %g
    %n = write %d, %k, %v
    %y = read %n, %q
    %z = scale %y, 0.25
    yield %n, %z
  }
  %normed = rms_norm %o, %w_norm
  %g0 = linear %h, %w_g
  %g1 = silu %g0
  %g2 = heads %g1, 2
  %gated = mul %normed, %g2
  %out = linear %gated, %w_out
  %y = add %x, %out
  yield %y
}
