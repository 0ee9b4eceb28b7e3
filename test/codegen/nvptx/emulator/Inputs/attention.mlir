// Softmax attention of 4 query heads and one key head of 128 channels between narrow products.
model.network @attention(%ids: tensor<?xi32>) {
  %table = param "embed.weight" : tensor<64x16xbf16>
  %head = param "head.weight" : tensor<64x16xbf16>
  %x = embed %ids, %table
  %y = layers %x, "layers.{i}" = 1 x @attend
  %logits = linear %y, %head
  output %logits
}
model.block @attend(%x: tensor<?x16xf32>) {
  %wq = param "q.weight" : tensor<512x16xbf16>
  %wk = param "k.weight" : tensor<128x16xbf16>
  %wv = param "v.weight" : tensor<128x16xbf16>
  %wo = param "o.weight" : tensor<16x512xbf16>
  %q0 = linear %x, %wq
  %k0 = linear %x, %wk
  %v0 = linear %x, %wv
  %q = heads %q0, 4
  %k = heads %k0, 1
  %v = heads %v0, 1
  %o = attn.softmax %q, %k, %v
  %flat = flatten %o
  %z = linear %flat, %wo
  %y = add %x, %z
  yield %y
}
