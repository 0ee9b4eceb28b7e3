// Decays per channel that no gate bounds, by how much they forget: prepare splits groups of 16 tokens, groups of 4, or none
// (ChannelDecay.h), and takes the last where it cannot take another. So what a channel forgets in a token is a share of a
// number that decides: of 5, 16 tokens never forget e^88 = 2^128. Of 25, 3 never do, and of 15 some do in one of 64
// channels; of 400 some 3 do. A test puts another number in its place. At half of its tokens a channel forgets next to
// nothing, so what stands behind others is read, too.

model.network @net(%ids: tensor<?xi32>) {
  %table = param "table" : tensor<32x64xf32>
  %head = param "head" : tensor<32x64xf32>
  %x = embed %ids, %table
  %y = layers %x, "l.{i}" = 1 x @delta
  %logits = linear %y, %head
  output %logits
}

// With a correction.
model.block @delta(%x: tensor<?x64xf32>) {
  %w_b = param "b" : tensor<2x64xf32>
  %w_a = param "a" : tensor<128x64xf32>
  %w_qkv = param "qkv" : tensor<384x64xf32>
  %w_out = param "out" : tensor<64x128xf32>
  %b = linear %x, %w_b
  %beta = sigmoid %b
  %a = linear %x, %w_a
  %steep = scale %a, 8
  %share = sigmoid %steep
  %forgotten = scale %share, -5
  %gate = heads %forgotten, 2
  %qkv = linear %x, %w_qkv
  %q0, %k0, %value = split %qkv into 2x64, 2x64, 2x64
  %query = l2_norm %q0
  %key = l2_norm %k0
  %o = attn.delta_rule %query, %key, %value beta %beta decay %gate
  %flat = flatten %o
  %y = linear %flat, %w_out
  yield %y
}

// Without: only queries read what others wrote.
model.block @diagonal(%x: tensor<?x64xf32>) {
  %w_a = param "a" : tensor<128x64xf32>
  %w_qkv = param "qkv" : tensor<384x64xf32>
  %w_out = param "out" : tensor<64x128xf32>
  %a = linear %x, %w_a
  %steep = scale %a, 8
  %share = sigmoid %steep
  %forgotten = scale %share, -5
  %gate = heads %forgotten, 2
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
