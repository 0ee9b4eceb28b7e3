model.network @net(%ids: tensor<?xi32>) {
  %table = param "table" : tensor<32x64xf32>
  %head = param "head" : tensor<32x256xf32>
  %x = embed %ids, %table
  %w = param "w" : tensor<256x64xf32>
  %y = linear %x, %w
  %logits = linear %y, %head
  output %logits
}
