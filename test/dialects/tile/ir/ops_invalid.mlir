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
