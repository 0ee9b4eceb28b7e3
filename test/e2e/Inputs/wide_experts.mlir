// Experts of several panels of columns and several steps along both contractions, with weights in bf16.

model.network @net(%ids: tensor<?xi32>) {
  %table = param "table" : tensor<32x288xbf16>
  %head = param "head" : tensor<32x288xbf16>
  %x = embed %ids, %table
  %y = layers %x, "l.{i}" = 1 x @mix
  %logits = linear %y, %head
  output %logits
}

model.block @mix(%x: tensor<?x288xf32>) {
  %router = param "router" : tensor<3x288xbf16>
  %gate = param "e.{e}.gate" : tensor<3x264x288xbf16>
  %up = param "e.{e}.up" : tensor<3x264x288xbf16>
  %down = param "e.{e}.down" : tensor<3x288x264xbf16>
  %norm = param "norm" : tensor<288xbf16>
  %n = rms_norm %x, %norm
  %scores = linear %n, %router
  %weights, %chosen = route %scores top 2 renormalized
  %e = experts %n, %weights, %chosen gate %gate up %up down %down
  %y = add %x, %e
  yield %y
}
