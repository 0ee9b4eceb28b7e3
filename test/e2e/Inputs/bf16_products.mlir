// Weights of bf16, as checkpoints have them: of few rows they are copied ahead on a GPU, in steps that follow from what
// divides their length. Lengths of one step, of several, and of none; results of a few columns, of what is no multiple of a
// panel, and of several panels; a sum behind, a bias, two products at once, and rows of f32.
model.network @net(%ids: tensor<?xi32>) {
  %table = param "table" : tensor<40x128xbf16>
  %head = param "head" : tensor<40x128xbf16>
  %x = embed %ids, %table
  %y = layers %x, "l.{i}" = 1 x (1 x @gated, 1 x @two_inputs, 1 x @lengths, 1 x @narrow, 1 x @attention)
  %logits = linear %y, %head
  output %logits
}

// Two products of one input at once, of columns that no panel divides, and one that has no whole panels.
model.block @gated(%x: tensor<?x128xf32>) {
  %norm = param "norm" : tensor<128xbf16>
  %gate = param "gate" : tensor<200x128xbf16>
  %bias = param "bias" : tensor<200xf32>
  %up = param "up" : tensor<200x128xbf16>
  %down = param "down" : tensor<128x200xbf16>
  %h = rms_norm %x, %norm
  %g = linear %h, %gate bias %bias
  %a = silu %g
  %u = linear %h, %up
  %m = mul %a, %u
  %d = linear %m, %down
  %y = add %x, %d
  yield %y
}

// Two products of two inputs and what they are added to, at once.
model.block @two_inputs(%x: tensor<?x128xf32>) {
  %norm = param "norm" : tensor<128xbf16>
  %i1 = param "i1" : tensor<320x128xbf16>
  %i2 = param "i2" : tensor<320x128xbf16>
  %o1 = param "o1" : tensor<128x320xbf16>
  %o2 = param "o2" : tensor<128x320xbf16>
  %bias = param "bias" : tensor<128xf32>
  %h = rms_norm %x, %norm
  %a0 = linear %h, %i1
  %a = silu %a0
  %c0 = linear %h, %i2
  %c = silu %c0
  %d1 = linear %a, %o1
  %d2 = linear %c, %o2 bias %bias
  %d = add %d1, %d2
  %y = add %x, %d
  yield %y
}

// 512, 768 and 272 columns: steps of 256, of which 272 has none.
model.block @lengths(%x: tensor<?x128xf32>) {
  %norm = param "norm" : tensor<128xbf16>
  %w0 = param "w0" : tensor<512x128xbf16>
  %w1 = param "w1" : tensor<768x512xbf16>
  %w2 = param "w2" : tensor<272x768xbf16>
  %w3 = param "w3" : tensor<128x272xbf16>
  %b1 = param "b1" : tensor<768xf32>
  %h = rms_norm %x, %norm
  %a0 = linear %h, %w0
  %a = silu %a0
  %b0 = linear %a, %w1 bias %b1
  %b = silu %b0
  %c0 = linear %b, %w2
  %c = silu %c0
  %d = linear %c, %w3
  %y = add %x, %d
  yield %y
}

// Fewer columns than a product of matrix units has, and a length of two steps.
model.block @narrow(%x: tensor<?x128xf32>) {
  %norm = param "norm" : tensor<128xbf16>
  %w = param "w" : tensor<128x128xbf16>
  %few = param "few" : tensor<3x128xbf16>
  %back = param "back" : tensor<128x3xbf16>
  %h = rms_norm %x, %norm
  %a0 = linear %h, %w
  %a = silu %a0
  %b = linear %a, %few
  %c = linear %b, %back
  %y = add %x, %c
  yield %y
}

model.block @attention(%x: tensor<?x128xf32>) {
  %norm = param "norm" : tensor<128xbf16>
  %wq = param "wq" : tensor<128x128xbf16>
  %wk = param "wk" : tensor<64x128xbf16>
  %wv = param "wv" : tensor<64x128xbf16>
  %wo = param "wo" : tensor<128x128xbf16>
  %h = rms_norm %x, %norm
  %q0 = linear %h, %wq
  %k0 = linear %h, %wk
  %v0 = linear %h, %wv
  %q = heads %q0, 2
  %k = heads %k0, 1
  %v = heads %v0, 1
  %o = attn.softmax %q, %k, %v
  %f = flatten %o
  %p = linear %f, %wo
  %y = add %x, %p
  yield %y
}
