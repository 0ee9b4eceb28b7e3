// RUN: denim-opt %s --attn-split-keys=splits=4 | FileCheck %s
// RUN: denim-opt %s --attn-split-keys=splits=4 --attn-split-keys=splits=4 | FileCheck %s
// RUN: denim-opt %s --attn-split-keys=splits=1 | FileCheck %s --check-prefix=ONE
// RUN: not denim-opt %s --attn-split-keys=splits=0 2>&1 | FileCheck %s --check-prefix=ZERO

// One split is what attention does anyway.
// ONE-NOT: attn.attend_part
// ZERO: expected between 1 and 64 splits, but got 0

// Parts of 4 splits hold 4 * (32 + 2) channels of each head; what the op says of itself goes to both.
// CHECK-LABEL: model.block @split
model.block @split(%x: tensor<?x256xf32>) {
  %q, %k, %v, %rest = split %x into 4x16, 2x16, 2x32, 96
  %keys = attn.cache "keys" : !attn.cache<paged 2x16xf32>
  %values = attn.cache "values" : !attn.cache<paged 2x32xf32>
  // CHECK: %[[P:.*]] = attn.attend_part %[[Q:.*]], %[[K:.*]], %[[V:.*]] splits 4 scale 0.25 window 128
  // CHECK-NEXT: attn.attend %[[Q]], %[[K]], %[[V]] scale 0.25 window 128 parts %[[P]]{{$}}
  // CHECK-NOT: attn.attend
  %y = attn.attend %q, %keys, %values scale 0.25 window 128
  yield %x
}

// Sinks join where parts are merged, once.
// CHECK-LABEL: model.block @sinks
model.block @sinks(%x: tensor<?x256xf32>) {
  // CHECK: %[[SINKS:.*]] = param "sinks"
  %sinks = param "sinks" : tensor<4xf32>
  %q, %k, %v, %rest = split %x into 4x16, 2x16, 2x32, 96
  %keys = attn.cache "keys" : !attn.cache<paged 2x16xf32>
  %values = attn.cache "values" : !attn.cache<paged 2x32xf32>
  // CHECK: %[[P:.*]] = attn.attend_part %{{.*}} splits 4 scale 1 blocks 64 local 2 global 7 softcap 5{{$}}
  // CHECK-NEXT: attn.attend %{{.*}} scale 1 blocks 64 local 2 global 7 softcap 5 sinks %[[SINKS]] parts %[[P]]{{$}}
  %y = attn.attend %q, %keys, %values scale 1 blocks 64 local 2 global 7 softcap 5 sinks %sinks
  yield %x
}

// Parts have the columns of a value, not those of its row.
// CHECK-LABEL: model.block @columns
model.block @columns(%x: tensor<?x256xf32>) {
  %q, %rest = split %x into 4x32, 128
  %rows = attn.cache "latents" : !attn.cache<paged 1x32xf32>
  // CHECK: %[[P:.*]] = attn.attend_part %[[Q:.*]], %[[R:.*]], %[[R]] columns 24 splits 4 scale 0.25
  // CHECK-NEXT: attn.attend %[[Q]], %[[R]], %[[R]] columns 24 scale 0.25 parts %[[P]]{{$}}
  %y = attn.attend %q, %rows, %rows columns 24 scale 0.25
  yield %x
}

// Nothing to split.
// CHECK-LABEL: model.block @no_attention
// CHECK-NOT: attn.
model.block @no_attention(%x: tensor<?x256xf32>) {
  %y = silu %x
  yield %y
}
