// One head of linear attention with a decay of the text: what is copied of rows behind the end of a sequence would be
// written to its state.
model.network @net(%ids: tensor<?xi32>) {
  %table = param "table" : tensor<16x64xf32>
  %head = param "head" : tensor<16x64xf32>
  %x = embed %ids, %table
  %y = layers %x, "l.{i}" = 1 x @lightning
  %logits = linear %y, %head
  output %logits
}

model.block @lightning(%x: tensor<?x64xf32>) {
  %w_qkv = param "qkv" : tensor<192x64xf32>
  %qkv = linear %x, %w_qkv
  %query, %key, %value = split %qkv into 1x64, 1x64, 1x64
  %o = attn.recurrence (%s : 64x64, %q = %query, %k = %key, %v = %value) {
    %d = decay %s, [-0.125]
    %n = write %d, %k, %v
    %y = read %n, %q
    yield %n, %y
  }
  %flat = flatten %o
  %out = add %x, %flat
  yield %out
}
