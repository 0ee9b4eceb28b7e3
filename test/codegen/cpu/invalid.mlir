// RUN: not denim-opt %s --convert-tile-to-cpu=target=x86-64-v4 2>&1 | FileCheck %s
// RUN: not denim-opt %s --convert-tile-to-cpu=target=pentium 2>&1 | FileCheck %s --check-prefix=TARGET

// TARGET: expected target native, x86-64-v4-amx, x86-64-v4, x86-64-v3, x86-64-v2, but got 'pentium'
tile.kernel @loop(%x: !tile.memory<16xf32>) items <once by 1 times 1> at %item {
  %true = arith.constant true
  // CHECK: expected a tile op, scf.for, scf.if or a scalar op, but got 'scf.while'
  scf.while : () -> () {
    scf.condition(%true)
  } do {
    scf.yield
  }
}
