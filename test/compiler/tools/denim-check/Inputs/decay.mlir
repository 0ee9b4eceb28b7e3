// A mixer that is changed by a line of text.

model.network @net(%ids: tensor<?xi32>) {
  %table = param "table" : tensor<32x64xf32>
  %head = param "head" : tensor<32x64xf32>
  %x = embed %ids, %table
  %y = layers %x, "l.{i}" = 2 x @mixer
  %logits = linear %y, %head
  output %logits
}

model.block @mixer(%x: tensor<?x64xf32>) {
  %norm = param "norm" : tensor<64xf32>
  %w = param "w" : tensor<100x64xf32>
  %back = param "back" : tensor<64x32xf32>
  %h = rms_norm %x, %norm
  %all = linear %h, %w
  %q, %k, %v, %g, %rest = split %all into 2x16, 2x16, 2x16, 2, 2
  %kn = l2_norm %k
  %fade = sigmoid %g
  %minus = scale %fade, -0.5
  %o = attn.recurrence (%s : 16x16, %query = %q, %key = %kn, %value = %v, %decay = %minus) {
    %d = decay %s, %decay
    %n = write %d, %key, %value
    %y = read %n, %query
    yield %n, %y
  }
  %of = flatten %o
  %m = linear %of, %back
  %z = add %x, %m
  yield %z
}
