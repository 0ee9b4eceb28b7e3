// One block for each golden file of a linear mixer, by its name. check_golden_mixers.py feeds a token's numbers as its
// embedding, one input behind the other, and reads the first channels of what the block yields.

model.block @linear_attention_plain(%x: tensor<?x112xf32>) {
  %query, %key, %value = split %x into 2x16, 2x16, 2x24
  %o = attn.recurrence (%s : 16x24, %q = %query, %k = %key, %v = %value) {
    %n = write %s, %k, %v
    %y = read %n, %q
    %z = scale %y, 0.25
    yield %n, %z
  }
  %y = concat %o, %query, %key
  yield %y
}

model.block @lightning(%x: tensor<?x112xf32>) {
  %query, %key, %value = split %x into 2x16, 2x16, 2x24
  %o = attn.recurrence (%s : 16x24, %q = %query, %k = %key, %v = %value) {
    %d = decay %s, [-0.04464350765302478, -0.0027902192283140487]
    %n = write %d, %k, %v
    %y = read %n, %q
    yield %n, %y
  }
  %y = concat %o, %query, %key
  yield %y
}

model.block @retnet(%x: tensor<?x112xf32>) {
  %rates = param "log_decay" : tensor<2xf32>
  %query, %key, %value = split %x into 2x16, 2x16, 2x24
  %o = attn.recurrence (%s : 16x24, %q = %query, %k = %key, %v = %value, %g = %rates) {
    %d = decay %s, %g
    %n = write %d, %k, %v
    %y = read %n, %q
    %z = scale %y, 0.25
    yield %n, %z
  }
  %y = concat %o, %query, %key
  yield %y
}

model.block @gla(%x: tensor<?x144xf32>) {
  %query, %key, %value, %gate = split %x into 2x16, 2x16, 2x24, 2x16
  %o = attn.recurrence (%s : 16x24, %q = %query, %k = %key, %v = %value, %g = %gate) {
    %d = decay %s, %g
    %n = write %d, %k, %v
    %y = read %n, %q
    %z = scale %y, 0.25
    yield %n, %z
  }
  %y = concat %o, %query, %key, %gate
  yield %y
}

model.block @mamba2_ssd(%x: tensor<?x164xf32>) {
  %bias = param "dt_bias" : tensor<4xf32>
  %a_log = param "A_log" : tensor<4xf32>
  %skip = param "D" : tensor<4xf32>
  %c, %b, %xs, %raw = split %x into 2x16, 2x16, 4x24, 4
  %shifted = add %raw, %bias
  %step = softplus %shifted
  %positive = exp %a_log
  %rate = scale %positive, -1
  %o = attn.recurrence (%s : 16x24, %q = %c, %k = %b, %v = %xs, %dt = %step, %a = %rate, %s0 = %skip) {
    %g = mul %dt, %a
    %d = decay %s, %g
    %u = mul %dt, %v
    %n = write %d, %k, %u
    %y = read %n, %q
    %dx = mul %s0, %v
    %z = add %y, %dx
    yield %n, %z
  }
  %y = concat %o, %c, %b, %raw
  yield %y
}

model.block @delta_rule(%x: tensor<?x114xf32>) {
  %q0, %k0, %value, %beta = split %x into 2x16, 2x16, 2x24, 2
  %query = l2_norm %q0
  %key = l2_norm %k0
  %o = attn.recurrence (%s : 16x24, %q = %query, %k = %key, %v = %value, %b = %beta) {
    %p = read %s, %k
    %e = sub %v, %p
    %w = mul %b, %e
    %n = write %s, %k, %w
    %y = read %n, %q
    %z = scale %y, 0.25
    yield %n, %z
  }
  %y = concat %o, %q0, %k0, %beta
  yield %y
}

model.block @gated_delta_rule(%x: tensor<?x116xf32>) {
  %q0, %k0, %value, %beta, %gate = split %x into 2x16, 2x16, 2x24, 2, 2
  %query = l2_norm %q0
  %key = l2_norm %k0
  %o = attn.recurrence (%s : 16x24, %q = %query, %k = %key, %v = %value, %b = %beta, %g = %gate) {
    %d = decay %s, %g
    %p = read %d, %k
    %e = sub %v, %p
    %w = mul %b, %e
    %n = write %d, %k, %w
    %y = read %n, %q
    %z = scale %y, 0.25
    yield %n, %z
  }
  %y = concat %o, %q0, %k0, %beta, %gate
  yield %y
}

model.block @kda(%x: tensor<?x146xf32>) {
  %q0, %k0, %value, %beta, %gate = split %x into 2x16, 2x16, 2x24, 2, 2x16
  %query = l2_norm %q0
  %key = l2_norm %k0
  %o = attn.recurrence (%s : 16x24, %q = %query, %k = %key, %v = %value, %b = %beta, %g = %gate) {
    %d = decay %s, %g
    %p = read %d, %k
    %e = sub %v, %p
    %w = mul %b, %e
    %n = write %d, %k, %w
    %y = read %n, %q
    %z = scale %y, 0.25
    yield %n, %z
  }
  %y = concat %o, %q0, %k0, %beta, %gate
  yield %y
}

// The same by the named op, in chunks of several blocks of rows.
model.block @kda_op(%x: tensor<?x146xf32>) {
  %q0, %k0, %value, %beta, %gate = split %x into 2x16, 2x16, 2x24, 2, 2x16
  %query = l2_norm %q0
  %key = l2_norm %k0
  %o = attn.delta_rule %query, %key, %value beta %beta decay %gate chunk 48
  %y = concat %o, %q0, %k0, %beta, %gate
  yield %y
}

model.block @rwkv7(%x: tensor<?x176xf32>) {
  %r, %key, %value, %rate, %w = split %x into 2x16, 2x16, 2x24, 2x16, 2x16
  %removal = l2_norm %key eps 1.0e-12
  %o = attn.recurrence (%s : 16x24, %q = %r, %k = %key, %v = %value, %a = %rate, %g = %w, %m = %removal) chunk 32 {
    %z = read %s, %m
    %away = scale %z, -1
    %ma = mul %m, %a
    %d = decay %s, %g
    %c = write %d, %ma, %away
    %n = write %c, %k, %v
    %y = read %n, %q
    yield %n, %y
  }
  %y = concat %o, %r, %key, %rate, %w
  yield %y
}

// A whole mixer: gates, decay, gated norm.
model.block @kda_core(%x: tensor<?x194xf32>) {
  %a_log = param "A_log" : tensor<2xf32>
  %bias = param "dt_bias" : tensor<2x16xf32>
  %norm = param "norm" : tensor<24xf32>
  %q0, %k0, %value, %b, %f, %z = split %x into 2x16, 2x16, 2x24, 2, 2x16, 2x24
  %query = l2_norm %q0
  %key = l2_norm %k0
  %beta = sigmoid %b
  %gate = attn.log_decay %f rate %a_log bias %bias
  %o = attn.delta_rule %query, %key, %value beta %beta decay %gate
  %n = rms_norm %o, %norm eps 1.0e-5
  %open = sigmoid %z
  %out = mul %n, %open
  %y = concat %out, %q0, %k0, %value, %b, %f
  yield %y
}

// Before its gated norm, with decays of at least exp(-5).
model.block @kda_core_bounded(%x: tensor<?x194xf32>) {
  %a_log = param "A_log" : tensor<2xf32>
  %bias = param "dt_bias" : tensor<2x16xf32>
  %q0, %k0, %value, %b, %f, %z = split %x into 2x16, 2x16, 2x24, 2, 2x16, 2x24
  %query = l2_norm %q0
  %key = l2_norm %k0
  %beta = sigmoid %b
  %gate = attn.log_decay %f rate %a_log bias %bias at_least -5
  %o = attn.delta_rule %query, %key, %value beta %beta decay %gate
  %y = concat %o, %q0, %k0, %value, %b, %f
  yield %y
}
