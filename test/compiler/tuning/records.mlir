// What is recorded on a kernel is what is written, whatever a model would say: a dumped phase that was edited counts.
// RUN: denim-opt %s --convert-attn-to-tile --split-input-file --verify-diagnostics | FileCheck %s

// CHECK: tile.kernel @recorded
// CHECK-SAME: linear.panel_columns = {by = "user", {{.*}}value = 32 : i64}
// CHECK: tile.load {{.*}} -> !tile.tile<32x64xf32>
plan.kernel @recorded(%x: tensor<?x64xf32>, %w: tensor<128x64xf32>) attributes {kind = "linear",
    choices = {linear.panel_columns = {by = "user", candidates = array<i64: 32>, predicted = array<f64: 1.0>,
                                       shape = "inner=64 columns=128", value = 32 : i64}}} {
  %y = model.linear %x, %w
  plan.yield %y : tensor<?x128xf32>
}

// -----

// Columns that the product cannot have.
// expected-error @below {{expected linear.panel_columns of inner=64 columns=128 to be one of 16, 32, 48, 64, 80, 96, 112, 128, but got 40}}
plan.kernel @edited(%x: tensor<?x64xf32>, %w: tensor<128x64xf32>) attributes {kind = "linear",
    choices = {linear.panel_columns = {by = "user", value = 40 : i64}}} {
  %y = model.linear %x, %w
  plan.yield %y : tensor<?x128xf32>
}
