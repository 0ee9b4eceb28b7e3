// Weights in blocks: of both formats, with and without a bias, of numbers of columns that are no multiple of a panel or
// a vector, of one block and of an odd number of blocks to a row, beside weights that are not.

model.network @net(%ids: tensor<?xi32>) {
  %table = param "table" : tensor<32x96xbf16>
  %head = param "head" : tensor<32x96x!model.q8_0>
  %x = embed %ids, %table
  %y = layers %x, "l.{i}" = 2 x (1 x @mlp, 1 x @mixer)
  %logits = linear %y, %head
  output %logits
}

model.block @mlp(%x: tensor<?x96xf32>) {
  %norm = param "norm" : tensor<96xf32>
  %gate = param "gate" : tensor<160x96x!model.q4_0>
  %up   = param "up" : tensor<160x96x!model.q8_0>
  %bias = param "bias" : tensor<160xf32>
  %down = param "down" : tensor<96x160x!model.q4_0>
  %h = rms_norm %x, %norm
  %g = linear %h, %gate
  %u = linear %h, %up bias %bias
  %a = silu %g
  %m = mul %a, %u
  %d = linear %m, %down
  %z = add %x, %d
  yield %z
}

model.block @mixer(%x: tensor<?x96xf32>) {
  %norm = param "norm" : tensor<96xf32>
  %w = param "w" : tensor<101x96x!model.q8_0>
  %back = param "back" : tensor<96x32x!model.q8_0>
  %plain = param "plain" : tensor<96x96xbf16>
  %h = rms_norm %x, %norm
  %all = linear %h, %w
  %q, %k, %v, %rest = split %all into 2x16, 2x16, 2x16, 5
  %kn = l2_norm %k
  %o = attn.softmax %q, %kn, %v
  %of = flatten %o
  %m = linear %of, %back
  %p = linear %h, %plain
  %mp = add %m, %p
  %z = add %x, %mp
  yield %z
}
