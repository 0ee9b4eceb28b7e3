// RUN: denim-opt %s --split-input-file --split-forms | FileCheck %s
// RUN: denim-opt %s --split-input-file --split-forms=exact=true | FileCheck %s --check-prefix=EXACT

// Few queries of a sequence or many: two launches, whose rows come together. Every kernel says which form it is.
// CHECK-LABEL: module attributes {plan.machine = "cuda"}
// CHECK: plan.kernel @a_few({{.*}} attributes {form = "few", kind = "softmax"}
// CHECK: plan.kernel @a_many({{.*}} attributes {form = "many", kind = "softmax"}
// CHECK-NOT: plan.kernel @a(
// CHECK: plan.program @p(%[[X:.*]]: tensor
// CHECK: %[[FEW:.*]] = plan.launch @a_few(%[[X]], {{.*}}) {when = {least = 1 : i64, most = 7 : i64, of = "sequence"}}
// CHECK: %[[MANY:.*]] = plan.launch @a_many(%[[X]], {{.*}}) {when = {least = 8 : i64, most = 2147483647 : i64, of = "sequence"}}
// CHECK: %[[Y:.*]] = plan.merge %[[FEW]], %[[MANY]]
// A kernel that two launches share has each form once.
// CHECK: plan.launch @a_few(%[[Y]]
// CHECK: plan.launch @a_many(%[[Y]]
// CHECK: %[[Z:.*]] = plan.merge
// CHECK: plan.return %[[Z]]
module attributes {plan.machine = "cuda"} {
  plan.kernel @a(%x: tensor<?x1x32xf32>, %k: !attn.cache<paged 1x32xf32>, %v: !attn.cache<paged 1x32xf32>) attributes {kind = "softmax"} {
    %o = attn.attend %x, %k, %v scale 0.5
    plan.yield %o : tensor<?x1x32xf32>
  }
  plan.program @p(%x: tensor<?x1x32xf32>) {
    %k = attn.cache "k" : !attn.cache<paged 1x32xf32>
    %v = attn.cache "v" : !attn.cache<paged 1x32xf32>
    %y = plan.launch @a(%x, %k, %v) : (tensor<?x1x32xf32>, !attn.cache<paged 1x32xf32>, !attn.cache<paged 1x32xf32>) -> tensor<?x1x32xf32>
    %z = plan.launch @a(%y, %k, %v) : (tensor<?x1x32xf32>, !attn.cache<paged 1x32xf32>, !attn.cache<paged 1x32xf32>) -> tensor<?x1x32xf32>
    plan.return %z : tensor<?x1x32xf32>
  }
}

// -----

// Parts of the keys are for few queries: nothing stands for the others, so there is nothing to merge.
// CHECK-LABEL: module attributes {plan.machine = "cuda"}
// CHECK-NOT: form = "many"
// CHECK: plan.program @p
// CHECK: %[[PARTS:.*]] = plan.launch @part_few({{.*}}) {when = {least = 1 : i64, most = 7 : i64, of = "sequence"}}
// CHECK-NOT: plan.merge
// CHECK: plan.return %[[PARTS]]
module attributes {plan.machine = "cuda"} {
  plan.kernel @part(%x: tensor<?x1x32xf32>, %k: !attn.cache<paged 1x32xf32>, %v: !attn.cache<paged 1x32xf32>) attributes {kind = "softmax_part"} {
    %o = attn.attend_part %x, %k, %v splits 2 scale 0.5
    plan.yield %o : tensor<?x1x68xf32>
  }
  plan.program @p(%x: tensor<?x1x32xf32>) {
    %k = attn.cache "k" : !attn.cache<paged 1x32xf32>
    %v = attn.cache "v" : !attn.cache<paged 1x32xf32>
    %y = plan.launch @part(%x, %k, %v) : (tensor<?x1x32xf32>, !attn.cache<paged 1x32xf32>, !attn.cache<paged 1x32xf32>) -> tensor<?x1x68xf32>
    plan.return %y : tensor<?x1x68xf32>
  }
}

// -----

// Parts for a result that is kept as it is: where there are sequences enough, 132 multiprocessors for 8 key heads, and of about
// one length, they are attended whole, by one launch. A result that is gated is made of parts in every step.
// CHECK-LABEL: module attributes {plan.machine = "cuda", plan.target = "sm_90a"}
// CHECK: plan.kernel @plain_whole({{.*}} attributes {choices = {softmax_whole.most_tokens = {{.*}}value = [[#LONGEST:]] : i64}}, form = "whole", kind = "softmax"}
// CHECK: plan.program @p
// CHECK: %[[PARTS:.*]] = plan.launch @part_few({{.*}}) {when = {least = 1 : i64, longest = [[#LONGEST]] : i64, most = 7 : i64, of = "sequence", uneven = 16 : i64}}
// CHECK: %[[FEW:.*]] = plan.launch @plain_few({{.*}}, %[[PARTS]]) {when = {least = 1 : i64, longest = [[#LONGEST]] : i64, most = 7 : i64, of = "sequence", uneven = 16 : i64}}
// CHECK: %[[WHOLE:.*]] = plan.launch @plain_whole({{.*}}, %[[PARTS]]) {when = {even = 16 : i64, least = 1 : i64, longest = [[#LONGEST]] : i64, most = 7 : i64, of = "sequence"}}
// CHECK: %[[MANY:.*]] = plan.launch @plain_many({{.*}}) {when = {least = 8 : i64, most = 2147483647 : i64, of = "sequence"}}
// CHECK: plan.merge %[[FEW]], %[[WHOLE]], %[[MANY]]
// CHECK: plan.launch @part_few({{.*}}) {when = {least = 1 : i64, most = 7 : i64, of = "sequence"}}
// CHECK: plan.launch @gated_few({{.*}}) {when = {least = 1 : i64, most = 7 : i64, of = "sequence"}}
// CHECK-NEXT: plan.launch @gated_many(
module attributes {plan.machine = "cuda", plan.target = "sm_90a"} {
  plan.kernel @part(%x: tensor<?x8x32xf32>, %k: !attn.cache<paged 8x32xf32>, %v: !attn.cache<paged 8x32xf32>) attributes {kind = "softmax_part"} {
    %o = attn.attend_part %x, %k, %v splits 2 scale 0.5
    plan.yield %o : tensor<?x8x68xf32>
  }
  plan.kernel @plain(%x: tensor<?x8x32xf32>, %k: !attn.cache<paged 8x32xf32>, %v: !attn.cache<paged 8x32xf32>, %p: tensor<?x8x68xf32>) attributes {kind = "softmax"} {
    %o = attn.attend %x, %k, %v scale 0.5 parts %p
    plan.yield %o : tensor<?x8x32xf32>
  }
  plan.kernel @gated(%x: tensor<?x8x32xf32>, %k: !attn.cache<paged 8x32xf32>, %v: !attn.cache<paged 8x32xf32>, %p: tensor<?x8x68xf32>) attributes {kind = "softmax"} {
    %o = attn.attend %x, %k, %v scale 0.5 parts %p
    %g = model.silu %o
    plan.yield %g : tensor<?x8x32xf32>
  }
  plan.program @p(%x: tensor<?x8x32xf32>) {
    %k = attn.cache "k" : !attn.cache<paged 8x32xf32>
    %v = attn.cache "v" : !attn.cache<paged 8x32xf32>
    %p = plan.launch @part(%x, %k, %v) : (tensor<?x8x32xf32>, !attn.cache<paged 8x32xf32>, !attn.cache<paged 8x32xf32>) -> tensor<?x8x68xf32>
    %y = plan.launch @plain(%x, %k, %v, %p) : (tensor<?x8x32xf32>, !attn.cache<paged 8x32xf32>, !attn.cache<paged 8x32xf32>, tensor<?x8x68xf32>) -> tensor<?x8x32xf32>
    %q = plan.launch @part(%y, %k, %v) : (tensor<?x8x32xf32>, !attn.cache<paged 8x32xf32>, !attn.cache<paged 8x32xf32>) -> tensor<?x8x68xf32>
    %z = plan.launch @gated(%y, %k, %v, %q) : (tensor<?x8x32xf32>, !attn.cache<paged 8x32xf32>, !attn.cache<paged 8x32xf32>, tensor<?x8x68xf32>) -> tensor<?x8x32xf32>
    plan.return %z : tensor<?x8x32xf32>
  }
}

// -----

// Keys and values of whole panels of bf16: between as many sequences as two key heads to an item are faster for, and as many as
// have a multiprocessor for each two, items have two; with fewer and with more of them one, by one kernel.
// CHECK-LABEL: module attributes {plan.machine = "cuda", plan.overrides =
// CHECK: plan.kernel @plain_whole({{.*}} attributes {choices = {{.*}}softmax_whole.paired_sequences = {{.*}}value = 20 : i64}}, form = "whole", kind = "softmax"}
// CHECK: plan.kernel @plain_pairs({{.*}} attributes {choices = {{.*}}softmax_whole.paired_sequences = {{.*}}value = 20 : i64}}, form = "pairs", kind = "softmax"}
// Five query heads to a key head: those of two have no place in eight rows.
// CHECK: plan.kernel @wide_whole(
// CHECK-NOT: plan.kernel @wide_pairs
// CHECK: plan.program @p
// CHECK: %[[FEW:.*]] = plan.launch @plain_few({{.*}}uneven = 16 : i64}}
// CHECK: %[[ONE:.*]] = plan.launch @plain_whole({{.*}}) {when = {even = 16 : i64, fewer = 20 : i64, least = 1 : i64, longest = [[#LONGEST:]] : i64, most = 7 : i64, of = "sequence"}}
// CHECK: %[[TWO:.*]] = plan.launch @plain_pairs({{.*}}) {when = {even = 20 : i64, fewer = 34 : i64, least = 1 : i64, longest = [[#LONGEST]] : i64, most = 7 : i64, of = "sequence"}}
// CHECK: %[[MORE:.*]] = plan.launch @plain_whole({{.*}}) {when = {even = 34 : i64, least = 1 : i64, longest = [[#LONGEST]] : i64, most = 7 : i64, of = "sequence"}}
// CHECK: plan.merge %[[FEW]], %[[ONE]], %[[TWO]], %[[MORE]], %{{[a-z0-9]+}}
// CHECK: plan.launch @wide_whole({{.*}}) {when = {even = 16 : i64, least = 1 : i64,
// CHECK-NOT: plan.launch @wide_whole
module attributes {plan.machine = "cuda", plan.target = "sm_90a", plan.overrides = [{by = "user", choice = "softmax_whole.paired_sequences", value = 20 : i64}]} {
  plan.kernel @part(%x: tensor<?x32x128xf32>, %k: !attn.cache<paged 8x128xbf16>, %v: !attn.cache<paged 8x128xbf16>) attributes {kind = "softmax_part"} {
    %o = attn.attend_part %x, %k, %v splits 2 scale 0.5
    plan.yield %o : tensor<?x32x260xf32>
  }
  plan.kernel @plain(%x: tensor<?x32x128xf32>, %k: !attn.cache<paged 8x128xbf16>, %v: !attn.cache<paged 8x128xbf16>, %p: tensor<?x32x260xf32>) attributes {kind = "softmax"} {
    %o = attn.attend %x, %k, %v scale 0.5 parts %p
    plan.yield %o : tensor<?x32x128xf32>
  }
  plan.kernel @wide(%x: tensor<?x40x128xf32>, %k: !attn.cache<paged 8x128xbf16>, %v: !attn.cache<paged 8x128xbf16>, %p: tensor<?x40x260xf32>) attributes {kind = "softmax"} {
    %o = attn.attend %x, %k, %v scale 0.5 parts %p
    plan.yield %o : tensor<?x40x128xf32>
  }
  plan.program @p(%x: tensor<?x32x128xf32>, %w: tensor<?x40x128xf32>, %r: tensor<?x40x260xf32>) {
    %k = attn.cache "k" : !attn.cache<paged 8x128xbf16>
    %v = attn.cache "v" : !attn.cache<paged 8x128xbf16>
    %p = plan.launch @part(%x, %k, %v) : (tensor<?x32x128xf32>, !attn.cache<paged 8x128xbf16>, !attn.cache<paged 8x128xbf16>) -> tensor<?x32x260xf32>
    %y = plan.launch @plain(%x, %k, %v, %p) : (tensor<?x32x128xf32>, !attn.cache<paged 8x128xbf16>, !attn.cache<paged 8x128xbf16>, tensor<?x32x260xf32>) -> tensor<?x32x128xf32>
    %z = plan.launch @wide(%w, %k, %v, %r) : (tensor<?x40x128xf32>, !attn.cache<paged 8x128xbf16>, !attn.cache<paged 8x128xbf16>, tensor<?x40x260xf32>) -> tensor<?x40x128xf32>
    %u = plan.launch @both(%y, %z) : (tensor<?x32x128xf32>, tensor<?x40x128xf32>) -> tensor<?x32x128xf32>
    plan.return %u : tensor<?x32x128xf32>
  }
}

// -----

// One decay per head: long sequences are prepared and scanned. Two blocks of 64 x 64 elements, three times 64 numbers
// and the decay of a chunk are handed over. A chunk has 64 tokens, but of a sequence of 32 tokens it is a block of its own:
// 32 rows of the scratch have to hold the 4096 elements of one block, 128 each.
// CHECK-LABEL: module attributes {plan.machine = "cuda"
// CHECK: plan.kernel @r_few({{.*}} attributes {{.*}}form = "few", kind = "recurrence", scans}
// CHECK-NOT: plan.scratch
// CHECK: plan.kernel @r_prepare({{.*}} attributes {{.*}}form = "prepare", kind = "recurrence", scans, scratch = [!tile.pages<1x64x64xbf16>, !tile.pages<1x64x64xbf16>, !tile.memory<1xf32>, !tile.memory<1xf32>, !tile.memory<1xf32>, !tile.memory<1xf32>]}
// CHECK: %[[O:.*]] = attn.delta_rule
// CHECK: %[[N:.*]] = plan.cast %[[O]]
// CHECK: %[[S:.*]]:6 = plan.scratch of %[[N]] : tensor<?x1x64xbf16> -> tensor<?x128xbf16>, tensor<?x128xbf16>, tensor<?x2xf32>, tensor<?x2xf32>, tensor<?x2xf32>, tensor<?x1xf32>
// CHECK: plan.yield %[[S]]#0, %[[S]]#1, %[[S]]#2, %[[S]]#3, %[[S]]#4, %[[S]]#5
// CHECK: plan.kernel @r_scan({{.*}}, %{{.*}}: tensor<?x2xf32>, %{{.*}}: tensor<?x1xf32>) attributes {{.*}}form = "scan", kind = "recurrence", scans, scratch = [!tile.pages<1x64x64xbf16>, !tile.pages<1x64x64xbf16>, !tile.memory<64xf32>, !tile.memory<64xf32>, !tile.memory<64xf32>, !tile.memory<1xf32>]}
// CHECK: %[[O:.*]] = attn.delta_rule
// CHECK-NEXT: %[[N:.*]] = plan.cast %[[O]]
// CHECK-NEXT: plan.yield %[[N]] : tensor<?x1x64xbf16>
// CHECK: plan.program @p
// CHECK: %[[FEW:.*]] = plan.launch @r_few({{.*}}) {when = {least = 1 : i64, most = 31 : i64, of = "sequence"}}
// CHECK: %[[B:.*]]:6 = plan.launch @r_prepare({{.*}}) {when = {least = 32 : i64, most = 2147483647 : i64, of = "sequence"}}
// CHECK: %[[SCAN:.*]] = plan.launch @r_scan({{.*}}, %[[B]]#0, %[[B]]#1, %[[B]]#2, %[[B]]#3, %[[B]]#4, %[[B]]#5) {when = {least = 32 : i64, most = 2147483647 : i64, of = "sequence"}}
// CHECK: %[[Y:.*]] = plan.merge %[[FEW]], %[[SCAN]] : tensor<?x1x64xbf16>
// CHECK: plan.return %[[Y]]

// What is handed over in bf16 is not exact. What products need of shared memory depends on that where nothing is prepared.
// EXACT-LABEL: plan.kernel @r_few
// EXACT-LABEL: plan.kernel @r_many
// EXACT-SAME: attributes {exact, form = "many", kind = "recurrence"}
// EXACT-NOT: {{prepare|scan|scratch}}
// EXACT: %[[FEW:.*]] = plan.launch @r_few({{.*}}) {when = {least = 1 : i64, most = 7 : i64, of = "sequence"}}
// EXACT: %[[MANY:.*]] = plan.launch @r_many({{.*}}) {when = {least = 8 : i64, most = 2147483647 : i64, of = "sequence"}}
// EXACT: plan.merge %[[FEW]], %[[MANY]]
module attributes {plan.machine = "cuda", plan.overrides = [{by = "user", choice = "recurrence_scan.segments", value = 1 : i64}]} {
  plan.kernel @r(%x: tensor<?x192xbf16>, %bg: tensor<?x2xf32>, %s: !attn.cache<state 1x64x64xf32>) attributes {kind = "recurrence"} {
    %w = plan.cast %x : tensor<?x192xbf16> to tensor<?x192xf32>
    %q, %k, %v = model.split %w into 1x64, 1x64, 1x64
    %b, %g = model.split %bg into 1, 1
    %o = attn.delta_rule %q, %k, %v beta %b decay %g chunk 64 state %s
    %n = plan.cast %o : tensor<?x1x64xf32> to tensor<?x1x64xbf16>
    plan.yield %n : tensor<?x1x64xbf16>
  }
  plan.program @p(%x: tensor<?x192xbf16>) {
    %s = attn.cache "s" : !attn.cache<state 1x64x64xf32>
    %bg = plan.launch @gates(%x) : (tensor<?x192xbf16>) -> tensor<?x2xf32>
    %y = plan.launch @r(%x, %bg, %s) : (tensor<?x192xbf16>, tensor<?x2xf32>, !attn.cache<state 1x64x64xf32>) -> tensor<?x1x64xbf16>
    plan.return %y : tensor<?x1x64xbf16>
  }
}

// -----

// Nothing corrected, one decay per head, no norms: nothing is prepared. The first segment of each sequence makes its results,
// the others leave a state of 64 x 64 and a number, two of each in 512 rows of the scratch; a step of more tokens has others,
// which are scanned behind it. As many sequences of about the same length as segments that are scanned fill the machine.
// CHECK-LABEL: module attributes {plan.machine = "cuda"
// CHECK: plan.kernel @r_whole({{.*}}form = "whole", kind = "recurrence", scans, scratch = []}
// CHECK: plan.kernel @r_segment({{.*}}form = "segment", kind = "recurrence", scans, scratch = [!tile.memory<64xf32>, !tile.memory<1xf32>]}
// CHECK: %[[S:.*]]:2 = plan.scratch of %[[O:.*]] : tensor<?x1x64xbf16> -> tensor<?x16xf32>, tensor<?x1xf32>
// CHECK: plan.yield %[[O]], %[[S]]#0, %[[S]]#1
// CHECK: plan.kernel @r_scan({{.*}}, %{{.*}}: tensor<?x16xf32>, %{{.*}}: tensor<?x1xf32>) attributes {{.*}}form = "scan"
// A key that is normed would be normed by both kernels from chunk to chunk.
// CHECK: plan.kernel @normed_prepare(
// CHECK-NOT: @normed_segment
// CHECK: plan.program @p
// CHECK: %[[FEW:.*]] = plan.launch @r_few(
// CHECK: %[[WHOLE:.*]] = plan.launch @r_whole({{.*}}) {when = {even = 4 : i64, least = 32 : i64, {{.*}}}}
// CHECK: %[[LEFT:.*]]:3 = plan.launch @r_segment({{.*}}) {when = {least = 32 : i64, {{.*}}, of = "sequence", uneven = 4 : i64}}
// CHECK: %[[SCAN:.*]] = plan.launch @r_scan({{.*}}, %[[LEFT]]#1, %[[LEFT]]#2) {when = {{{.*}}, tokens = 513 : i64, uneven = 4 : i64}}
// CHECK: plan.merge %[[FEW]], %[[WHOLE]], %[[LEFT]]#0, %[[SCAN]] : tensor<?x1x64xbf16>

// EXACT-NOT: {{_segment|plan.scratch}}
module attributes {plan.machine = "cuda", plan.overrides = [{by = "user", choice = "recurrence_scan.segments", value = 5 : i64}]} {
  plan.kernel @r(%x: tensor<?x192xbf16>, %s: !attn.cache<state 1x64x64xf32>) attributes {kind = "recurrence"} {
    %w = plan.cast %x : tensor<?x192xbf16> to tensor<?x192xf32>
    %q, %k, %v = model.split %w into 1x64, 1x64, 1x64
    %o = attn.recurrence (%st : 64x64, %q1 = %q, %k1 = %k, %v1 = %v) chunk 64 state %s {
      %d = decay %st, [-0.5]
      %n = write %d, %k1, %v1
      %y = read %n, %q1
      yield %n, %y
    }
    %n = plan.cast %o : tensor<?x1x64xf32> to tensor<?x1x64xbf16>
    plan.yield %n : tensor<?x1x64xbf16>
  }
  plan.kernel @normed(%x: tensor<?x192xbf16>, %s: !attn.cache<state 1x64x64xf32>) attributes {kind = "recurrence"} {
    %w = plan.cast %x : tensor<?x192xbf16> to tensor<?x192xf32>
    %q, %k0, %v = model.split %w into 1x64, 1x64, 1x64
    %k = model.l2_norm %k0
    %o = attn.recurrence (%st : 64x64, %q1 = %q, %k1 = %k, %v1 = %v) chunk 64 state %s {
      %d = decay %st, [-0.5]
      %n = write %d, %k1, %v1
      %y = read %n, %q1
      yield %n, %y
    }
    %n = plan.cast %o : tensor<?x1x64xf32> to tensor<?x1x64xbf16>
    plan.yield %n : tensor<?x1x64xbf16>
  }
  plan.program @p(%x: tensor<?x192xbf16>) {
    %s = attn.cache "s" : !attn.cache<state 1x64x64xf32>
    %t = attn.cache "t" : !attn.cache<state 1x64x64xf32>
    %y = plan.launch @r(%x, %s) : (tensor<?x192xbf16>, !attn.cache<state 1x64x64xf32>) -> tensor<?x1x64xbf16>
    %z = plan.launch @normed(%x, %t) : (tensor<?x192xbf16>, !attn.cache<state 1x64x64xf32>) -> tensor<?x1x64xbf16>
    plan.return %y : tensor<?x1x64xbf16>
  }
}

// -----

// Few heads of a delta rule, in segments: these are scanned from states that `fold` makes of what `segment` leaves, which
// does the first of each sequence itself. Sequences of about the same length fill the machine as they are. What a segment
// leaves is a state of 64 x 128 and a transition of 64 x 64: 512 rows of the scratch have to hold those of two heads. Three
// segments, the first half as long again as another, are worth two launches from 2800 tokens on.
// CHECK-LABEL: module attributes {plan.machine = "cuda"
// CHECK: plan.kernel @r_few(
// CHECK: plan.kernel @r_prepare({{.*}}scratch = [!tile.pages<2x64x64xbf16>, !tile.pages<2x64x64xbf16>, !tile.memory<1xf32>, !tile.memory<1xf32>, !tile.memory<1xf32>, !tile.memory<1xf32>]}
// CHECK: plan.kernel @r_whole({{.*}}scratch = [!tile.pages<2x64x64xbf16>, !tile.pages<2x64x64xbf16>, !tile.memory<64xf32>, !tile.memory<64xf32>, !tile.memory<64xf32>, !tile.memory<1xf32>]}
// CHECK: plan.kernel @r_segment({{.*}}scratch = [!tile.pages<2x64x64xbf16>, {{.*}}, !tile.memory<64xf32>, !tile.pages<2x64x64xbf16>]}
// CHECK: %[[LEFT:.*]]:2 = plan.scratch of %[[O:.*]] : tensor<?x2x128xf32> -> tensor<?x32xf32>, tensor<?x16xbf16>
// CHECK: plan.yield %[[O]], %[[LEFT]]#0, %[[LEFT]]#1
// CHECK: plan.kernel @r_fold({{.*}}, %{{.*}}: tensor<?x32xf32>, %{{.*}}: tensor<?x16xbf16>) {{.*}}scratch = [!tile.memory<64xf32>, !tile.pages<2x64x64xbf16>, !tile.memory<64xf32>]}
// CHECK: plan.kernel @r_scan({{.*}}, %{{.*}}: tensor<?x32xf32>) {{.*}}scratch = [!tile.pages<2x64x64xbf16>, {{.*}}, !tile.memory<64xf32>]}
// CHECK: plan.program @p
// CHECK: %[[FEW:.*]] = plan.launch @r_few({{.*}}) {when = {least = 1 : i64, most = 31 : i64, of = "sequence"}}
// CHECK: %[[B:.*]]:6 = plan.launch @r_prepare({{.*}}) {when = {least = 32 : i64, most = 2147483647 : i64, of = "sequence"}}
// CHECK: %[[WHOLE:.*]] = plan.launch @r_whole({{.*}}, %[[B]]#0, {{.*}}) {when = {even = 3 : i64, least = 32 : i64, {{.*}}}}
// CHECK: %[[FIRST:.*]]:3 = plan.launch @r_segment({{.*}}, %[[B]]#0, {{.*}}, %[[B]]#5) {when = {{{.*}}, of = "sequence", uneven = 3 : i64}}
// CHECK: %[[STARTS:.*]] = plan.launch @r_fold({{.*}}, %[[FIRST]]#1, %[[FIRST]]#2) {when = {{{.*}}, tokens = 2800 : i64, uneven = 3 : i64}}
// CHECK: %[[SCAN:.*]] = plan.launch @r_scan({{.*}}, %[[B]]#5, %[[STARTS]]) {when = {{{.*}}, tokens = 2800 : i64, uneven = 3 : i64}}
// CHECK: plan.merge %[[FEW]], %[[WHOLE]], %[[FIRST]]#0, %[[SCAN]] : tensor<?x2x128xf32>
module attributes {plan.machine = "cuda", plan.overrides = [{by = "user", choice = "recurrence_scan.segments", value = 3 : i64}]} {
  plan.kernel @r(%x: tensor<?x512xf32>, %bg: tensor<?x4xf32>, %s: !attn.cache<state 2x64x128xf32>) attributes {kind = "recurrence"} {
    %q, %k, %v = model.split %x into 2x64, 2x64, 2x128
    %b, %g = model.split %bg into 2, 2
    %o = attn.delta_rule %q, %k, %v beta %b decay %g chunk 64 state %s
    plan.yield %o : tensor<?x2x128xf32>
  }
  plan.program @p(%x: tensor<?x512xf32>) {
    %s = attn.cache "s" : !attn.cache<state 2x64x128xf32>
    %bg = plan.launch @gates(%x) : (tensor<?x512xf32>) -> tensor<?x4xf32>
    %y = plan.launch @r(%x, %bg, %s) : (tensor<?x512xf32>, tensor<?x4xf32>, !attn.cache<state 2x64x128xf32>) -> tensor<?x2x128xf32>
    plan.return %y : tensor<?x2x128xf32>
  }
}

// -----

// What is computed in front of keys and values is written once for the two kernels of long sequences; a norm and a cut are
// theirs, and a few tokens compute it where they use it. What a kernel does not use any more it does not take.
// CHECK-LABEL: module attributes {plan.machine = "cuda"
// CHECK: plan.kernel @r_few(%{{.*}}: tensor<?x192xbf16>, %{{.*}}: tensor<?x2xf32>
// CHECK: model.silu
// CHECK: plan.kernel @r_front(%[[X:.*]]: tensor<?x192xbf16>) attributes {{.*}}kind = "rows"}
// CHECK: %[[S:.*]] = model.silu
// CHECK-NEXT: %[[N:.*]] = plan.cast %[[S]] : tensor<?x192xf32> to tensor<?x192xbf16>
// CHECK-NEXT: plan.yield %[[N]]
// CHECK: plan.kernel @r_prepare(%{{.*}}: tensor<?x2xf32>, %{{.*}}: !attn.cache<state 1x64x64xf32>, %{{.*}}: tensor<?x192xbf16>) attributes
// CHECK-NOT: model.silu
// CHECK: model.l2_norm
// CHECK: plan.program @p(%[[X:.*]]: tensor
// CHECK: plan.launch @r_few(%[[X]], %[[BG:[0-9]+]], %[[STATE:[0-9]+]])
// CHECK: %[[F:.*]] = plan.launch @r_front(%[[X]]) {when = {least = 32 : i64
// CHECK: %[[B:.*]]:6 = plan.launch @r_prepare(%[[BG]], %[[STATE]], %[[F]]) {when
// CHECK: plan.launch @r_scan(%[[BG]], %[[STATE]], %[[F]], %[[B]]#0
module attributes {plan.machine = "cuda", plan.overrides = [{by = "user", choice = "recurrence_scan.segments", value = 1 : i64}]} {
  plan.kernel @r(%x: tensor<?x192xbf16>, %bg: tensor<?x2xf32>, %s: !attn.cache<state 1x64x64xf32>) attributes {kind = "recurrence"} {
    %w = plan.cast %x : tensor<?x192xbf16> to tensor<?x192xf32>
    %a = model.silu %w
    %q, %k0, %v = model.split %a into 1x64, 1x64, 1x64
    %k = model.l2_norm %k0
    %b, %g = model.split %bg into 1, 1
    %o = attn.delta_rule %q, %k, %v beta %b decay %g chunk 64 state %s
    %n = plan.cast %o : tensor<?x1x64xf32> to tensor<?x1x64xbf16>
    plan.yield %n : tensor<?x1x64xbf16>
  }
  plan.program @p(%x: tensor<?x192xbf16>) {
    %s = attn.cache "s" : !attn.cache<state 1x64x64xf32>
    %bg = plan.launch @gates(%x) : (tensor<?x192xbf16>) -> tensor<?x2xf32>
    %y = plan.launch @r(%x, %bg, %s) : (tensor<?x192xbf16>, tensor<?x2xf32>, !attn.cache<state 1x64x64xf32>) -> tensor<?x1x64xbf16>
    plan.return %y : tensor<?x1x64xbf16>
  }
}

// -----

// A decay per channel is no product of a block with a number: vectors are handed over with theirs, three times 64 x 64
// elements beside the two matrices of the chunk, as one block, and a number for each channel, whatever chunk other forms have.
// CHECK-LABEL: module attributes {plan.machine = "cuda"
// CHECK: plan.kernel @r_few({{.*}} attributes {{.*}}form = "few", kind = "recurrence", scans}
// CHECK: plan.kernel @r_prepare({{.*}} attributes {{.*}}form = "prepare", kind = "recurrence", scans, scratch = [!tile.pages<1x64x320xbf16>, !tile.memory<64xf32>]}
// CHECK: plan.kernel @r_scan({{.*}}, %{{.*}}: tensor<?x640xbf16>, %{{.*}}: tensor<?x2xf32>) attributes {{.*}}form = "scan", kind = "recurrence", scans, scratch = [!tile.pages<1x64x320xbf16>, !tile.memory<64xf32>]}
// CHECK: plan.launch @r_few({{.*}}) {when = {least = 1 : i64, most = 31 : i64, of = "sequence"}}
// CHECK: plan.launch @r_prepare({{.*}}) {when = {least = 32 : i64, most = 2147483647 : i64, of = "sequence"}}
// CHECK: plan.launch @r_scan({{.*}}) {when = {least = 32 : i64, most = 2147483647 : i64, of = "sequence"}}
// CHECK: plan.merge
module attributes {plan.machine = "cuda", plan.overrides = [{by = "user", choice = "recurrence_scan.segments", value = 1 : i64}]} {
  plan.kernel @r(%x: tensor<?x257xf32>, %s: !attn.cache<state 1x64x64xf32>) attributes {kind = "recurrence"} {
    %q, %k, %v, %b, %g = model.split %x into 1x64, 1x64, 1x64, 1, 1x64
    %o = attn.delta_rule %q, %k, %v beta %b decay %g chunk 16 state %s
    plan.yield %o : tensor<?x1x64xf32>
  }
  plan.program @p(%x: tensor<?x257xf32>) {
    %s = attn.cache "s" : !attn.cache<state 1x64x64xf32>
    %y = plan.launch @r(%x, %s) : (tensor<?x257xf32>, !attn.cache<state 1x64x64xf32>) -> tensor<?x1x64xf32>
    plan.return %y : tensor<?x1x64xf32>
  }
}

// -----

// Keys of 256 channels with a decay each are too wide for the registers of a block: one kernel does a chunk.
// CHECK-LABEL: module attributes {plan.machine = "cuda"}
// CHECK-NOT: scratch
// CHECK: plan.kernel @r_few({{.*}} form = "few", kind = "recurrence"}
// CHECK: plan.kernel @r_many({{.*}} attributes {form = "many", kind = "recurrence"}
// CHECK: plan.launch @r_few({{.*}}) {when = {least = 1 : i64, most = 7 : i64, of = "sequence"}}
// CHECK: plan.launch @r_many({{.*}}) {when = {least = 8 : i64, most = 2147483647 : i64, of = "sequence"}}
// CHECK: plan.merge
module attributes {plan.machine = "cuda"} {
  plan.kernel @r(%x: tensor<?x833xf32>, %s: !attn.cache<state 1x256x64xf32>) attributes {kind = "recurrence"} {
    %q, %k, %v, %b, %g = model.split %x into 1x256, 1x256, 1x64, 1, 1x256
    %o = attn.delta_rule %q, %k, %v beta %b decay %g chunk 16 state %s
    plan.yield %o : tensor<?x1x64xf32>
  }
  plan.program @p(%x: tensor<?x833xf32>) {
    %s = attn.cache "s" : !attn.cache<state 1x256x64xf32>
    %y = plan.launch @r(%x, %s) : (tensor<?x833xf32>, !attn.cache<state 1x256x64xf32>) -> tensor<?x1x64xf32>
    plan.return %y : tensor<?x1x64xf32>
  }
}

// -----

// A launch that has a condition already stays, and so does a kernel of another kind.
// CHECK-LABEL: module attributes {plan.machine = "cuda"}
// CHECK: plan.kernel @a({{.*}} attributes {kind = "softmax"}
// CHECK: plan.kernel @b({{.*}} attributes {kind = "rows"}
// CHECK: plan.launch @a({{.*}}) {when = {least = 1 : i64, most = 3 : i64, of = "sequence"}}
// CHECK-NEXT: plan.launch @b(
// CHECK-NEXT: plan.return
module attributes {plan.machine = "cuda"} {
  plan.kernel @a(%x: tensor<?x1x32xf32>, %k: !attn.cache<paged 1x32xf32>, %v: !attn.cache<paged 1x32xf32>) attributes {kind = "softmax"} {
    %o = attn.attend %x, %k, %v scale 0.5
    plan.yield %o : tensor<?x1x32xf32>
  }
  plan.kernel @b(%x: tensor<?x1x32xf32>) attributes {kind = "rows"} {
    %o = model.silu %x
    plan.yield %o : tensor<?x1x32xf32>
  }
  plan.program @p(%x: tensor<?x1x32xf32>) {
    %k = attn.cache "k" : !attn.cache<paged 1x32xf32>
    %v = attn.cache "v" : !attn.cache<paged 1x32xf32>
    %y = plan.launch @a(%x, %k, %v) {when = {of = "sequence", least = 1, most = 3}} : (tensor<?x1x32xf32>, !attn.cache<paged 1x32xf32>, !attn.cache<paged 1x32xf32>) -> tensor<?x1x32xf32>
    %z = plan.launch @b(%y) : (tensor<?x1x32xf32>) -> tensor<?x1x32xf32>
    plan.return %z : tensor<?x1x32xf32>
  }
}

// -----

// A CPU does both forms in one kernel.
// CHECK-LABEL: module attributes {plan.machine = "cpu"}
// CHECK: plan.kernel @cpu({{.*}} attributes {kind = "softmax"}
// CHECK: plan.launch @cpu({{.*}}) : (
// CHECK-NEXT: plan.return
module attributes {plan.machine = "cpu"} {
  plan.kernel @cpu(%x: tensor<?x1x32xf32>, %k: !attn.cache<paged 1x32xf32>, %v: !attn.cache<paged 1x32xf32>) attributes {kind = "softmax"} {
    %o = attn.attend %x, %k, %v scale 0.5
    plan.yield %o : tensor<?x1x32xf32>
  }
  plan.program @p(%x: tensor<?x1x32xf32>) {
    %k = attn.cache "k" : !attn.cache<paged 1x32xf32>
    %v = attn.cache "v" : !attn.cache<paged 1x32xf32>
    %y = plan.launch @cpu(%x, %k, %v) : (tensor<?x1x32xf32>, !attn.cache<paged 1x32xf32>, !attn.cache<paged 1x32xf32>) -> tensor<?x1x32xf32>
    plan.return %y : tensor<?x1x32xf32>
  }
}

// -----

// CHECK-LABEL: plan.kernel @no_machine(
// CHECK-SAME: attributes {kind = "softmax"}
// CHECK: plan.launch @no_machine({{.*}}) : (
// CHECK-NEXT: plan.return
plan.kernel @no_machine(%x: tensor<?x1x32xf32>, %k: !attn.cache<paged 1x32xf32>, %v: !attn.cache<paged 1x32xf32>) attributes {kind = "softmax"} {
  %o = attn.attend %x, %k, %v scale 0.5
  plan.yield %o : tensor<?x1x32xf32>
}
plan.program @p(%x: tensor<?x1x32xf32>) {
  %k = attn.cache "k" : !attn.cache<paged 1x32xf32>
  %v = attn.cache "v" : !attn.cache<paged 1x32xf32>
  %y = plan.launch @no_machine(%x, %k, %v) : (tensor<?x1x32xf32>, !attn.cache<paged 1x32xf32>, !attn.cache<paged 1x32xf32>) -> tensor<?x1x32xf32>
  plan.return %y : tensor<?x1x32xf32>
}

// -----

// Pages of bf16: long sequences have a kernel of their own, in which the hardware deals out units of work. With a window
// units are short however long the sequence is.
// CHECK-LABEL: plan.program @long
// CHECK: plan.launch @causal_few({{.*}} {when = {least = 1 : i64, most = 7 : i64, of = "sequence"}}
// CHECK: plan.launch @causal_many({{.*}} {when = {least = 8 : i64, most = 16383 : i64, of = "sequence"}}
// CHECK: plan.launch @causal_long({{.*}} {when = {least = 16384 : i64, most = 2147483647 : i64, of = "sequence"}}
// CHECK: plan.launch @windowed_few(
// CHECK: plan.launch @windowed_many({{.*}} {when = {least = 8 : i64, most = 2147483647 : i64, of = "sequence"}}
// CHECK-NOT: plan.launch @windowed_long
module attributes {plan.machine = "cuda"} {
  plan.kernel @causal(%x: tensor<?x1x64xbf16>, %k: !attn.cache<paged 1x64xbf16>, %v: !attn.cache<paged 1x64xbf16>) attributes {kind = "softmax"} {
    %o = attn.attend %x, %k, %v scale 0.5
    plan.yield %o : tensor<?x1x64xf32>
  }
  plan.kernel @windowed(%x: tensor<?x1x64xbf16>, %k: !attn.cache<paged 1x64xbf16>, %v: !attn.cache<paged 1x64xbf16>) attributes {kind = "softmax"} {
    %o = attn.attend %x, %k, %v scale 0.5 window 100
    plan.yield %o : tensor<?x1x64xf32>
  }
  plan.program @long(%x: tensor<?x1x64xbf16>) {
    %k = attn.cache "k" : !attn.cache<paged 1x64xbf16>
    %v = attn.cache "v" : !attn.cache<paged 1x64xbf16>
    %y = plan.launch @causal(%x, %k, %v) : (tensor<?x1x64xbf16>, !attn.cache<paged 1x64xbf16>, !attn.cache<paged 1x64xbf16>) -> tensor<?x1x64xf32>
    %z = plan.launch @windowed(%x, %k, %v) : (tensor<?x1x64xbf16>, !attn.cache<paged 1x64xbf16>, !attn.cache<paged 1x64xbf16>) -> tensor<?x1x64xf32>
    plan.return %z : tensor<?x1x64xf32>
  }
}
