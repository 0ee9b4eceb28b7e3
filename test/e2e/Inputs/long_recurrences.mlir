// Linear mixers whose heads are as wide as those of models: in a plan for a CUDA device long sequences are done by two
// kernels, one behind the other. One decay per head, none, or one per channel.

model.network @net(%ids: tensor<?xi32>) {
  %table = param "table" : tensor<32x64xf32>
  %head = param "head" : tensor<32x64xf32>
  %x = embed %ids, %table
  %y = layers %x, "l.{i}" = 1 x (1 x @gated_delta_net, 1 x @delta_net, 1 x @lightning, 1 x @ssd, 1 x @kda, 1 x @kda_bounded, 1 x @gla)
  %logits = linear %y, %head
  output %logits
}

// Two heads of values share a head of queries and keys; a convolution stands in front, a norm of what was read behind.
model.block @gated_delta_net(%x: tensor<?x64xf32>) {
  %w_ba = param "ba" : tensor<4x64xf32>
  %w_qkv = param "qkv" : tensor<256x64xf32>
  %w_conv = param "conv" : tensor<256x1x4xf32>
  %w_norm = param "norm" : tensor<64xf32>
  %w_out = param "out" : tensor<64x128xf32>
  %ba = linear %x, %w_ba
  %b, %g = split %ba into 2, 2
  %beta = sigmoid %b
  %positive = softplus %g
  %gate = scale %positive, -0.1
  %qkv = linear %x, %w_qkv
  %mixed = attn.short_conv %qkv, %w_conv
  %active = silu %mixed
  %q0, %k0, %value = split %active into 1x64, 1x64, 2x64
  %query = l2_norm %q0
  %key = l2_norm %k0
  %o = attn.recurrence (%s : 64x64, %q = %query, %k = %key, %v = %value, %b = %beta, %g = %gate) {
    %d = decay %s, %g
    %p = read %d, %k
    %e = sub %v, %p
    %w = mul %b, %e
    %n = write %d, %k, %w
    %y = read %n, %q
    yield %n, %y
  }
  %normed = rms_norm %o, %w_norm
  %flat = flatten %normed
  %y = linear %flat, %w_out
  %out = add %x, %y
  yield %out
}

// No decay; values in two parts of 64 columns.
model.block @delta_net(%x: tensor<?x64xf32>) {
  %w_b = param "b" : tensor<1x64xf32>
  %w_qkv = param "qkv" : tensor<256x64xf32>
  %w_out = param "out" : tensor<64x128xf32>
  %b0 = linear %x, %w_b
  %beta = sigmoid %b0
  %qkv = linear %x, %w_qkv
  %q0, %k0, %value = split %qkv into 1x64, 1x64, 1x128
  %query = l2_norm %q0
  %key = l2_norm %k0
  %o = attn.recurrence (%s : 64x128, %q = %query, %k = %key, %v = %value, %b = %beta) {
    %p = read %s, %k
    %e = sub %v, %p
    %w = mul %b, %e
    %n = write %s, %k, %w
    %y = read %n, %q
    yield %n, %y
  }
  %flat = flatten %o
  %y = linear %flat, %w_out
  %out = add %x, %y
  yield %out
}

// A constant decay for each head: one forgets within a chunk, one hardly.
model.block @lightning(%x: tensor<?x64xf32>) {
  %w_qkv = param "qkv" : tensor<384x64xf32>
  %w_out = param "out" : tensor<64x128xf32>
  %qkv = linear %x, %w_qkv
  %q0, %k0, %value = split %qkv into 2x64, 2x64, 2x64
  %query = l2_norm %q0
  %key = l2_norm %k0
  %o = attn.recurrence (%s : 64x64, %q = %query, %k = %key, %v = %value) {
    %d = decay %s, [-0.25, -0.015625]
    %n = write %d, %k, %v
    %y = read %n, %q
    yield %n, %y
  }
  %flat = flatten %o
  %y = linear %flat, %w_out
  %out = add %x, %y
  yield %out
}

// Mamba-2: steps scale what is written, and a skip.
model.block @ssd(%x: tensor<?x64xf32>) {
  %w_dt = param "dt" : tensor<2x64xf32>
  %w_in = param "in" : tensor<256x64xf32>
  %w_out = param "out" : tensor<64x128xf32>
  %skip = param "D" : tensor<2xf32>
  %dt0 = linear %x, %w_dt
  %step = softplus %dt0
  %rate = param "rate" : tensor<2xf32>
  %negative = scale %rate, -0.1
  %in = linear %x, %w_in
  %c0, %b0, %xs = split %in into 1x64, 1x64, 2x64
  %c = l2_norm %c0
  %b = l2_norm %b0
  %o = attn.recurrence (%s : 64x64, %q = %c, %k = %b, %v = %xs, %dt = %step, %a = %negative, %s0 = %skip) {
    %g = mul %dt, %a
    %d = decay %s, %g
    %u = mul %dt, %v
    %n = write %d, %k, %u
    %y = read %n, %q
    %dx = mul %s0, %v
    %z = add %y, %dx
    yield %n, %z
  }
  %flat = flatten %o
  %y = linear %flat, %w_out
  %out = add %x, %y
  yield %out
}

// A decay per channel: some forget within a token, some hardly within a chunk.
model.block @kda(%x: tensor<?x64xf32>) {
  %w_b = param "b" : tensor<2x64xf32>
  %w_a = param "a" : tensor<128x64xf32>
  %w_qkv = param "qkv" : tensor<384x64xf32>
  %log_rate = param "A_log" : tensor<2xf32>
  %bias = param "dt_bias" : tensor<2x64xf32>
  %w_out = param "out" : tensor<64x128xf32>
  %b0 = linear %x, %w_b
  %beta = sigmoid %b0
  %a0 = linear %x, %w_a
  %a1 = scale %a0, 8
  %a = heads %a1, 2
  %gate = attn.log_decay %a rate %log_rate bias %bias
  %qkv = linear %x, %w_qkv
  %q0, %k0, %value = split %qkv into 2x64, 2x64, 2x64
  %query = l2_norm %q0
  %key = l2_norm %k0
  %o = attn.delta_rule %query, %key, %value beta %beta decay %gate
  %flat = flatten %o
  %y = linear %flat, %w_out
  %out = add %x, %y
  yield %out
}

// The same with a bound, so that groups of rows are always split in the middle of their decay.
model.block @kda_bounded(%x: tensor<?x64xf32>) {
  %w_b = param "b" : tensor<2x64xf32>
  %w_a = param "a" : tensor<128x64xf32>
  %w_qkv = param "qkv" : tensor<384x64xf32>
  %log_rate = param "A_log" : tensor<2xf32>
  %bias = param "dt_bias" : tensor<2x64xf32>
  %w_out = param "out" : tensor<64x128xf32>
  %b0 = linear %x, %w_b
  %beta = sigmoid %b0
  %a0 = linear %x, %w_a
  %a1 = scale %a0, 8
  %a = heads %a1, 2
  %gate = attn.log_decay %a rate %log_rate bias %bias at_least -5
  %qkv = linear %x, %w_qkv
  %q0, %k0, %value = split %qkv into 2x64, 2x64, 2x64
  %query = l2_norm %q0
  %key = l2_norm %k0
  %o = attn.delta_rule %query, %key, %value beta %beta decay %gate
  %flat = flatten %o
  %y = linear %flat, %w_out
  %out = add %x, %y
  yield %out
}

// A decay per channel of what is written without a correction.
model.block @gla(%x: tensor<?x64xf32>) {
  %w_g = param "g" : tensor<64x64xf32>
  %w_qkv = param "qkv" : tensor<256x64xf32>
  %w_out = param "out" : tensor<64x128xf32>
  %g0 = linear %x, %w_g
  %positive = softplus %g0
  %g1 = scale %positive, -0.3
  %gate = heads %g1, 1
  %qkv = linear %x, %w_qkv
  %q0, %k0, %value = split %qkv into 1x64, 1x64, 1x128
  %query = l2_norm %q0
  %key = l2_norm %k0
  %o = attn.recurrence (%s : 64x128, %q = %query, %k = %key, %v = %value, %g = %gate) {
    %d = decay %s, %g
    %n = write %d, %k, %v
    %y = read %n, %q
    yield %n, %y
  }
  %flat = flatten %o
  %y = linear %flat, %w_out
  %out = add %x, %y
  yield %out
}
