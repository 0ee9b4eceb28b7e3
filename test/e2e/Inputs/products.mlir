// Products that share inputs, feed each other, or read parts of rows.

model.network @net(%ids: tensor<?xi32>) {
  %table = param "table" : tensor<32x64xf32>
  %head = param "head" : tensor<32x64xf32>
  %x = embed %ids, %table
  %y = layers %x, "l.{i}" = 1 x (1 x @two_products_sum, 1 x @product_of_product, 1 x @split_into_linear, 1 x @linear_of_attention_of_linear_reuse)
  %logits = linear %y, %head
  output %logits
}

model.block @two_products_sum(%x: tensor<?x64xf32>) {
  %w = param "w" : tensor<64x64xf32>
  %w2 = param "w2" : tensor<64x64xf32>
  %a = linear %x, %w
  %c = linear %x, %w2
  %y = add %a, %c
  yield %y
}

// A product that is read twice.
model.block @product_of_product(%x: tensor<?x64xf32>) {
  %w = param "w" : tensor<64x64xf32>
  %w2 = param "w2" : tensor<64x64xf32>
  %a = linear %x, %w
  %c = linear %a, %w2
  %d = mul %a, %c
  yield %d
}

// A part of a row as input.
model.block @split_into_linear(%x: tensor<?x64xf32>) {
  %w3 = param "w3" : tensor<64x32xf32>
  %a, %b = split %x into 32, 32
  %s = silu %b
  %y = linear %s, %w3
  yield %y
}

// A product that attention and a gate read.
model.block @linear_of_attention_of_linear_reuse(%x: tensor<?x64xf32>) {
  %w = param "w" : tensor<64x64xf32>
  %a = linear %x, %w
  %q, %k, %v = split %a into 2x16, 1x16, 1x16
  %o = attn.softmax %q, %k, %v
  %wo = param "wo" : tensor<64x32xf32>
  %y = linear %o, %wo
  %s = silu %a
  %m = mul %y, %s
  %z = add %x, %m
  yield %z
}
