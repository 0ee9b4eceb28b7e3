// RUN: denim-opt %s -split-input-file -verify-diagnostics

model.network @zero(%ids: tensor<?xi32>) {
  %table = param "embed" : tensor<256x64xf32>
  %x = embed %ids, %table
  // expected-error @below {{expected a positive count, but got 0}}
  %y = layers %x, "model.layers.{i}" = 0 x @a
  %logits = linear %y, %table
  output %logits
}

model.block @a(%x: tensor<?x64xf32>) {
  yield %x
}

// -----

model.network @negative(%ids: tensor<?xi32>) {
  %table = param "embed" : tensor<256x64xf32>
  %x = embed %ids, %table
  // expected-error @below {{expected a positive count, but got -3}}
  %y = layers %x, "model.layers.{i}" = -3 x @a
  %logits = linear %y, %table
  output %logits
}

model.block @a(%x: tensor<?x64xf32>) {
  yield %x
}

// -----

model.network @no_times(%ids: tensor<?xi32>) {
  %table = param "embed" : tensor<256x64xf32>
  %x = embed %ids, %table
  // expected-error @below {{expected 'x' between a count and what is repeated}}
  %y = layers %x, "model.layers.{i}" = 3 @a
  %logits = linear %y, %table
  output %logits
}

model.block @a(%x: tensor<?x64xf32>) {
  yield %x
}

// -----

model.network @no_block(%ids: tensor<?xi32>) {
  %table = param "embed" : tensor<256x64xf32>
  %x = embed %ids, %table
  %y = layers %x, "model.layers.{i}" = 3 x
  // expected-error @below {{expected valid '@'-identifier for symbol name}}
  %logits = linear %y, %table
  output %logits
}

model.block @a(%x: tensor<?x64xf32>) {
  yield %x
}

// -----

model.network @open(%ids: tensor<?xi32>) {
  %table = param "embed" : tensor<256x64xf32>
  %x = embed %ids, %table
  // expected-error @below {{expected ')'}}
  %y = layers %x, "model.layers.{i}" = 2 x (1 x @a
  %logits = linear %y, %table
  output %logits
}

model.block @a(%x: tensor<?x64xf32>) {
  yield %x
}

// -----

model.network @unknown(%ids: tensor<?xi32>) {
  %table = param "embed" : tensor<256x64xf32>
  %x = embed %ids, %table
  // expected-error @below {{expected a model.block named @nowhere, but got none}}
  %y = layers %x, "model.layers.{i}" = 1 x @nowhere
  %logits = linear %y, %table
  output %logits
}

model.block @a(%x: tensor<?x64xf32>) {
  yield %x
}

// -----

model.network @no_index(%ids: tensor<?xi32>) {
  %table = param "embed" : tensor<256x64xf32>
  %x = embed %ids, %table
  // expected-error @below {{expected `{i}` in the prefix of the layers' parameters, but got "model.layers"}}
  %y = layers %x, "model.layers" = 1 x @a
  %logits = linear %y, %table
  output %logits
}

model.block @a(%x: tensor<?x64xf32>) {
  yield %x
}

// -----

model.network @too_many(%ids: tensor<?xi32>) {
  %table = param "embed" : tensor<256x64xf32>
  %x = embed %ids, %table
  // expected-error @below {{expected at most 65536 layers, but got more}}
  %y = layers %x, "model.layers.{i}" = 99999999999 x (99999999999 x @a)
  %logits = linear %y, %table
  output %logits
}

model.block @a(%x: tensor<?x64xf32>) {
  yield %x
}

// -----

model.network @other_stream(%ids: tensor<?xi32>) {
  %table = param "embed" : tensor<256x64xf32>
  %x = embed %ids, %table
  // expected-error @below {{expected block @wide to take 'tensor<?x64xf32>', but got 'tensor<?x128xf32>'}}
  %y = layers %x, "model.layers.{i}" = 1 x @wide
  %logits = linear %y, %table
  output %logits
}

model.block @wide(%x: tensor<?x128xf32>) {
  yield %x
}

// -----

// A network is no layer.
model.network @itself(%ids: tensor<?xi32>) {
  %table = param "embed" : tensor<256x64xf32>
  %x = embed %ids, %table
  // expected-error @below {{expected a model.block named @itself, but got none}}
  %y = layers %x, "model.layers.{i}" = 1 x @itself
  %logits = linear %y, %table
  output %logits
}

// -----

// expected-error @below {{expected a positive count of at least one item, but got 0 of [@a]}}
"builtin.module"() ({}) {schedule = #model.repeat<0, [@a]>} : () -> ()

// -----

// expected-error @below {{expected the symbol of a block or a repeat, but got "a"}}
"builtin.module"() ({}) {schedule = #model.repeat<2, ["a"]>} : () -> ()
