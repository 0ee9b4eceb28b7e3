// A gated delta rule of 16 key heads and 32 value heads of 128 channels, with its norms and gates, between narrow products.
model.network @delta_rule(%ids: tensor<?xi32>) {
  %table = param "embed.weight" : tensor<256x16xbf16>
  %head = param "head.weight" : tensor<256x16xbf16>
  %x = embed %ids, %table
  %y = layers %x, "layers.{i}" = 1 x @mix
  %logits = linear %y, %head
  output %logits
}
model.block @mix(%x: tensor<?x16xf32>) {
  %wq = param "q.weight" : tensor<2048x16xbf16>
  %wk = param "k.weight" : tensor<2048x16xbf16>
  %wv = param "v.weight" : tensor<4096x16xbf16>
  %wb = param "b.weight" : tensor<32x16xbf16>
  %wa = param "a.weight" : tensor<32x16xbf16>
  %wo = param "o.weight" : tensor<16x4096xbf16>
  %rate = param "A_log" : tensor<32xbf16>
  %bias = param "dt_bias" : tensor<32xbf16>
  %q0 = linear %x, %wq
  %k0 = linear %x, %wk
  %v0 = linear %x, %wv
  %b = linear %x, %wb
  %a = linear %x, %wa
  %q1 = heads %q0, 16
  %k1 = heads %k0, 16
  %v = heads %v0, 32
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
