// What is computed row by row: norms in every place, concatenations, gates, an empty block.

model.network @net(%ids: tensor<?xi32>) {
  %table = param "table" : tensor<32x64xf32>
  %head = param "head" : tensor<32x64xf32>
  %x = embed %ids, %table
  %y = layers %x, "l.{i}" = 1 x (1 x @norm_over_concat, 1 x @norm_behind_product, 1 x @headnorm_behind_product, 1 x @postnorm, 1 x @scale_param, 1 x @deep_elementwise, 1 x @gate_per_head, 1 x @l2_whole, 1 x @identity)
  %logits = linear %y, %head
  output %logits
}

// A norm of parts that come from two places.
model.block @norm_over_concat(%x: tensor<?x64xf32>) {
  %n = param "n" : tensor<64xf32>
  %a, %b = split %x into 16, 48
  %c = concat %b, %a
  %y = rms_norm %c, %n
  yield %y
}

// A norm needs whole rows of a product.
model.block @norm_behind_product(%x: tensor<?x64xf32>) {
  %w = param "w" : tensor<64x64xf32>
  %n = param "n" : tensor<64xf32>
  %a = linear %x, %w
  %y = rms_norm %a, %n
  yield %y
}

// A norm of each head of a product.
model.block @headnorm_behind_product(%x: tensor<?x64xf32>) {
  %w = param "w" : tensor<64x64xf32>
  %n16 = param "n16" : tensor<16xf32>
  %a = linear %x, %w
  %h = heads %a, 4
  %m = rms_norm %h, %n16
  %y = flatten %m
  yield %y
}

model.block @postnorm(%x: tensor<?x64xf32>) {
  %w = param "w" : tensor<64x64xf32>
  %n = param "n" : tensor<64xf32>
  %a = linear %x, %w
  %m = rms_norm %a, %n
  %y = add %x, %m
  yield %y
}

// Parameters as operands of sums and products.
model.block @scale_param(%x: tensor<?x64xf32>) {
  %n = param "n" : tensor<64xf32>
  %y = mul %x, %n
  %z = add %y, %n
  yield %z
}

model.block @deep_elementwise(%x: tensor<?x64xf32>) {
  %a = exp %x
  %b2 = softplus %a
  %c = sigmoid %b2
  %d = scale %c, 0.5
  %e = mul %d, %x
  yield %e
}

// One number per head.
model.block @gate_per_head(%x: tensor<?x64xf32>) {
  %g = param "g" : tensor<4x64xf32>
  %gl = linear %x, %g
  %gs = sigmoid %gl
  %gh = heads %gs, 4
  %h = heads %x, 4
  %y = mul %h, %gh
  %z = flatten %y
  yield %z
}

model.block @l2_whole(%x: tensor<?x64xf32>) {
  %w = param "w" : tensor<64x64xf32>
  %y = l2_norm %x
  %z = linear %y, %w
  yield %z
}

// Nothing at all.
model.block @identity(%x: tensor<?x64xf32>) {
  yield %x
}
