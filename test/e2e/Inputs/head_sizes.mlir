// Softmax attention at every width of heads that published models have: keys and values of 64, 96, 128 and 256 channels, keys of
// 192 with values of 128 (multi-head latent attention written out); with all that may stand beside it.

model.network @net(%ids: tensor<?xi32>) {
  %table = param "table" : tensor<32x64xf32>
  %head = param "head" : tensor<32x64xf32>
  %x = embed %ids, %table
  %y = layers %x, "l.{i}" = 1 x (1 x @d64, 1 x @d96, 1 x @d128, 1 x @d192, 1 x @d256)
  %logits = linear %y, %head
  output %logits
}

// A window, and a sink for each query head.
model.block @d64(%x: tensor<?x64xf32>) {
  %wq = param "q" : tensor<256x64xf32>
  %wk = param "k" : tensor<64x64xf32>
  %wv = param "v" : tensor<64x64xf32>
  %wo = param "o" : tensor<64x256xf32>
  %sinks = param "sinks" : tensor<4xf32>
  %q0 = linear %x, %wq
  %k0 = linear %x, %wk
  %v0 = linear %x, %wv
  %q = heads %q0, 4
  %k = heads %k0, 1
  %v = heads %v0, 1
  %a = attn.softmax %q, %k, %v window 70 sinks %sinks
  %flat = flatten %a
  %o = linear %flat, %wo
  %y = add %x, %o
  yield %y
}

// Scores through a tanh.
model.block @d96(%x: tensor<?x64xf32>) {
  %wq = param "q" : tensor<384x64xf32>
  %wk = param "k" : tensor<192x64xf32>
  %wv = param "v" : tensor<192x64xf32>
  %wo = param "o" : tensor<64x384xf32>
  %q0 = linear %x, %wq
  %k0 = linear %x, %wk
  %v0 = linear %x, %wv
  %q = heads %q0, 4
  %k = heads %k0, 2
  %v = heads %v0, 2
  %a = attn.softmax %q, %k, %v softcap 3
  %flat = flatten %a
  %o = linear %flat, %wo
  %y = add %x, %o
  yield %y
}

// Results behind a gate.
model.block @d128(%x: tensor<?x64xf32>) {
  %wq = param "q" : tensor<256x64xf32>
  %wk = param "k" : tensor<128x64xf32>
  %wv = param "v" : tensor<128x64xf32>
  %wo = param "o" : tensor<64x256xf32>
  %wz = param "z" : tensor<256x64xf32>
  %q0 = linear %x, %wq
  %k0 = linear %x, %wk
  %v0 = linear %x, %wv
  %q = heads %q0, 2
  %k = heads %k0, 1
  %v = heads %v0, 1
  %a = attn.softmax %q, %k, %v
  %z0 = linear %x, %wz
  %z = heads %z0, 2
  %g = sigmoid %z
  %ag = mul %a, %g
  %flat = flatten %ag
  %o = linear %flat, %wo
  %y = add %x, %o
  yield %y
}

// Values narrower than keys.
model.block @d192(%x: tensor<?x64xf32>) {
  %wq = param "q" : tensor<384x64xf32>
  %wk = param "k" : tensor<384x64xf32>
  %wv = param "v" : tensor<256x64xf32>
  %wo = param "o" : tensor<64x256xf32>
  %q0 = linear %x, %wq
  %k0 = linear %x, %wk
  %v0 = linear %x, %wv
  %q = heads %q0, 2
  %k = heads %k0, 2
  %v = heads %v0, 2
  %a = attn.softmax %q, %k, %v
  %flat = flatten %a
  %o = linear %flat, %wo
  %y = add %x, %o
  yield %y
}

// A window and a tanh.
model.block @d256(%x: tensor<?x64xf32>) {
  %wq = param "q" : tensor<512x64xf32>
  %wk = param "k" : tensor<256x64xf32>
  %wv = param "v" : tensor<256x64xf32>
  %wo = param "o" : tensor<64x512xf32>
  %q0 = linear %x, %wq
  %k0 = linear %x, %wk
  %v0 = linear %x, %wv
  %q = heads %q0, 2
  %k = heads %k0, 1
  %v = heads %v0, 1
  %a = attn.softmax %q, %k, %v window 100 softcap 5
  %flat = flatten %a
  %o = linear %flat, %wo
  %y = add %x, %o
  yield %y
}
