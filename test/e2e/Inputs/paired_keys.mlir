// As many key heads as whole_keys.mlir has, of whole panels and with up to four query heads each, so that two of them may be an
// item (the choice softmax_whole.paired_sequences=1). Four query heads to a key head; then one, 128 channels and a window over
// some pages; then two, blocks, global tokens and sinks.

model.network @net(%ids: tensor<?xi32>) {
  %table = param "table" : tensor<32x16xf32>
  %head = param "head" : tensor<32x16xf32>
  %x = embed %ids, %table
  %y = layers %x, "l.{i}" = 1 x (1 x @plain, 1 x @window, 1 x @sparse)
  %logits = linear %y, %head
  output %logits
}

model.block @plain(%x: tensor<?x16xf32>) {
  %wq = param "q" : tensor<31744x16xf32>
  %wk = param "k" : tensor<7936x16xf32>
  %wv = param "v" : tensor<7936x16xf32>
  %wo = param "o" : tensor<16x31744xf32>
  %q0 = linear %x, %wq
  %k0 = linear %x, %wk
  %v0 = linear %x, %wv
  %q = heads %q0, 496
  %k = heads %k0, 124
  %v = heads %v0, 124
  %a = attn.softmax %q, %k, %v
  %flat = flatten %a
  %o = linear %flat, %wo
  %y = add %x, %o
  yield %y
}

model.block @window(%x: tensor<?x16xf32>) {
  %wq = param "q" : tensor<15872x16xf32>
  %wk = param "k" : tensor<15872x16xf32>
  %wv = param "v" : tensor<15872x16xf32>
  %wo = param "o" : tensor<16x15872xf32>
  %q0 = linear %x, %wq
  %k0 = linear %x, %wk
  %v0 = linear %x, %wv
  %q = heads %q0, 124
  %k = heads %k0, 124
  %v = heads %v0, 124
  %a = attn.softmax %q, %k, %v window 130 softcap 2
  %flat = flatten %a
  %o = linear %flat, %wo
  %y = add %x, %o
  yield %y
}

model.block @sparse(%x: tensor<?x16xf32>) {
  %wq = param "q" : tensor<15872x16xf32>
  %wk = param "k" : tensor<7936x16xf32>
  %wv = param "v" : tensor<7936x16xf32>
  %wo = param "o" : tensor<16x15872xf32>
  %sinks = param "sinks" : tensor<248xf32>
  %q0 = linear %x, %wq
  %k0 = linear %x, %wk
  %v0 = linear %x, %wv
  %q = heads %q0, 248
  %k = heads %k0, 124
  %v = heads %v0, 124
  %a = attn.softmax %q, %k, %v blocks 3 local 2 global 2 sinks %sinks
  %flat = flatten %a
  %o = linear %flat, %wo
  %y = add %x, %o
  yield %y
}
