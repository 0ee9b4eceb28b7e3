// RUN: denim-opt %s --attach-target --choose-key-splits | FileCheck %s
// RUN: denim-opt %s --attach-target --choose-key-splits --choose-key-splits | FileCheck %s
// RUN: denim-opt %s --attach-target=machine=cuda --choose-key-splits | FileCheck %s --check-prefix=CUDA

// A single key head leaves most threads of a machine idle unless its keys are split; 64 of them do not. What was asked,
// and what was answered, stays on the op.
// CHECK-LABEL: model.block @one_head
// CHECK: attn.attend {{.*}}attend_part.key_splits = {by = "model", {{.*}}shape = "heads=1 kv_heads=1 dk=32 dv=32"
// CHECK-SAME: splits = {{[2-9]|[1-6][0-9]}} : i64}
// A CUDA device has memory for 8 parts of each token, whatever is made of it.
// CUDA-LABEL: model.block @one_head
// CUDA: attn.attend {{.*}} {splits = 8 : i64}
model.block @one_head(%x: tensor<?x32xf32>) {
  %keys = attn.cache "keys" : !attn.cache<paged 1x32xf32>
  %values = attn.cache "values" : !attn.cache<paged 1x32xf32>
  %q = heads %x, 1
  %o = attn.attend %q, %keys, %values scale 1
  %y = flatten %o
  yield %y
}

// CHECK-LABEL: model.block @many_heads
// CHECK: attn.attend {{.*}} splits = 1 : i64}
model.block @many_heads(%x: tensor<?x2048xf32>) {
  %keys = attn.cache "keys" : !attn.cache<paged 64x32xf32>
  %values = attn.cache "values" : !attn.cache<paged 64x32xf32>
  %q = heads %x, 64
  %o = attn.attend %q, %keys, %values scale 1
  %y = flatten %o
  yield %y
}

// A recorded choice is the choice.
// CHECK-LABEL: model.block @recorded
// CHECK: attn.attend {{.*}}by = "user"{{.*}} splits = 4 : i64}
model.block @recorded(%x: tensor<?x2048xf32>) {
  %keys = attn.cache "keys" : !attn.cache<paged 64x32xf32>
  %values = attn.cache "values" : !attn.cache<paged 64x32xf32>
  %q = heads %x, 64
  %o = attn.attend %q, %keys, %values scale 1 {choices = {attend_part.key_splits = {by = "user", value = 4 : i64}}}
  %y = flatten %o
  yield %y
}

// What has parts is left alone, and so is what attends to nothing.
// CHECK-LABEL: model.block @split
// CHECK: attn.attend {{.*}} parts %{{[0-9a-z]+}}{{$}}
// CHECK-LABEL: model.block @none
// CHECK-NOT: splits
model.block @split(%x: tensor<?x32xf32>) {
  %keys = attn.cache "keys" : !attn.cache<paged 1x32xf32>
  %values = attn.cache "values" : !attn.cache<paged 1x32xf32>
  %q = heads %x, 1
  %parts = attn.attend_part %q, %keys, %values splits 4 scale 1
  %o = attn.attend %q, %keys, %values scale 1 parts %parts
  %y = flatten %o
  yield %y
}
model.block @none(%x: tensor<?x32xf32>) {
  %y = silu %x
  yield %y
}
