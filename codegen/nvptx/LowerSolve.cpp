// tile.inverse: the inverse of a unit lower triangular matrix by blocks; tile.solve: the same, then one product.
//
// Diagonal blocks of 16 are inverted by substitution in f32, one thread a row (spec/attention.md 3.3). Each row of
// blocks of T = (I + L)^-1 then follows from itself alone, from the diagonal to the left, for T (I + L) = I:
//
//     T_ii = (I + L_ii)^-1                    T_ij = -(T_ii L_ij + T_i,i-1 L_i-1,j + ... + T_i,j+1 L_j+1,j) T_jj
//
// So a warp has a row of blocks and waits for nobody: what it has found is the left operand of what it finds next, in
// registers as it was left there, and the right ones stand in shared memory from the start. Rows take from no to
// 6 + 3 products of blocks (64 rows); the warps with the short ones are those that did the substitutions.
//
// Operands are terms of bf16: two at least, for errors add up from block to block, and three in exact mode. One term
// would be wrong by several times what rounding the result leaves (2e-2 against 1e-3 where keys are alike and nothing
// fades), tf32 by as much as that. Solves with the same matrix share the inverse.
#include "codegen/nvptx/KernelLowering.h"
#include <functional>

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
    it = inverses.insert({op.getLower(), invertUnitLower(fragmentOf(op.getLower()), terms)}).first;
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
  bool stored = isStoredFromShared(op);
  SharedTile inverse = invertUnitLower(fragmentOf(op.getLower()), stored ? 1 : precision == Precision::exact ? 3 : 2);
  if (stored) {
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

/// Panels of an image of bf16 are the first term as it stands: the nearest to the sum of all.
bool KernelLowering::isStoredFromShared(tile::InverseOp op) {
  auto store = op->hasOneUse() ? dyn_cast<tile::StoreOp>(*op->getUsers().begin()) : nullptr;
  return store && store->getBlock() == op->getBlock() && storedPanels(store);
}

void KernelLowering::storeInverse(tile::StoreOp op) {
  SharedTile tile = inverses.lookup(op.getValue());
  inverses.erase(op.getValue());
  View view = viewOf(op.getMemory());
  shared.reads(tile.offset, tile.termBytes());
  Value to = code.advance(view.pointer, code.add(code.mul(thread, 16), *storedPanels(op)), code.builder.getI8Type());
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

SharedTile KernelLowering::invertUnitLower(const Fragment &matrix, int64_t terms) {
  int64_t size = matrix.shape.rows, rows = size / kBlock;
  // In this order a right side that comes next takes the place of `lower`.
  SharedTile inverse = allocateShared(size, size, terms);
  SharedTile lower = allocateShared(size, size, precision == Precision::exact ? 3 : 2);
  writeBlocks(matrix, lower);
  shared.awaits(lower.offset, lower.bytes());
  shared.writes(inverse.offset, inverse.bytes(), /*operand=*/true);
  shared.reads(lower.offset, lower.bytes());
  for (int64_t first = 0; first < rows; first += warps) {
    Value row = code.add(warp, first);
    int64_t mostLeft = std::min(rows - 1, first + warps - 1);
    auto invert = [&] {
      invertRow(row, mostLeft, lower, inverse);
      return SmallVector<Value>();
    };
    if (first + warps > rows)
      code.branch(code.lessThan(row, code.constant32(rows)), {}, invert);
    else
      invert();
  }
  shared.release(lower.offset);
  return inverse;
}

/// Where a lane's row of the four 8x8 matrices of a block begins: two below each other, then two to the right of them.
Value KernelLowering::blockOffset(const SharedTile &tile, Value blockRow, Value blockColumn, int64_t term) {
  Value inBlock = code.add(code.modulo(lane, 8), code.mul(code.modulo(code.divide(lane, 8), 2), 8));
  Value piece = code.add(code.mul(blockColumn, 2), code.divide(lane, 16));
  return pieceOffset(tile, code.add(code.mul(blockRow, kBlock), inBlock), piece, term);
}

/// Words of a block, those of a left operand: the warp stores it.
void KernelLowering::storeBlock(ArrayRef<Value> words, const SharedTile &tile, Value blockRow, Value blockColumn,
                                int64_t term) {
  if (code.target.matrixStore)
    return code.storeMatrices(words, blockOffset(tile, blockRow, blockColumn, term), /*transposed=*/false);
  for (int64_t n = 0; n < 4; ++n) {
    Value row = code.add(code.add(code.mul(blockRow, kBlock), laneRow), n % 2 * 8);
    Value at = pieceOffset(tile, row, code.add(code.mul(blockColumn, 2), n / 2), term);
    code.storeShared({words[n]}, code.add(at, code.mul(laneColumn, 4)));
  }
}

/// What is below the diagonal blocks as it is, and their inverses; nothing above them.
void KernelLowering::writeBlocks(const Fragment &matrix, const SharedTile &to) {
  const Distribution &shape = matrix.shape;
  int64_t size = shape.rows, bytes = size * kBlockPitch * 4;
  int64_t diagonal = shared.allocate(bytes);
  shared.writes(to.offset, to.bytes(), /*operand=*/true);
  shared.writes(diagonal, bytes);
  // A warp has whole blocks, or halves of them side by side.
  bool whole = shape.columnsOfWarp() % kBlock == 0;
  auto element = [&](int64_t slab, int64_t group, int64_t n, int64_t e) {
    return matrix.at(slab, group + n / 2, n % 2, e);
  };
  for (int64_t slab = 0; slab < shape.slabs(); ++slab)
    for (int64_t group = 0; group < shape.groups(); group += whole ? 2 : 1) {
      int64_t parts = whole ? 4 : 2; // 8x8 matrices
      Value blockRow = code.add(warpDown(shape.grid), slab * shape.grid.down);
      Value column = code.add(code.mul(warpAcross(shape.grid), shape.columnsOfWarp()), group * 8);
      Value blockColumn = code.divide(column, kBlock);
      Value present = shape.padsRows() ? code.lessThan(blockRow, code.constant32(size / kBlock)) : Value();
      code.branch(code.both(present, code.lessThan(blockColumn, blockRow)), {}, [&] {
        for (int64_t term = 0; term < to.terms; ++term) {
          SmallVector<Value> words;
          for (int64_t n = 0; n < parts; ++n)
            words.push_back(packTerm(element(slab, group, n, 0), element(slab, group, n, 1), term));
          if (whole) {
            storeBlock(words, to, blockRow, blockColumn, term);
            continue;
          }
          for (int64_t n = 0; n < parts; ++n) {
            Value row = code.add(code.add(code.mul(blockRow, kBlock), laneRow), n * 8);
            Value at = pieceOffset(to, row, code.divide(column, 8), term);
            code.storeShared({words[n]}, code.add(at, code.mul(laneColumn, 4)));
          }
        }
        return SmallVector<Value>();
      });
      code.branch(code.both(present, code.equal(blockColumn, blockRow)), {}, [&] {
        // Turned: a row of the inverse is found from columns.
        Value line = code.add(column, code.mul(laneColumn, 2));
        Value at = code.add(code.mul(line, kBlockPitch * 4), code.add(code.mul(laneRow, 4), diagonal));
        for (int64_t n = 0; n < parts; ++n)
          for (int64_t e = 0; e < 2; ++e)
            code.storeShared({code.bitsOf(element(slab, group, n, e))}, at, {},
                             (n / 2 * 8 + e) * kBlockPitch * 4 + n % 2 * 32);
        return SmallVector<Value>();
      });
    }
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
    // Four entries of a column at a time; what was found last comes last, so that nothing else waits for it.
    for (int64_t k = kBlock - 4; k + 4 > j + 1; k -= 4) {
      auto words = code.loadShared(block, 4, (j * kBlockPitch + k) * 4);
      for (int64_t i = k + 3; i >= std::max(k, j + 1); --i)
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

/// Row `row` of blocks, which has at most `mostLeft` to the left of its diagonal.
void KernelLowering::invertRow(Value row, int64_t mostLeft, const SharedTile &lower, const SharedTile &inverse) {
  using Block = SmallVector<SmallVector<Value, 4>>; // words of each term
  auto load = [&](Value blockRow, Value blockColumn, bool transposed) {
    Block block;
    for (int64_t term = 0; term < lower.terms; ++term)
      block.push_back(code.loadMatrices(blockOffset(lower, blockRow, blockColumn, term), 4, transposed));
    return block;
  };
  auto store = [&](const Block &block, Value blockColumn) {
    for (int64_t term = 0; term < inverse.terms; ++term)
      storeBlock(block[term], inverse, row, blockColumn, term);
  };
  // Two pieces of 16 rows and 8 columns.
  auto multiply = [&](MutableArrayRef<Value> sums, const Block &left, const Block &right) {
    for (int64_t x = 0; x < lower.terms; ++x)
      for (int64_t y = 0; x + y < lower.terms; ++y)
        for (int64_t n = 0; n < 2; ++n)
          llvm::copy(code.multiply(sums.slice(n * 4, 4), left[x], ArrayRef(right[y]).slice(n * 2, 2)),
                     sums.begin() + n * 4);
  };
  auto termsOf = [&](ArrayRef<Value> sums) {
    Block block;
    for (int64_t term = 0; term < lower.terms; ++term) {
      block.emplace_back();
      for (int64_t n = 0; n < 4; ++n)
        block.back().push_back(packTerm(sums[n * 2], sums[n * 2 + 1], term));
    }
    return block;
  };

  // Zero above the diagonal: the warp's rows as they lie, before anything else is stored to them.
  Value zero = code.constant32(0);
  Value own = code.add(code.mul(row, kBlock * 128), code.add(code.mul(lane, 16), inverse.offset));
  for (int64_t term = 0; term < inverse.terms; ++term)
    for (int64_t panel = 0; panel < inverse.panels(); ++panel)
      for (int64_t at = 0; at < kBlock * 128; at += 32 * 16)
        code.storeShared({zero, zero, zero, zero}, own, {},
                         term * inverse.termBytes() + panel * inverse.panelBytes() + at);
  code.warpBarrier();

  SmallVector<Block> found{load(row, row, /*transposed=*/false)}; // from the diagonal to the left
  store(found[0], row);
  std::function<void(int64_t)> goLeft = [&](int64_t left) {
    code.branch(code.lessThan(code.constant32(left - 1), row), {}, [&] {
      Value column = code.add(row, -left);
      SmallVector<Value> sums(8, code.number(0)), result(8, code.number(0));
      for (int64_t n = 0; n < left; ++n)
        multiply(sums, found[n], load(code.add(row, -n), column, /*transposed=*/true));
      for (Value &sum : sums)
        sum = code.mulf(sum, code.number(-1));
      multiply(result, termsOf(sums), load(column, column, /*transposed=*/true));
      found.push_back(termsOf(result));
      store(found.back(), column);
      if (left < mostLeft)
        goLeft(left + 1);
      return SmallVector<Value>();
    });
  };
  if (mostLeft > 0)
    goLeft(1);
}
