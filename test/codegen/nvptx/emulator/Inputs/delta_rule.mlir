// One head of a delta rule over normed vectors: in a long sequence they are copied ahead of the products that read them.
model.network @net(%ids: tensor<?xi32>) {
  %table = param "table" : tensor<16x64xf32>
  %head = param "head" : tensor<16x64xf32>
  %x = embed %ids, %table
  %y = layers %x, "l.{i}" = 1 x @delta_net
  %logits = linear %y, %head
  output %logits
}

model.block @delta_net(%x: tensor<?x64xf32>) {
  %w_b = param "b" : tensor<1x64xf32>
  %w_qkv = param "qkv" : tensor<192x64xf32>
  %b0 = linear %x, %w_b
  %beta = sigmoid %b0
  %qkv = linear %x, %w_qkv
  %q0, %k0, %value = split %qkv into 1x64, 1x64, 1x64
  %query = l2_norm %q0
  %key = l2_norm %k0
  %o = attn.delta_rule %query, %key, %value beta %beta
  %flat = flatten %o
  %out = add %x, %flat
  yield %out
}
