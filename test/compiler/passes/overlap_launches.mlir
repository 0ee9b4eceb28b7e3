// RUN: denim-opt %s --split-input-file --overlap-launches | FileCheck %s

// A kernel is marked if no launch of it runs for any number of rows or tokens: not the one without a condition, the one for many,
// nor the one that is launched either way, nor what nobody launches.
// CHECK-LABEL: module attributes {plan.machine = "cuda"}
// CHECK: tile.kernel @few({{.*}} attributes {tile.next_behind_wait, tile.warps = 8 : i64}
// CHECK: tile.kernel @many({{.*}} at %{{[a-z0-9]+}} {
// CHECK: tile.kernel @always({{.*}} at %{{[a-z0-9]+}} {
// CHECK: tile.kernel @both({{.*}} at %{{[a-z0-9]+}} {
// CHECK: tile.kernel @nobody({{.*}} at %{{[a-z0-9]+}} {
module attributes {plan.machine = "cuda"} {
  tile.kernel @few(%x: !tile.memory<16xf32>, %y: !tile.memory<16xf32>) items <tokens by 1 times 2> at %item attributes {tile.warps = 8 : i64} {
    %c0 = arith.constant 0 : index
    %v = tile.load %x[%c0, %c0] : !tile.memory<16xf32> -> !tile.tile<1x16xf32>
    tile.store %v, %y[%c0, %c0] : !tile.tile<1x16xf32>, !tile.memory<16xf32>
  }
  tile.kernel @many(%x: !tile.memory<16xf32>, %y: !tile.memory<16xf32>) items <tokens by 1 times 2> at %item {
    %c0 = arith.constant 0 : index
    %v = tile.load %x[%c0, %c0] : !tile.memory<16xf32> -> !tile.tile<1x16xf32>
    tile.store %v, %y[%c0, %c0] : !tile.tile<1x16xf32>, !tile.memory<16xf32>
  }
  tile.kernel @always(%x: !tile.memory<16xf32>, %y: !tile.memory<16xf32>) items <tokens by 1 times 2> at %item {
    %c0 = arith.constant 0 : index
    %v = tile.load %x[%c0, %c0] : !tile.memory<16xf32> -> !tile.tile<1x16xf32>
    tile.store %v, %y[%c0, %c0] : !tile.tile<1x16xf32>, !tile.memory<16xf32>
  }
  tile.kernel @both(%x: !tile.memory<16xf32>, %y: !tile.memory<16xf32>) items <tokens by 1 times 2> at %item {
    %c0 = arith.constant 0 : index
    %v = tile.load %x[%c0, %c0] : !tile.memory<16xf32> -> !tile.tile<1x16xf32>
    tile.store %v, %y[%c0, %c0] : !tile.tile<1x16xf32>, !tile.memory<16xf32>
  }
  tile.kernel @nobody(%x: !tile.memory<16xf32>, %y: !tile.memory<16xf32>) items <tokens by 1 times 2> at %item {
    %c0 = arith.constant 0 : index
    %v = tile.load %x[%c0, %c0] : !tile.memory<16xf32> -> !tile.tile<1x16xf32>
    tile.store %v, %y[%c0, %c0] : !tile.tile<1x16xf32>, !tile.memory<16xf32>
  }
  plan.program @layer(%x: tensor<?x16xf32>) {
    %a = plan.launch @few(%x) slots [1] {when = {of = "rows", least = 1, most = 16}} : (tensor<?x16xf32>) -> tensor<?x16xf32>
    %b = plan.launch @many(%x) slots [1] {when = {of = "sequence", least = 17, most = 2147483647}} : (tensor<?x16xf32>) -> tensor<?x16xf32>
    %c = plan.merge %a, %b : tensor<?x16xf32>
    %d = plan.launch @always(%c) slots [2] : (tensor<?x16xf32>) -> tensor<?x16xf32>
    %e = plan.launch @both(%d) slots [1] {when = {of = "rows", least = 1, most = 16}} : (tensor<?x16xf32>) -> tensor<?x16xf32>
    %f = plan.launch @both(%d) slots [1] {when = {of = "sequence", least = 17, most = 2147483647}} : (tensor<?x16xf32>) -> tensor<?x16xf32>
    %g = plan.merge %e, %f : tensor<?x16xf32>
    plan.return %g : tensor<?x16xf32>
  }
}

// -----

// Threads of a CPU have nobody to wait for.
// CHECK-LABEL: module attributes {plan.machine = "cpu"}
// CHECK-NOT: tile.next
module attributes {plan.machine = "cpu"} {
  tile.kernel @few(%x: !tile.memory<16xf32>, %y: !tile.memory<16xf32>) items <tokens by 1 times 2> at %item {
    %c0 = arith.constant 0 : index
    %v = tile.load %x[%c0, %c0] : !tile.memory<16xf32> -> !tile.tile<1x16xf32>
    tile.store %v, %y[%c0, %c0] : !tile.tile<1x16xf32>, !tile.memory<16xf32>
  }
  plan.program @layer(%x: tensor<?x16xf32>) {
    %a = plan.launch @few(%x) slots [1] {when = {of = "rows", least = 1, most = 16}} : (tensor<?x16xf32>) -> tensor<?x16xf32>
    plan.return %a : tensor<?x16xf32>
  }
}
