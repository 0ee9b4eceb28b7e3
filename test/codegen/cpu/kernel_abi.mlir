// RUN: denim-opt %s --convert-tile-to-cpu=target=x86-64-v4 | FileCheck %s

// A kernel is a function of the batch, the arguments, a range of items and scratch; fields of the batch are read at
// their offsets in denim_batch_t.
// CHECK-LABEL: llvm.func @where(
// CHECK-SAME: %[[BATCH:[a-z0-9]+]]: !llvm.ptr {llvm.readonly}, %[[ARGS:[a-z0-9]+]]: !llvm.ptr {llvm.readonly},
// CHECK-SAME: %[[BEGIN:[a-z0-9]+]]: i64, %[[END:[a-z0-9]+]]: i64, %{{.*}}: !llvm.ptr {llvm.align = 64 : i64, llvm.noalias})
// CHECK-SAME: tile.scratch_bytes = 64
// CHECK: llvm.load %[[ARGS]]
// CHECK: scf.for %{{.*}} = %[[BEGIN]] to %[[END]]
// CHECK: %[[AT:.*]] = llvm.getelementptr %[[BATCH]][40] : (!llvm.ptr) -> !llvm.ptr, i8
// CHECK: llvm.load %[[AT]]
// CHECK: llvm.getelementptr %[[BATCH]][48]
// CHECK: llvm.getelementptr %[[BATCH]][32]
tile.kernel @where(%y: !tile.memory<1xi32>) items <sequences by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %begin, %end, %past = tile.sequence %item
  %p = tile.rows positions[%begin] below %end : !tile.tile<4x1xi32>
  tile.store %p, %y[%begin, %c0] within [%begin, %end] : !tile.tile<4x1xi32>, !tile.memory<1xi32>
}
