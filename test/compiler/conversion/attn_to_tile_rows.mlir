// RUN: denim-opt %s --convert-attn-to-tile --cse --canonicalize | FileCheck %s

// Blocks of rows, then what is left row by row; both compute the same.
// CHECK-LABEL: tile.kernel @norm
// CHECK-SAME: items <tokens by 16 times 1>
// CHECK: scf.for
// CHECK: %[[X:.*]] = tile.load {{.*}} -> !tile.tile<16x64xf32>
// CHECK: tile.reduce add {{.*}} along 1 : !tile.tile<16x64xf32> -> !tile.tile<16x1xf32>
// CHECK: tile.store {{.*}} : !tile.tile<16x64xf32>, !tile.memory<64xf32>
// CHECK: scf.for
// CHECK: tile.reduce add {{.*}} : !tile.tile<1x64xf32> -> !tile.tile<1x1xf32>
// CHECK: tile.store {{.*}} : !tile.tile<1x64xf32>, !tile.memory<64xf32>
plan.kernel @norm(%x: tensor<?x64xf32>, %w: tensor<64xf32>) attributes {kind = "rows"} {
  %y = model.rms_norm %x, %w
  plan.yield %y : tensor<?x64xf32>
}

// Heads are items of their own.
// CHECK-LABEL: tile.kernel @norm_of_heads
// CHECK-SAME: items <tokens by 16 times 4>
// CHECK: tile.load {{.*}} -> !tile.tile<16x16xf32>
plan.kernel @norm_of_heads(%x: tensor<?x64xf32>, %w: tensor<16xf32>) attributes {kind = "rows"} {
  %h = model.heads %x, 4
  %y = model.rms_norm %h, %w
  plan.yield %y : tensor<?x4x16xf32>
}

// Rows behind `select` are outputs: each is fetched by its number.
// CHECK-LABEL: tile.kernel @selected
// CHECK-SAME: items <outputs by 16 times 1>
// CHECK: %[[ROWS:.*]] = tile.rows outputs
// CHECK: tile.gather %{{.*}}[%[[ROWS]],
plan.kernel @selected(%x: tensor<?x64xf32>) attributes {kind = "rows", rows = "outputs"} {
  %y = model.select %x
  plan.yield %y : tensor<?x64xf32>
}

// Token ids are part of the step and no argument.
// CHECK-LABEL: tile.kernel @embedded(%{{.*}}: !tile.memory<64xbf16>, %{{.*}}: !tile.memory<64xf32>)
// CHECK: %[[IDS:.*]] = tile.rows tokens
// CHECK: tile.gather %{{.*}}[%[[IDS]],
plan.kernel @embedded(%ids: tensor<?xi32>, %table: tensor<32x64xbf16>) attributes {kind = "rows"} {
  %x = model.embed %ids, %table
  plan.yield %x : tensor<?x64xf32>
}

// The inputs of a concatenation one behind the other.
// CHECK-LABEL: tile.kernel @concatenated
// CHECK: tile.store {{.*}} : !tile.tile<16x48xf32>, !tile.memory<64xf32>
// CHECK: tile.store {{.*}} : !tile.tile<16x16xf32>, !tile.memory<64xf32>
plan.kernel @concatenated(%x: tensor<?x64xf32>) attributes {kind = "rows"} {
  %a, %b = model.split %x into 16, 48
  %y = model.concat %b, %a
  plan.yield %y : tensor<?x64xf32>
}

// A kernel that is written already is left alone.
// CHECK-LABEL: tile.kernel @written
// CHECK-NEXT: }
tile.kernel @written(%x: !tile.memory<64xf32>) items <tokens by 1 times 1> at %item {
}
