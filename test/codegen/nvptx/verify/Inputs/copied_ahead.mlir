// Pages that a warpgroup of its own copies, products that read them, and a scratch operand that products read in every
// turn of a loop.
tile.kernel @copied_ahead(%q: !tile.memory<128xf32>, %k: !tile.pages<1x64x128xbf16>, %w: !tile.memory<64xf32>, %o: !tile.memory<64xf32>) items <sequences by 1 times 1> at %item {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %n = tile.count tokens
  %zero = arith.constant 0.0 : f32
  %x = tile.load %q[%c0, %c0] : !tile.memory<128xf32> -> !tile.tile<128x128xf32>
  %s0 = tile.splat %zero : f32 -> !tile.tile<128x64xf32>
  %s = scf.for %j = %c0 to %n step %c1 iter_args(%t = %s0) -> (!tile.tile<128x64xf32>) {
    %page = tile.page %k[%item, %j, %c0] : !tile.pages<1x64x128xbf16> -> !tile.memory<128xbf16>
    %y = tile.load %page[%c0, %c0] : !tile.memory<128xbf16> -> !tile.tile<64x128xf32>
    %z = tile.load %w[%j, %c0] : !tile.memory<64xf32> -> !tile.tile<64x64xf32>
    %p = tile.mma %x, transpose_rhs %y acc %t : !tile.tile<128x128xf32>, !tile.tile<64x128xf32>, !tile.tile<128x64xf32> -> !tile.tile<128x64xf32>
    %r = tile.mma %p, %z : !tile.tile<128x64xf32>, !tile.tile<64x64xf32> -> !tile.tile<128x64xf32>
    scf.yield %r : !tile.tile<128x64xf32>
  }
  tile.store %s, %o[%c0, %c0] : !tile.tile<128x64xf32>, !tile.memory<64xf32>
}
