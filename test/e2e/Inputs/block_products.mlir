// Weights in blocks whose rows are of 256 channels and more: of few rows they are copied ahead on a GPU as they are. Steps
// of 256 and of 512, one step alone (which is not copied ahead) and several; results of a few columns, of what is no
// multiple of a panel, and of several panels; a sum behind, a bias, products side by side of both formats and of bf16,
// of one input and of two.
model.network @net(%ids: tensor<?xi32>) {
  %table = param "table" : tensor<40x256xbf16>
  %head = param "head" : tensor<40x256x!model.q8_0>
  %x = embed %ids, %table
  %y = layers %x, "l.{i}" = 1 x (1 x @gated, 1 x @lengths, 1 x @two_inputs)
  %logits = linear %y, %head
  output %logits
}

// Two products of one input at once, of both formats, of columns that no panel divides.
model.block @gated(%x: tensor<?x256xf32>) {
  %norm = param "norm" : tensor<256xbf16>
  %in = param "in" : tensor<512x256x!model.q8_0>
  %gate = param "gate" : tensor<101x512x!model.q4_0>
  %bias = param "bias" : tensor<101xf32>
  %up = param "up" : tensor<101x512x!model.q8_0>
  %down = param "down" : tensor<256x101xbf16>
  %h = rms_norm %x, %norm
  %w0 = linear %h, %in
  %w = silu %w0
  %g = linear %w, %gate bias %bias
  %a = silu %g
  %u = linear %w, %up
  %m = mul %a, %u
  %d = linear %m, %down
  %y = add %x, %d
  yield %y
}

// Steps of 512, two of 256 and three, of either format.
model.block @lengths(%x: tensor<?x256xf32>) {
  %norm = param "norm" : tensor<256xbf16>
  %w0 = param "w0" : tensor<1024x256x!model.q4_0>
  %w1 = param "w1" : tensor<512x1024x!model.q4_0>
  %w2 = param "w2" : tensor<768x512x!model.q4_0>
  %w3 = param "w3" : tensor<1024x768x!model.q8_0>
  %w4 = param "w4" : tensor<256x1024x!model.q8_0>
  %h = rms_norm %x, %norm
  %a0 = linear %h, %w0
  %a = silu %a0
  %b0 = linear %a, %w1
  %b = silu %b0
  %c0 = linear %b, %w2
  %c = silu %c0
  %d0 = linear %c, %w3
  %d = silu %d0
  %e = linear %d, %w4
  %y = add %x, %e
  yield %y
}

// Two products of two inputs, one of them with bf16, and what they are added to, at once.
model.block @two_inputs(%x: tensor<?x256xf32>) {
  %norm = param "norm" : tensor<256xbf16>
  %i1 = param "i1" : tensor<512x256xbf16>
  %i2 = param "i2" : tensor<512x256x!model.q4_0>
  %o1 = param "o1" : tensor<256x512xbf16>
  %o2 = param "o2" : tensor<256x512x!model.q4_0>
  %bias = param "bias" : tensor<256xf32>
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
