// RUN: denim-opt %s --convert-attn-to-tile --cse --canonicalize | FileCheck %s

// One item for each head of each sequence; the page and the row in it follow from the position.
// CHECK-LABEL: tile.kernel @append
// CHECK-SAME: items <sequences by 1 times 2>
// CHECK: %[[BEGIN:.*]], %[[END:.*]], %[[PAST:.*]] = tile.sequence
// CHECK: scf.for
// CHECK: %[[PAGE:.*]] = tile.page
// CHECK: tile.load %{{.*}} within [%[[BEGIN]], %[[END]]]
// CHECK: tile.store %{{.*}}, %[[PAGE]]
plan.kernel @append(%x: tensor<?x64xf32>, %c: !attn.cache<paged 2x32xf32>) attributes {kind = "cache"} {
  %h = model.heads %x, 2
  attn.append %h to %c
  plan.yield
}

// New rows from this step, older ones from the tail itself: where one has none it gives zeros.
// CHECK-LABEL: tile.kernel @remember
// CHECK-SAME: items <sequences by 1 times 1>
// CHECK: %[[TAIL:.*]] = tile.slot
// CHECK: %[[NEW:.*]] = tile.load %{{.*}} within {{.*}} -> !tile.tile<3x64xf32>
// CHECK: %[[OLD:.*]] = tile.load %[[TAIL]]{{.*}} within {{.*}} -> !tile.tile<3x64xf32>
// CHECK: %[[BOTH:.*]] = tile.map ({{.*}} = %[[NEW]] {{.*}} = %[[OLD]]
// CHECK: tile.store %[[BOTH]], %[[TAIL]]
plan.kernel @remember(%x: tensor<?x64xf32>, %c: !attn.cache<tail 3x64xf32>) attributes {kind = "cache"} {
  attn.remember %x in %c
  plan.yield
}
