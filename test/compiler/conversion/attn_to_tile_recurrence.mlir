// RUN: denim-opt %s --convert-attn-to-tile --cse --canonicalize | FileCheck %s

// Both forms: chunks with a triangular solve for many tokens, token by token for few. The state stays in its slot.
// CHECK-LABEL: tile.kernel @chunked
// CHECK-SAME: items <sequences by 1 times 1>
// CHECK: %[[STATE:.*]] = tile.slot
// CHECK: scf.if
// CHECK: scf.for
// CHECK: tile.cumsum
// CHECK: %[[W:.*]] = tile.solve {{.*}} !tile.tile<64x64xf32>, !tile.tile<64x32xf32>
// CHECK: %[[NEXT:.*]] = tile.mma transpose_lhs {{.*}} -> !tile.tile<32x32xf32>
// CHECK: tile.store %[[NEXT]], %[[STATE]]
// CHECK: } else {
// CHECK: scf.for
// CHECK-NOT: tile.solve
// CHECK: tile.store %{{.*}}, %[[STATE]]
plan.kernel @chunked(%x: tensor<?x98xf32>, %c: !attn.cache<state 1x32x32xf32>) attributes {kind = "recurrence"} {
  %q, %k, %v, %b, %g = model.split %x into 1x32, 1x32, 1x32, 1, 1
  %o = attn.delta_rule %q, %k, %v beta %b decay %g chunk 64 state %c
  plan.yield %o : tensor<?x1x32xf32>
}

// CHECK-LABEL: tile.kernel @short_chunks
// CHECK: tile.solve {{.*}} !tile.tile<16x16xf32>, !tile.tile<16x32xf32>
plan.kernel @short_chunks(%x: tensor<?x98xf32>, %c: !attn.cache<state 1x32x32xf32>) attributes {kind = "recurrence"} {
  %q, %k, %v, %b, %g = model.split %x into 1x32, 1x32, 1x32, 1, 1
  %o = attn.delta_rule %q, %k, %v beta %b decay %g chunk 16 state %c
  plan.yield %o : tensor<?x1x32xf32>
}

// Without a chunk there is one form only.
// CHECK-LABEL: tile.kernel @token_by_token
// CHECK-NOT: scf.if
// CHECK-NOT: tile.solve
// CHECK: scf.for
// CHECK: tile.store
plan.kernel @token_by_token(%x: tensor<?x97xf32>, %c: !attn.cache<state 1x32x32xf32>) attributes {kind = "recurrence"} {
  %q, %k, %v, %b = model.split %x into 1x32, 1x32, 1x32, 1
  %o = attn.delta_rule %q, %k, %v beta %b state %c
  plan.yield %o : tensor<?x1x32xf32>
}

// What stands in front of the recurrence is computed inside it, here a convolution that reads its tail: 3 rows more.
// CHECK-LABEL: tile.kernel @convolution_in_front
// CHECK: tile.load {{.*}} -> !tile.tile<67x32xf32>
// CHECK: tile.solve
plan.kernel @convolution_in_front(%x: tensor<?x97xf32>, %w: tensor<96x4xf32>, %t: !attn.cache<tail 3x96xf32>,
                                  %c: !attn.cache<state 1x32x32xf32>) attributes {kind = "recurrence"} {
  %qkv, %b = model.split %x into 96, 1
  %y = attn.short_conv %qkv, %w tail %t
  %q, %k, %v = model.split %y into 1x32, 1x32, 1x32
  %o = attn.delta_rule %q, %k, %v beta %b chunk 64 state %c
  plan.yield %o : tensor<?x1x32xf32>
}

// A decay per channel. Two chunks are one where all rows are there and no channel forgets more than 2^-128: split in the
// middle of the decay, with nothing left out and one solve. Otherwise the same is asked of each chunk. What is left is
// done in blocks of 16 rows, each solved for itself; pairs inside a block meet in 4 products. Nothing but differences of
// sums of decays enters exp.
// CHECK-LABEL: tile.kernel @decay_per_channel
// CHECK: %[[MOST:.*]] = arith.constant -88.7228394 : f32
// CHECK: scf.for %[[ROW:.*]] = %{{.*}} to %[[END:.*]] step %c64
// CHECK: %[[SUM:.*]] = tile.cumsum %[[G:.*]] : !tile.tile<64x32xf32>
// CHECK: %[[ALL:.*]] = tile.window %[[SUM]][63, 0]
// CHECK: %[[LEFT:.*]] = arith.cmpi sgt, %{{.*}}, %c63
// CHECK: %[[LEAST:.*]] = tile.reduce min %[[ALL]] along 1
// CHECK: %[[MOSTLY:.*]] = tile.extract %[[LEAST]][0, 0]
// CHECK: %[[RANGE:.*]] = arith.cmpf oge, %[[MOSTLY]], %[[MOST]]
// CHECK: %[[JOINED:.*]] = arith.andi %[[RANGE]], %[[LEFT]]
// CHECK: scf.if %[[JOINED]]
// CHECK-NOT: within
// CHECK: tile.solve {{.*}} !tile.tile<64x64xf32>, !tile.tile<64x32xf32>
// CHECK-NOT: within
// CHECK: } else {
// CHECK: tile.window %[[G]][0, 0] {{.*}} -> !tile.tile<32x32xf32>
// CHECK: arith.cmpf oge
// CHECK: scf.if
// CHECK: within
// CHECK: tile.solve {{.*}} !tile.tile<32x32xf32>, !tile.tile<32x32xf32>
// CHECK-NOT: tile.solve
// CHECK: } else {
// CHECK-COUNT-2: tile.solve {{.*}} !tile.tile<16x16xf32>, !tile.tile<16x32xf32>
// CHECK: arith.cmpi slt, %{{.*}}, %[[END]]
// CHECK: scf.if
// CHECK: tile.window %[[G]][32, 0] {{.*}} -> !tile.tile<32x32xf32>
// CHECK: tile.solve {{.*}} !tile.tile<32x32xf32>, !tile.tile<32x32xf32>
// CHECK: } else {
// CHECK-COUNT-2: tile.solve {{.*}} !tile.tile<16x16xf32>, !tile.tile<16x32xf32>
// CHECK-NOT: tile.solve
// CHECK: } else {
plan.kernel @decay_per_channel(%x: tensor<?x129xf32>, %c: !attn.cache<state 1x32x32xf32>) attributes {kind = "recurrence"} {
  %q, %k, %v, %b, %g = model.split %x into 1x32, 1x32, 1x32, 1, 1x32
  %o = attn.delta_rule %q, %k, %v beta %b decay %g chunk 32 state %c
  plan.yield %o : tensor<?x1x32xf32>
}

// A region outside the normal form is written as it stands: here two writes.
// CHECK-LABEL: tile.kernel @outside
// CHECK-NOT: scf.if
// CHECK: scf.for
// CHECK: %[[OLD:.*]] = tile.load %{{.*}} -> !tile.tile<32x16xf32>
// CHECK: %[[ONE:.*]] = tile.map (%{{.*}} = %[[OLD]] :
// CHECK: %[[TWO:.*]] = tile.map (%{{.*}} = %[[ONE]] :
// CHECK: tile.mma %{{.*}}, %[[TWO]]
// CHECK: tile.store %[[TWO]]
plan.kernel @outside(%x: tensor<?x80xf32>, %c: !attn.cache<state 1x32x16xf32>) attributes {kind = "recurrence"} {
  %q, %k, %v = model.split %x into 1x32, 1x32, 1x16
  %o = attn.recurrence (%s : 32x16, %q = %q, %k = %k, %v = %v) state %c {
    %n = attn.write %s, %k, %v
    %m = attn.write %n, %q, %v
    %y = attn.read %m, %q
    attn.yield %m, %y
  }
  plan.yield %o : tensor<?x1x16xf32>
}
