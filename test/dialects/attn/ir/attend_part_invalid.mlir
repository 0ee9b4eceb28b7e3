// RUN: denim-opt %s -split-input-file -verify-diagnostics

model.block @kind(%x: tensor<?x256xf32>) {
  %q, %k, %v, %rest = split %x into 4x16, 2x16, 2x32, 96
  %values = attn.cache "values" : !attn.cache<paged 2x32xf32>
  %s = attn.cache "state" : !attn.cache<state 2x16xf32>
  // expected-error @below {{expected paged caches, but got '!attn.cache<state 2x16xf32>' and '!attn.cache<paged 2x32xf32>'}}
  %y = attn.attend_part %q, %s, %values splits 8 scale 1
  yield %x
}

// -----

// Four heads of parts of 32 values, a score and a sum.
model.block @width(%x: tensor<?x256xf32>) {
  %q, %k, %v, %rest = split %x into 4x16, 2x16, 2x32, 96
  %keys = attn.cache "keys" : !attn.cache<paged 2x16xf32>
  %values = attn.cache "values" : !attn.cache<paged 2x32xf32>
  %p = heads %x, 4
  // expected-error @below {{expected parts of 4 heads and a multiple of 34 channels, but got 'tensor<?x4x64xf32>'}}
  %y = attn.attend %q, %keys, %values scale 1 parts %p
  yield %x
}

// -----

model.block @visible(%x: tensor<?x256xf32>) {
  %q, %k, %v, %rest = split %x into 4x16, 2x16, 2x32, 96
  %keys = attn.cache "keys" : !attn.cache<paged 2x16xf32>
  %values = attn.cache "values" : !attn.cache<paged 2x32xf32>
  // expected-error @below {{expected a window or blocks, but got both}}
  %y = attn.attend_part %q, %keys, %values splits 2 scale 1 window 5 blocks 4 local 2
  yield %x
}

// -----

model.block @global_of_rows(%x: tensor<?x256xf32>) {
  %q, %rest = split %x into 4x32, 128
  %rows = attn.cache "latents" : !attn.cache<paged 1x32xf32>
  // expected-error @below {{expected neither sinks nor global tokens over rows that are key and value at once}}
  %y = attn.attend_part %q, %rows, %rows columns 24 splits 2 scale 1 window 4 global 2
  yield %x
}
