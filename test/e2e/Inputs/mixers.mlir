// Token mixers in unusual places.

model.network @net(%ids: tensor<?xi32>) {
  %table = param "table" : tensor<32x64xf32>
  %head = param "head" : tensor<32x64xf32>
  %x = embed %ids, %table
  %y = layers %x, "l.{i}" = 1 x (1 x @softmax_from_conv, 1 x @softmax_only_gqa, 1 x @head_dim_wide, 1 x @rotary_of_linear_norm, 1 x @two_recurrences, 1 x @recurrence_of_stream, 1 x @conv_of_conv, 1 x @conv_of_sigmoid)
  %logits = linear %y, %head
  output %logits
}

// Attention twice, on one convolution.
model.block @softmax_from_conv(%x: tensor<?x64xf32>) {
  %wc = param "wc" : tensor<64x4xf32>
  %c = attn.short_conv %x, %wc
  %s = silu %c
  %q, %k, %v = split %s into 1x32, 1x16, 1x16
  %q2, %q3 = split %q into 16, 16
  %o = attn.softmax %q2, %k, %v
  %o2 = attn.softmax %q3, %k, %v
  %of = flatten %o
  %of2 = flatten %o2
  %y = concat %of, %of2, %of, %of2
  yield %y
}

// A window, and two queries to a key.
model.block @softmax_only_gqa(%x: tensor<?x64xf32>) {
  %q, %k, %v = split %x into 2x16, 1x16, 1x16
  %o = attn.softmax %q, %k, %v window 5
  %of = flatten %o
  %y = concat %of, %of
  yield %y
}

// Values wider than keys.
model.block @head_dim_wide(%x: tensor<?x64xf32>) {
  %q, %k, %v = split %x into 1x16, 1x16, 1x32
  %o = attn.softmax %q, %k, %v
  %w4 = param "w4" : tensor<64x32xf32>
  %y = linear %o, %w4
  yield %y
}

// Rotation before a norm.
model.block @rotary_of_linear_norm(%x: tensor<?x64xf32>) {
  %w = param "w" : tensor<64x64xf32>
  %w2 = param "w2" : tensor<64x64xf32>
  %n16 = param "n16" : tensor<16xf32>
  %a = linear %x, %w
  %h = heads %a, 4
  %r = attn.rotary %h theta 10000 over 8
  %m = rms_norm %r, %n16
  %o = attn.softmax %m, %r, %m
  %y = linear %o, %w2
  %z = add %x, %y
  yield %z
}

// A recurrence that queries with the result of another.
model.block @two_recurrences(%x: tensor<?x64xf32>) {
  %g = param "g" : tensor<1x64xf32>
  %raw = linear %x, %g
  %b = sigmoid %raw
  %q, %k, %v, %r = split %x into 1x16, 1x16, 1x16, 16
  %kn = l2_norm %k
  %o = attn.delta_rule %q, %kn, %v beta %b
  %o2 = attn.delta_rule %o, %kn, %v beta %b
  %a = flatten %o
  %c = flatten %o2
  %y = concat %a, %c, %a, %c
  yield %y
}

// The stream itself as queries, keys and values; keys are longer than 1, so little of a correction is written.
model.block @recurrence_of_stream(%x: tensor<?x64xf32>) {
  %g = param "g" : tensor<1x64xf32>
  %raw = linear %x, %g
  %strength = sigmoid %raw
  %b = scale %strength, 0.05
  %q, %k, %v = split %x into 1x16, 1x16, 1x32
  %o = attn.delta_rule %q, %k, %v beta %b
  %of = flatten %o
  %y = concat %of, %of
  %z = add %x, %y
  yield %z
}

// A convolution of a convolution.
model.block @conv_of_conv(%x: tensor<?x64xf32>) {
  %wc = param "wc" : tensor<64x4xf32>
  %wd = param "wd" : tensor<64x2xf32>
  %c = attn.short_conv %x, %wc
  %d = attn.short_conv %c, %wd
  %y = add %x, %d
  yield %y
}

// What a convolution reads is not zero where its input is.
model.block @conv_of_sigmoid(%x: tensor<?x64xf32>) {
  %wc = param "wc" : tensor<64x4xf32>
  %s = sigmoid %x
  %c = attn.short_conv %s, %wc
  %y = add %x, %c
  yield %y
}
