// RUN: denim-opt %s -split-input-file -verify-diagnostics

model.block @state(%x: tensor<?x256xf32>) {
  %q, %k, %v, %rest = split %x into 4x16, 2x16, 2x32, 96
  %keys = attn.cache "keys" : !attn.cache<paged 2x16xf32>
  %values = attn.cache "values" : !attn.cache<paged 2x32xf32>
  %s = attn.cache "state" : !attn.cache<state 2x16xf32>
  // expected-error @below {{expected paged caches, but got '!attn.cache<state 2x16xf32>' and '!attn.cache<paged 2x32xf32>'}}
  %y = attn.attend %q, %s, %values scale 1
  yield %x
}

// -----

model.block @heads(%x: tensor<?x256xf32>) {
  %q, %k, %v, %rest = split %x into 4x16, 2x16, 2x32, 96
  %keys = attn.cache "keys" : !attn.cache<paged 2x16xf32>
  %values = attn.cache "values" : !attn.cache<paged 2x32xf32>
  %three = attn.cache "keys" : !attn.cache<paged 3x16xf32>
  // expected-error @below {{expected a multiple of 3 key heads as heads of the query, but got 4}}
  %y = attn.attend %q, %three, %values scale 1
  yield %x
}

// -----

model.block @tensor(%x: tensor<?x256xf32>) {
  %q, %k, %v, %rest = split %x into 4x16, 2x16, 2x32, 96
  %keys = attn.cache "keys" : !attn.cache<paged 2x16xf32>
  %values = attn.cache "values" : !attn.cache<paged 2x32xf32>
  // expected-error @below {{expected a cache, but got 'tensor<?x2x16xf32>'}}
  %y = attn.attend %q, %k, %values scale 1
  yield %x
}

// -----

model.block @append_rows(%x: tensor<?x256xf32>) {
  %q, %k, %v, %rest = split %x into 4x16, 2x16, 2x32, 96
  %keys = attn.cache "keys" : !attn.cache<paged 2x16xf32>
  %values = attn.cache "values" : !attn.cache<paged 2x32xf32>
  // expected-error @below {{expected a paged cache of the rows of 'tensor<?x2x32xf32>', but got '!attn.cache<paged 2x16xf32>'}}
  attn.append %v to %keys
  yield %x
}

// -----

model.block @append_to_tail(%x: tensor<?x256xf32>) {
  %q, %k, %v, %rest = split %x into 4x16, 2x16, 2x32, 96
  %keys = attn.cache "keys" : !attn.cache<paged 2x16xf32>
  %values = attn.cache "values" : !attn.cache<paged 2x32xf32>
  %t = attn.cache "tail" : !attn.cache<tail 3x256xf32>
  // expected-error @below {{expected a paged cache of 1 head of 256 columns, but got '!attn.cache<tail 3x256xf32>'}}
  attn.append %x to %t
  yield %x
}

// -----

model.block @append_side_by_side(%x: tensor<?x256xf32>) {
  %c, %k, %rest = split %x into 64, 1x16, 176
  %latents = attn.cache "latents" : !attn.cache<paged 1x64xf32>
  // expected-error @below {{expected a paged cache of 1 head of 80 columns, but got '!attn.cache<paged 1x64xf32>'}}
  attn.append %c, %k to %latents
  yield %x
}

// -----

model.block @append_heads_side_by_side(%x: tensor<?x256xf32>) {
  %c, %k, %rest = split %x into 64, 2x16, 160
  %latents = attn.cache "latents" : !attn.cache<paged 1x96xf32>
  // expected-error @below {{expected inputs of one head side by side, but got 'tensor<?x2x16xf32>'}}
  attn.append %c, %k to %latents
  yield %x
}

// -----

model.block @columns(%x: tensor<?x256xf32>) {
  %q, %rest = split %x into 4x16, 192
  %rows = attn.cache "rows" : !attn.cache<paged 1x16xf32>
  // expected-error @below {{expected between 1 and 16 columns of a value, but got 17}}
  %y = attn.attend %q, %rows, %rows columns 17 scale 1
  yield %x
}

// -----

model.block @sinks(%x: tensor<?x256xf32>) {
  %q, %k, %v, %rest = split %x into 4x16, 2x16, 2x32, 96
  %keys = attn.cache "keys" : !attn.cache<paged 2x16xf32>
  %values = attn.cache "values" : !attn.cache<paged 2x32xf32>
  %sinks = param "sinks" : tensor<4x1xf32>
  // expected-error @below {{expected sinks of shape [4], one for each head, but got 'tensor<4x1xf32>'}}
  %y = attn.attend %q, %keys, %values scale 1 sinks %sinks
  yield %x
}

// -----

model.block @visible(%x: tensor<?x256xf32>) {
  %q, %k, %v, %rest = split %x into 4x16, 2x16, 2x32, 96
  %keys = attn.cache "keys" : !attn.cache<paged 2x16xf32>
  %values = attn.cache "values" : !attn.cache<paged 2x32xf32>
  // expected-error @below {{expected a window or blocks beside global tokens, but got none: all keys are visible}}
  %y = attn.attend %q, %keys, %values scale 1 global 2
  yield %x
}

// -----

model.block @sinks_of_rows(%x: tensor<?x256xf32>) {
  %sinks = param "sinks" : tensor<4xf32>
  %q, %rest = split %x into 4x32, 128
  %rows = attn.cache "latents" : !attn.cache<paged 1x32xf32>
  // expected-error @below {{expected neither sinks nor global tokens over rows that are key and value at once}}
  %y = attn.attend %q, %rows, %rows columns 24 scale 1 sinks %sinks
  yield %x
}

// -----

model.block @global_of_rows(%x: tensor<?x256xf32>) {
  %sinks = param "sinks" : tensor<4xf32>
  %q, %rest = split %x into 4x32, 128
  %rows = attn.cache "latents" : !attn.cache<paged 1x32xf32>
  // expected-error @below {{expected neither sinks nor global tokens over rows that are key and value at once}}
  %y = attn.attend %q, %rows, %rows columns 24 scale 1 window 4 global 2
  yield %x
}
