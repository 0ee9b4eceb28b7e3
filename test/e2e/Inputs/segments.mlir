// Diagonal recurrences with one decay per head, without norms in front of them: in a plan for a CUDA device long sequences
// are cut into segments of at least 512 tokens. Heads of 64 and of 128 values.

model.network @net(%ids: tensor<?xi32>) {
  %table = param "table" : tensor<32x64xf32>
  %head = param "head" : tensor<32x64xf32>
  %x = embed %ids, %table
  %y = layers %x, "l.{i}" = 1 x (1 x @ssd, 1 x @lightning, 1 x @linear)
  %logits = linear %y, %head
  output %logits
}

// Mamba-2: two heads of values share keys and queries; steps scale what is written, and a skip. One head forgets slowly,
// one within a token.
model.block @ssd(%x: tensor<?x64xf32>) {
  %w_dt = param "dt" : tensor<2x64xf32>
  %w_in = param "in" : tensor<256x64xf32>
  %w_out = param "out" : tensor<64x128xf32>
  %skip = param "D" : tensor<2xf32>
  %dt0 = linear %x, %w_dt
  %step = softplus %dt0
  %fast, %slow = split %step into 1, 1
  %g0 = scale %fast, -20
  %g1 = scale %slow, -0.002
  %gate = concat %g0, %g1
  %in = linear %x, %w_in
  %c, %b, %xs = split %in into 1x64, 1x64, 2x64
  %o = attn.recurrence (%s : 64x64, %q = %c, %k = %b, %v = %xs, %dt = %step, %g = %gate, %s0 = %skip) {
    %d = decay %s, %g
    %u = mul %dt, %v
    %n = write %d, %k, %u
    %y0 = read %n, %q
    %y = scale %y0, 0.01
    %dx = mul %s0, %v
    %z = add %y, %dx
    yield %n, %z
  }
  %flat = flatten %o
  %y = linear %flat, %w_out
  %out = add %x, %y
  yield %out
}

// A constant decay for each head: one forgets within a token, one hardly.
model.block @lightning(%x: tensor<?x64xf32>) {
  %w_qkv = param "qkv" : tensor<512x64xf32>
  %w_out = param "out" : tensor<64x256xf32>
  %qkv = linear %x, %w_qkv
  %query, %key, %value = split %qkv into 2x64, 2x64, 2x128
  %o = attn.recurrence (%s : 64x128, %q = %query, %k = %key, %v = %value) {
    %d = decay %s, [-20, -0.0009765625]
    %n = write %d, %k, %v
    %y = read %n, %q
    %z = scale %y, 0.02
    yield %n, %z
  }
  %flat = flatten %o
  %y = linear %flat, %w_out
  %out = add %x, %y
  yield %out
}

// Nothing fades: the state is the sum of all that was written.
model.block @linear(%x: tensor<?x64xf32>) {
  %w_qkv = param "qkv" : tensor<192x64xf32>
  %w_out = param "out" : tensor<64x64xf32>
  %qkv = linear %x, %w_qkv
  %query, %key, %value = split %qkv into 1x64, 1x64, 1x64
  %o = attn.recurrence (%s : 64x64, %q = %query, %k = %key, %v = %value) {
    %n = write %s, %k, %v
    %y = read %n, %q
    %z = scale %y, -0.05
    yield %n, %z
  }
  %flat = flatten %o
  %y = linear %flat, %w_out
  %out = add %x, %y
  yield %out
}
