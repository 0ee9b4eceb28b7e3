// RUN: denim-opt %s -split-input-file -verify-diagnostics

"model.block"() <{sym_name = "no_yield"}> ({
^bb0(%x: tensor<?x64xf32>):
  // expected-error @below {{block with no terminator}}
  %y = "model.silu"(%x) : (tensor<?x64xf32>) -> tensor<?x64xf32>
}) : () -> ()

// -----

model.block @no_yield(%x: tensor<?x64xf32>) {
  %y = silu %x
  // expected-error @below {{expected `yield` at the end of @no_yield, but got model.silu}}
  %z = silu %y
}

// -----

// expected-error @below {{expected one argument, the residual stream, but got 2}}
"model.block"() <{sym_name = "two_streams"}> ({
^bb0(%x: tensor<?x64xf32>, %y: tensor<?x64xf32>):
  "model.yield"(%x) : (tensor<?x64xf32>) -> ()
}) : () -> ()

// -----

model.block @narrower(%x: tensor<?x64xf32>) {
  %a, %b = split %x into 32, 32
  // expected-error @below {{expected the residual stream of type 'tensor<?x64xf32>', but got 'tensor<?x32xf32>'}}
  yield %a
}

// -----

// expected-error @below {{expected one argument of type tensor<?xi32>, the token ids}}
model.network @ids_of_floats(%ids: tensor<?xf32>) {
  output %ids
}

// -----

// expected-error @below {{expected one `layers`, but got 0}}
model.network @no_layers(%ids: tensor<?xi32>) {
  %table = param "embed" : tensor<256x64xf32>
  %x = embed %ids, %table
  %logits = linear %x, %table
  output %logits
}

// -----

model.network @no_output(%ids: tensor<?xi32>) {
  %table = param "embed" : tensor<256x64xf32>
  // expected-error @below {{expected `output` at the end of @no_output, but got model.embed}}
  %x = embed %ids, %table
}

// -----

model.network @around_the_layers(%ids: tensor<?xi32>) {
  %table = param "embed" : tensor<256x64xf32>
  %x = embed %ids, %table
  %y = layers %x, "h.{i}" = 1 x @block
  // expected-error @below {{expected parameters and what follows from the result of `layers`, but got a value from before `layers`}}
  %z = add %y, %x
  %logits = linear %z, %table
  output %logits
}
model.block @block(%x: tensor<?x64xf32>) {
  yield %x
}

// -----

model.network @output_from_before(%ids: tensor<?xi32>) {
  %table = param "embed" : tensor<256x64xf32>
  %x = embed %ids, %table
  %y = layers %x, "h.{i}" = 1 x @block
  // expected-error @below {{expected parameters and what follows from the result of `layers`, but got a value from before `layers`}}
  output %x
}
model.block @block(%x: tensor<?x64xf32>) {
  yield %x
}

// -----

model.network @embeds_behind(%ids: tensor<?xi32>) {
  %table = param "embed" : tensor<256x64xf32>
  %x = embed %ids, %table
  %y = layers %x, "h.{i}" = 1 x @block
  // expected-error @below {{expected parameters and what follows from the result of `layers`, but got the token ids}}
  %again = embed %ids, %table
  %z = add %y, %again
  output %z
}
model.block @block(%x: tensor<?x64xf32>) {
  yield %x
}

// -----

model.network @heads_of_logits(%ids: tensor<?xi32>) {
  %table = param "embed" : tensor<256x64xf32>
  %x = embed %ids, %table
  %h = heads %x, 2
  // expected-error @below {{expected logits of shape [T, vocabulary], but got 'tensor<?x2x32xf32>'}}
  output %h
}

// -----

model.network @yields(%ids: tensor<?xi32>) {
  // expected-error @below {{'model.yield' op expects parent op 'model.block'}}
  yield %ids
}

// -----

model.block @undefined(%x: tensor<?x64xf32>) {
  // expected-error @below {{expected a value that is defined above, but got %nowhere}}
  %y = silu %nowhere
  yield %y
}

// -----

model.block @used_before(%x: tensor<?x64xf32>) {
  // expected-error @below {{expected a value that is defined above, but got %later}}
  %y = add %x, %later
  %later = silu %x
  yield %y
}

// -----

model.block @dynamic_param(%x: tensor<?x64xf32>) {
  // expected-error @below {{expected a static shape, but got 'tensor<?x64xf32>'}}
  %w = param "w" : tensor<?x64xf32>
  yield %x
}

// -----

model.block @double_param(%x: tensor<?x64xf32>) {
  // expected-error @below {{expected elements of bf16, f16, f32, !model.q8_0 or !model.q4_0, but got 'f64'}}
  %w = param "w" : tensor<64xf64>
  yield %x
}

// -----

model.block @flat_stack(%x: tensor<?x64xf32>) {
  // expected-error @below {{expected a stack to have an axis of tensors before their own, but got 'tensor<8xf32>'}}
  %w = param "experts.{e}.bias" : tensor<8xf32>
  yield %x
}

// -----

// expected-error @below {{expects a non-empty block}}
model.block @empty(%x: tensor<?x64xf32>) {
}
