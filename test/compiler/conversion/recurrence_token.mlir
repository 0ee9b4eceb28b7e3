// RUN: denim-opt %s --split-input-file --convert-attn-to-tile --cse --canonicalize | FileCheck %s

// One token of a recurrence by blocks of threads: two heads in four parts of 32 value columns.
module attributes {plan.machine = "cuda", plan.target = "sm_90a"} {
  // The state is asked for before it is known how many tokens there are, and stays in registers through them.
  // CHECK-LABEL: tile.kernel @head_few(
  // CHECK-SAME: items <sequences by 1 times 8>
  // CHECK: %[[SLOT:.*]] = tile.slot
  // CHECK: tile.sequence
  // CHECK: %[[S:.*]] = tile.load %[[SLOT]]{{.*}} -> !tile.tile<128x32xf32>
  // CHECK: scf.if
  // CHECK: %[[LAST:.*]] = scf.for {{.*}} iter_args(%[[STATE:.*]] = %[[S]])
  // What a token needs is loaded in front of all that is computed.
  // CHECK-NOT: tile.{{map|mma|reduce}}
  // CHECK: %[[V:.*]] = tile.load {{.*}} -> !tile.tile<1x32xf32>
  // CHECK: %[[K:.*]] = tile.load {{.*}} transposed {{.*}} -> !tile.tile<128x1xf32>
  // CHECK: %[[Q:.*]] = tile.load {{.*}} transposed {{.*}} -> !tile.tile<128x1xf32>
  // CHECK-NOT: tile.load
  // Five sums over the keys, of vectors without their norms, with nothing between them.
  // CHECK: tile.mma transpose_lhs %[[K]], %[[K]] :
  // CHECK-NEXT: tile.mma transpose_lhs %[[Q]], %[[Q]] :
  // CHECK-NEXT: tile.mma transpose_lhs %[[K]], %[[Q]] :
  // CHECK-NEXT: tile.mma transpose_lhs %[[K]], %[[STATE]] :
  // CHECK-NEXT: tile.mma transpose_lhs %[[Q]], %[[STATE]] :
  // CHECK-NOT: tile.{{mma|reduce|load}}
  // CHECK: scf.yield
  // CHECK: tile.store %[[LAST]], %[[SLOT]]
  plan.kernel @head_few(%q: tensor<?x256xbf16>, %k: tensor<?x256xbf16>, %v: tensor<?x256xbf16>, %beta: tensor<?x2xf32>, %g: tensor<?x2xf32>, %s: !attn.cache<state 2x128x128xf32>) attributes {form = "few", kind = "recurrence"} {
    %0 = plan.cast %q : tensor<?x256xbf16> to tensor<?x256xf32>
    %1 = plan.cast %k : tensor<?x256xbf16> to tensor<?x256xf32>
    %2 = plan.cast %v : tensor<?x256xbf16> to tensor<?x256xf32>
    %3 = model.heads %0, 2
    %4 = model.heads %1, 2
    %5 = model.heads %2, 2
    %6 = model.l2_norm %3
    %7 = model.l2_norm %4
    %o = attn.delta_rule %6, %7, %5 beta %beta decay %g state %s
    %z = plan.cast %o : tensor<?x2x128xf32> to tensor<?x2x128xbf16>
    plan.yield %z : tensor<?x2x128xbf16>
  }
  // Gates of channels come as a column, as they are multiplied with rows of the state, and so does their bias: an
  // exponential for each row of the state that a thread has, not for each channel.
  // CHECK-LABEL: tile.kernel @channels_few(
  // CHECK-NOT: tile.tile<1x128xf32>
  // CHECK-COUNT-4: transposed {{.*}} -> !tile.tile<128x1xf32>
  // CHECK: math.log1p
  // CHECK-NOT: tile.tile<1x128xf32>
  // CHECK: tile.store
  plan.kernel @channels_few(%q: tensor<?x256xbf16>, %k: tensor<?x256xbf16>, %v: tensor<?x256xbf16>, %beta: tensor<?x2xf32>, %a: tensor<?x256xf32>, %rate: tensor<2xbf16>, %bias: tensor<256xbf16>, %s: !attn.cache<state 2x128x128xf32>) attributes {form = "few", kind = "recurrence"} {
    %0 = plan.cast %q : tensor<?x256xbf16> to tensor<?x256xf32>
    %1 = plan.cast %k : tensor<?x256xbf16> to tensor<?x256xf32>
    %2 = plan.cast %v : tensor<?x256xbf16> to tensor<?x256xf32>
    %3 = model.heads %0, 2
    %4 = model.heads %1, 2
    %5 = model.heads %2, 2
    %6 = model.heads %a, 2
    %g = attn.log_decay %6 rate %rate bias %bias
    %o = attn.delta_rule %3, %4, %5 beta %beta decay %g state %s
    %z = plan.cast %o : tensor<?x2x128xf32> to tensor<?x2x128xbf16>
    plan.yield %z : tensor<?x2x128xbf16>
  }
  // Values that the text of a recurrence takes as an argument are in parts as well.
  // CHECK-LABEL: tile.kernel @region_few(
  // CHECK-SAME: items <sequences by 1 times 8>
  // CHECK: -> !tile.tile<128x32xf32>
  plan.kernel @region_few(%q: tensor<?x256xbf16>, %k: tensor<?x256xbf16>, %v: tensor<?x256xbf16>, %g: tensor<?x2xf32>, %s: !attn.cache<state 2x128x128xf32>) attributes {form = "few", kind = "recurrence"} {
    %0 = plan.cast %q : tensor<?x256xbf16> to tensor<?x256xf32>
    %1 = plan.cast %k : tensor<?x256xbf16> to tensor<?x256xf32>
    %2 = plan.cast %v : tensor<?x256xbf16> to tensor<?x256xf32>
    %3 = model.heads %0, 2
    %4 = model.heads %1, 2
    %5 = model.heads %2, 2
    %o = attn.recurrence (%state : 128x128, %qt = %3, %kt = %4, %vt = %5, %gt = %g) state %s {
      %d = decay %state, %gt
      %n = write %d, %kt, %vt
      %y = read %n, %qt
      yield %n, %y
    }
    %z = plan.cast %o : tensor<?x2x128xf32> to tensor<?x2x128xbf16>
    plan.yield %z : tensor<?x2x128xbf16>
  }
}
