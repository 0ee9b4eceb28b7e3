// RUN: denim-opt %s | denim-opt | FileCheck %s
// RUN: denim-opt %s --mlir-print-op-generic | denim-opt | FileCheck %s

// CHECK-LABEL: model.block @kinds
model.block @kinds(%x: tensor<?x64xf32>) {
  // CHECK: attn.cache "state" : !attn.cache<state 3x64x64xf32>
  %s = attn.cache "state" : !attn.cache<state 3x64x64xf32>
  // CHECK: attn.cache "conv" : !attn.cache<tail 3x320xf32>
  %t = attn.cache "conv" : !attn.cache<tail 3x320xf32>
  // CHECK: attn.cache "keys" : !attn.cache<paged 2x64xbf16>
  %p = attn.cache "keys" : !attn.cache<paged 2x64xbf16>
  yield %x
}
