// Delta rules whose state outlives hundreds of tokens: little decays, and what is written corrects a hundredth of what is
// read. In a plan for a CUDA device long sequences are cut into segments of at least 512 tokens (--choose
// recurrence_scan.segments): what a segment begins with depends on what all before it make of a state.

model.network @net(%ids: tensor<?xi32>) {
  %table = param "table" : tensor<32x64xf32>
  %head = param "head" : tensor<32x64xf32>
  %x = embed %ids, %table
  %y = layers %x, "l.{i}" = 1 x (1 x @gated_delta_net, 1 x @delta_net, 1 x @kda, 1 x @skipped)
  %logits = linear %y, %head
  output %logits
}

// Two heads of values share a head of queries and keys.
model.block @gated_delta_net(%x: tensor<?x64xf32>) {
  %w_ba = param "ba" : tensor<4x64xf32>
  %w_qkv = param "qkv" : tensor<256x64xf32>
  %w_norm = param "norm" : tensor<64xf32>
  %w_out = param "out" : tensor<64x128xf32>
  %ba = linear %x, %w_ba
  %b, %g = split %ba into 2, 2
  %open = sigmoid %b
  %beta = scale %open, 0.02
  %positive = softplus %g
  %gate = scale %positive, -0.001
  %qkv = linear %x, %w_qkv
  %q0, %k0, %value = split %qkv into 1x64, 1x64, 2x64
  %query = l2_norm %q0
  %key = l2_norm %k0
  %o = attn.delta_rule %query, %key, %value beta %beta decay %gate
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
  %w_norm = param "norm" : tensor<128xf32>
  %w_out = param "out" : tensor<64x128xf32>
  %b = linear %x, %w_b
  %open = sigmoid %b
  %beta = scale %open, 0.01
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
  %normed = rms_norm %o, %w_norm
  %flat = flatten %normed
  %y = linear %flat, %w_out
  %out = add %x, %y
  yield %out
}

// A decay for each of 128 channels; values in two parts of 64 columns, keys of the transition, too.
model.block @kda(%x: tensor<?x64xf32>) {
  %w_b = param "b" : tensor<1x64xf32>
  %w_a = param "a" : tensor<128x64xf32>
  %w_qkv = param "qkv" : tensor<384x64xf32>
  %w_norm = param "norm" : tensor<128xf32>
  %w_out = param "out" : tensor<64x128xf32>
  %b = linear %x, %w_b
  %open = sigmoid %b
  %beta = scale %open, 0.03
  %a = linear %x, %w_a
  %share = sigmoid %a
  %forgotten = scale %share, -0.002
  %gate = heads %forgotten, 1
  %qkv = linear %x, %w_qkv
  %q0, %k0, %value = split %qkv into 1x128, 1x128, 1x128
  %query = l2_norm %q0
  %key = l2_norm %k0
  %o = attn.delta_rule %query, %key, %value beta %beta decay %gate
  %normed = rms_norm %o, %w_norm
  %flat = flatten %normed
  %y = linear %flat, %w_out
  %out = add %x, %y
  yield %out
}

// A skip behind the rule needs whole heads: 128 value columns are done by one block.
model.block @skipped(%x: tensor<?x64xf32>) {
  %w_b = param "b" : tensor<1x64xf32>
  %w_qkv = param "qkv" : tensor<384x64xf32>
  %w_norm = param "norm" : tensor<128xf32>
  %w_out = param "out" : tensor<64x128xf32>
  %skip = param "D" : tensor<1xf32>
  %b = linear %x, %w_b
  %open = sigmoid %b
  %beta = scale %open, 0.02
  %qkv = linear %x, %w_qkv
  %q0, %k0, %value = split %qkv into 1x128, 1x128, 1x128
  %query = l2_norm %q0
  %key = l2_norm %k0
  %o = attn.recurrence (%s : 128x128, %q = %query, %k = %key, %v = %value, %b = %beta, %s0 = %skip) {
    %p = read %s, %k
    %e = sub %v, %p
    %w = mul %b, %e
    %n = write %s, %k, %w
    %y = read %n, %q
    %d = mul %s0, %v
    %z = add %y, %d
    yield %n, %z
  }
  %normed = rms_norm %o, %w_norm
  %flat = flatten %normed
  %y = linear %flat, %w_out
  %out = add %x, %y
  yield %out
}
