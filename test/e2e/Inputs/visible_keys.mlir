// Softmax over some of the keys, and with sinks. Blocks that begin within pages, and more pages than a token sees; a window
// beside global tokens; heads whose pages are copied in bulk, and global tokens of two pages; sinks behind a gate.

model.network @net(%ids: tensor<?xi32>) {
  %table = param "table" : tensor<32x24xf32>
  %head = param "head" : tensor<32x24xf32>
  %x = embed %ids, %table
  %y = layers %x, "l.{i}" = 1 x (1 x @blocks, 1 x @window, 1 x @wide, 1 x @gated)
  %logits = linear %y, %head
  output %logits
}

model.block @blocks(%x: tensor<?x24xf32>) {
  %wq = param "q" : tensor<60x24xf32>
  %wk = param "k" : tensor<20x24xf32>
  %wv = param "v" : tensor<28x24xf32>
  %wo = param "o" : tensor<24x84xf32>
  %sinks = param "sinks" : tensor<6xf32>
  %q0 = linear %x, %wq
  %k0 = linear %x, %wk
  %v0 = linear %x, %wv
  %q = heads %q0, 6
  %k = heads %k0, 2
  %v = heads %v0, 2
  %a = attn.softmax %q, %k, %v blocks 20 local 3 global 5 sinks %sinks
  %flat = flatten %a
  %o = linear %flat, %wo
  %y = add %x, %o
  yield %y
}

model.block @window(%x: tensor<?x24xf32>) {
  %wq = param "q" : tensor<32x24xf32>
  %wk = param "k" : tensor<32x24xf32>
  %wv = param "v" : tensor<32x24xf32>
  %wo = param "o" : tensor<24x32xf32>
  %q0 = linear %x, %wq
  %k0 = linear %x, %wk
  %v0 = linear %x, %wv
  %q = heads %q0, 2
  %k = heads %k0, 2
  %v = heads %v0, 2
  %a = attn.softmax %q, %k, %v window 9 global 1 softcap 2
  %flat = flatten %a
  %o = linear %flat, %wo
  %y = add %x, %o
  yield %y
}

model.block @wide(%x: tensor<?x24xf32>) {
  %wq = param "q" : tensor<256x24xf32>
  %wk = param "k" : tensor<128x24xf32>
  %wv = param "v" : tensor<128x24xf32>
  %wo = param "o" : tensor<24x256xf32>
  %sinks = param "sinks" : tensor<4xf32>
  %q0 = linear %x, %wq
  %k0 = linear %x, %wk
  %v0 = linear %x, %wv
  %q = heads %q0, 4
  %k = heads %k0, 2
  %v = heads %v0, 2
  %a = attn.softmax %q, %k, %v blocks 64 local 1 global 70 sinks %sinks
  %flat = flatten %a
  %o = linear %flat, %wo
  %y = add %x, %o
  yield %y
}

model.block @gated(%x: tensor<?x24xf32>) {
  %wq = param "q" : tensor<32x24xf32>
  %wk = param "k" : tensor<16x24xf32>
  %wv = param "v" : tensor<16x24xf32>
  %wg = param "g" : tensor<32x24xf32>
  %wo = param "o" : tensor<24x32xf32>
  %sinks = param "sinks" : tensor<2xf32>
  %q0 = linear %x, %wq
  %k0 = linear %x, %wk
  %v0 = linear %x, %wv
  %g0 = linear %x, %wg
  %q = heads %q0, 2
  %k = heads %k0, 1
  %v = heads %v0, 1
  %a = attn.softmax %q, %k, %v sinks %sinks
  %flat = flatten %a
  %g = sigmoid %g0
  %gated = mul %flat, %g
  %o = linear %gated, %wo
  %y = add %x, %o
  yield %y
}
