// The smallest network with a state, pages and a convolution.
model.network @small(%ids: tensor<?xi32>) eos [0] {
  %table = param "table" : tensor<32x64xf32>
  %x = embed %ids, %table
  %y = layers %x, "layers.{i}" = 1 x (1 x @linear_mixer, 1 x @softmax_mixer)
  %logits = linear %y, %table
  output %logits
}

model.block @linear_mixer(%x: tensor<?x64xf32>) {
  %w = param "in.weight" : tensor<129x64xf32>
  %w_conv = param "conv.weight" : tensor<96x4xf32>
  %p = linear %x, %w
  %qkv, %g, %b = split %p into 96, 32, 1
  %c = attn.short_conv %qkv, %w_conv
  %q0, %k0, %v = split %c into 1x32, 1x32, 1x32
  %q = l2_norm %q0
  %k = l2_norm %k0
  %beta = sigmoid %b
  %o = attn.delta_rule %q, %k, %v beta %beta
  %of = flatten %o
  %og = mul %of, %g
  %y = concat %og, %og
  %z = add %x, %y
  yield %z
}

model.block @softmax_mixer(%x: tensor<?x64xf32>) {
  %w = param "in.weight" : tensor<96x64xf32>
  %w_out = param "out.weight" : tensor<64x32xf32>
  %p = linear %x, %w
  %q, %k, %v = split %p into 1x32, 1x32, 1x32
  %o = attn.softmax %q, %k, %v
  %y = linear %o, %w_out
  %z = add %x, %y
  yield %z
}
