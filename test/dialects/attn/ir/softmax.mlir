// RUN: denim-opt %s | denim-opt | FileCheck %s
// RUN: denim-opt %s --mlir-print-op-generic | denim-opt | FileCheck %s

// CHECK-LABEL: model.block @grouped
model.block @grouped(%x: tensor<?x256xf32>) {
  %q, %k, %v, %rest = split %x into 4x16, 2x16, 2x32, 96
  // CHECK: = attn.softmax %{{.*}}, %{{.*}}, %{{.*}}{{$}}
  %y = attn.softmax %q, %k, %v
  yield %x
}

// CHECK-LABEL: model.block @all_words
model.block @all_words(%x: tensor<?x256xf32>) {
  %q, %k, %v, %rest = split %x into 4x16, 2x16, 2x32, 96
  // CHECK: = attn.softmax %{{.*}}, %{{.*}}, %{{.*}} scale 0.125 window 128 softcap 50{{$}}
  %y = attn.softmax %q, %k, %v scale 0.125 window 128 softcap 50
  yield %x
}

// CHECK-LABEL: model.block @visible_keys
model.block @visible_keys(%x: tensor<?x256xf32>) {
  // CHECK: %[[SINKS:.*]] = param "sinks"
  %sinks = param "sinks" : tensor<4xf32>
  %q, %k, %v, %rest = split %x into 4x16, 2x16, 2x32, 96
  // CHECK: = attn.softmax %{{.*}}, %{{.*}}, %{{.*}} blocks 64 local 4{{$}}
  %a = attn.softmax %q, %k, %v blocks 64 local 4
  // CHECK: = attn.softmax %{{.*}}, %{{.*}}, %{{.*}} scale 0.5 blocks 64 local 4 global 16 softcap 3 sinks %[[SINKS]]{{$}}
  %b = attn.softmax %q, %k, %v scale 0.5 blocks 64 local 4 global 16 softcap 3 sinks %sinks
  // CHECK: = attn.softmax %{{.*}}, %{{.*}}, %{{.*}} window 128 global 4{{$}}
  %c = attn.softmax %q, %k, %v window 128 global 4
  // CHECK: = attn.softmax %{{.*}}, %{{.*}}, %{{.*}} sinks %[[SINKS]]{{$}}
  %d = attn.softmax %q, %k, %v sinks %sinks
  yield %x
}

// CHECK-LABEL: model.block @with_caches
model.block @with_caches(%x: tensor<?x256xf32>) {
  %q, %k, %v, %rest = split %x into 4x16, 2x16, 2x32, 96
  // CHECK: %[[K:.*]] = attn.cache "keys" : !attn.cache<paged 2x16xf32>
  %ck = attn.cache "keys" : !attn.cache<paged 2x16xf32>
  // CHECK: %[[V:.*]] = attn.cache "values" : !attn.cache<paged 2x32xbf16>
  %cv = attn.cache "values" : !attn.cache<paged 2x32xbf16>
  // CHECK: = attn.softmax %{{.*}}, %{{.*}}, %{{.*}} keys %[[K]] values %[[V]]
  %y = attn.softmax %q, %k, %v keys %ck values %cv
  yield %x
}
