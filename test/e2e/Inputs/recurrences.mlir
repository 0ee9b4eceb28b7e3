// Mixers written as what one token does to a state. Variants change one line.

model.network @net(%ids: tensor<?xi32>) {
  %table = param "table" : tensor<32x64xf32>
  %head = param "head" : tensor<32x64xf32>
  %x = embed %ids, %table
  %y = layers %x, "l.{i}" = 1 x (1 x @linear_attention, 1 x @lightning, 1 x @retnet, 1 x @gla, 1 x @mamba2, 1 x @gated_delta_net, 1 x @kda, 1 x @rwkv7, 1 x @kda_of_the_op)
  %logits = linear %y, %head
  output %logits
}

model.block @linear_attention(%x: tensor<?x64xf32>) {
  %query, %key, %value = split %x into 1x16, 1x16, 1x32
  %o = attn.recurrence (%s : 16x32, %q = %query, %k = %key, %v = %value) {
    %n = write %s, %k, %v
    %y = read %n, %q
    %z = scale %y, 0.25
    yield %n, %z
  }
  %of = flatten %o
  %y = concat %of, %of
  %ys = scale %y, 0.1
  %out = add %x, %ys
  yield %out
}

// A decay for each head, of the text.
model.block @lightning(%x: tensor<?x64xf32>) {
  %h = silu %x
  %query, %key, %value, %rest = split %h into 2x8, 2x8, 2x12, 8
  %o = attn.recurrence (%s : 8x12, %q = %query, %k = %key, %v = %value) {
    %d = decay %s, [-0.0625, -0.00390625]
    %n = write %d, %k, %v
    %y = read %n, %q
    yield %n, %y
  }
  %of = flatten %o
  %y = concat %of, %of, %rest, %rest
  %out = add %x, %y
  yield %out
}

// A decay for each head, of a parameter.
model.block @retnet(%x: tensor<?x64xf32>) {
  %gamma = param "gamma" : tensor<2xf32>
  %rate = scale %gamma, -0.02
  %query, %key, %value, %rest = split %x into 2x8, 2x8, 2x12, 8
  %qr = attn.rotary %query theta 10000 over 8
  %kr = attn.rotary %key theta 10000 over 8
  %o = attn.recurrence (%s : 8x12, %q = %qr, %k = %kr, %v = %value, %g = %rate) {
    %d = decay %s, %g
    %n = write %d, %k, %v
    %y = read %n, %q
    %z = scale %y, 0.35
    yield %n, %z
  }
  %of = flatten %o
  %y = concat %of, %of, %rest, %rest
  %ys = scale %y, 0.1
  %out = add %x, %ys
  yield %out
}

// A decay for each channel.
model.block @gla(%x: tensor<?x64xf32>) {
  %wg = param "gate" : tensor<16x64xf32>
  %a = linear %x, %wg
  %ah = heads %a, 2
  %negative = scale %ah, -1
  %p = softplus %negative
  %gate = scale %p, -0.5
  %query, %key, %value, %rest = split %x into 2x8, 2x8, 2x12, 8
  %o = attn.recurrence (%s : 8x12, %q = %query, %k = %key, %v = %value, %g = %gate) {
    %d = decay %s, %g
    %n = write %d, %k, %v
    %y = read %n, %q
    yield %n, %y
  }
  %of = flatten %o
  %y = concat %of, %of, %rest, %rest
  %ys = scale %y, 0.1
  %out = add %x, %ys
  yield %out
}

// Keys and queries of a group of heads, and a skip.
model.block @mamba2(%x: tensor<?x64xf32>) {
  %wdt = param "dt" : tensor<4x64xf32>
  %bias = param "dt_bias" : tensor<4xf32>
  %alog = param "A_log" : tensor<4xf32>
  %skip = param "D" : tensor<8xf32>
  %raw = linear %x, %wdt
  %shifted = add %raw, %bias
  %step = softplus %shifted
  %positive = exp %alog
  %rate = scale %positive, -0.2
  %xs, %b, %c = split %x into 4x8, 2x8, 2x8
  %o = attn.recurrence (%s : 8x8, %q = %c, %k = %b, %v = %xs, %dt = %step, %a = %rate) {
    %g = mul %dt, %a
    %d = decay %s, %g
    %u = mul %dt, %v
    %n = write %d, %k, %u
    %y = read %n, %q
    yield %n, %y
  }
  %dx = mul %xs, %skip
  %sum = add %o, %dx
  %of = flatten %sum
  %y = concat %of, %of
  %ys = scale %y, 0.1
  %out = add %x, %ys
  yield %out
}

model.block @gated_delta_net(%x: tensor<?x64xf32>) {
  %wb = param "beta" : tensor<4x64xf32>
  %ba = linear %x, %wb
  %b0, %g0 = split %ba into 2, 2
  %beta = sigmoid %b0
  %positive = softplus %g0
  %gate = scale %positive, -0.3
  %query, %k0, %value = split %x into 1x16, 1x16, 2x16
  %key = l2_norm %k0
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
  %of = flatten %o
  %y = concat %of, %of
  %out = add %x, %y
  yield %out
}

model.block @kda(%x: tensor<?x64xf32>) {
  %wb = param "beta" : tensor<2x64xf32>
  %wg = param "gate" : tensor<16x64xf32>
  %alog = param "A_log" : tensor<2xf32>
  %bias = param "dt_bias" : tensor<2x8xf32>
  %b0 = linear %x, %wb
  %beta = sigmoid %b0
  %a = linear %x, %wg
  %ah = heads %a, 2
  %gate = attn.log_decay %ah rate %alog bias %bias
  %q0, %k0, %value, %rest = split %x into 2x8, 2x8, 2x12, 8
  %query = l2_norm %q0
  %key = l2_norm %k0
  %o = attn.recurrence (%s : 8x12, %q = %query, %k = %key, %v = %value, %b = %beta, %g = %gate) {
    %d = decay %s, %g
    %p = read %d, %k
    %e = sub %v, %p
    %w = mul %b, %e
    %n = write %d, %k, %w
    %y = read %n, %q
    yield %n, %y
  }
  %of = flatten %o
  %y = concat %of, %of, %rest, %rest
  %out = add %x, %y
  yield %out
}

// The rank-1 part removes along one vector what another one reads of the undecayed state.
model.block @rwkv7(%x: tensor<?x64xf32>) {
  %wg = param "w" : tensor<16x64xf32>
  %wa = param "a" : tensor<16x64xf32>
  %a0 = linear %x, %wa
  %ah = heads %a0, 2
  %rate = sigmoid %ah
  %w0 = linear %x, %wg
  %wh = heads %w0, 2
  %ws = sigmoid %wh
  %w = scale %ws, -0.60653
  %r, %key, %value, %rest = split %x into 2x8, 2x8, 2x12, 8
  %removal = l2_norm %key
  %o = attn.recurrence (%s : 8x12, %q = %r, %k = %key, %v = %value, %g = %w, %m = %removal, %a = %rate) {
    %z = read %s, %m
    %d = decay %s, %g
    %ma = mul %m, %a
    %zn = scale %z, -1
    %c = write %d, %ma, %zn
    %n = write %c, %k, %v
    %y = read %n, %q
    yield %n, %y
  }
  %of = flatten %o
  %y = concat %of, %of, %rest, %rest
  %ys = scale %y, 0.1
  %out = add %x, %ys
  yield %out
}

// The named op with a decay per channel, bounded.
model.block @kda_of_the_op(%x: tensor<?x64xf32>) {
  %wb = param "beta" : tensor<2x64xf32>
  %wg = param "gate" : tensor<16x64xf32>
  %alog = param "A_log" : tensor<2xf32>
  %bias = param "dt_bias" : tensor<16xf32>
  %b0 = linear %x, %wb
  %beta = sigmoid %b0
  %a = linear %x, %wg
  %ah = heads %a, 2
  %gate = attn.log_decay %ah rate %alog bias %bias at_least -5
  %q0, %k0, %value, %rest = split %x into 2x8, 2x8, 2x12, 8
  %key = l2_norm %k0
  %o = attn.delta_rule %q0, %key, %value beta %beta decay %gate
  %of = flatten %o
  %y = concat %of, %of, %rest, %rest
  %out = add %x, %y
  yield %out
}
