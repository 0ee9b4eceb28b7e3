// Mixtures of experts: of shapes that no panel divides, of one expert for each row, and of all of them.

model.network @net(%ids: tensor<?xi32>) {
  %table = param "table" : tensor<32x72xf32>
  %head = param "head" : tensor<32x72xf32>
  %x = embed %ids, %table
  %y = layers %x, "l.{i}" = 1 x (1 x @mixes, 1 x @some_of_many, 1 x @one_of_two, 1 x @all, 1 x @wide)
  %logits = linear %y, %head
  output %logits
}

// 40 experts, most of which nobody chooses.
model.block @some_of_many(%x: tensor<?x72xf32>) {
  %router = param "router" : tensor<40x72xf32>
  %gate = param "e.{e}.gate" : tensor<40x24x72xf32>
  %up = param "e.{e}.up" : tensor<40x24x72xf32>
  %down = param "e.{e}.down" : tensor<40x72x24xf32>
  %scores = linear %x, %router
  %weights, %chosen = route %scores top 3 renormalized
  %e = experts %x, %weights, %chosen gate %gate up %up down %down
  %y = add %x, %e
  yield %y
}

// Groups of more rows than are multiplied together.
model.block @one_of_two(%x: tensor<?x72xf32>) {
  %router = param "router" : tensor<2x72xf32>
  %gate = param "e.{e}.gate" : tensor<2x136x72xf32>
  %up = param "e.{e}.up" : tensor<2x136x72xf32>
  %down = param "e.{e}.down" : tensor<2x72x136xf32>
  %scores = linear %x, %router
  %weights, %chosen = route %scores top 1
  %e = experts %x, %weights, %chosen gate %gate up %up down %down
  %y = add %x, %e
  yield %y
}

model.block @all(%x: tensor<?x72xf32>) {
  %router = param "router" : tensor<5x72xf32>
  %gate = param "e.{e}.gate" : tensor<5x8x72xf32>
  %up = param "e.{e}.up" : tensor<5x8x72xf32>
  %down = param "e.{e}.down" : tensor<5x72x8xf32>
  %scores = linear %x, %router
  %weights, %chosen = route %scores top 5
  %e = experts %x, %weights, %chosen gate %gate up %up down %down
  %y = add %x, %e
  yield %y
}

// Rows of more channels than one panel, from a product.
model.block @wide(%x: tensor<?x72xf32>) {
  %in = param "in" : tensor<264x72xf32>
  %out = param "out" : tensor<72x264xf32>
  %router = param "router" : tensor<4x264xf32>
  %gate = param "e.{e}.gate" : tensor<4x16x264xf32>
  %up = param "e.{e}.up" : tensor<4x16x264xf32>
  %down = param "e.{e}.down" : tensor<4x264x16xf32>
  %h = linear %x, %in
  %scores = linear %h, %router
  %weights, %chosen = route %scores top 2 renormalized
  %e = experts %h, %weights, %chosen gate %gate up %up down %down
  %z = linear %e, %out
  %y = add %x, %z
  yield %y
}

// Tokens reach each other, so that lengths and chunks matter.
model.block @mixes(%x: tensor<?x72xf32>) {
  %q, %k, %v = split %x into 1x24, 1x24, 1x24
  %o = attn.softmax %q, %k, %v
  %f = flatten %o
  %out = param "out" : tensor<72x24xf32>
  %z = linear %f, %out
  %y = add %x, %z
  yield %y
}
