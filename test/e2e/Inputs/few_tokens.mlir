// Softmax attention of few new tokens over a past that is cut into parts, which meet at counters: what is done with their
// results, how far queries look back, and sizes that are no multiples of what machines like.

model.network @net(%ids: tensor<?xi32>) {
  %table = param "table" : tensor<32x64xf32>
  %head = param "head" : tensor<32x64xf32>
  %x = embed %ids, %table
  %y = layers %x, "l.{i}" = 1 x (1 x @gated, 1 x @window, 1 x @capped, 1 x @wide)
  %logits = linear %y, %head
  output %logits
}

// Behind attention its heads are normalised and gated, inside the kernel: 10 heads, 5 to a key head.
model.block @gated(%x: tensor<?x64xf32>) {
  %wq = param "q" : tensor<640x64xf32>
  %wk = param "k" : tensor<128x64xf32>
  %wv = param "v" : tensor<128x64xf32>
  %wz = param "z" : tensor<640x64xf32>
  %wo = param "o" : tensor<64x640xf32>
  %n = param "n" : tensor<64xf32>
  %q0 = linear %x, %wq
  %k0 = linear %x, %wk
  %v0 = linear %x, %wv
  %z0 = linear %x, %wz
  %q = heads %q0, 10
  %k = heads %k0, 2
  %v = heads %v0, 2
  %z = heads %z0, 10
  %a = attn.softmax %q, %k, %v
  %an = rms_norm %a, %n
  %g = sigmoid %z
  %ag = mul %an, %g
  %flat = flatten %ag
  %o = linear %flat, %wo
  %y = add %x, %o
  yield %y
}

// A window that ends within pages: some of them are half seen on both sides.
model.block @window(%x: tensor<?x64xf32>) {
  %wq = param "q" : tensor<256x64xf32>
  %wk = param "k" : tensor<128x64xf32>
  %wv = param "v" : tensor<128x64xf32>
  %wo = param "o" : tensor<64x256xf32>
  %q0 = linear %x, %wq
  %k0 = linear %x, %wk
  %v0 = linear %x, %wv
  %q = heads %q0, 2
  %k = heads %k0, 1
  %v = heads %v0, 1
  %a = attn.softmax %q, %k, %v window 200
  %flat = flatten %a
  %o = linear %flat, %wo
  %y = add %x, %o
  yield %y
}

// A query head for each key head; scores go through a tanh.
model.block @capped(%x: tensor<?x64xf32>) {
  %wq = param "q" : tensor<128x64xf32>
  %wk = param "k" : tensor<128x64xf32>
  %wv = param "v" : tensor<128x64xf32>
  %wo = param "o" : tensor<64x128xf32>
  %q0 = linear %x, %wq
  %k0 = linear %x, %wk
  %v0 = linear %x, %wv
  %q = heads %q0, 2
  %k = heads %k0, 2
  %v = heads %v0, 2
  %a = attn.softmax %q, %k, %v scale 0.5 softcap 3
  %flat = flatten %a
  %o = linear %flat, %wo
  %y = add %x, %o
  yield %y
}

// Values of other widths than keys, neither of them whole panels.
model.block @wide(%x: tensor<?x64xf32>) {
  %q, %k, %v = split %x into 2x8, 1x8, 1x40
  %a = attn.softmax %q, %k, %v
  %wo = param "o" : tensor<64x80xf32>
  %flat = flatten %a
  %o = linear %flat, %wo
  %y = add %x, %o
  yield %y
}
