// RUN: denim-opt %s --split-input-file --convert-attn-to-tile --cse --canonicalize | FileCheck %s

// On a CPU all tokens take the absorbed form. W_UK of a head is the first 16 of its 48 rows, as they stand; W_UV the other 32,
// turned. The key without weights follows behind the 32 absorbed channels of each query.
module {
  // CHECK-LABEL: tile.kernel @absorb(
  // CHECK-SAME: items <tokens by 64 times 2>
  // CHECK: %[[ROW:.*]] = arith.muli %{{.*}}, %c48
  // CHECK: %[[W:.*]] = tile.load %{{.*}}[%[[ROW]], %c0{{.*}}] : {{.*}} -> !tile.tile<16x32xf32>
  // CHECK: tile.mma %{{.*}}, %[[W]] : !tile.tile<16x16xf32>, !tile.tile<16x32xf32> -> !tile.tile<16x32xf32>
  // CHECK: tile.store %{{.*}} : !tile.tile<16x8xf32>
  plan.kernel @absorb(%q: tensor<?x2x16xf32>, %qr: tensor<?x2x8xf32>, %w: tensor<96x32xf32>)
      attributes {kind = "absorb"} {
    %a = attn.absorb %q, %w rope %qr
    plan.yield %a : tensor<?x2x40xf32>
  }

  // CHECK-LABEL: tile.kernel @heads(
  // CHECK-NOT: = tile.page 
  // CHECK: tile.mma %{{.*}}, transpose_rhs %{{.*}} : !tile.tile<16x32xf32>, !tile.tile<32x32xf32> -> !tile.tile<16x32xf32>
  // CHECK-NOT: = tile.page 
  plan.kernel @heads(%m: tensor<?x2x32xf32>, %q: tensor<?x2x16xf32>, %qr: tensor<?x2x8xf32>, %w: tensor<96x32xf32>,
                     %l: !attn.cache<paged 1x40xf32>) attributes {kind = "latent"} {
    %o = attn.attend_latent %m or %q, %l, %w rope %qr scale 0.5
    plan.yield %o : tensor<?x2x32xf32>
  }

  // A row is loaded once: it is the key, and its sum, weighted, has the value in front.
  // CHECK-LABEL: tile.kernel @rows(
  // CHECK: scf.for {{.*}} !tile.tile<64x40xf32>
  // CHECK: %[[ROWS:.*]] = tile.load {{.*}} -> !tile.tile<64x40xf32>
  // CHECK-NOT: tile.load
  // CHECK: tile.mma %{{.*}}, transpose_rhs %[[ROWS]]
  // CHECK-NOT: tile.load
  // CHECK: tile.mma %{{.*}}, %[[ROWS]] acc
  // CHECK: tile.window %{{.*}} -> !tile.tile<64x32xf32>
  plan.kernel @rows(%q: tensor<?x2x40xf32>, %l: !attn.cache<paged 1x40xf32>) attributes {kind = "softmax"} {
    %o = attn.attend %q, %l, %l columns 32 scale 0.5
    plan.yield %o : tensor<?x2x32xf32>
  }
}

// -----

// On a CUDA device sequences that bring many tokens are expanded: keys and values of a head are products of the latents of
// a page, in steps, and no query is absorbed for them. Each variant stores the rows of its own sequences.
module attributes {plan.machine = "cuda"} {
  // CHECK-LABEL: tile.kernel @heads_few(
  // CHECK: tile.mma
  // CHECK: tile.sequence
  // CHECK: arith.cmpi slt, %{{.*}}, %c8
  // CHECK: tile.store %{{.*}} within
  // CHECK-LABEL: tile.kernel @heads_many(
  // CHECK: tile.sequence
  // CHECK: tile.page
  // CHECK: %[[K:.*]] = tile.mma %{{.*}}, transpose_rhs %{{.*}} acc %{{.*}} -> !tile.tile<64x16xf32>
  // CHECK: %[[S:.*]] = tile.mma %{{.*}}, transpose_rhs %[[K]] : {{.*}} -> !tile.tile<64x64xf32>
  // CHECK: tile.mma %{{.*}}, transpose_rhs %{{.*}} acc %[[S]] : !tile.tile<64x8xf32>
  // CHECK: math.exp2
  // CHECK: %[[V:.*]] = tile.mma %{{.*}}, transpose_rhs %{{.*}} acc %{{.*}} -> !tile.tile<64x32xf32>
  // CHECK: tile.mma %{{.*}}, %[[V]] acc
  // CHECK: tile.store %{{.*}} within
  plan.kernel @heads(%m: tensor<?x2x32xf32>, %q: tensor<?x2x16xf32>, %qr: tensor<?x2x8xf32>, %w: tensor<96x32xf32>,
                     %l: !attn.cache<paged 1x40xf32>) attributes {kind = "latent"} {
    %o = attn.attend_latent %m or %q, %l, %w rope %qr scale 0.5
    plan.yield %o : tensor<?x2x32xf32>
  }

  // CHECK-LABEL: plan.program @layer
  // CHECK: %[[FEW:.*]] = plan.launch @heads_few({{.*}}) slots [3] {when = {least = 1 : i64, most = 7 : i64, of = "sequence"}}
  // CHECK: %[[MANY:.*]] = plan.launch @heads_many({{.*}}) slots [3] {when = {least = 8 : i64, most = 2147483647 : i64, of = "sequence"}}
  // CHECK: plan.merge %[[FEW]], %[[MANY]]
  plan.program @layer(%q: tensor<?x2x16xf32>, %qr: tensor<?x2x8xf32>, %m: tensor<?x2x32xf32>) {
    %w = model.param "w" : tensor<96x32xf32>
    %l = attn.cache "latents" : !attn.cache<paged 1x40xf32>
    %o = plan.launch @heads(%m, %q, %qr, %w, %l) slots [3]
        : (tensor<?x2x32xf32>, tensor<?x2x16xf32>, tensor<?x2x8xf32>, tensor<96x32xf32>, !attn.cache<paged 1x40xf32>) -> tensor<?x2x32xf32>
    plan.return %o : tensor<?x2x32xf32>
  }
}

// -----

// A block of threads takes 64 heads over latents of bf16 and reads values out of the tile that it has as keys. Of few
// sequences the keys are split, two tiles of heads times 32 parts at the most; 128 items, one for a multiprocessor, are enough, so of many they are not.
// Weights are summed along a row behind the loop: two warps share it.
module attributes {plan.machine = "cuda"} {
  // CHECK-LABEL: tile.kernel @part(
  // CHECK-SAME: items <sequences by 1 times 2>
  // CHECK-SAME: tile.parts = {most = 32 : i64, wanted = 128 : i64}
  // CHECK: %[[COUNT:.*]] = tile.count sequences
  // CHECK: %[[WHOLE:.*]] = arith.muli %[[COUNT]], %c2
  // CHECK: arith.divui %{{.*}}, %[[WHOLE]]
  // CHECK: arith.remui %{{.*}}, %[[WHOLE]]
  // CHECK: %[[Q:.*]] = tile.load %{{.*}} -> !tile.tile<64x576xf32>
  // CHECK: tile.page
  // CHECK-NEXT: %[[K:.*]] = tile.load %{{.*}} -> !tile.tile<64x576xf32>
  // CHECK-NEXT: %[[V:.*]] = tile.window %[[K]][0, 0] : {{.*}} -> !tile.tile<64x512xf32>
  // CHECK-NEXT: tile.mma %[[Q]], transpose_rhs %[[K]] : {{.*}} -> !tile.tile<64x64xf32>
  // CHECK-NOT: tile.reduce add
  // CHECK: tile.mma %{{.*}}, %[[V]] acc %{{.*}} -> !tile.tile<64x512xf32>
  // CHECK: tile.reduce add %{{.*}} along 1 : !tile.tile<64x64xf32>
  plan.kernel @part(%q: tensor<?x128x576xbf16>, %l: !attn.cache<paged 1x576xbf16>) attributes {kind = "softmax_part", form = "few"} {
    %p = attn.attend_part %q, %l, %l columns 512 splits 8 scale 0.5
    plan.yield %p : tensor<?x128x4112xf32>
  }
  // CHECK-LABEL: plan.program @layer
  plan.program @layer(%q: tensor<?x128x576xbf16>) {
    %l = attn.cache "latents" : !attn.cache<paged 1x576xbf16>
    %p = plan.launch @part(%q, %l) : (tensor<?x128x576xbf16>, !attn.cache<paged 1x576xbf16>) -> tensor<?x128x4112xf32>
    plan.return %p : tensor<?x128x4112xf32>
  }
}

// -----

// Few parts are merged in turn, 16 heads at once, many as rows of a tile, one head at a time.
module attributes {plan.machine = "cuda"} {
  // CHECK-LABEL: tile.kernel @merge(
  // CHECK-SAME: !tile.memory<514xf32>
  // CHECK-SAME: !tile.memory<512xbf16>
  // CHECK-SAME: items <sequences by 1 times 8>
  // CHECK-SAME: tile.parts = {most = 64 : i64, wanted = 512 : i64}
  // CHECK: %[[FEW:.*]] = arith.cmpi slt, %{{.*}}, %c9
  // CHECK: scf.if %[[FEW]]
  // CHECK: tile.load %{{.*}} : !tile.memory<514xf32> -> !tile.tile<16x128xf32>
  // CHECK: tile.store %{{.*}} : !tile.tile<16x128xf32>, !tile.memory<512xbf16>
  // CHECK: else
  // CHECK: tile.load %{{.*}} within {{.*}} -> !tile.tile<64x128xf32>
  // CHECK: tile.reduce add %{{.*}} along 0 : !tile.tile<64x128xf32> -> !tile.tile<1x128xf32>
  // CHECK: tile.store %{{.*}} : !tile.tile<1x128xf32>, !tile.memory<512xbf16>
  plan.kernel @merge(%q: tensor<?x128x576xbf16>, %l: !attn.cache<paged 1x576xbf16>, %p: tensor<?x128x4112xf32>)
      attributes {kind = "softmax", form = "few"} {
    %c = plan.cast %q : tensor<?x128x576xbf16> to tensor<?x128x576xf32>
    %o = attn.attend %c, %l, %l columns 512 scale 0.5 parts %p
    %r = plan.cast %o : tensor<?x128x512xf32> to tensor<?x128x512xbf16>
    plan.yield %r : tensor<?x128x512xbf16>
  }
}

// -----

// Keys and values made once. The kernel in front writes both halves of a block of 128 tokens, [rope | keys | values]: products of
// two pages of latents with the head's weights, and rope as it is. Sequences whose keys have no room are passed over, and are all
// that the third kernel does, as it would without the other two.
module attributes {plan.machine = "cuda"} {
  // CHECK-LABEL: tile.kernel @expand(
  // CHECK-SAME: items <tokens by 512 times 2>
  // CHECK-SAME: tile.parts = {most = 4 : i64, wanted = 132 : i64}
  // CHECK: scf.for {{.*}} iter_args
  // CHECK: tile.sequence
  // CHECK: tile.page
  // CHECK: tile.page
  // CHECK: %[[W:.*]] = tile.load %{{.*}} : !tile.memory<128xbf16> -> !tile.tile<192x64xf32>
  // CHECK: tile.mma %{{.*}}, transpose_rhs %[[W]] acc %{{.*}} -> !tile.tile<64x192xf32>
  // CHECK: tile.mma %{{.*}}, transpose_rhs %[[W]] acc %{{.*}} -> !tile.tile<64x192xf32>
  // CHECK: tile.block %{{.*}} : !tile.pages<2x128x256xbf16>
  // CHECK: tile.store %{{.*}}[%c0, %c64]
  // CHECK: tile.store %{{.*}}[%c64, %c64]
  // CHECK: tile.store %{{.*}}[%c0, %c0] : !tile.tile<64x64xf32>
  // CHECK: tile.store %{{.*}}[%c64, %c0] : !tile.tile<64x64xf32>
  plan.kernel @expand(%m: tensor<?x2x128xbf16>, %q: tensor<?x2x128xbf16>, %qr: tensor<?x2x64xbf16>, %w: tensor<384x128xbf16>,
                      %l: !attn.cache<paged 1x192xbf16>)
      attributes {kind = "latent", form = "expand", scratch = [!tile.pages<2x128x256xbf16>]} {
    %o = attn.attend_latent %m or %q, %l, %w rope %qr scale 0.5
    %s = plan.scratch of %o : tensor<?x2x64xf32> -> tensor<?x2048xbf16>
    plan.yield %s : tensor<?x2048xbf16>
  }
  // CHECK-LABEL: tile.kernel @many(
  // CHECK-SAME: tile.alternate
  // CHECK-NOT: tile.page
  // CHECK: tile.block
  // CHECK: %[[R:.*]] = tile.load %{{.*}}[%c0, %c0] : {{.*}} -> !tile.tile<128x64xf32>
  // CHECK: %[[S:.*]] = tile.mma %{{.*}}, transpose_rhs %[[R]] : {{.*}} -> !tile.tile<128x128xf32>
  // CHECK: %[[K:.*]] = tile.load %{{.*}}[%c0, %c64] : {{.*}} -> !tile.tile<128x128xf32>
  // CHECK: tile.mma %{{.*}}, transpose_rhs %[[K]] acc %[[S]]
  // CHECK: %[[V:.*]] = tile.load %{{.*}}[%c0, %c192] : {{.*}} -> !tile.tile<128x64xf32>
  // CHECK: tile.mma %{{.*}}, %[[V]] acc
  plan.kernel @many(%m: tensor<?x2x128xbf16>, %q: tensor<?x2x128xbf16>, %qr: tensor<?x2x64xbf16>, %w: tensor<384x128xbf16>,
                    %l: !attn.cache<paged 1x192xbf16>, %s: tensor<?x2048xbf16>)
      attributes {kind = "latent", form = "many", scratch = [!tile.pages<2x128x256xbf16>]} {
    %o = attn.attend_latent %m or %q, %l, %w rope %qr scale 0.5
    plan.yield %o : tensor<?x2x64xf32>
  }
  // CHECK-LABEL: tile.kernel @far(
  // CHECK-NOT: tile.block %
  // CHECK: arith.cmpi sge
  // CHECK: tile.page
  // CHECK-NOT: tile.block %
  plan.kernel @far(%m: tensor<?x2x128xbf16>, %q: tensor<?x2x128xbf16>, %qr: tensor<?x2x64xbf16>, %w: tensor<384x128xbf16>,
                   %l: !attn.cache<paged 1x192xbf16>) attributes {kind = "latent", form = "far"} {
    %o = attn.attend_latent %m or %q, %l, %w rope %qr scale 0.5
    plan.yield %o : tensor<?x2x64xf32>
  }
}

// -----

// Of many sequences nothing is cut and nothing merged: the sums of 64 heads, each row divided once, are the result.
module attributes {plan.machine = "cuda"} {
  // CHECK-LABEL: tile.kernel @whole(
  // CHECK-SAME: %[[O:[a-z0-9]+]]: !tile.memory<512xbf16>) items <sequences by 1 times 2>
  // CHECK-NOT: tile.parts
  // CHECK-SAME: tile.warps_ahead = 4 : i64
  // CHECK: tile.mma %{{.*}} acc %{{.*}} -> !tile.tile<64x512xf32>
  // CHECK: %[[L:.*]] = tile.reduce add %{{.*}} along 1 : !tile.tile<64x64xf32>
  // CHECK: tile.map ({{.*}} = %[[L]] : !tile.tile<64x1xf32>)
  // CHECK: arith.divf
  // CHECK-NOT: arith.divf
  // CHECK: tile.store %{{.*}}, %[[O]]{{.*}} : !tile.tile<64x512xf32>, !tile.memory<512xbf16>
  // CHECK-NOT: tile.store
  plan.kernel @whole(%q: tensor<?x128x576xbf16>, %l: !attn.cache<paged 1x576xbf16>, %p: tensor<?x128x4112xf32>)
      attributes {kind = "softmax", form = "whole"} {
    %c = plan.cast %q : tensor<?x128x576xbf16> to tensor<?x128x576xf32>
    %o = attn.attend %c, %l, %l columns 512 scale 0.5 parts %p
    %r = plan.cast %o : tensor<?x128x512xf32> to tensor<?x128x512xbf16>
    plan.yield %r : tensor<?x128x512xbf16>
  }
  // CHECK-LABEL: plan.program @layer
  plan.program @layer(%q: tensor<?x128x576xbf16>, %p: tensor<?x128x4112xf32>) {
    %l = attn.cache "latents" : !attn.cache<paged 1x576xbf16>
    %o = plan.launch @whole(%q, %l, %p) : (tensor<?x128x576xbf16>, !attn.cache<paged 1x576xbf16>, tensor<?x128x4112xf32>) -> tensor<?x128x512xbf16>
    plan.return %o : tensor<?x128x512xbf16>
  }
}
