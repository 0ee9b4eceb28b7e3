// RUN: denim-opt %s --split-input-file --split-forms | FileCheck %s
// RUN: denim-opt %s --split-input-file --split-forms=exact | FileCheck %s --check-prefix=EXACT

// Attention over latents is for sequences with few new tokens: the others are expanded.
module attributes {plan.machine = "cuda"} {
  // CHECK: plan.kernel @softmax_few
  // CHECK-NOT: plan.kernel @softmax_many
  plan.kernel @softmax(%q: tensor<?x2x40xf32>, %l: !attn.cache<paged 1x40xf32>) attributes {kind = "softmax"} {
    %o = attn.attend %q, %l, %l columns 32 scale 0.5
    plan.yield %o : tensor<?x2x32xf32>
  }
  // CHECK-LABEL: plan.program @layer
  // CHECK: plan.launch @softmax_few({{.*}}) {when = {least = 1 : i64, most = 7 : i64, of = "sequence"}}
  // CHECK-NEXT: plan.return
  plan.program @layer(%q: tensor<?x2x40xf32>) {
    %l = attn.cache "latents" : !attn.cache<paged 1x40xf32>
    %o = plan.launch @softmax(%q, %l) : (tensor<?x2x40xf32>, !attn.cache<paged 1x40xf32>) -> tensor<?x2x32xf32>
    plan.return %o : tensor<?x2x32xf32>
  }
}

// -----

// A CPU does nothing of the kind.
module {
  // CHECK: plan.kernel @softmax(
  // CHECK-NOT: form =
  plan.kernel @softmax(%q: tensor<?x2x40xf32>, %l: !attn.cache<paged 1x40xf32>) attributes {kind = "softmax"} {
    %o = attn.attend %q, %l, %l columns 32 scale 0.5
    plan.yield %o : tensor<?x2x32xf32>
  }
}

// -----

// Latents of bf16 are expanded once for all queries of a pass, in front of attention over what was made: blocks of 128 tokens,
// four times as many as the sequence brings. Sequences that see more keys have a kernel that needs no scratch. Exactly, nothing
// is handed over in bf16.
// EXACT-LABEL: plan.kernel @heads(
// EXACT-NOT: form =
module attributes {plan.machine = "cuda"} {
  // CHECK-DAG: plan.kernel @heads_few({{.*}}) attributes {form = "few", kind = "latent"}
  // CHECK-DAG: plan.kernel @heads_expand({{.*}}) attributes {form = "expand", kind = "latent", scratch = [!tile.pages<2x128x56xbf16>]}
  // CHECK-DAG: plan.scratch of %{{.*}} : tensor<?x2x32xf32> -> tensor<?x448xbf16>
  // CHECK-DAG: plan.kernel @heads_many({{.*}}, %{{.*}}: tensor<?x448xbf16>) attributes {form = "many", kind = "latent", scratch = [!tile.pages<2x128x56xbf16>]}
  // CHECK-DAG: plan.kernel @heads_far({{.*}}) attributes {form = "far", kind = "latent"}
  plan.kernel @heads(%m: tensor<?x2x32xf32>, %q: tensor<?x2x16xf32>, %qr: tensor<?x2x8xf32>, %w: tensor<96x32xf32>,
                     %l: !attn.cache<paged 1x40xbf16>) attributes {kind = "latent"} {
    %o = attn.attend_latent %m or %q, %l, %w rope %qr scale 0.5
    plan.yield %o : tensor<?x2x32xf32>
  }
  // CHECK-LABEL: plan.program @layer
  // CHECK: %[[FEW:.*]] = plan.launch @heads_few({{.*}}) {when = {least = 1 : i64, most = 7 : i64, of = "sequence"}}
  // CHECK: %[[KEYS:.*]] = plan.launch @heads_expand({{.*}}) {when = {least = 8 : i64, most = 2147483647 : i64, of = "sequence"}} : {{.*}} -> tensor<?x448xbf16>
  // CHECK: %[[MANY:.*]] = plan.launch @heads_many({{.*}}, %[[KEYS]]) {when = {least = 8 : i64, most = 2147483647 : i64, of = "sequence"}}
  // CHECK: %[[FAR:.*]] = plan.launch @heads_far({{.*}}) {when = {block = 128 : i64, least = 8 : i64, most = {{.*}} : i64, of = "sequence", stride = 32 : i64}}
  // CHECK: plan.merge %[[FEW]], %[[MANY]], %[[FAR]]
  plan.program @layer(%q: tensor<?x2x16xf32>, %qr: tensor<?x2x8xf32>, %m: tensor<?x2x32xf32>) {
    %w = model.param "w" : tensor<96x32xf32>
    %l = attn.cache "latents" : !attn.cache<paged 1x40xbf16>
    %o = plan.launch @heads(%m, %q, %qr, %w, %l)
        : (tensor<?x2x32xf32>, tensor<?x2x16xf32>, tensor<?x2x8xf32>, tensor<96x32xf32>, !attn.cache<paged 1x40xbf16>) -> tensor<?x2x32xf32>
    plan.return %o : tensor<?x2x32xf32>
  }
}

// -----

// From 64 sequences on, whose 128 heads are two tiles each, as many tiles as multiprocessors (to a power of two): parts are not made
// there, however long the sequences are, and there is nothing to merge.
// EXACT-LABEL: plan.kernel @part_few(
module attributes {plan.machine = "cuda", plan.target = "sm_90a"} {
  // CHECK-DAG: plan.kernel @part_few({{.*}}) attributes {form = "few", kind = "softmax_part"}
  // CHECK-DAG: plan.kernel @softmax_few({{.*}}) attributes {form = "few", kind = "softmax"}
  // CHECK-DAG: plan.kernel @softmax_whole({{.*}}) attributes {form = "whole", kind = "softmax"}
  plan.kernel @part(%q: tensor<?x128x40xbf16>, %l: !attn.cache<paged 1x40xbf16>) attributes {kind = "softmax_part"} {
    %p = attn.attend_part %q, %l, %l columns 32 splits 8 scale 0.5
    plan.yield %p : tensor<?x128x272xf32>
  }
  plan.kernel @softmax(%q: tensor<?x128x40xbf16>, %l: !attn.cache<paged 1x40xbf16>, %p: tensor<?x128x272xf32>) attributes {kind = "softmax"} {
    %c = plan.cast %q : tensor<?x128x40xbf16> to tensor<?x128x40xf32>
    %o = attn.attend %c, %l, %l columns 32 scale 0.5 parts %p
    plan.yield %o : tensor<?x128x32xf32>
  }
  // CHECK-LABEL: plan.program @layer
  // CHECK: plan.launch @part_few({{.*}}) {when = {least = 1 : i64, longest = 2147483647 : i64, most = 7 : i64, of = "sequence", uneven = 64 : i64}}
  // CHECK: %[[FEW:.*]] = plan.launch @softmax_few({{.*}}) {when = {least = 1 : i64, longest = 2147483647 : i64, most = 7 : i64, of = "sequence", uneven = 64 : i64}}
  // CHECK: %[[WHOLE:.*]] = plan.launch @softmax_whole({{.*}}) {when = {even = 64 : i64, least = 1 : i64, longest = 2147483647 : i64, most = 7 : i64, of = "sequence"}}
  // CHECK-NEXT: plan.merge %[[FEW]], %[[WHOLE]]
  plan.program @layer(%q: tensor<?x128x40xbf16>) {
    %l = attn.cache "latents" : !attn.cache<paged 1x40xbf16>
    %p = plan.launch @part(%q, %l) : (tensor<?x128x40xbf16>, !attn.cache<paged 1x40xbf16>) -> tensor<?x128x272xf32>
    %o = plan.launch @softmax(%q, %l, %p) : (tensor<?x128x40xbf16>, !attn.cache<paged 1x40xbf16>, tensor<?x128x272xf32>) -> tensor<?x128x32xf32>
    plan.return %o : tensor<?x128x32xf32>
  }
}
