// The phases as pipelines of denim-opt: each takes what the one before left, and all of them give what denim-compile gives.
// RUN: denim-opt %s --denim-import -o %t.import
// RUN: denim-opt %t.import --denim-mix -o %t.mix
// RUN: denim-opt %t.mix --denim-plan -o %t.plan
// RUN: denim-opt %t.plan --denim-tile -o %t.tile
// RUN: denim-compile %s --emit=tile | diff %t.tile -
// RUN: denim-opt %s --denim-import --denim-mix --denim-plan --denim-tile | diff %t.tile -

// RUN: FileCheck %s --check-prefix=IMPORT < %t.import
// RUN: FileCheck %s --check-prefix=MIX < %t.mix
// RUN: FileCheck %s --check-prefix=PLAN < %t.plan
// RUN: FileCheck %s --check-prefix=TILE < %t.tile

// A phase refuses what an earlier one should have replaced.
// RUN: not denim-opt %s --denim-plan 2>&1 | FileCheck %s --check-prefix=EARLY
// EARLY: error: {{.*}} expected a cache for each need of the op; run attn-thread-caches first
// RUN: not denim-opt %t.mix --denim-import 2>&1 | FileCheck %s --check-prefix=LATE
// LATE: error: {{.*}} expected to be gone behind the phase import: a model is written without caches or rows to select

model.network @net(%ids: tensor<?xi32>) {
  %table = param "table" : tensor<32x96xf32>
  %x = embed %ids, %table
  %y = layers %x, "layers.{i}" = 2 x @mixer
  %logits = linear %y, %table
  output %logits
}

// IMPORT-LABEL: model.block @mixer
// IMPORT: %[[K:.*]] = l2_norm
// IMPORT-NOT: l2_norm
// IMPORT: attn.delta_rule %[[K]], %[[K]],
// MIX-LABEL: model.block @mixer
// MIX: attn.delta_rule {{.*}} chunk 64 state
// PLAN-LABEL: plan.program @mixer
// PLAN: plan.launch @recurrence_{{.*}} slots [
// PLAN-NOT: model.block
// TILE-LABEL: plan.program @mixer
// TILE: plan.launch @recurrence_
// TILE: tile.kernel @recurrence_
// TILE-NOT: plan.kernel
model.block @mixer(%x: tensor<?x96xf32>) {
  %w = param "gate.weight" : tensor<1x96xf32>
  %q, %k, %v = split %x into 1x32, 1x32, 1x32
  %q0 = l2_norm %k
  // The same line again: one of them is gone behind import.
  %k0 = l2_norm %k
  %b = linear %x, %w
  %beta = sigmoid %b
  %o = attn.delta_rule %q0, %k0, %v beta %beta
  %y = concat %o, %o, %o
  %z = add %x, %y
  yield %z
}
