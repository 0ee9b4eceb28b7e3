// tile.solve: the inverse of the unit lower triangular matrix by blocks, all in f32, then one product.
//
// Diagonal blocks of 16 are inverted by substitution, one thread a column; then blocks of twice the size from pairs,
//
//     [ A  0 ]^-1   [   A^-1           0   ]
//     [ L  B ]    = [ -B^-1 L A^-1   B^-1  ]
//
// (spec/attention.md 3.3). The last product is as exact as all products of the kernel are.
#include "codegen/nvptx/KernelLowering.h"

using namespace mlir;
using namespace denim;
using namespace denim::codegen::nvptx;

static constexpr int64_t kBlock = 16;

LogicalResult KernelLowering::lower(tile::SolveOp op) {
  int64_t size = typeOf(op.getLower()).getRows();
  if (size % kBlock != 0 || size > threads() || !llvm::isPowerOf2_64(size))
    return op.emitError() << "expected a triangle of 16, 32, 64 or 128 rows on a GPU, but got " << size;
  int64_t pitch = size + 1, bytes = size * pitch * 4;
  int64_t lower = shared.allocate(bytes), inverse = shared.allocate(bytes);
  shared.writes(lower, bytes);
  spill(fragmentOf(op.getLower()), code.constant32(lower), pitch);
  invertUnitLower(lower, inverse, size);

  // The inverse as a left operand.
  Shape shape{size, typeOf(op.getRhs()).getColumns(), size};
  int64_t terms = precision == Precision::exact ? 2 : 1;
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
  shared.release(lower);
  shared.release(inverse);
  SharedTile left = allocateShared(size, size, terms), right = allocateShared(size, shape.n, terms);
  writeShared(inverted, left);
  writeShared(fragmentOf(op.getRhs()), right);
  Distribution to = distributionOf(op.getResult());
  Fragment result{to, code.f32(), {}};
  Operand lhs, rhs;
  lhs.shared = &left, rhs.shared = &right;
  lhs.terms = rhs.terms = terms;
  if (shape.n == 1)
    return op.emitError() << "expected a right-hand side of more than one column on a GPU";
  multiply(shape, lhs, rhs, result, false);
  shared.release(left.offset);
  shared.release(right.offset);
  bind(op.getResult(), std::move(result));
  return success();
}

void KernelLowering::invertUnitLower(int64_t lower, int64_t inverse, int64_t size) {
  int64_t pitch = size + 1, bytes = size * pitch * 4;
  auto place = [&](int64_t base, Value row, Value column) {
    return code.add(code.mul(row, pitch * 4), code.add(code.mul(column, 4), base));
  };
  auto load = [&](Value at) { return code.realOf(code.loadShared(at, 1)[0]); };
  shared.reads(lower, bytes);
  shared.writes(inverse, bytes);
  // Thread n: column n mod 16 of diagonal block n div 16. Threads behind the last block repeat another's work.
  Value number = code.modulo(thread, size), column = code.modulo(number, kBlock);
  Value first = code.mul(code.divide(number, kBlock), kBlock);
  Value corner = place(lower, first, first);
  SmallVector<Value> x;
  for (int64_t i = 0; i < kBlock; ++i) {
    Value sum = code.select(code.equal(column, code.constant32(i)), code.number(1), code.number(0));
    for (int64_t k = 0; k < i; ++k)
      sum = code.fma(code.mulf(load(code.add(corner, (i * pitch + k) * 4)), code.number(-1)), x[k], sum);
    x.push_back(sum);
  }
  Value top = place(inverse, first, code.add(first, column));
  for (int64_t i = 0; i < kBlock; ++i)
    code.storeShared({code.bitsOf(x[i])}, code.add(top, i * pitch * 4));
  // What is above the diagonal blocks is zero, and read by the product.
  int64_t above = size * size;
  for (int64_t n = 0; n < above; n += threads()) {
    Value entry = code.add(thread, n), row = code.divide(entry, size), at = code.modulo(entry, size);
    Value isAbove = code.lessThan(code.divide(row, kBlock), code.divide(at, kBlock));
    if (n + threads() > above)
      isAbove = code.both(isAbove, code.lessThan(entry, code.constant32(above)));
    code.storeShared({code.constant32(0)}, place(inverse, row, at), isAbove);
  }
  int64_t temporary = shared.allocate(bytes / 2);
  for (int64_t block = kBlock; block < size; block *= 2) {
    int64_t pairs = size / (2 * block), entries = pairs * block * block;
    // Y = L A^-1, then -B^-1 Y in its place of the inverse.
    for (bool second : {false, true}) {
      shared.reads(second ? temporary : inverse, bytes / (second ? 2 : 1));
      if (second)
        shared.reads(inverse, bytes);
      shared.writes(second ? inverse : temporary, second ? bytes : bytes / 2);
      for (int64_t n = 0; n < entries; n += threads()) {
        Value entry = code.add(thread, n);
        Value pair = code.divide(entry, block * block), inPair = code.modulo(entry, block * block);
        Value i = code.divide(inPair, block), j = code.modulo(inPair, block);
        Value begin = code.mul(pair, 2 * block), middle = code.add(begin, block);
        Value y = code.add(code.mul(code.mul(pair, block * block), 4), temporary);
        Value sum = code.number(0);
        for (int64_t k = 0; k < block; ++k) {
          Value a, b;
          if (!second) {
            a = load(code.add(place(lower, code.add(middle, i), begin), k * 4));
            b = load(code.add(place(inverse, begin, code.add(begin, j)), k * pitch * 4));
          } else {
            a = load(code.add(place(inverse, code.add(middle, i), middle), k * 4));
            b = load(code.add(code.add(y, code.mul(j, 4)), k * block * 4));
          }
          sum = code.fma(a, b, sum);
        }
        Value exists = n + threads() > entries ? code.lessThan(entry, code.constant32(entries)) : Value();
        if (!second)
          code.storeShared({code.bitsOf(sum)}, code.add(y, code.mul(inPair, 4)), exists);
        else
          code.storeShared({code.bitsOf(code.mulf(sum, code.number(-1)))},
                           place(inverse, code.add(middle, i), code.add(begin, j)), exists);
      }
    }
  }
  shared.release(temporary);
}
