// RUN: denim-opt %s --set-page-type=type=f16 | FileCheck %s
// RUN: denim-opt %s --set-page-type=type=bf16 | FileCheck %s --check-prefix=BF16
// RUN: denim-opt %s --set-page-type=type=f16 --set-page-type=type=f32 | FileCheck %s --check-prefix=BACK
// RUN: not denim-opt %s --set-page-type=type=f8 2>&1 | FileCheck %s --check-prefix=REFUSED
// REFUSED: error: expected pages of f32, bf16 or f16, but got f8

// Keys and values, and who reads and writes them.
// CHECK-LABEL: model.block @attention
// CHECK: %[[K:.*]] = attn.cache "k" : !attn.cache<paged 1x32xf16>
// CHECK: attn.append %{{.*}} to %[[K]]
// CHECK: attn.attend %{{.*}}, %[[K]],
// BF16-LABEL: model.block @attention
// BF16: attn.cache "k" : !attn.cache<paged 1x32xbf16>
// BF16: attn.cache "v" : !attn.cache<paged 1x32xbf16>
// BACK-LABEL: model.block @attention
// BACK: attn.cache "k" : !attn.cache<paged 1x32xf32>
model.block @attention(%x: tensor<?x96xf32>) {
  %k_cache = attn.cache "k" : !attn.cache<paged 1x32xf32>
  %v_cache = attn.cache "v" : !attn.cache<paged 1x32xf32>
  %q, %k, %v = split %x into 1x32, 1x32, 1x32
  attn.append %k to %k_cache
  attn.append %v to %v_cache
  %o = attn.attend %q, %k_cache, %v_cache scale 0.125
  yield %x
}

// States and tails are no pages: nothing is done.
// CHECK-LABEL: model.block @others
// CHECK: !attn.cache<state 2x8x8xf32>
// CHECK: !attn.cache<tail 3x16xf32>
model.block @others(%x: tensor<?x16xf32>) {
  %state = attn.cache "state" : !attn.cache<state 2x8x8xf32>
  %tail = attn.cache "tail" : !attn.cache<tail 3x16xf32>
  yield %x
}
