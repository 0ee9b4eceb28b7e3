// RUN: split-file %s %t
// RUN: denim-opt %t/import.mlir --verify-phase=phase=import -verify-diagnostics -split-input-file
// RUN: denim-opt %t/mix.mlir --verify-phase=phase=mix -verify-diagnostics -split-input-file
// RUN: denim-opt %t/plan.mlir --verify-phase=phase=plan -verify-diagnostics -split-input-file
// RUN: denim-opt %t/tile.mlir --verify-phase=phase=tile -verify-diagnostics -split-input-file
// RUN: not denim-opt %t/import.mlir --verify-phase=phase=wish 2>&1 | FileCheck %s
// CHECK: error: expected a phase import, mix, plan or tile, but got wish

//--- import.mlir
// What an author writes.
model.block @written(%x: tensor<?x130xf32>) {
  %q, %k, %v, %b = split %x into 1x32, 1x32, 2x32, 2
  %o = attn.delta_rule %q, %k, %v beta %b
  yield %x
}

// -----

model.block @cache(%x: tensor<?x130xf32>) {
  %q, %k, %v, %b = split %x into 1x32, 1x32, 2x32, 2
  // expected-error @below {{'attn.cache' op expected to be gone behind the phase import: a model is written without caches or rows to select}}
  %s = attn.cache "state" : !attn.cache<state 2x32x32xf32>
  %o = attn.delta_rule %q, %k, %v beta %b state %s
  yield %x
}

// -----

// expected-error @below {{'plan.program' op expected to be gone behind the phase import: a model is written without launches}}
plan.program @program(%x: tensor<?x16xf32>) {
  // expected-error @below {{'plan.return' op expected to be gone}}
  plan.return %x : tensor<?x16xf32>
}

//--- mix.mlir
model.block @threaded(%x: tensor<?x130xf32>) {
  %q, %k, %v, %b = split %x into 1x32, 1x32, 2x32, 2
  %s = attn.cache "state" : !attn.cache<state 2x32x32xf32>
  %o = attn.delta_rule %q, %k, %v beta %b state %s
  yield %x
}

// -----

model.block @no_cache(%x: tensor<?x96xf32>) {
  %q, %k, %v = split %x into 1x32, 1x32, 1x32
  // expected-error @below {{'attn.softmax' op expected to be gone behind the phase mix: it has no cache}}
  %o = attn.softmax %q, %k, %v
  yield %x
}

//--- plan.mlir
plan.kernel @double(%x: tensor<?x16xf32>) attributes {kind = "rows"} {
  %y = model.scale %x, 2
  plan.yield %y : tensor<?x16xf32>
}
plan.program @planned(%x: tensor<?x16xf32>) {
  %y = plan.launch @double(%x) slots [0] : (tensor<?x16xf32>) -> tensor<?x16xf32>
  plan.return %y : tensor<?x16xf32>
}

// -----

// expected-error @below {{'model.block' op expected to be gone behind the phase plan: it should have become a program}}
model.block @block(%x: tensor<?x16xf32>) {
  yield %x
}

// -----

plan.kernel @double(%x: tensor<?x16xf32>) attributes {kind = "rows"} {
  %y = model.scale %x, 2
  plan.yield %y : tensor<?x16xf32>
}
plan.program @no_slots(%x: tensor<?x16xf32>) {
  // expected-error @below {{'plan.launch' op expected to be gone behind the phase plan: its results have no slots}}
  %y = plan.launch @double(%x) : (tensor<?x16xf32>) -> tensor<?x16xf32>
  plan.return %y : tensor<?x16xf32>
}

//--- tile.mlir
// Parameters and caches stay: they name what a layer binds.
plan.program @bound(%x: tensor<?x16xf32>) {
  %w = model.param "w" : tensor<16xf32>
  plan.return %x : tensor<?x16xf32>
}

// -----

// expected-error @below {{'plan.kernel' op expected to be gone behind the phase tile: it should have become a tile program}}
plan.kernel @double(%x: tensor<?x16xf32>) attributes {kind = "rows"} {
  // expected-error @below {{'model.scale' op expected to be gone behind the phase tile: it should have become part of a tile program}}
  %y = model.scale %x, 2
  plan.yield %y : tensor<?x16xf32>
}
