// Softmax attention of 32 query heads and 8 key heads of 128 channels between narrow products.
model.network @attention(%ids: tensor<?xi32>) {
  %table = param "embed.weight" : tensor<256x16xbf16>
  %head = param "head.weight" : tensor<256x16xbf16>
  %x = embed %ids, %table
  %y = layers %x, "layers.{i}" = 1 x @attend
  %logits = linear %y, %head
  output %logits
}
model.block @attend(%x: tensor<?x16xf32>) {
  %wq = param "q.weight" : tensor<4096x16xbf16>
  %wk = param "k.weight" : tensor<1024x16xbf16>
  %wv = param "v.weight" : tensor<1024x16xbf16>
  %wo = param "o.weight" : tensor<16x4096xbf16>
  %q0 = linear %x, %wq
  %k0 = linear %x, %wk
  %v0 = linear %x, %wv
  %q = heads %q0, 32
  %k = heads %k0, 8
  %v = heads %v0, 8
  %o = attn.softmax %q, %k, %v
  %flat = flatten %o
  %z = linear %flat, %wo
  %y = add %x, %z
  yield %y
}
