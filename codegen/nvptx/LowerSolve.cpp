// tile.inverse: the inverse of a unit lower triangular matrix by blocks; tile.solve: the same, then one product.
//
// Diagonal blocks of 16 are inverted by substitution in f32, one thread a column; then blocks of twice the size from
// pairs,
//
//     [ A  0 ]^-1   [   A^-1           0   ]
//     [ L  B ]    = [ -B^-1 L A^-1   B^-1  ]
//
// (spec/attention.md 3.3) by products of single warps. Their operands are taken apart into terms of bf16: two at least,
// for errors add up from level to level, and three in exact mode. Solves with the same matrix share the inverse.
#include "codegen/nvptx/KernelLowering.h"

using namespace mlir;
using namespace denim;
using namespace denim::codegen::nvptx;

static constexpr int64_t kBlock = 16;

/// Words between rows: rows of a column 8 apart, and 4 neighbours of a row, fall into different banks.
static int64_t pitchOf(int64_t size) {
  return size + 4;
}

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
    Fragment inverse = invertUnitLower(fragmentOf(op.getLower()));
    SharedTile tile = allocateShared(size, size, terms);
    writeShared(inverse, tile);
    it = inverses.insert({op.getLower(), tile}).first;
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
  bind(op.getResult(), invertUnitLower(fragmentOf(op.getLower())));
  return success();
}

Fragment KernelLowering::invertUnitLower(const Fragment &matrix) {
  int64_t size = matrix.shape.rows, pitch = pitchOf(size), bytes = size * pitch * 4;
  int64_t lower = shared.allocate(bytes), inverse = shared.allocate(bytes);
  shared.writes(lower, bytes);
  spill(matrix, code.constant32(lower), pitch, 0, size);
  shared.reads(lower, bytes);
  shared.writes(inverse, bytes);
  invertDiagonal(lower, inverse, size);
  int64_t temporary = size > kBlock ? shared.allocate(size / 2 * pitch * 4) : 0;
  for (int64_t block = kBlock; block < size; block *= 2) {
    // Y = L A^-1 for all pairs, in rows of the lower blocks counted from 0; then -B^-1 Y in its place of the inverse.
    shared.reads(inverse, bytes);
    shared.writes(temporary, size / 2 * pitch * 4);
    multiplyBlocks(size, block, lower, inverse, temporary, /*second=*/false);
    shared.reads(temporary, size / 2 * pitch * 4);
    shared.reads(inverse, bytes);
    shared.writes(inverse, bytes);
    multiplyBlocks(size, block, inverse, temporary, inverse, /*second=*/true);
  }
  if (size > kBlock)
    shared.release(temporary);
  shared.release(lower);

  Distribution square{size, size, chooseGrid(size, size, warps)};
  Fragment inverted{square, code.f32(), {}};
  shared.reads(inverse, bytes);
  for (int64_t slab = 0; slab < square.slabs(); ++slab)
    for (int64_t group = 0; group < square.groups(); ++group)
      for (int64_t half = 0; half < 2; ++half)
        for (int64_t e = 0; e < 2; ++e) {
          Value row = rowOf(square, slab, half), column = columnOf(square, group, e);
          if (square.padsRows() || square.padsColumns()) {
            row = code.mini(row, code.constant32(size - 1));
            column = code.mini(column, code.constant32(size - 1));
          }
          Value at = code.add(code.mul(row, pitch * 4), code.add(code.mul(column, 4), inverse));
          inverted.values.push_back(code.realOf(code.loadShared(at, 1)[0]));
        }
  shared.release(inverse);
  return inverted;
}

void KernelLowering::invertDiagonal(int64_t lower, int64_t inverse, int64_t size) {
  int64_t pitch = pitchOf(size);
  auto place = [&](int64_t base, Value row, Value column) {
    return code.add(code.mul(row, pitch * 4), code.add(code.mul(column, 4), base));
  };
  // Thread n: column n mod 16 of diagonal block n div 16. Threads behind the last block repeat another's work.
  Value number = code.modulo(thread, size), column = code.modulo(number, kBlock);
  Value first = code.mul(code.divide(number, kBlock), kBlock);
  Value corner = place(lower, first, first);
  SmallVector<Value> x;
  for (int64_t i = 0; i < kBlock; ++i) {
    Value sum = code.number(0);
    // Four entries of the matrix at a time.
    for (int64_t k = 0; k < i; k += 4) {
      auto words = code.loadShared(code.add(corner, (i * pitch + k) * 4), 4);
      for (int64_t j = k; j < std::min(k + 4, i); ++j)
        sum = code.fma(code.realOf(words[j - k]), x[j], sum);
    }
    Value own = code.select(code.equal(column, code.constant32(i)), code.number(1), code.number(0));
    x.push_back(i == 0 ? own : code.subf(own, sum));
  }
  Value top = place(inverse, first, code.add(first, column));
  for (int64_t i = 0; i < kBlock; ++i)
    code.storeShared({code.bitsOf(x[i])}, code.add(top, i * pitch * 4));
  // What is above the diagonal blocks is zero.
  int64_t blocks = size / kBlock;
  for (int64_t down = 0; down < blocks; ++down)
    for (int64_t across = down + 1; across < blocks; ++across)
      for (int64_t n = 0; n < kBlock * kBlock; n += workers()) {
        Value entry = code.add(thread, n), exists;
        if (n + workers() > kBlock * kBlock)
          exists = code.lessThan(entry, code.constant32(kBlock * kBlock));
        Value row = code.add(code.divide(entry, kBlock), down * kBlock);
        Value at = code.add(code.modulo(entry, kBlock), across * kBlock);
        code.storeShared({code.constant32(0)}, place(inverse, row, at), exists);
      }
}

/// For each pair of blocks: temporary = L A^-1 (lhs the matrix, rhs the inverse), or inverse = -B^-1 temporary (lhs the
/// inverse, rhs the temporary). A warp does one piece of 16 rows and 8 columns at a time.
void KernelLowering::multiplyBlocks(int64_t size, int64_t block, int64_t lhs, int64_t rhs, int64_t to, bool second) {
  int64_t pitch = pitchOf(size), down = block / 16, across = block / 8, pieces = size / (2 * block) * down * across;
  int64_t terms = precision == Precision::exact ? 3 : 2;
  auto place = [&](int64_t base, Value row, Value column) {
    return code.add(code.mul(row, pitch * 4), code.add(code.mul(column, 4), base));
  };
  auto load = [&](Value at) { return code.realOf(code.loadShared(at, 1)[0]); };
  for (int64_t first = 0; first < pieces; first += warps) {
    Value piece = code.add(warp, first);
    if (first + warps > pieces) // warps without one repeat the last: the same numbers to the same place
      piece = code.mini(piece, code.constant32(pieces - 1));
    Value pair = code.divide(piece, down * across), inPair = code.modulo(piece, down * across);
    Value i = code.mul(code.divide(inPair, across), 16), j = code.mul(code.modulo(inPair, across), 8);
    Value begin = code.mul(pair, 2 * block), middle = code.add(begin, block), own = code.mul(pair, block);
    // Element (0, 0) of the operands and of the result.
    Value a = place(lhs, code.add(middle, i), second ? middle : begin);
    Value b = second ? place(rhs, own, j) : place(rhs, begin, code.add(begin, j));
    Value c = second ? place(to, code.add(middle, i), code.add(begin, j)) : place(to, code.add(own, i), j);
    SmallVector<Value> sums(4, code.number(0));
    Value t2 = code.mul(laneColumn, 2);
    for (int64_t k = 0; k < block; k += 16) {
      SmallVector<Value> low, high; // pairs of the fragments: four of the left operand, two of the right one
      for (int64_t part = 0; part < 4; ++part) {
        Value row = code.add(laneRow, part % 2 * 8), column = code.add(t2, k + part / 2 * 8);
        auto words = code.loadShared(code.add(a, code.add(code.mul(row, pitch * 4), code.mul(column, 4))), 2);
        low.push_back(code.realOf(words[0])), high.push_back(code.realOf(words[1]));
      }
      for (int64_t part = 0; part < 2; ++part) {
        Value row = code.add(t2, k + part * 8);
        Value at = code.add(b, code.add(code.mul(row, pitch * 4), code.mul(laneRow, 4)));
        low.push_back(load(at)), high.push_back(load(code.add(at, pitch * 4)));
      }
      SmallVector<SmallVector<Value>> words(terms);
      for (int64_t term = 0; term < terms; ++term)
        for (size_t n = 0; n < low.size(); ++n)
          words[term].push_back(packTerm(low[n], high[n], term));
      for (int64_t x = 0; x < terms; ++x)
        for (int64_t y = 0; x + y < terms; ++y) {
          auto next = code.multiply(sums, ArrayRef(words[x]).take_front(4), ArrayRef(words[y]).drop_front(4));
          sums.assign(next.begin(), next.end());
        }
    }
    for (int64_t half = 0; half < 2; ++half) {
      SmallVector<Value> words;
      for (int64_t e = 0; e < 2; ++e)
        words.push_back(code.bitsOf(second ? code.mulf(sums[half * 2 + e], code.number(-1)) : sums[half * 2 + e]));
      code.storeShared(
          words, code.add(c, code.add(code.mul(code.add(laneRow, half * 8), pitch * 4), code.mul(laneColumn, 8))));
    }
  }
}
