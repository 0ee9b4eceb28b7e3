// Delta rules with a decay per channel, 32 heads of 128 channels, with norms and gates: one gate that the text bounds, one
// that it does not.
model.network @channel_decay(%ids: tensor<?xi32>) {
  %table = param "embed.weight" : tensor<256x16xbf16>
  %head = param "head.weight" : tensor<256x16xbf16>
  %x = embed %ids, %table
  %y = layers %x, "layers.{i}" = 1 x (1 x @bounded, 1 x @softplus)
  %logits = linear %y, %head
  output %logits
}
model.block @bounded(%x: tensor<?x16xf32>) {
  %wq = param "q.weight" : tensor<4096x16xbf16>
  %wk = param "k.weight" : tensor<4096x16xbf16>
  %wv = param "v.weight" : tensor<4096x16xbf16>
  %wb = param "b.weight" : tensor<32x16xbf16>
  %wa = param "a.weight" : tensor<4096x16xbf16>
  %wo = param "o.weight" : tensor<16x4096xbf16>
  %rate = param "A_log" : tensor<32xbf16>
  %bias = param "dt_bias" : tensor<4096xbf16>
  %q0 = linear %x, %wq
  %k0 = linear %x, %wk
  %v0 = linear %x, %wv
  %b = linear %x, %wb
  %a0 = linear %x, %wa
  %q1 = heads %q0, 32
  %k1 = heads %k0, 32
  %v = heads %v0, 32
  %a = heads %a0, 32
  %q = l2_norm %q1
  %k = l2_norm %k1
  %beta = sigmoid %b
  %decay = attn.log_decay %a rate %rate bias %bias at_least -5
  %o = attn.delta_rule %q, %k, %v beta %beta decay %decay
  %flat = flatten %o
  %z = linear %flat, %wo
  %y = add %x, %z
  yield %y
}
model.block @softplus(%x: tensor<?x16xf32>) {
  %wq = param "q.weight" : tensor<4096x16xbf16>
  %wk = param "k.weight" : tensor<4096x16xbf16>
  %wv = param "v.weight" : tensor<4096x16xbf16>
  %wb = param "b.weight" : tensor<32x16xbf16>
  %wa = param "a.weight" : tensor<4096x16xbf16>
  %wo = param "o.weight" : tensor<16x4096xbf16>
  %rate = param "A_log" : tensor<32xbf16>
  %bias = param "dt_bias" : tensor<4096xbf16>
  %q0 = linear %x, %wq
  %k0 = linear %x, %wk
  %v0 = linear %x, %wv
  %b = linear %x, %wb
  %a0 = linear %x, %wa
  %q1 = heads %q0, 32
  %k1 = heads %k0, 32
  %v = heads %v0, 32
  %a = heads %a0, 32
  %q = l2_norm %q1
  %k = l2_norm %k1
  %beta = sigmoid %b
  %decay = attn.log_decay %a rate %rate bias %bias
  %o = attn.delta_rule %q, %k, %v beta %beta decay %decay
  %flat = flatten %o
  %z = linear %flat, %wo
  %y = add %x, %z
  yield %y
}
