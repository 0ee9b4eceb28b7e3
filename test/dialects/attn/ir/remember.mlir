// RUN: denim-opt %s | denim-opt | FileCheck %s
// RUN: denim-opt %s --mlir-print-op-generic | denim-opt | FileCheck %s

// CHECK-LABEL: model.block @tail
model.block @tail(%x: tensor<?x64xf32>) {
  %t = attn.cache "conv" : !attn.cache<tail 3x64xf32>
  // CHECK: attn.remember %{{.*}} in %{{.*}}{{$}}
  attn.remember %x in %t
  yield %x
}
