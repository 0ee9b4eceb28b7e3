// RUN: denim-opt %s --split-input-file --split-forms | FileCheck %s

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
