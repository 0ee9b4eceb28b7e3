// Delta rules whose value heads share heads of keys and queries, enough of them for an item of `prepare` to take a whole
// group: three with a decay per head, and two without decay. Nothing goes around them, so that what they say is all there is.

model.network @net(%ids: tensor<?xi32>) {
  %table = param "table" : tensor<32x64xf32>
  %head = param "head" : tensor<32x64xf32>
  %x = embed %ids, %table
  %y = layers %x, "l.{i}" = 1 x (1 x @threes, 1 x @twos)
  %logits = linear %y, %head
  output %logits
}

model.block @threes(%x: tensor<?x64xf32>) {
  %w_q = param "q" : tensor<512x64xf32>
  %w_k = param "k" : tensor<512x64xf32>
  %w_v = param "v" : tensor<1536x64xf32>
  %w_b = param "b" : tensor<24x64xf32>
  %w_a = param "a" : tensor<24x64xf32>
  %rate = param "A_log" : tensor<24xf32>
  %bias = param "dt_bias" : tensor<24xf32>
  %w_out = param "out" : tensor<64x1536xf32>
  %q_flat = linear %x, %w_q
  %q_raw = heads %q_flat, 8
  %k_flat = linear %x, %w_k
  %k_raw = heads %k_flat, 8
  %v_flat = linear %x, %w_v
  %v = heads %v_flat, 24
  %b = linear %x, %w_b
  %a = linear %x, %w_a
  %q = l2_norm %q_raw
  %k = l2_norm %k_raw
  %beta = sigmoid %b
  %decay = attn.log_decay %a rate %rate bias %bias
  %o = attn.delta_rule %q, %k, %v beta %beta decay %decay
  %flat = flatten %o
  %back = linear %flat, %w_out
  yield %back
}

model.block @twos(%x: tensor<?x64xf32>) {
  %w_q = param "q" : tensor<1024x64xf32>
  %w_k = param "k" : tensor<1024x64xf32>
  %w_v = param "v" : tensor<2048x64xf32>
  %w_b = param "b" : tensor<32x64xf32>
  %w_out = param "out" : tensor<64x2048xf32>
  %q_flat = linear %x, %w_q
  %q = heads %q_flat, 16
  %k_flat = linear %x, %w_k
  %k_raw = heads %k_flat, 16
  %v_flat = linear %x, %w_v
  %v = heads %v_flat, 32
  %b = linear %x, %w_b
  %k = l2_norm %k_raw
  %beta = sigmoid %b
  %o = attn.delta_rule %q, %k, %v beta %beta
  %flat = flatten %o
  %back = linear %flat, %w_out
  yield %back
}
