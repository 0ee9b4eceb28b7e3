// Recurrences whose heads are so wide that what products of a chunk read does not fit a block's shared memory at once, on a
// CUDA device near f32; or the state not the registers of its threads, the last one in bf16. Tokens of a chunk are taken in shares there, and value columns of a
// head by several blocks (recurrence_many.chunk_tokens, recurrence_many.value_columns). Little decays and little is written,
// so that a state that lacks a share, or holds another head's columns, is seen to the end. A test puts another decay in
// the place of -0.02.

model.network @net(%ids: tensor<?xi32>) {
  %table = param "table" : tensor<32x64xf32>
  %head = param "head" : tensor<32x64xf32>
  %x = embed %ids, %table
  %y = layers %x, "l.{i}" = 1 x (1 x @grouped, 1 x @channels, 1 x @free)
  %logits = linear %y, %head
  output %logits
}

// One decay per head; two heads of 256 value columns share a head of queries and keys.
model.block @grouped(%x: tensor<?x64xf32>) {
  %w_ba = param "ba" : tensor<4x64xf32>
  %w_qkv = param "qkv" : tensor<768x64xf32>
  %w_out = param "out" : tensor<64x512xf32>
  %ba = linear %x, %w_ba
  %b, %a = split %ba into 2, 2
  %open = sigmoid %b
  %beta = scale %open, 0.5
  %share = sigmoid %a
  %gate = scale %share, -0.02
  %qkv = linear %x, %w_qkv
  %q0, %k0, %value = split %qkv into 1x128, 1x128, 2x256
  %query = l2_norm %q0
  %key = l2_norm %k0
  %o = attn.delta_rule %query, %key, %value beta %beta decay %gate
  %flat = flatten %o
  %y = linear %flat, %w_out
  %out = add %x, %y
  yield %out
}

// A decay per channel, whose chunk is 16 tokens.
model.block @channels(%x: tensor<?x64xf32>) {
  %w_b = param "b" : tensor<1x64xf32>
  %w_a = param "a" : tensor<128x64xf32>
  %w_qkv = param "qkv" : tensor<512x64xf32>
  %w_out = param "out" : tensor<64x256xf32>
  %b = linear %x, %w_b
  %open = sigmoid %b
  %beta = scale %open, 0.5
  %a = linear %x, %w_a
  %share = sigmoid %a
  %forgotten = scale %share, -0.02
  %gate = heads %forgotten, 1
  %qkv = linear %x, %w_qkv
  %q0, %k0, %value = split %qkv into 1x128, 1x128, 1x256
  %query = l2_norm %q0
  %key = l2_norm %k0
  %o = attn.delta_rule %query, %key, %value beta %beta decay %gate
  %flat = flatten %o
  %y = linear %flat, %w_out
  %out = add %x, %y
  yield %out
}

// A token removes along one vector and writes along another: three vectors and two writes.
model.block @free(%x: tensor<?x64xf32>) {
  %w_ba = param "ba" : tensor<2x64xf32>
  %w_qkpv = param "qkpv" : tensor<1024x64xf32>
  %w_out = param "out" : tensor<64x256xf32>
  %ba = linear %x, %w_ba
  %b, %a = split %ba into 1, 1
  %open = sigmoid %b
  %taken = scale %open, -0.5
  %share = sigmoid %a
  %gate = scale %share, -0.02
  %qkpv = linear %x, %w_qkpv
  %q0, %k0, %p0, %value = split %qkpv into 1x256, 1x256, 1x256, 1x256
  %query = l2_norm %q0
  %key = l2_norm %k0
  %along = l2_norm %p0
  %o = attn.recurrence (%s : 256x256, %q = %query, %k = %key, %p = %along, %v = %value, %b = %taken, %g = %gate) {
    %d = decay %s, %g
    %r = read %d, %p
    %u = mul %b, %r
    %n0 = write %d, %p, %u
    %n = write %n0, %k, %v
    %y = read %n, %q
    yield %n, %y
  }
  %flat = flatten %o
  %y = linear %flat, %w_out
  %out = add %x, %y
  yield %out
}
