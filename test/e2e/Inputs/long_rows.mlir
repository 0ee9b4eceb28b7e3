// Rows that no step or panel divides, and a norm over rows that are taken as matrices.
model.network @long_rows(%ids: tensor<?xi32>) {
  %table = param "table" : tensor<24x320xf32>
  %head = param "head" : tensor<24x320xf32>
  %x = embed %ids, %table
  %y = layers %x, "layers.{i}" = 1 x @gated
  %logits = linear %y, %head
  output %logits
}

model.block @gated(%x: tensor<?x320xf32>) {
  %norm = param "norm" : tensor<320xf32>
  %inner_norm = param "inner_norm" : tensor<1100xf32>
  %w_gate = param "gate" : tensor<1100x320xf32>
  %w_up = param "up" : tensor<1100x320xf32>
  %w_down = param "down" : tensor<320x1100xf32>
  %h = rms_norm %x, %norm
  %g = linear %h, %w_gate
  %u = linear %h, %w_up
  %s = silu %g
  %p = mul %s, %u
  %n = rms_norm %p, %inner_norm
  %d = linear %n, %w_down
  %z = add %x, %d
  yield %z
}
