// Kimi Delta Attention with one line changed, each kind of change once: what a designer of mixers tries in an afternoon.
// The first stand in the normal form; the last four do not, and run token by token.

model.network @net(%ids: tensor<?xi32>) {
  %table = param "table" : tensor<32x64xf32>
  %head = param "head" : tensor<32x64xf32>
  %x = embed %ids, %table
  %y = layers %x, "l.{i}" = 1 x (1 x @no_decay, 1 x @negative_eigenvalues, 1 x @read_before, 1 x @read_before_without_rank, 1 x @undecayed_prediction, 1 x @other_key, 1 x @strong_decay, 1 x @fewer_keys, 1 x @second_input, 1 x @gated_prediction, 1 x @late_decay, 1 x @two_reads)
  %logits = linear %y, %head
  output %logits
}

model.block @no_decay(%x: tensor<?x64xf32>) {
  %w = param "beta" : tensor<2x64xf32>
  %b0 = linear %x, %w
  %beta = sigmoid %b0
  %query, %k0, %value, %rest = split %x into 2x8, 2x8, 2x12, 8
  %key = l2_norm %k0
  %o = attn.recurrence (%s : 8x12, %q = %query, %k = %key, %v = %value, %b = %beta) {
    %p = read %s, %k
    %e = sub %v, %p
    %w = mul %b, %e
    %n = write %s, %k, %w
    %y = read %n, %q
    yield %n, %y
  }
  %y = concat %o, %o, %rest, %rest
  %ys = scale %y, 0.5
  %out = add %x, %ys
  yield %out
}

// Strengths up to 2: a transition may reflect.
model.block @negative_eigenvalues(%x: tensor<?x64xf32>) {
  %w = param "beta" : tensor<2x64xf32>
  %wg = param "gate" : tensor<16x64xf32>
  %b0 = linear %x, %w
  %beta = sigmoid %b0
  %a = linear %x, %wg
  %positive = softplus %a
  %negative = scale %positive, -0.2
  %gate = heads %negative, 2
  %query, %k0, %value, %rest = split %x into 2x8, 2x8, 2x12, 8
  %key = l2_norm %k0
  %o = attn.recurrence (%s : 8x12, %q = %query, %k = %key, %v = %value, %b = %beta, %g = %gate) {
    %d = decay %s, %g
    %p = read %d, %k
    %e = sub %v, %p
    %b2 = scale %b, 2
    %w = mul %b2, %e
    %n = write %d, %k, %w
    %y = read %n, %q
    yield %n, %y
  }
  %y = concat %o, %o, %rest, %rest
  %ys = scale %y, 0.5
  %out = add %x, %ys
  yield %out
}

model.block @read_before(%x: tensor<?x64xf32>) {
  %w = param "beta" : tensor<2x64xf32>
  %wg = param "gate" : tensor<16x64xf32>
  %b0 = linear %x, %w
  %beta = sigmoid %b0
  %a = linear %x, %wg
  %positive = softplus %a
  %negative = scale %positive, -0.2
  %gate = heads %negative, 2
  %query, %k0, %value, %rest = split %x into 2x8, 2x8, 2x12, 8
  %key = l2_norm %k0
  %o = attn.recurrence (%s : 8x12, %q = %query, %k = %key, %v = %value, %b = %beta, %g = %gate) {
    %d = decay %s, %g
    %p = read %d, %k
    %e = sub %v, %p
    %w = mul %b, %e
    %n = write %d, %k, %w
    %y = read %s, %q
    yield %n, %y
  }
  %y = concat %o, %o, %rest, %rest
  %out = add %x, %y
  yield %out
}

model.block @read_before_without_rank(%x: tensor<?x64xf32>) {
  %wg = param "gate" : tensor<2x64xf32>
  %a = linear %x, %wg
  %positive = softplus %a
  %gate = scale %positive, -0.2
  %query, %k0, %value, %rest = split %x into 2x8, 2x8, 2x12, 8
  %key = l2_norm %k0
  %o = attn.recurrence (%s : 8x12, %q = %query, %k = %key, %v = %value, %g = %gate) {
    %d = decay %s, %g
    %n = write %d, %k, %v
    %y = read %s, %q
    yield %n, %y
  }
  %y = concat %o, %o, %rest, %rest
  %ys = scale %y, 0.3
  %out = add %x, %ys
  yield %out
}

// What is corrected is the state before it faded.
model.block @undecayed_prediction(%x: tensor<?x64xf32>) {
  %w = param "beta" : tensor<2x64xf32>
  %b0 = linear %x, %w
  %beta = sigmoid %b0
  %query, %k0, %value, %rest = split %x into 2x8, 2x8, 2x12, 8
  %key = l2_norm %k0
  %o = attn.recurrence (%s : 8x12, %q = %query, %k = %key, %v = %value, %b = %beta) {
    %d = decay %s, [-0.125, -0.5]
    %p = read %s, %k
    %e = sub %v, %p
    %w = mul %b, %e
    %n = write %d, %k, %w
    %y = read %n, %q
    yield %n, %y
  }
  %y = concat %o, %o, %rest, %rest
  %ys = scale %y, 0.5
  %out = add %x, %ys
  yield %out
}

// Corrects along the query what it reads along the key, by vectors that the region computes.
model.block @other_key(%x: tensor<?x64xf32>) {
  %w = param "beta" : tensor<2x64xf32>
  %b0 = linear %x, %w
  %beta = sigmoid %b0
  %q0, %k0, %value, %rest = split %x into 2x8, 2x8, 2x12, 8
  %key = l2_norm %k0
  %query = l2_norm %q0
  %o = attn.recurrence (%s : 8x12, %q = %query, %k = %key, %v = %value, %b = %beta) {
    %d = decay %s, [-0.125, -0.5]
    %m = add %k, %q
    %mh = scale %m, 0.5
    %p = read %d, %mh
    %w = mul %b, %p
    %away = scale %w, -1
    %c = write %d, %q, %away
    %n = write %c, %k, %v
    %y = read %n, %q
    yield %n, %y
  }
  %y = concat %o, %o, %rest, %rest
  %ys = scale %y, 0.3
  %out = add %x, %ys
  yield %out
}

// Decays down to exp(-40): a factored exp(G) exp(-G) overflows within three tokens.
model.block @strong_decay(%x: tensor<?x64xf32>) {
  %w = param "beta" : tensor<2x64xf32>
  %wg = param "gate" : tensor<16x64xf32>
  %b0 = linear %x, %w
  %beta = sigmoid %b0
  %a = linear %x, %wg
  %open = sigmoid %a
  %negative = scale %open, -40
  %gate = heads %negative, 2
  %query, %k0, %value, %rest = split %x into 2x8, 2x8, 2x12, 8
  %key = l2_norm %k0
  %o = attn.recurrence (%s : 8x12, %q = %query, %k = %key, %v = %value, %b = %beta, %g = %gate) chunk 64 {
    %d = decay %s, %g
    %p = read %d, %k
    %e = sub %v, %p
    %w = mul %b, %e
    %n = write %d, %k, %w
    %y = read %n, %q
    yield %n, %y
  }
  %y = concat %o, %o, %rest, %rest
  %ys = scale %y, 0.5
  %out = add %x, %ys
  yield %out
}

// Keys of one head, queries of two, values of four.
model.block @fewer_keys(%x: tensor<?x64xf32>) {
  %query, %k0, %value = split %x into 2x8, 1x8, 4x10
  %key = l2_norm %k0
  %o = attn.recurrence (%s : 8x10, %q = %query, %k = %key, %v = %value) {
    %d = decay %s, [-0.125, -0.25, -0.5, -1]
    %n = write %d, %k, %v
    %y = read %n, %q
    yield %n, %y
  }
  %y = concat %o, %query, %k0
  %ys = scale %y, 0.3
  %out = add %x, %ys
  yield %out
}

model.block @second_input(%x: tensor<?x64xf32>) {
  %query, %k0, %value, %rest = split %x into 2x8, 2x8, 2x12, 8
  %key = l2_norm %k0
  %o = attn.recurrence (%s : 8x12, %q = %query, %k = %key, %v = %value) {
    %d = decay %s, [-0.125, -0.5]
    %n1 = write %d, %k, %v
    %n2 = write %n1, %q, %v
    %y = read %n2, %q
    yield %n2, %y
  }
  %y = concat %o, %o, %rest, %rest
  %ys = scale %y, 0.1
  %out = add %x, %ys
  yield %out
}

model.block @gated_prediction(%x: tensor<?x64xf32>) {
  %w = param "beta" : tensor<24x64xf32>
  %b0 = linear %x, %w
  %b1 = sigmoid %b0
  %beta = heads %b1, 2
  %query, %k0, %value, %rest = split %x into 2x8, 2x8, 2x12, 8
  %key = l2_norm %k0
  %o = attn.recurrence (%s : 8x12, %q = %query, %k = %key, %v = %value, %b = %beta) {
    %p = read %s, %k
    %e = sub %v, %p
    %w = mul %b, %e
    %n = write %s, %k, %w
    %y = read %n, %q
    yield %n, %y
  }
  %y = concat %o, %o, %rest, %rest
  %ys = scale %y, 0.3
  %out = add %x, %ys
  yield %out
}

model.block @late_decay(%x: tensor<?x64xf32>) {
  %wg = param "gate" : tensor<16x64xf32>
  %a = linear %x, %wg
  %positive = softplus %a
  %negative = scale %positive, -0.2
  %gate = heads %negative, 2
  %query, %k0, %value, %rest = split %x into 2x8, 2x8, 2x12, 8
  %key = l2_norm %k0
  %o = attn.recurrence (%s : 8x12, %q = %query, %k = %key, %v = %value, %g = %gate) {
    %n = write %s, %k, %v
    %y = read %n, %q
    %d = decay %n, %g
    yield %d, %y
  }
  %y = concat %o, %o, %rest, %rest
  %ys = scale %y, 0.2
  %out = add %x, %ys
  yield %out
}

model.block @two_reads(%x: tensor<?x64xf32>) {
  %query, %k0, %value, %rest = split %x into 2x8, 2x8, 2x12, 8
  %key = l2_norm %k0
  %o = attn.recurrence (%s : 8x12, %q = %query, %k = %key, %v = %value) {
    %d = decay %s, [-0.125, -0.5]
    %n = write %d, %k, %v
    %y = read %n, %q
    %z = add %y, %v
    %old = read %s, %q
    %u = sub %z, %old
    yield %n, %u
  }
  %y = concat %o, %o, %rest, %rest
  %ys = scale %y, 0.3
  %out = add %x, %ys
  yield %out
}
