// tile.inverse: the inverse of a unit lower triangular matrix by blocks; tile.solve: the same, then one product.
//
// Diagonal blocks of 16 are inverted by substitution in f32, one thread a row; then blocks of twice the size from
// pairs,
//
//     [ A  0 ]^-1   [   A^-1           0   ]
//     [ L  B ]    = [ -B^-1 L A^-1   B^-1  ]
//
// (spec/attention.md 3.3) by products of single warps. Their operands are terms of bf16: two at least, for errors add
// up from level to level, and three in exact mode. The matrix is one shared tile of these terms, in which L gives way
// to what stands in its place in the inverse, so a number is taken apart once and read by 8x8 matrices. Solves with the
// same matrix share the inverse.
#include "codegen/nvptx/KernelLowering.h"

using namespace mlir;
using namespace denim;
using namespace denim::codegen::nvptx;

static constexpr int64_t kBlock = 16;

/// Words between rows of a diagonal block: rows begin at a multiple of 16 bytes, and a column's words, which 8 lanes
/// write for 4 columns at a time, fall into different banks.
static constexpr int64_t kBlockPitch = kBlock + 4;

LogicalResult KernelLowering::lower(tile::SolveOp op) {
  int64_t size = typeOf(op.getLower()).getRows();
  if (!canInvert(size))
    return op.emitError() << "expected a triangle of 16, 32, 64 or 128 rows on a GPU, but got " << size;
  Shape shape{size, typeOf(op.getRhs()).getColumns(), size};
  if (shape.n == 1)
    return op.emitError() << "expected a right-hand side of more than one column on a GPU";
  int64_t terms = precision == Precision::exact ? 3 : 1;
  auto sameBlock = [&](Operation *user) { return isa<tile::SolveOp>(user) && user->getBlock() == op->getBlock(); };
  auto it = inverses.find(op.getLower());
  if (it == inverses.end()) {
    SharedTile inverse = invertUnitLower(fragmentOf(op.getLower()));
    inverse.terms = terms; // those in front are a tile of their own
    it = inverses.insert({op.getLower(), inverse}).first;
  }
  SharedTile left = it->second;
  // The last solve of the block gives the inverse back.
  bool last = llvm::none_of(op.getLower().getUsers(),
                            [&](Operation *user) { return sameBlock(user) && op->isBeforeInBlock(user); });
  if (last)
    inverses.erase(it);

  SharedTile right = allocateShared(size, shape.n, terms);
  writeShared(fragmentOf(op.getRhs()), right);
  Distribution to = distributionOf(op.getResult());
  Fragment result{to, code.f32(), {}};
  Operand lhs, rhs;
  lhs.shared = &left, rhs.shared = &right;
  lhs.terms = rhs.terms = terms;
  multiply(shape, lhs, rhs, result, false);
  if (last)
    shared.release(left.offset);
  shared.release(right.offset);
  bind(op.getResult(), std::move(result));
  if (formOf(shape, false) == Form::group)
    startGroup(op.getResult());
  return success();
}

LogicalResult KernelLowering::lower(tile::InverseOp op) {
  int64_t size = typeOf(op.getLower()).getRows();
  if (!canInvert(size))
    return op.emitError() << "expected a triangle of 16, 32, 64 or 128 rows on a GPU, but got " << size;
  SharedTile inverse = invertUnitLower(fragmentOf(op.getLower()));
  if (isStoredFromShared(op)) {
    inverses.insert({op.getResult(), inverse});
    return success();
  }
  shared.reads(inverse.offset, inverse.bytes());
  Distribution square = distributionOf(op.getResult());
  Fragment sum = readShared(inverse, square, /*transposed=*/false);
  for (int64_t term = 1; term < inverse.terms; ++term) {
    SharedTile rest = inverse;
    rest.offset += term * inverse.termBytes();
    for (auto [value, left] : llvm::zip_equal(sum.values, readShared(rest, square, /*transposed=*/false).values))
      value = code.addf(value, left);
  }
  shared.release(inverse.offset);
  bind(op.getResult(), std::move(sum));
  return success();
}

/// An image of bf16 is the first term as it stands: the nearest to the sum of all.
bool KernelLowering::isStoredFromShared(tile::InverseOp op) {
  auto store = op->hasOneUse() ? dyn_cast<tile::StoreOp>(*op->getUsers().begin()) : nullptr;
  return store && store->getBlock() == op->getBlock() && isWholeImage(store);
}

void KernelLowering::storeInverse(tile::StoreOp op) {
  SharedTile tile = inverses.lookup(op.getValue());
  inverses.erase(op.getValue());
  View view = viewOf(op.getMemory());
  shared.reads(tile.offset, tile.termBytes());
  Value to = code.advance(view.pointer, code.mul(thread, 4), code.f32());
  Value from = code.add(code.mul(thread, 16), tile.offset);
  int64_t bytes = tile.panels() * tile.panelBytes(), step = workers() * 16;
  for (int64_t at = 0; at < bytes; at += step) {
    Value exists = at + step > bytes ? code.lessThan(thread, code.constant32((bytes - at) / 16)) : Value();
    // Those without a piece read what all can read.
    Value own = exists ? code.select(exists, from, code.constant32(tile.offset - at)) : from;
    code.storeWords(code.loadShared(own, 4, at), to, exists, at);
  }
  shared.release(tile.offset);
}

SharedTile KernelLowering::invertUnitLower(const Fragment &matrix) {
  const Distribution &shape = matrix.shape;
  int64_t size = shape.rows;
  SharedTile tile = allocateShared(size, size, precision == Precision::exact ? 3 : 2);
  writeBlocks(matrix, tile);
  for (int64_t block = kBlock; block < size; block *= 2) {
    // Y = L A^-1 for all pairs, rows and columns counted from those of L; then -B^-1 Y in the place of L.
    SharedTile products = allocateShared(size / 2, block, tile.terms);
    shared.reads(tile.offset, tile.bytes());
    shared.writes(products.offset, products.bytes());
    multiplyBlocks(block, tile, products, /*second=*/false);
    shared.reads(products.offset, products.bytes());
    shared.writes(tile.offset, tile.bytes(), /*operand=*/true);
    multiplyBlocks(block, tile, products, /*second=*/true);
    shared.release(products.offset);
  }
  return tile;
}

/// What is below the diagonal blocks as it is, their inverses, zero above them.
void KernelLowering::writeBlocks(const Fragment &matrix, const SharedTile &to) {
  const Distribution &shape = matrix.shape;
  int64_t size = shape.rows, bytes = size * kBlockPitch * 4;
  auto forPairs =
      [&](llvm::function_ref<void(int64_t slab, int64_t half, int64_t group, Value row, Value column)> body) {
        for (int64_t slab = 0; slab < shape.slabs(); ++slab)
          for (int64_t half = 0; half < 2; ++half)
            for (int64_t group = 0; group < shape.groups(); ++group)
              body(slab, half, group, rowOf(shape, slab, half), columnOf(shape, group, 0));
      };
  auto present = [&](Value row, Value column) { return code.both(rowInside(shape, row), columnInside(shape, column)); };

  shared.writes(to.offset, to.bytes(), /*operand=*/true);
  SmallVector<AddressOf> addresses;
  for (int64_t term = 0; term < to.terms; ++term)
    addresses.push_back(addressesOf(to, shape, term));
  forPairs([&](int64_t slab, int64_t half, int64_t group, Value row, Value column) {
    Value isBelow = code.lessThan(code.divide(column, kBlock), code.divide(row, kBlock)), pair[2];
    for (int64_t e = 0; e < 2; ++e)
      pair[e] = code.select(isBelow, matrix.at(slab, group, half, e), code.number(0));
    for (int64_t term = 0; term < to.terms; ++term) {
      auto [at, plus] = addresses[term](slab, half, group, 0);
      code.storeShared({packTerm(pair[0], pair[1], term)}, at, present(row, column), plus);
    }
  });

  int64_t diagonal = shared.allocate(bytes);
  shared.writes(diagonal, bytes);
  forPairs([&](int64_t slab, int64_t half, int64_t group, Value row, Value column) {
    Value block = code.divide(row, kBlock), isDiagonal = code.equal(code.divide(column, kBlock), block);
    // Turned: a row of the inverse is found from columns.
    Value line = code.add(code.mul(block, kBlock), code.modulo(column, kBlock));
    Value at = code.add(code.mul(line, kBlockPitch * 4), code.add(code.mul(code.modulo(row, kBlock), 4), diagonal));
    for (int64_t e = 0; e < 2; ++e)
      code.storeShared({code.bitsOf(matrix.at(slab, group, half, e))}, at, code.both(present(row, column), isDiagonal),
                       e * kBlockPitch * 4);
  });
  shared.reads(diagonal, bytes);
  shared.writes(to.offset, to.bytes(), /*operand=*/true);
  if (size < workers())
    code.branch(code.lessThan(thread, code.constant32(size)), {}, [&] {
      invertDiagonal(diagonal, to);
      return SmallVector<Value>();
    });
  else
    invertDiagonal(diagonal, to);
  shared.release(diagonal);
}

void KernelLowering::invertDiagonal(int64_t diagonal, const SharedTile &to) {
  // Thread n: row n mod 16 of diagonal block n div 16, from its end.
  Value row = code.modulo(thread, kBlock), first = code.sub(thread, row);
  Value block = code.add(code.mul(first, kBlockPitch * 4), diagonal);
  SmallVector<Value> x(kBlock);
  for (int64_t j = kBlock - 1; j >= 0; --j) {
    Value sum = code.number(0);
    // Four entries of a column at a time.
    for (int64_t k = llvm::alignDown(j + 1, 4); k < kBlock; k += 4) {
      auto words = code.loadShared(block, 4, (j * kBlockPitch + k) * 4);
      for (int64_t i = std::max(k, j + 1); i < k + 4; ++i)
        sum = code.fma(code.realOf(words[i - k]), x[i], sum);
    }
    Value own = code.select(code.equal(row, code.constant32(j)), code.number(1), code.number(0));
    x[j] = j == kBlock - 1 ? own : code.subf(own, sum);
  }
  for (int64_t half = 0; half < 2; ++half)
    for (int64_t term = 0; term < to.terms; ++term) {
      SmallVector<Value> words;
      for (int64_t j = half * 8; j < half * 8 + 8; j += 2)
        words.push_back(packTerm(x[j], x[j + 1], term));
      code.storeShared(words, pieceOffset(to, thread, code.add(code.divide(first, 8), half), term));
    }
}

/// For each pair of blocks: products = L A^-1, or -B^-1 products in the place of L. A warp does one piece of 16 rows
/// and 8 columns at a time.
void KernelLowering::multiplyBlocks(int64_t block, const SharedTile &tile, const SharedTile &products, bool second) {
  int64_t down = block / 16, across = block / 8, pieces = tile.rows / (2 * block) * down * across;
  // Of the 8x8 matrices that a lane names rows of: two below each other, then two to the right of them.
  Value inMatrix = code.modulo(lane, 8), lower = code.mul(code.modulo(code.divide(lane, 8), 2), 8);
  Value right = code.divide(lane, 16);
  for (int64_t first = 0; first < pieces; first += warps) {
    Value piece = code.add(warp, first);
    if (first + warps > pieces) // warps without one repeat the last: the same numbers to the same place
      piece = code.mini(piece, code.constant32(pieces - 1));
    Value pair = code.divide(piece, down * across), inPair = code.modulo(piece, down * across);
    Value i = code.mul(code.divide(inPair, across), 16), j = code.modulo(inPair, across); // a row, 8 columns
    Value begin = code.mul(pair, 2 * block), middle = code.add(begin, block), own = code.mul(pair, block);
    Value row = code.add(code.add(middle, i), code.add(lower, inMatrix));
    Value column = code.add(code.divide(second ? middle : begin, 8), right);
    Value rhsRow = code.add(code.add(second ? own : begin, lower), inMatrix);
    Value rhsColumn = second ? j : code.add(code.divide(begin, 8), j);
    const SharedTile &rhs = second ? products : tile;
    SmallVector<Value> sums(4, code.number(0));
    for (int64_t k = 0; k < block; k += 16) {
      SmallVector<SmallVector<Value>> left, below; // words of each term
      for (int64_t term = 0; term < tile.terms; ++term) {
        auto words = code.loadMatrices(pieceOffset(tile, row, code.add(column, k / 8), term), 4, /*transposed=*/false);
        left.emplace_back(words.begin(), words.end());
        words = code.loadMatrices(pieceOffset(rhs, code.add(rhsRow, k), rhsColumn, term), 2, /*transposed=*/true);
        below.emplace_back(words.begin(), words.end());
      }
      for (int64_t x = 0; x < tile.terms; ++x)
        for (int64_t y = 0; x + y < tile.terms; ++y) {
          auto next = code.multiply(sums, left[x], below[y]);
          sums.assign(next.begin(), next.end());
        }
    }
    if (second)
      for (Value &sum : sums)
        sum = code.mulf(sum, code.number(-1));
    const SharedTile &to = second ? tile : products;
    Value top = code.add(code.add(second ? middle : own, i), laneRow);
    Value across8 = second ? code.add(code.divide(begin, 8), j) : j;
    for (int64_t half = 0; half < 2; ++half)
      for (int64_t term = 0; term < to.terms; ++term)
        code.storeShared({packTerm(sums[half * 2], sums[half * 2 + 1], term)},
                         code.add(pieceOffset(to, code.add(top, half * 8), across8, term), code.mul(laneColumn, 4)));
  }
}
