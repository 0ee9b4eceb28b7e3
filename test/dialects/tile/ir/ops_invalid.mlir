// RUN: denim-opt %s --split-input-file --verify-diagnostics

tile.kernel @block_of_memory(%x: !tile.memory<64xbf16>) items <once by 1 times 1> at %item {
  // expected-error @below {{expected pages, but got '!tile.memory<64xbf16>'}}
  %b = tile.block %x[%item, %item] : !tile.memory<64xbf16> -> !tile.memory<64xbf16>
}

// -----

// A block has the columns of a page, not its rows.
tile.kernel @block_columns(%x: !tile.pages<2x16x64xbf16>) items <once by 1 times 1> at %item {
  // expected-error @below {{expected a result of type '!tile.memory<64xbf16>', but got '!tile.memory<16xbf16>'}}
  %b = tile.block %x[%item, %item] : !tile.pages<2x16x64xbf16> -> !tile.memory<16xbf16>
}

// -----

tile.kernel @block_element(%x: !tile.pages<2x16x64xbf16>) items <once by 1 times 1> at %item {
  // expected-error @below {{expected a result of type '!tile.memory<64xbf16>', but got '!tile.memory<64xf32>'}}
  %b = tile.block %x[%item, %item] : !tile.pages<2x16x64xbf16> -> !tile.memory<64xf32>
}

// -----

tile.kernel @transpose_shape(%x: !tile.memory<64xf32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %t = tile.load %x[%c0, %c0] : !tile.memory<64xf32> -> !tile.tile<16x64xf32>
  // expected-error @below {{expected a result of '!tile.tile<64x16xf32>', but got '!tile.tile<16x64xf32>'}}
  %u = tile.transpose %t : !tile.tile<16x64xf32> -> !tile.tile<16x64xf32>
}

// -----

tile.kernel @transpose_element(%x: !tile.memory<64xf32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %t = tile.load %x[%c0, %c0] : !tile.memory<64xf32> -> !tile.tile<16x64xf32>
  // expected-error @below {{expected a result of '!tile.tile<64x16xf32>', but got '!tile.tile<64x16xi32>'}}
  %u = tile.transpose %t : !tile.tile<16x64xf32> -> !tile.tile<64x16xi32>
}

// -----

tile.kernel @flatten_shape(%x: !tile.memory<64xf32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %t = tile.load %x[%c0, %c0] : !tile.memory<64xf32> -> !tile.tile<16x64xf32>
  // expected-error @below {{expected a result of '!tile.tile<1x1024xf32>', but got '!tile.tile<1x512xf32>'}}
  %u = tile.flatten %t : !tile.tile<16x64xf32> -> !tile.tile<1x512xf32>
}

// -----

tile.kernel @spread_group(%x: !tile.memory<64xf32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %t = tile.load %x[%c0, %c0] : !tile.memory<64xf32> -> !tile.tile<24x64xf32>
  // expected-error @below {{expected groups that 24 rows are made of, but got groups of 16}}
  %u = tile.spread %t row 3 of 16 : !tile.tile<24x64xf32>
}

// -----

tile.kernel @spread_row(%x: !tile.memory<64xf32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %t = tile.load %x[%c0, %c0] : !tile.memory<64xf32> -> !tile.tile<24x64xf32>
  // expected-error @below {{expected a row of a group of 8, but got row 8}}
  %u = tile.spread %t row 8 of 8 : !tile.tile<24x64xf32>
}

// -----

tile.kernel @mma_blocks(%x: !tile.memory<64xf32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %t = tile.load %x[%c0, %c0] : !tile.memory<64xf32> -> !tile.tile<24x64xf32>
  // expected-error @below {{expected blocks that divide a square result, but got blocks of 16 and a result of '!tile.tile<24x24xf32>'}}
  %u = tile.mma %t, transpose_rhs %t blocks 16 : !tile.tile<24x64xf32>, !tile.tile<24x64xf32> -> !tile.tile<24x24xf32>
}

// -----

tile.kernel @mma_blocks_square(%x: !tile.memory<64xf32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %t = tile.load %x[%c0, %c0] : !tile.memory<64xf32> -> !tile.tile<16x64xf32>
  %w = tile.load %x[%c0, %c0] : !tile.memory<64xf32> -> !tile.tile<64x64xf32>
  // expected-error @below {{expected blocks that divide a square result, but got blocks of 16 and a result of '!tile.tile<16x64xf32>'}}
  %u = tile.mma %t, %w blocks 16 : !tile.tile<16x64xf32>, !tile.tile<64x64xf32> -> !tile.tile<16x64xf32>
}

// -----

tile.kernel @scatter_rows(%x: !tile.memory<64xf32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %t = tile.load %x[%c0, %c0] : !tile.memory<64xf32> -> !tile.tile<16x64xf32>
  %zero = arith.constant 0 : i32
  %r = tile.splat %zero : i32 -> !tile.tile<8x1xi32>
  // expected-error @below {{expected row numbers of type '!tile.tile<16x1xi32>', but got '!tile.tile<8x1xi32>'}}
  tile.scatter %t, %x[%r, %c0] : !tile.tile<16x64xf32>, !tile.memory<64xf32>, !tile.tile<8x1xi32>
}

// -----

tile.kernel @scatter_columns(%x: !tile.memory<64xf32>, %y: !tile.memory<32xf32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %t = tile.load %x[%c0, %c0] : !tile.memory<64xf32> -> !tile.tile<16x64xf32>
  %zero = arith.constant 0 : i32
  %r = tile.splat %zero : i32 -> !tile.tile<16x1xi32>
  // expected-error @below {{expected at most 32 columns of the memory, but got 64}}
  tile.scatter %t, %y[%r, %c0] : !tile.tile<16x64xf32>, !tile.memory<32xf32>, !tile.tile<16x1xi32>
}

// -----

tile.kernel @blocks_in_part(%x: !tile.memory<64x!model.q8_0>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  // expected-error @below {{expected whole blocks of 32 columns, but got 48 columns}}
  %t = tile.load %x[%c0, %c0] : !tile.memory<64x!model.q8_0> -> !tile.tile<2x48xf32>
}

// -----

tile.kernel @blocks_from_inside(%x: !tile.memory<96x!model.q4_0>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %c16 = arith.constant 16 : index
  // expected-error @below {{expected a column at which a block of 32 begins, but got 16}}
  %t = tile.load %x[%c0, %c16] : !tile.memory<96x!model.q4_0> -> !tile.tile<2x32xf32>
}

// -----

tile.kernel @blocks_as_integers(%x: !tile.memory<64x!model.q8_0>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  // expected-error @below {{expected a tile of 'f32', but got 'i32'}}
  %t = tile.load %x[%c0, %c0] : !tile.memory<64x!model.q8_0> -> !tile.tile<2x64xi32>
}

// -----

tile.kernel @blocks_written(%x: !tile.memory<64x!model.q8_0>, %y: !tile.memory<64xf32>) items <once by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %t = tile.load %y[%c0, %c0] : !tile.memory<64xf32> -> !tile.tile<2x64xf32>
  // expected-error @below {{expected memory whose elements are not in blocks, but got '!tile.memory<64x!model.q8_0>'}}
  tile.store %t, %x[%c0, %c0] : !tile.tile<2x64xf32>, !tile.memory<64x!model.q8_0>
}
