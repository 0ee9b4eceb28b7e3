// Decays per channel of which some runs of 32 tokens forget less than 2^-128 in all channels, and others do not: the
// ones are handled as one chunk, the others as two. `faster`: the same with 16 tokens, where such a chunk is halved.

model.network @net(%ids: tensor<?xi32>) {
  %table = param "table" : tensor<32x64xf32>
  %head = param "head" : tensor<32x64xf32>
  %x = embed %ids, %table
  %y = layers %x, "l.{i}" = 1 x (1 x @diagonal, 1 x @delta, 1 x @read_before, 1 x @free_rank, 1 x @convolved, 1 x @shared_keys, 1 x @faster, 1 x @faster_delta, 1 x @gentle)
  %logits = linear %y, %head
  output %logits
}

// Nothing is corrected.
model.block @diagonal(%x: tensor<?x64xf32>) {
  %wg = param "gate" : tensor<16x64xf32>
  %a0 = linear %x, %wg
  %a = scale %a0, 4
  %open = sigmoid %a
  %negative = scale %open, -5.2
  %gate = heads %negative, 2
  %q0, %k0, %value, %rest = split %x into 2x8, 2x8, 2x12, 8
  %query = l2_norm %q0
  %key = l2_norm %k0
  %o = attn.recurrence (%s : 8x12, %q = %query, %k = %key, %v = %value, %g = %gate) {
    %d = decay %s, %g
    %n = write %d, %k, %v
    %y = read %n, %q
    yield %n, %y
  }
  %y = concat %o, %o, %rest, %rest
  %ys = scale %y, 0.3
  %out = add %x, %ys
  yield %out
}

// What is written is corrected.
model.block @delta(%x: tensor<?x64xf32>) {
  %wg = param "gate" : tensor<16x64xf32>
  %a0 = linear %x, %wg
  %a = scale %a0, 4
  %open = sigmoid %a
  %negative = scale %open, -5.2
  %gate = heads %negative, 2
  %wb = param "beta" : tensor<2x64xf32>
  %b0 = linear %x, %wb
  %beta = sigmoid %b0
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
  %y = concat %o, %o, %rest, %rest
  %ys = scale %y, 0.3
  %out = add %x, %ys
  yield %out
}

// Queries read in front of the write.
model.block @read_before(%x: tensor<?x64xf32>) {
  %wg = param "gate" : tensor<16x64xf32>
  %a0 = linear %x, %wg
  %a = scale %a0, 4
  %open = sigmoid %a
  %negative = scale %open, -5.2
  %gate = heads %negative, 2
  %wb = param "beta" : tensor<2x64xf32>
  %b0 = linear %x, %wb
  %beta = sigmoid %b0
  %q0, %k0, %value, %rest = split %x into 2x8, 2x8, 2x12, 8
  %query = l2_norm %q0
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
  %ys = scale %y, 0.3
  %out = add %x, %ys
  yield %out
}

// Removes along a key what it reads of the state before it fades.
model.block @free_rank(%x: tensor<?x64xf32>) {
  %wg = param "gate" : tensor<16x64xf32>
  %a0 = linear %x, %wg
  %a = scale %a0, 4
  %open = sigmoid %a
  %negative = scale %open, -5.2
  %gate = heads %negative, 2
  %wb = param "beta" : tensor<2x64xf32>
  %b0 = linear %x, %wb
  %beta = sigmoid %b0
  %q0, %k0, %value, %rest = split %x into 2x8, 2x8, 2x12, 8
  %query = l2_norm %q0
  %key = l2_norm %k0
  %o = attn.recurrence (%s : 8x12, %q = %query, %k = %key, %v = %value, %b = %beta, %g = %gate) {
    %z = read %s, %k
    %d = decay %s, %g
    %ma = mul %k, %b
    %zn = scale %z, -1
    %c = write %d, %ma, %zn
    %n = write %c, %q, %v
    %y = read %n, %q
    yield %n, %y
  }
  %y = concat %o, %o, %rest, %rest
  %ys = scale %y, 0.3
  %out = add %x, %ys
  yield %out
}

// The same with decays that see their last four tokens: rows in front of a step have no decay of their own.
model.block @convolved(%x: tensor<?x64xf32>) {
  %wg = param "gate" : tensor<16x64xf32>
  %a0 = linear %x, %wg
  %w_conv = param "conv.weight" : tensor<16x1x4xf32>
  %a1 = attn.short_conv %a0, %w_conv
  %a = scale %a1, 4
  %open = sigmoid %a
  %negative = scale %open, -5.2
  %gate = heads %negative, 2
  %wb = param "beta" : tensor<2x64xf32>
  %b0 = linear %x, %wb
  %beta = sigmoid %b0
  %q0, %k0, %value, %rest = split %x into 2x8, 2x8, 2x12, 8
  %query = l2_norm %q0
  %key = l2_norm %k0
  %o = attn.recurrence (%s : 8x12, %q = %query, %k = %key, %v = %value, %b = %beta, %g = %gate) {
    %z = read %s, %k
    %d = decay %s, %g
    %ma = mul %k, %b
    %zn = scale %z, -1
    %c = write %d, %ma, %zn
    %n = write %c, %q, %v
    %y = read %n, %q
    yield %n, %y
  }
  %y = concat %o, %o, %rest, %rest
  %ys = scale %y, 0.3
  %out = add %x, %ys
  yield %out
}

// Two value heads with decays of their own read and write along the same vectors.
model.block @shared_keys(%x: tensor<?x64xf32>) {
  %wg = param "gate" : tensor<16x64xf32>
  %a0 = linear %x, %wg
  %a = scale %a0, 4
  %open = sigmoid %a
  %negative = scale %open, -5.2
  %gate = heads %negative, 2
  %wb = param "beta" : tensor<2x64xf32>
  %b0 = linear %x, %wb
  %beta = sigmoid %b0
  %q0, %k0, %value, %rest = split %x into 1x8, 1x8, 2x12, 24
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
  %y = concat %o, %rest, %q0, %k0
  %ys = scale %y, 0.3
  %out = add %x, %ys
  yield %out
}

// Nothing is corrected.
model.block @faster(%x: tensor<?x64xf32>) {
  %wg = param "gate" : tensor<16x64xf32>
  %a0 = linear %x, %wg
  %a = scale %a0, 4
  %open = sigmoid %a
  %negative = scale %open, -10.4
  %gate = heads %negative, 2
  %q0, %k0, %value, %rest = split %x into 2x8, 2x8, 2x12, 8
  %query = l2_norm %q0
  %key = l2_norm %k0
  %o = attn.recurrence (%s : 8x12, %q = %query, %k = %key, %v = %value, %g = %gate) {
    %d = decay %s, %g
    %n = write %d, %k, %v
    %y = read %n, %q
    yield %n, %y
  }
  %y = concat %o, %o, %rest, %rest
  %ys = scale %y, 0.3
  %out = add %x, %ys
  yield %out
}

// What is written is corrected.
model.block @faster_delta(%x: tensor<?x64xf32>) {
  %wg = param "gate" : tensor<16x64xf32>
  %a0 = linear %x, %wg
  %a = scale %a0, 4
  %open = sigmoid %a
  %negative = scale %open, -10.4
  %gate = heads %negative, 2
  %wb = param "beta" : tensor<2x64xf32>
  %b0 = linear %x, %wb
  %beta = sigmoid %b0
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
  %y = concat %o, %o, %rest, %rest
  %ys = scale %y, 0.3
  %out = add %x, %ys
  yield %out
}

// Hardly anything is forgotten within a chunk.
model.block @gentle(%x: tensor<?x64xf32>) {
  %wg = param "gate" : tensor<16x64xf32>
  %a0 = linear %x, %wg
  %a = scale %a0, 4
  %open = sigmoid %a
  %negative = scale %open, -0.1
  %gate = heads %negative, 2
  %wb = param "beta" : tensor<2x64xf32>
  %b0 = linear %x, %wb
  %beta = sigmoid %b0
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
  %y = concat %o, %o, %rest, %rest
  %ys = scale %y, 0.3
  %out = add %x, %ys
  yield %out
}
