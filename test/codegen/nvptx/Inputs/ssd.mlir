// A diagonal recurrence of 32 heads of 128 channels with a gate per head, as Mamba-2, between narrow products.
model.network @bench(%ids: tensor<?xi32>) {
  %table = param "embed.weight" : tensor<256x16xbf16>
  %head = param "head.weight" : tensor<256x16xbf16>
  %x = embed %ids, %table
  %y = layers %x, "layers.{i}" = 1 x @mix
  %logits = linear %y, %head
  output %logits
}
model.block @mix(%x: tensor<?x16xf32>) {
  %w_q = param "q.weight" : tensor<4096x16xbf16>
  %q_flat = linear %x, %w_q
  %q = heads %q_flat, 32
  %w_k = param "k.weight" : tensor<4096x16xbf16>
  %k_flat = linear %x, %w_k
  %k = heads %k_flat, 32
  %w_v = param "v.weight" : tensor<4096x16xbf16>
  %v_flat = linear %x, %w_v
  %v = heads %v_flat, 32
  %w_a = param "a.weight" : tensor<32x16xbf16>
  %a_flat = linear %x, %w_a
  %positive = softplus %a_flat
  %g = scale %positive, -1
  %o = attn.recurrence (%s : 128x128, %q = %q, %k = %k, %v = %v, %g = %g) {
    %d = decay %s, %g
    %n = write %d, %k, %v
    %y = read %n, %q
    %z = scale %y, 0.08838834764831845
    yield %n, %z
  }
  %w_out = param "out.weight" : tensor<16x4096xbf16>
  %all = flatten %o
  %back = linear %all, %w_out
  %y = add %x, %back
  yield %y
}
