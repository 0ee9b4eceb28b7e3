// RUN: denim-opt %s -split-input-file -verify-diagnostics

model.block @too_many(%x: tensor<?x64xf32>) {
  // expected-error @below {{expected scores [T, E] of at least 65 experts, but got 'tensor<?x64xf32>'}}
  %w, %e = route %x top 65
  yield %x
}

// -----

model.block @none(%x: tensor<?x64xf32>) {
  // expected-error @below {{expected to choose at least 1 expert, but got 0}}
  %w, %e = route %x top 0
  yield %x
}

// -----

model.block @heads(%x: tensor<?x64xf32>) {
  %h = heads %x, 4
  // expected-error @below {{expected scores [T, E] of at least 2 experts, but got 'tensor<?x4x16xf32>'}}
  %w, %e = route %h top 2
  yield %x
}
