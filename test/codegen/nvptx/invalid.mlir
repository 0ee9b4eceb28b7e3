// RUN: split-file %s %t
// RUN: not denim-opt %t/solve.mlir --convert-tile-to-nvptx 2>&1 | FileCheck %s --check-prefix=SOLVE
// RUN: not denim-opt %t/column.mlir --convert-tile-to-nvptx 2>&1 | FileCheck %s --check-prefix=COLUMN
// RUN: not denim-opt %t/shared.mlir --convert-tile-to-nvptx 2>&1 | FileCheck %s --check-prefix=SHARED
// RUN: not denim-opt %t/shared.mlir --convert-tile-to-nvptx=exact 2>&1 | FileCheck %s --check-prefix=EXACT
// RUN: not denim-opt %t/shared.mlir --convert-tile-to-nvptx=target=sm_80 2>&1 | FileCheck %s --check-prefix=SM80
// RUN: not denim-opt %t/op.mlir --convert-tile-to-nvptx 2>&1 | FileCheck %s --check-prefix=OP
// RUN: not denim-opt %t/op.mlir --convert-tile-to-nvptx=target=sm_89 2>&1 | FileCheck %s --check-prefix=TARGET
// RUN: not denim-opt %t/op.mlir --tile-to-nvptx=target=sm_89 2>&1 | FileCheck %s --check-prefix=TARGET

// TARGET: expected a GPU target (sm_90a, sm_80), but got "sm_89"

// SOLVE: expected a triangle of 16, 32, 64 or 128 rows on a GPU, but got 37
//--- solve.mlir
tile.kernel @solve(%l: !tile.memory<37xf32>, %b: !tile.memory<64xf32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %x = tile.load %l[%c0, %c0] : !tile.memory<37xf32> -> !tile.tile<37x37xf32>
  %y = tile.load %b[%c0, %c0] : !tile.memory<64xf32> -> !tile.tile<37x64xf32>
  %s = tile.solve %x, %y : !tile.tile<37x37xf32>, !tile.tile<37x64xf32>
  tile.store %s, %b[%c0, %c0] : !tile.tile<37x64xf32>, !tile.memory<64xf32>
}

// COLUMN: expected a right-hand side of more than one column on a GPU
//--- column.mlir
tile.kernel @column(%l: !tile.memory<64xf32>, %b: !tile.memory<1xf32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %x = tile.load %l[%c0, %c0] : !tile.memory<64xf32> -> !tile.tile<64x64xf32>
  %y = tile.load %b[%c0, %c0] : !tile.memory<1xf32> -> !tile.tile<64x1xf32>
  %s = tile.solve %x, %y : !tile.tile<64x64xf32>, !tile.tile<64x1xf32>
  tile.store %s, %b[%c0, %c0] : !tile.tile<64x1xf32>, !tile.memory<1xf32>
}

// Two operands of 64 x 1024 bf16: 256 KiB.
// SHARED: expected a block of shared to need at most 232448 bytes of shared memory, but it needs 262144; smaller operands of its products need less
// EXACT: expected a block of shared to need at most 232448 bytes of shared memory, but it needs {{[0-9]+}}; smaller operands of its products need less, and each is one bf16 instead of three where products are not exact
// SM80: expected a block of shared to need at most 166912 bytes of shared memory, but it needs 262144
//--- shared.mlir
tile.kernel @shared(%a: !tile.memory<1024xbf16>, %b: !tile.memory<1024xbf16>, %c: !tile.memory<64xf32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %x = tile.load %a[%c0, %c0] : !tile.memory<1024xbf16> -> !tile.tile<64x1024xf32>
  %y = tile.load %b[%c0, %c0] : !tile.memory<1024xbf16> -> !tile.tile<64x1024xf32>
  %p = tile.mma %x, transpose_rhs %y : !tile.tile<64x1024xf32>, !tile.tile<64x1024xf32> -> !tile.tile<64x64xf32>
  tile.store %p, %c[%c0, %c0] : !tile.tile<64x64xf32>, !tile.memory<64xf32>
}

// OP: expected a tile op, scf.for, scf.if or a scalar op, but got 'scf.while'
//--- op.mlir
tile.kernel @op(%x: !tile.memory<16xf32>) items <once by 1 times 1> at %item {
  %true = arith.constant true
  scf.while : () -> () {
    scf.condition(%true)
  } do {
    scf.yield
  }
}
