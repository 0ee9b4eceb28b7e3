// RUN: denim-opt %s --assign-slots -split-input-file -verify-diagnostics

// expected-error @below {{expected one plan.schedule, but got 0}}
module {
}

// -----

// expected-error @below {{expected one plan.schedule, but got 2}}
module {
  plan.schedule @a programs [] prefixes [] layers [] vocabulary 32 eos []
  plan.schedule @b programs [] prefixes [] layers [] vocabulary 32 eos []
}

// -----

plan.program @stream(%x: tensor<?x16xf32>) {
  plan.return %x : tensor<?x16xf32>
}
// expected-error @below {{expected a program that makes the logits}}
plan.schedule @net programs [@stream] prefixes [""] layers [-1] vocabulary 32 eos []

// -----

// The result is slot 0 like the stream, which is read when it is written.
plan.kernel @double(%x: tensor<?x16xf32>) attributes {kind = "rows"} {
  %y = model.scale %x, 2
  plan.yield %y : tensor<?x16xf32>
}
// expected-error @below {{expected values 0 and 1, which are bound to one slot, not to be alive at once}}
plan.program @in_place(%x: tensor<?x16xf32>) {
  %y = plan.launch @double(%x) : (tensor<?x16xf32>) -> tensor<?x16xf32>
  plan.return %y : tensor<?x16xf32>
}
plan.schedule @net programs [@in_place] prefixes [""] layers [-1] vocabulary 32 eos []
