// The same behind a short convolution of all its channels, which long sequences do in a kernel of its own.
model.network @short_conv(%ids: tensor<?xi32>) {
  %table = param "embed.weight" : tensor<256x16xbf16>
  %head = param "head.weight" : tensor<256x16xbf16>
  %x = embed %ids, %table
  %y = layers %x, "layers.{i}" = 1 x @mix
  %logits = linear %y, %head
  output %logits
}
model.block @mix(%x: tensor<?x16xf32>) {
  %wqkv = param "qkv.weight" : tensor<8192x16xbf16>
  %wc = param "conv.weight" : tensor<8192x1x4xbf16>
  %wb = param "b.weight" : tensor<32x16xbf16>
  %wa = param "a.weight" : tensor<32x16xbf16>
  %wo = param "o.weight" : tensor<16x4096xbf16>
  %rate = param "A_log" : tensor<32xbf16>
  %bias = param "dt_bias" : tensor<32xbf16>
  %qkv = linear %x, %wqkv
  %b = linear %x, %wb
  %a = linear %x, %wa
  %mixed = attn.short_conv %qkv, %wc
  %active = silu %mixed
  %q1, %k1, %v = split %active into 16x128, 16x128, 32x128
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
