// RUN: denim-opt %s | denim-opt | FileCheck %s
// RUN: denim-opt %s --mlir-print-op-generic | denim-opt | FileCheck %s

// CHECK-LABEL: model.block @parts
model.block @parts(%x: tensor<?x256xf32>) {
  %q, %k, %v, %rest = split %x into 4x16, 2x16, 2x32, 96
  %keys = attn.cache "keys" : !attn.cache<paged 2x16xf32>
  %values = attn.cache "values" : !attn.cache<paged 2x32xf32>
  // CHECK: %[[P:.*]] = attn.attend_part %{{.*}}, %{{.*}}, %{{.*}} splits 8 scale 0.25 window 128 softcap 50{{$}}
  %p = attn.attend_part %q, %keys, %values splits 8 scale 0.25 window 128 softcap 50
  // CHECK: attn.attend %{{.*}} scale 0.25 parts %[[P]]{{$}}
  %y = attn.attend %q, %keys, %values scale 0.25 parts %p
  yield %x
}
