// Decays per channel that no text bounds, by how much they forget: prepare splits groups of 16 tokens, groups of 4, or
// none (ChannelDecay.h). In each block some channels hardly forget: theirs is what is read later, in products whose
// factors the others would drive out of range. A test puts one block after the other into the network.

model.network @net(%ids: tensor<?xi32>) {
  %table = param "table" : tensor<32x64xf32>
  %head = param "head" : tensor<32x64xf32>
  %x = embed %ids, %table
  %y = layers %x, "l.{i}" = 1 x @sixteen
  %logits = linear %y, %head
  output %logits
}

// No channel forgets more than 2^-128 in 16 tokens.
model.block @sixteen(%x: tensor<?x64xf32>) {
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
  yield %y
}

// In 16 tokens some do, in 4 none does.
model.block @four(%x: tensor<?x64xf32>) {
  %w_b = param "b" : tensor<2x64xf32>
  %w_a = param "a" : tensor<128x64xf32>
  %w_qkv = param "qkv" : tensor<384x64xf32>
  %log_rate = param "A_log" : tensor<2xf32>
  %bias = param "dt_bias" : tensor<2x64xf32>
  %w_out = param "out" : tensor<64x128xf32>
  %b0 = linear %x, %w_b
  %beta = sigmoid %b0
  %a0 = linear %x, %w_a
  %a1 = scale %a0, 60
  %a = heads %a1, 2
  %gate = attn.log_decay %a rate %log_rate bias %bias
  %qkv = linear %x, %w_qkv
  %q0, %k0, %value = split %qkv into 2x64, 2x64, 2x64
  %query = l2_norm %q0
  %key = l2_norm %k0
  %o = attn.delta_rule %query, %key, %value beta %beta decay %gate
  %flat = flatten %o
  %y = linear %flat, %w_out
  yield %y
}

// In 4 tokens some do.
model.block @none(%x: tensor<?x64xf32>) {
  %w_b = param "b" : tensor<2x64xf32>
  %w_a = param "a" : tensor<128x64xf32>
  %w_qkv = param "qkv" : tensor<384x64xf32>
  %log_rate = param "A_log" : tensor<2xf32>
  %bias = param "dt_bias" : tensor<2x64xf32>
  %w_out = param "out" : tensor<64x128xf32>
  %b0 = linear %x, %w_b
  %beta = sigmoid %b0
  %a0 = linear %x, %w_a
  %a1 = scale %a0, 800
  %a = heads %a1, 2
  %gate = attn.log_decay %a rate %log_rate bias %bias
  %qkv = linear %x, %w_qkv
  %q0, %k0, %value = split %qkv into 2x64, 2x64, 2x64
  %query = l2_norm %q0
  %key = l2_norm %k0
  %o = attn.delta_rule %query, %key, %value beta %beta decay %gate
  %flat = flatten %o
  %y = linear %flat, %w_out
  yield %y
}

// Written without a correction: only queries read what others wrote.
model.block @diagonal(%x: tensor<?x64xf32>) {
  %w_a = param "a" : tensor<128x64xf32>
  %w_qkv = param "qkv" : tensor<384x64xf32>
  %log_rate = param "A_log" : tensor<2xf32>
  %bias = param "dt_bias" : tensor<2x64xf32>
  %w_out = param "out" : tensor<64x128xf32>
  %a0 = linear %x, %w_a
  %a1 = scale %a0, 60
  %a = heads %a1, 2
  %gate = attn.log_decay %a rate %log_rate bias %bias
  %qkv = linear %x, %w_qkv
  %q0, %k0, %value = split %qkv into 2x64, 2x64, 2x64
  %query = l2_norm %q0
  %key = l2_norm %k0
  %o = attn.recurrence (%s : 64x64, %q = %query, %k = %key, %v = %value, %g = %gate) {
    %d = decay %s, %g
    %n = write %d, %k, %v
    %y = read %n, %q
    yield %n, %y
  }
  %flat = flatten %o
  %y = linear %flat, %w_out
  yield %y
}
