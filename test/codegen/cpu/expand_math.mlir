// RUN: denim-opt %s --expand-math=target=x86-64-v4 | FileCheck %s --check-prefixes=CHECK,V4
// RUN: denim-opt %s --expand-math=target=x86-64-v3 | FileCheck %s --check-prefixes=CHECK,V3

// CHECK-LABEL: tile.kernel @element
// Only functions of f32 are written out; what the machine has an instruction for stays.
// CHECK-NOT: math.exp
// V3: arith.shrsi
// CHECK: math.sqrt
// V4-NOT: math.exp
tile.kernel @element(%x: !tile.memory<16xf32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %t = tile.load %x[%c0, %c0] : !tile.memory<16xf32> -> !tile.tile<1x16xf32>
  %u = tile.map (%a = %t : !tile.tile<1x16xf32>) -> !tile.tile<1x16xf32> {
    %e = math.exp %a : f32
    %r = math.sqrt %e : f32
    tile.yield %r : f32
  }
  tile.store %u, %x[%c0, %c0] : !tile.tile<1x16xf32>, !tile.memory<16xf32>
}
