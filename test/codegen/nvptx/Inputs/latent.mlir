// Latent attention of 32 heads with keys of 128 + 64 and values of 128 channels between narrow products.
model.network @latent(%ids: tensor<?xi32>) {
  %table = param "embed.weight" : tensor<256x16xbf16>
  %head = param "head.weight" : tensor<256x16xbf16>
  %x = embed %ids, %table
  %y = layers %x, "layers.{i}" = 1 x @attend
  %logits = linear %y, %head
  output %logits
}
model.block @attend(%x: tensor<?x16xf32>) {
  %wq = param "q.weight" : tensor<6144x16xbf16>
  %wkv = param "kv.weight" : tensor<576x16xbf16>
  %kv_b = param "kv_b.weight" : tensor<8192x512xbf16>
  %wo = param "o.weight" : tensor<16x4096xbf16>
  %b = linear %x, %wq
  %q = heads %b, 32
  %qn, %qr = split %q into 128, 64
  %kv = linear %x, %wkv
  %c, %kr = split %kv into 512, 1x64
  %o = attn.latent_softmax %qn, %c, %kv_b rope %qr, %kr
  %flat = flatten %o
  %z = linear %flat, %wo
  %y = add %x, %z
  yield %y
}
