// RUN: denim-opt %s | denim-opt | FileCheck %s
// RUN: denim-opt %s --mlir-print-op-generic | denim-opt | FileCheck %s

// CHECK-LABEL: model.block @rows
model.block @rows(%x: tensor<?x64xf32>) {
  // CHECK: = select %{{.*}}
  %y = select %x
  yield %x
}
