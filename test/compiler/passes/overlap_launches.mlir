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

// -----

// What is finished when a kernel begins: operands that stand in no slot the launch in front writes. The residual stream, in slot 0
// of another program, and what nobody is known to have written in this one are not.
// CHECK-LABEL: module attributes {plan.machine = "cuda", test.finished}
// Nor is anything known by the first launch of a program.
// CHECK: tile.kernel @make({{.*}} at %{{[a-z0-9]+}} {
// CHECK: tile.kernel @behind({{.*}} attributes {tile.finished = array<i64: 0>}
// A launch in front with the same condition but fewer tokens runs whenever this one does.
// CHECK: tile.kernel @many_tokens({{.*}} attributes {tile.finished = array<i64: 0>}
// One with another condition may be left out: then the one before it still runs.
// CHECK: tile.kernel @other_sequences({{.*}} at %{{[a-z0-9]+}} {
// CHECK: tile.kernel @maybe({{.*}} attributes {tile.finished = array<i64: 1>}
// In all launches of a kernel, or not: both in the first, one in the second.
// CHECK: tile.kernel @twice({{.*}} attributes {tile.finished = array<i64: 0>}
// A library lets others begin when it likes. A kernel with an item for each sequence may have none where one for tokens has some.
// CHECK: tile.kernel @product({{.*}} at %{{[a-z0-9]+}} {
// CHECK: tile.kernel @no_items({{.*}} attributes {tile.finished = array<i64: 0>}
// CHECK: tile.kernel @other_items({{.*}} at %{{[a-z0-9]+}} {
module attributes {plan.machine = "cuda", test.finished} {
  tile.kernel @make(%x: !tile.memory<16xf32>, %y: !tile.memory<16xf32>) items <once by 1 times 2> at %item {
    %c0 = arith.constant 0 : index
    %v = tile.load %x[%c0, %c0] : !tile.memory<16xf32> -> !tile.tile<1x16xf32>
    tile.store %v, %y[%c0, %c0] : !tile.tile<1x16xf32>, !tile.memory<16xf32>
  }
  tile.kernel @behind(%x: !tile.memory<16xf32>, %y: !tile.memory<16xf32>, %z: !tile.memory<16xf32>) items <tokens by 1 times 2> at %item {
    %c0 = arith.constant 0 : index
    %v = tile.load %x[%c0, %c0] : !tile.memory<16xf32> -> !tile.tile<1x16xf32>
    %w = tile.load %y[%c0, %c0] : !tile.memory<16xf32> -> !tile.tile<1x16xf32>
    tile.store %v, %z[%c0, %c0] : !tile.tile<1x16xf32>, !tile.memory<16xf32>
    tile.store %w, %z[%c0, %c0] : !tile.tile<1x16xf32>, !tile.memory<16xf32>
  }
  tile.kernel @many_tokens(%x: !tile.memory<16xf32>, %y: !tile.memory<16xf32>, %z: !tile.memory<16xf32>) items <tokens by 1 times 2> at %item {
    %c0 = arith.constant 0 : index
    %v = tile.load %x[%c0, %c0] : !tile.memory<16xf32> -> !tile.tile<1x16xf32>
    %w = tile.load %y[%c0, %c0] : !tile.memory<16xf32> -> !tile.tile<1x16xf32>
    tile.store %v, %z[%c0, %c0] : !tile.tile<1x16xf32>, !tile.memory<16xf32>
    tile.store %w, %z[%c0, %c0] : !tile.tile<1x16xf32>, !tile.memory<16xf32>
  }
  tile.kernel @other_sequences(%x: !tile.memory<16xf32>, %y: !tile.memory<16xf32>, %z: !tile.memory<16xf32>) items <tokens by 1 times 2> at %item {
    %c0 = arith.constant 0 : index
    %v = tile.load %x[%c0, %c0] : !tile.memory<16xf32> -> !tile.tile<1x16xf32>
    %w = tile.load %y[%c0, %c0] : !tile.memory<16xf32> -> !tile.tile<1x16xf32>
    tile.store %v, %z[%c0, %c0] : !tile.tile<1x16xf32>, !tile.memory<16xf32>
    tile.store %w, %z[%c0, %c0] : !tile.tile<1x16xf32>, !tile.memory<16xf32>
  }
  tile.kernel @maybe(%x: !tile.memory<16xf32>, %y: !tile.memory<16xf32>, %z: !tile.memory<16xf32>) items <tokens by 1 times 2> at %item {
    %c0 = arith.constant 0 : index
    %v = tile.load %x[%c0, %c0] : !tile.memory<16xf32> -> !tile.tile<1x16xf32>
    %w = tile.load %y[%c0, %c0] : !tile.memory<16xf32> -> !tile.tile<1x16xf32>
    tile.store %v, %z[%c0, %c0] : !tile.tile<1x16xf32>, !tile.memory<16xf32>
    tile.store %w, %z[%c0, %c0] : !tile.tile<1x16xf32>, !tile.memory<16xf32>
  }
  tile.kernel @twice(%x: !tile.memory<16xf32>, %y: !tile.memory<16xf32>, %z: !tile.memory<16xf32>) items <tokens by 1 times 2> at %item {
    %c0 = arith.constant 0 : index
    %v = tile.load %x[%c0, %c0] : !tile.memory<16xf32> -> !tile.tile<1x16xf32>
    %w = tile.load %y[%c0, %c0] : !tile.memory<16xf32> -> !tile.tile<1x16xf32>
    tile.store %v, %z[%c0, %c0] : !tile.tile<1x16xf32>, !tile.memory<16xf32>
    tile.store %w, %z[%c0, %c0] : !tile.tile<1x16xf32>, !tile.memory<16xf32>
  }
  tile.kernel @product(%x: !tile.memory<16xf32>, %y: !tile.memory<16xf32>, %z: !tile.memory<16xf32>) items <tokens by 1 times 2> at %item {
    %c0 = arith.constant 0 : index
    %v = tile.load %x[%c0, %c0] : !tile.memory<16xf32> -> !tile.tile<1x16xf32>
    %w = tile.load %y[%c0, %c0] : !tile.memory<16xf32> -> !tile.tile<1x16xf32>
    tile.store %v, %z[%c0, %c0] : !tile.tile<1x16xf32>, !tile.memory<16xf32>
    tile.store %w, %z[%c0, %c0] : !tile.tile<1x16xf32>, !tile.memory<16xf32>
  }
  tile.kernel @no_items(%x: !tile.memory<16xf32>, %y: !tile.memory<16xf32>, %z: !tile.memory<16xf32>) items <sequences by 1 times 2> at %item {
    %c0 = arith.constant 0 : index
    %v = tile.load %x[%c0, %c0] : !tile.memory<16xf32> -> !tile.tile<1x16xf32>
    %w = tile.load %y[%c0, %c0] : !tile.memory<16xf32> -> !tile.tile<1x16xf32>
    tile.store %v, %z[%c0, %c0] : !tile.tile<1x16xf32>, !tile.memory<16xf32>
    tile.store %w, %z[%c0, %c0] : !tile.tile<1x16xf32>, !tile.memory<16xf32>
  }
  tile.kernel @other_items(%x: !tile.memory<16xf32>, %y: !tile.memory<16xf32>, %z: !tile.memory<16xf32>) items <tokens by 1 times 2> at %item {
    %c0 = arith.constant 0 : index
    %v = tile.load %x[%c0, %c0] : !tile.memory<16xf32> -> !tile.tile<1x16xf32>
    %w = tile.load %y[%c0, %c0] : !tile.memory<16xf32> -> !tile.tile<1x16xf32>
    tile.store %v, %z[%c0, %c0] : !tile.tile<1x16xf32>, !tile.memory<16xf32>
    tile.store %w, %z[%c0, %c0] : !tile.tile<1x16xf32>, !tile.memory<16xf32>
  }
  plan.program @layer(%x: tensor<?x16xf32>) {
    %a = plan.launch @make(%x) slots [1] : (tensor<?x16xf32>) -> tensor<?x16xf32>
    %b = plan.launch @make(%a) slots [2] : (tensor<?x16xf32>) -> tensor<?x16xf32>
    // Slot 2 is written in front of it, slot 1 before that.
    %c = plan.launch @behind(%a, %b) slots [3] : (tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x16xf32>
    %d = plan.launch @make(%c) slots [4] {when = {of = "sequence", least = 32, most = 2147483647}} : (tensor<?x16xf32>) -> tensor<?x16xf32>
    %e = plan.launch @many_tokens(%c, %d) slots [5] {when = {of = "sequence", least = 32, most = 2147483647, tokens = 100}} : (tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x16xf32>
    %f = plan.launch @make(%c) slots [6] {when = {of = "sequence", least = 32, most = 2147483647, tokens = 100}} : (tensor<?x16xf32>) -> tensor<?x16xf32>
    // The launches into slots 6 and 5 may be left out: then that into slot 4 still runs, and those before it are done.
    %g = plan.launch @other_sequences(%e, %f) slots [7] {when = {of = "sequence", least = 32, most = 2147483647}} : (tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x16xf32>
    plan.return %g : tensor<?x16xf32>
  }
  plan.program @maybe_in_front(%x: tensor<?x16xf32>) {
    %a = plan.launch @make(%x) slots [1] : (tensor<?x16xf32>) -> tensor<?x16xf32>
    %b = plan.launch @make(%a) slots [2] : (tensor<?x16xf32>) -> tensor<?x16xf32>
    %c = plan.launch @make(%b) slots [3] : (tensor<?x16xf32>) -> tensor<?x16xf32>
    %d = plan.launch @make(%b) slots [4] {when = {of = "rows", least = 1, most = 16}} : (tensor<?x16xf32>) -> tensor<?x16xf32>
    // Slot 3 may still be written, if that into slot 4 is left out.
    %e = plan.launch @maybe(%c, %b) slots [5] : (tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x16xf32>
    %f = plan.launch @twice(%b, %c) slots [6] : (tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x16xf32>
    %g = plan.launch @twice(%e, %f) slots [7] : (tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x16xf32>
    %h = plan.launch @make(%g) slots [8] {product = {inner = 16, columns = 16}} : (tensor<?x16xf32>) -> tensor<?x16xf32>
    %i = plan.launch @product(%g, %f) slots [9] : (tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x16xf32>
    %j = plan.launch @make(%i) slots [10] : (tensor<?x16xf32>) -> tensor<?x16xf32>
    %k = plan.launch @no_items(%i, %j) slots [11] : (tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x16xf32>
    %l = plan.launch @other_items(%j, %k) slots [12] : (tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x16xf32>
    plan.return %l : tensor<?x16xf32>
  }
}
