// What launches write under their conditions is one slot, also in a text that was edited by hand.
// RUN: not denim-compile %s --compile-from=tile --target=cpu,native -o %t.denim 2>&1 | FileCheck %s
// CHECK: expected values of one slot, but got slots 0 and 1

tile.kernel @copy(%x: !tile.memory<16xf32>, %y: !tile.memory<16xf32>) items <tokens by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %t = tile.load %x[%item, %c0] : !tile.memory<16xf32> -> !tile.tile<1x16xf32>
  tile.store %t, %y[%item, %c0] : !tile.tile<1x16xf32>, !tile.memory<16xf32>
}
plan.program @p(%x: tensor<?x16xf32>) {
  %a = plan.launch @copy(%x) slots [0] {when = {of = "rows", least = 1, most = 4}} : (tensor<?x16xf32>) -> tensor<?x16xf32>
  %b = plan.launch @copy(%x) slots [1] {when = {of = "rows", least = 5, most = 9}} : (tensor<?x16xf32>) -> tensor<?x16xf32>
  %m = plan.merge %a, %b : tensor<?x16xf32>
  plan.return %m : tensor<?x16xf32>
}
plan.schedule @net programs [@p] prefixes [""] layers [-1] vocabulary 16 eos []
  slots [{row_bytes = 64 : i64, rows = "tokens"}, {row_bytes = 64 : i64, rows = "tokens"}] logits 0
