// RUN: denim-opt %s | denim-opt | FileCheck %s
// RUN: denim-opt %s --mlir-print-op-generic | denim-opt | FileCheck %s

// CHECK-LABEL: model.block @grouped
model.block @grouped(%x: tensor<?x256xf32>) {
  %q, %k, %v, %rest = split %x into 4x16, 2x16, 2x32, 96
  %keys = attn.cache "keys" : !attn.cache<paged 2x16xf32>
  %values = attn.cache "values" : !attn.cache<paged 2x32xf32>
  // CHECK: attn.append %{{.*}} to %[[K:.*]]{{$}}
  attn.append %k to %keys
  // CHECK: attn.append %{{.*}} to %[[V:.*]]{{$}}
  attn.append %v to %values
  // CHECK: = attn.attend %{{.*}}, %[[K]], %[[V]] scale 0.25{{$}}
  %y = attn.attend %q, %keys, %values scale 0.25
  yield %x
}

// CHECK-LABEL: model.block @all_words
model.block @all_words(%x: tensor<?x256xf32>) {
  %q, %k, %v, %rest = split %x into 4x16, 2x16, 2x32, 96
  %keys = attn.cache "keys" : !attn.cache<paged 2x16xf32>
  %values = attn.cache "values" : !attn.cache<paged 2x32xf32>
  // CHECK: = attn.attend %{{.*}}, %{{.*}}, %{{.*}} scale 0.25 window 128 softcap 50{{$}}
  %y = attn.attend %q, %keys, %values scale 0.25 window 128 softcap 50
  yield %x
}

// CHECK-LABEL: model.block @visible_keys
model.block @visible_keys(%x: tensor<?x256xf32>) {
  // CHECK: %[[SINKS:.*]] = param "sinks"
  %sinks = param "sinks" : tensor<4xf32>
  %q, %k, %v, %rest = split %x into 4x16, 2x16, 2x32, 96
  %keys = attn.cache "keys" : !attn.cache<paged 2x16xf32>
  %values = attn.cache "values" : !attn.cache<paged 2x32xf32>
  // CHECK: %[[P:.*]] = attn.attend_part %{{.*}}, %{{.*}}, %{{.*}} splits 2 scale 1 blocks 64 local 4 global 16{{$}}
  %p = attn.attend_part %q, %keys, %values splits 2 scale 1 blocks 64 local 4 global 16
  // CHECK: = attn.attend %{{.*}}, %{{.*}}, %{{.*}} scale 1 blocks 64 local 4 global 16 sinks %[[SINKS]] parts %[[P]]{{$}}
  %y = attn.attend %q, %keys, %values scale 1 blocks 64 local 4 global 16 sinks %sinks parts %p
  // CHECK: = attn.attend %{{.*}}, %{{.*}}, %{{.*}} scale 1 window 5 global 1 sinks %[[SINKS]]{{$}}
  %z = attn.attend %q, %keys, %values scale 1 window 5 global 1 sinks %sinks
  yield %x
}

// Rows that are key and value at once: two values side by side, of which attention weighs the first 24 columns.
// CHECK-LABEL: model.block @shared_rows
model.block @shared_rows(%x: tensor<?x256xf32>) {
  %q, %c, %k, %rest = split %x into 4x32, 24, 1x8, 96
  %rows = attn.cache "latents" : !attn.cache<paged 1x32xf32>
  // CHECK: attn.append %{{.*}}, %{{.*}} to %[[ROWS:.*]]{{$}}
  attn.append %c, %k to %rows
  // CHECK: = attn.attend_part %{{.*}}, %[[ROWS]], %[[ROWS]] columns 24 splits 2 scale 1{{$}}
  %p = attn.attend_part %q, %rows, %rows columns 24 splits 2 scale 1
  // CHECK: = attn.attend %{{.*}}, %[[ROWS]], %[[ROWS]] columns 24 scale 1 parts %{{.*}}{{$}}
  %y = attn.attend %q, %rows, %rows columns 24 scale 1 parts %p
  // The result has the columns of a value.
  // CHECK: flatten
  %f = flatten %y
  %z = concat %f, %f, %c, %k, %k, %k, %k, %k
  yield %z
}
