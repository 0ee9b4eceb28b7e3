// So many heads over latents that a single sequence keeps a GPU busy: nothing is cut into parts, and what the tile of a head's
// sums holds is the result.
model.network @net(%ids: tensor<?xi32>) {
  %table = param "table" : tensor<32x16xbf16>
  %head = param "head" : tensor<32x16xbf16>
  %x = embed %ids, %table
  %y = layers %x, "l.{i}" = 1 x @mix
  %logits = linear %y, %head
  output %logits
}
model.block @mix(%x: tensor<?x16xf32>) {
  %wq = param "q_proj" : tensor<65536x16xbf16>
  %wkv = param "kv_proj" : tensor<64x16xbf16>
  %kv_b = param "kv_b" : tensor<131072x64xbf16>
  %wo = param "o_proj" : tensor<16x65536xbf16>
  %b = linear %x, %wq
  %q = heads %b, 8192
  %c = linear %x, %wkv
  %o = attn.latent_softmax %q, %c, %kv_b
  %f = flatten %o
  %p = linear %f, %wo
  %y = add %x, %p
  yield %y
}
