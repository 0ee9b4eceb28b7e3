// RUN: denim-opt %s --convert-attn-to-tile --cse --canonicalize | FileCheck %s
// RUN: sed s/sm_90a/sm_80/ %s | denim-opt --convert-attn-to-tile | FileCheck %s --check-prefix=WARPS

// Without products of warpgroups a part is a tile of its heads alone.
// WARPS-LABEL: tile.kernel @part(
// WARPS-NOT: tile.spread
// WARPS: tile.load {{.*}} -> !tile.tile<4x128xf32>

// Few tokens of each of many sequences: an item is a key head, its four query heads are rows of a tile of 64, the others of it
// zero. The newest page is masked and comes first; then the others, newest first, which are not. A turn asks for the scores of its page,
// then for the values of the one behind it, then does its softmax. In the second kernel the window's last pages are masked, too. Nothing
// is written but the heads that there are.
// CHECK-LABEL: tile.kernel @plain(
// CHECK-SAME: %[[K:[a-z0-9]+]]: !tile.pages<2x64x128xbf16>, %[[V:[a-z0-9]+]]: !tile.pages<2x64x128xbf16>
// CHECK-SAME: %[[O:[a-z0-9]+]]: !tile.memory<128xbf16>) items <sequences by 1 times 2>
// CHECK-SAME: tile.blocks = 2 : i64, tile.warps = 4 : i64
// CHECK: tile.load {{.*}} within {{.*}} : !tile.memory<128xbf16> -> !tile.tile<64x128xf32>
// CHECK: tile.page %[[K]][{{%[a-z0-9]+}}, %[[NEWEST:[a-z0-9]+]], {{.*}}]
// CHECK: tile.mma {{.*}} !tile.tile<64x128xf32>, !tile.tile<64x128xf32> -> !tile.tile<64x64xf32>
// CHECK: tile.index 1
// CHECK-NOT: tile.page %[[V]]
// CHECK: scf.for %[[I:[a-z0-9]+]] = %c1 to
// CHECK: %[[PAGE:.*]] = arith.subi %[[NEWEST]], %[[I]]
// CHECK: tile.page %[[K]][{{%[a-z0-9]+}}, %[[PAGE]], {{.*}}]
// CHECK: tile.mma
// CHECK: %[[BEHIND:.*]] = arith.addi %[[PAGE]], %c1
// CHECK: tile.page %[[V]][{{%[a-z0-9]+}}, %[[BEHIND]], {{.*}}]
// CHECK: tile.mma
// CHECK-NOT: tile.index
// CHECK: tile.reduce max
// CHECK: math.exp2
// CHECK: scf.yield
// CHECK-NOT: scf.for
// CHECK: tile.page %[[V]][
// CHECK: tile.mma
// CHECK: tile.store {{.*}}, %[[O]][{{.*}} within {{.*}} : !tile.tile<64x128xf32>, !tile.memory<128xbf16>
// CHECK-NOT: tile.store
// CHECK-LABEL: tile.kernel @window(
// Exactly, the tile has the heads alone.
// CHECK-NOT: tile.blocks
// CHECK: tile.load {{.*}} : !tile.memory<32xf32> -> !tile.tile<3x32xf32>
// CHECK: tile.index 1
// CHECK: scf.for
// CHECK-NOT: tile.index
// CHECK: scf.yield
// CHECK: scf.for
// CHECK: tile.index 1
// CHECK: scf.yield
// CHECK-NOT: scf.for
// Two key heads to an item: eight query heads are rows of one tile, the queries of each key head rows of a tile of their own, zero
// elsewhere, and so are its weights. Scores of both are one sum, with one softmax, and so are values of both.
// CHECK-LABEL: tile.kernel @pairs(
// CHECK-SAME: %[[K:[a-z0-9]+]]: !tile.pages<4x64x128xbf16>, %[[V:[a-z0-9]+]]: !tile.pages<4x64x128xbf16>
// CHECK-SAME: %[[O:[a-z0-9]+]]: !tile.memory<128xbf16>) items <sequences by 1 times 2>
// CHECK-SAME: tile.blocks = 2 : i64, tile.warps = 4 : i64
// CHECK: %[[HALF:.*]] = arith.remui %{{.*}}, %c2
// CHECK: %[[HEAD:.*]] = arith.muli %[[HALF]], %c2
// CHECK: %[[FOURTH:.*]] = arith.addi %[[ROW:[a-z0-9]+]], %c4
// CHECK: %[[Q0:.*]] = tile.load %{{.*}}[%[[ROW]], %c0] within [%[[ROW]], %[[FOURTH]]]
// CHECK: %[[SECOND:.*]] = arith.addi %[[ROW]], %c4
// CHECK: %[[BEHIND:.*]] = arith.addi %[[ROW]], %c8
// CHECK: %[[Q1:.*]] = tile.load %{{.*}}[%[[ROW]], %c0] within [%[[SECOND]], %[[BEHIND]]]
// CHECK: %[[NEXT:.*]] = arith.addi %[[HEAD]], %c1
// CHECK: scf.for {{.*}}%[[W0:[a-z0-9]+]] = %{{[a-z0-9]+}}, %[[W1:[a-z0-9]+]] = %{{[a-z0-9]+}}) ->
// CHECK: tile.page %[[K]][{{.*}}, %[[HEAD]]]
// CHECK: %[[S0:.*]] = tile.mma %[[Q0]], transpose_rhs %{{[a-z0-9]+}} :
// CHECK: tile.page %[[K]][{{.*}}, %[[NEXT]]]
// CHECK: %[[S1:.*]] = tile.mma %[[Q1]], transpose_rhs %{{[a-z0-9]+}} acc %[[S0]] :
// CHECK: tile.page %[[V]][{{.*}}, %[[HEAD]]]
// CHECK: %[[A0:.*]] = tile.mma %[[W0]], %{{[a-z0-9]+}} acc %{{[a-z0-9]+}} :
// CHECK: tile.page %[[V]][{{.*}}, %[[NEXT]]]
// CHECK: tile.mma %[[W1]], %{{[a-z0-9]+}} acc %[[A0]] :
// CHECK: tile.reduce max %[[S1]] along 1
// CHECK-NOT: tile.reduce max
// CHECK: %[[W:.*]] = tile.map (%{{.*}} = %[[S1]]
// CHECK: tile.reduce add %[[W]] along 1
// CHECK: %[[OF0:.*]] = tile.map (%{{.*}} = %[[W]]
// CHECK: tile.index 0
// CHECK: arith.select
// CHECK: %[[OF1:.*]] = tile.map (%{{.*}} = %[[W]]
// CHECK: tile.index 0
// CHECK: arith.select
// CHECK: scf.yield {{.*}}, %[[OF0]], %[[OF1]] :
// CHECK: %[[LAST:.*]] = arith.addi %[[ROW]], %c8
// CHECK: tile.store {{.*}}, %[[O]][%[[ROW]], %c0] within [%[[ROW]], %[[LAST]]]
// CHECK-NOT: tile.store
// A part of them leaves its sums, its largest scores as the op scales them, and its weights, of the heads that there are; its blocks
// are spread, for there are about as many as multiprocessors.
// CHECK-LABEL: tile.kernel @part(
// CHECK-SAME: %[[P:[a-z0-9]+]]: !tile.memory<130xf32>) items <sequences by 1 times 128>
// CHECK-SAME: tile.blocks = 2 : i64, tile.spread, tile.warps = 4 : i64
// CHECK: %[[SCALE:.*]] = arith.constant 5.000000e-01 : f32
// CHECK: scf.for {{.*}} !tile.tile<64x128xf32>
// CHECK-NOT: arith.divf
// CHECK: arith.mulf %{{.*}}, %[[SCALE]] : f32
// CHECK: tile.store {{.*}}, %[[P]][{{.*}}] within {{.*}} : !tile.tile<64x128xf32>, !tile.memory<130xf32>
// CHECK: tile.store {{.*}}, %[[P]][{{.*}}] within {{.*}} : !tile.tile<64x1xf32>, !tile.memory<130xf32>
// CHECK: tile.store {{.*}}, %[[P]][{{.*}}] within {{.*}} : !tile.tile<64x1xf32>, !tile.memory<130xf32>
module attributes {plan.machine = "cuda", plan.target = "sm_90a"} {
  plan.kernel @plain(%q: tensor<?x8x128xbf16>, %k: !attn.cache<paged 2x128xbf16>, %v: !attn.cache<paged 2x128xbf16>, %p: tensor<?x8x260xf32>)
      attributes {kind = "softmax", form = "whole"} {
    %x = plan.cast %q : tensor<?x8x128xbf16> to tensor<?x8x128xf32>
    %o = attn.attend %x, %k, %v scale 0.5 parts %p
    %r = plan.cast %o : tensor<?x8x128xf32> to tensor<?x8x128xbf16>
    plan.yield %r : tensor<?x8x128xbf16>
  }
  plan.kernel @window(%q: tensor<?x6x32xf32>, %k: !attn.cache<paged 2x32xf32>, %v: !attn.cache<paged 2x32xf32>, %p: tensor<?x6x68xf32>)
      attributes {kind = "softmax", form = "whole"} {
    %o = attn.attend %q, %k, %v scale 0.5 window 100 parts %p
    plan.yield %o : tensor<?x6x32xf32>
  }
  plan.kernel @pairs(%q: tensor<?x16x128xbf16>, %k: !attn.cache<paged 4x128xbf16>, %v: !attn.cache<paged 4x128xbf16>, %p: tensor<?x16x260xf32>)
      attributes {kind = "softmax", form = "pairs"} {
    %x = plan.cast %q : tensor<?x16x128xbf16> to tensor<?x16x128xf32>
    %o = attn.attend %x, %k, %v scale 0.5 parts %p
    %r = plan.cast %o : tensor<?x16x128xf32> to tensor<?x16x128xbf16>
    plan.yield %r : tensor<?x16x128xbf16>
  }
  plan.kernel @part(%q: tensor<?x32x128xbf16>, %k: !attn.cache<paged 8x128xbf16>, %v: !attn.cache<paged 8x128xbf16>)
      attributes {kind = "softmax_part", form = "few"} {
    %p = attn.attend_part %q, %k, %v splits 8 scale 0.5
    plan.yield %p : tensor<?x32x1040xf32>
  }
}
