// Sums of squares along rows that stand in shared memory, which is what norms are made of: by matrix units.
//
// The product of 16 rows with themselves has them on its diagonal. A lane's words of a left operand are those of both
// right operands of 8 columns, so it reads its rows once, unpacks nothing and multiplies twice for each 16 channels: 24
// instructions and some ten behind them where 64 rows of 128 channels took 114. Products of numbers of bf16 are exact,
// and the sum is f32 as before.
#include "codegen/nvptx/KernelLowering.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace denim;
using namespace denim::codegen::nvptx;

/// Squares, each element of one tile with itself, that are summed along rows and used for nothing else.
static tile::ReduceOp sumOf(tile::MapOp squares) {
  Block &body = squares.getBody().front();
  auto product = dyn_cast<arith::MulFOp>(body.front());
  if (squares.getInputs().size() != 1 || !product || body.getTerminator()->getOperand(0) != product.getResult() ||
      product.getLhs() != body.getArgument(0) || product.getRhs() != body.getArgument(0))
    return nullptr;
  auto sum = squares->hasOneUse() ? dyn_cast<tile::ReduceOp>(*squares->getUsers().begin()) : nullptr;
  bool alongRows = sum && sum->getBlock() == squares->getBlock() && sum.getCombiner() == tile::Combiner::add &&
                   sum.getDimension() == 1;
  return alongRows ? sum : nullptr;
}

bool KernelLowering::sumSquares(tile::MapOp op) {
  tile::ReduceOp sum = sumOf(op);
  if (!sum || precision != Precision::bf16)
    return false;
  Value tile = op.getInputs()[0];
  Distribution shape = distributionOf(tile), partial = shape;
  if (!readLater.contains(tile) || shape.padsRows() || shape.joined > 1 || shape.columns % 16 != 0)
    return false;
  const SharedTile from = sharedOf(tile);
  shared.reads(from.offset, from.bytes());
  partial.columns = 1;
  Fragment result{partial, code.f32(), {}};
  Value inMatrix = code.modulo(lane, 8), second = code.modulo(code.divide(lane, 8), 2), fourth = code.divide(lane, 16);
  Value onDiagonal = code.add(code.mul(laneRow, 4), code.divide(laneRow, 2)); // lane that has column g of row g
  Value isOdd = code.equal(code.modulo(laneRow, 2), code.constant32(1));
  for (int64_t slab = 0; slab < shape.slabs(); ++slab) {
    Value row = code.add(code.mul(warpDown(shape.grid), 16), slab * 16 * shape.grid.down);
    row = code.add(row, code.add(inMatrix, code.mul(second, 8)));
    SmallVector<Value, 4> sums[2];
    for (auto &half : sums)
      half.assign(4, code.number(0));
    for (int64_t k = 0; k < shape.columns; k += 16) {
      auto words = code.loadMatrices(pieceOffset(from, row, code.add(fourth, k / 8), 0), 4, /*transposed=*/false);
      for (int64_t half = 0; half < 2; ++half)
        sums[half] = code.multiply(sums[half], words, {words[half], words[half + 2]});
    }
    for (int64_t half = 0; half < 2; ++half) {
      Value own = code.select(isOdd, sums[half][2 * half + 1], sums[half][2 * half]);
      result.values.push_back(code.shuffleIndex(own, onDiagonal));
    }
  }
  squares.insert({sum.getResult(), std::move(result)});
  return true;
}
