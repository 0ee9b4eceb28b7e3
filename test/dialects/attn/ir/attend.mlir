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
