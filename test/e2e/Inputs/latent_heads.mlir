// Latent attention whose heads, latents and rotated keys are whole panels of shared memory: what a GPU does by bulk copies and
// products of warpgroups.
model.network @net(%ids: tensor<?xi32>) {
  %table = param "table" : tensor<32x64xbf16>
  %head = param "head" : tensor<32x64xbf16>
  %x = embed %ids, %table
  %y = layers %x, "l.{i}" = 1 x @mix
  %logits = linear %y, %head
  output %logits
}
model.block @mix(%x: tensor<?x64xf32>) {
  %wq = param "q_proj" : tensor<256x64xbf16>
  %wkv = param "kv_proj" : tensor<192x64xbf16>
  %kv_b = param "kv_b" : tensor<256x128xbf16>
  %wo = param "o_proj" : tensor<64x128xbf16>
  %b = linear %x, %wq
  %q = heads %b, 2
  %qn, %qt = split %q into 64, 64
  %qr = attn.rotary %qt theta 10000 over 64
  %kv = linear %x, %wkv
  %c, %kt = split %kv into 128, 1x64
  %kr = attn.rotary %kt theta 10000 over 64
  %o = attn.latent_softmax %qn, %c, %kv_b rope %qr, %kr
  %f = flatten %o
  %p = linear %f, %wo
  %y = add %x, %p
  yield %y
}
