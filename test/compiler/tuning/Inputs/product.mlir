// One product, of 64 channels with weights of 256 rows.
model.network @net(%ids: tensor<?xi32>) {
  %table = param "table" : tensor<32x64xf32>
  %head = param "head" : tensor<256x64xf32>
  %x = embed %ids, %table
  %y = layers %x, "layers.{i}" = 1 x @layer
  %logits = linear %y, %head
  output %logits
}

model.block @layer(%x: tensor<?x64xf32>) {
  %y = silu %x
  yield %y
}
