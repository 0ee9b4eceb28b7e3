// Latent attention of as many heads as products of warpgroups have rows: scores are computed by other warps than those
// that hold the accumulator.
model.network @net(%ids: tensor<?xi32>) {
  %table = param "table" : tensor<32x64xbf16>
  %head = param "head" : tensor<32x64xbf16>
  %x = embed %ids, %table
  %y = layers %x, "l.{i}" = 1 x @mix
  %logits = linear %y, %head
  output %logits
}
model.block @mix(%x: tensor<?x64xf32>) {
  %wq = param "q_proj" : tensor<6144x64xbf16>
  %wkv = param "kv_proj" : tensor<192x64xbf16>
  %kv_b = param "kv_b" : tensor<4096x128xbf16>
  %wo = param "o_proj" : tensor<64x2048xbf16>
  %b = linear %x, %wq
  %q = heads %b, 64
  %qn, %qt = split %q into 32, 64
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
