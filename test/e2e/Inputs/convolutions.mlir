// Short convolutions whose channels are whole pieces for the threads of a GPU: of few taps, and of so many that a block
// takes more rows; with channels that only the narrower pieces divide.

model.network @net(%ids: tensor<?xi32>) {
  %table = param "table" : tensor<32x96xf32>
  %head = param "head" : tensor<32x96xf32>
  %x = embed %ids, %table
  %y = layers %x, "l.{i}" = 1 x (1 x @few_taps, 1 x @many_taps)
  %logits = linear %y, %head
  output %logits
}

model.block @few_taps(%x: tensor<?x96xf32>) {
  %in = param "in" : tensor<128x96xf32>
  %out = param "out" : tensor<96x128xf32>
  %wc = param "wc" : tensor<128x4xf32>
  %h = linear %x, %in
  %c = attn.short_conv %h, %wc
  %s = silu %c
  %z = linear %s, %out
  %y = add %x, %z
  yield %y
}

model.block @many_taps(%x: tensor<?x96xf32>) {
  %in = param "in" : tensor<96x96xf32>
  %out = param "out" : tensor<96x96xf32>
  %wc = param "wc" : tensor<96x24xf32>
  %h = linear %x, %in
  %c = attn.short_conv %h, %wc
  %s = silu %c
  %z = linear %s, %out
  %y = add %x, %z
  yield %y
}
