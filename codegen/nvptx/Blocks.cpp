// Elements in blocks with a scale (formats/blocks/BlockFormat.h), in memory.
//
// They are read by pieces of 8 elements, which have one scale: 8 bytes, of which four-bit elements are the lower or the
// upper halves. A byte becomes f32 by an instruction that picks bytes, not by a conversion. Of four bits: 0x43 and the
// byte in front of zeros is the number 128 + byte. A sum of products with such numbers is too large by 128 + 8 times
// the sum of the other factors, which is known once for many rows; it costs four of its 24 bits. Of eight bits: 0x4b
// and the byte behind zeros is 2^23 + byte, too large to stay in a sum, and is subtracted at once.
#include "codegen/nvptx/KernelLowering.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include <numeric>

using namespace mlir;
using namespace denim;
using namespace denim::codegen::nvptx;
using formats::BlockFormat;
using formats::kBlockElements;

static constexpr int64_t kHalf = kBlockElements / 2, kPiece = 8;
/// 128 and 2^23 as f32, and what bytes are more than their integers.
static constexpr int64_t kFewBits = 0x43000000, kManyBits = 0x4b000000, kFewNumber = 128, kManyNumber = 1 << 23;
static constexpr int64_t kMiddleOfByte = 128, kMiddleOfFour = 8;

static BlockFormat formatOf(Type stored) {
  return *blockFormatOf(stored);
}

bool KernelLowering::isInBlocks(tile::LoadOp op) {
  return blockFormatOf(cast<tile::MemoryType>(op.getMemory().getType()).getElementType()).has_value();
}

KernelLowering::BlockAddress KernelLowering::addressInBlocks(const View &view, Value row, Value column) {
  Type byte = code.builder.getI8Type();
  Value line = code.advance(view.pointer,
                            code.mul(code.toI64(row), formats::rowBytes(formatOf(view.stored), view.columns)), byte);
  Value block = code.divide(column, kBlockElements);
  BlockAddress address{line, code.advance(line, code.mul(block, formats::kScaleBytes), byte), {}};
  Value at = column;
  if (formatOf(view.stored) == BlockFormat::Q4_0) {
    at = code.add(code.mul(block, kHalf), code.modulo(column, kHalf));
    address.shift = code.mul(code.toI32(code.modulo(code.divide(column, kHalf), 2)), 4);
  }
  address.integers =
      code.advance(line,
                   code.add(at, column.getType().isInteger(32) ? code.constant32(formats::scalesBytes(view.columns))
                                                               : code.constant(formats::scalesBytes(view.columns))),
                   byte);
  return address;
}

KernelLowering::BlockPiece KernelLowering::loadBlockPiece(const View &view, const BlockAddress &address,
                                                          Value predicate, int64_t plus, int64_t plusScale, bool once) {
  BlockFormat format = formatOf(view.stored);
  // Buffers begin at multiples of more.
  int64_t alignment =
      std::gcd(std::gcd(formats::rowBytes(format, view.columns), formats::scalesBytes(view.columns)), 8);
  BlockPiece piece;
  if (alignment == 8) {
    piece.words = code.loadWords(address.integers, 2, predicate, plus, once);
  } else if (alignment == 4) {
    for (int64_t word = 0; word < 2; ++word)
      llvm::append_range(piece.words, code.loadWords(address.integers, 1, predicate, plus + word * 4, once));
  } else {
    for (int64_t word = 0; word < 2; ++word) {
      Value low = code.loadHalfWord(address.integers, predicate, plus + word * 4);
      Value high = code.loadHalfWord(address.integers, predicate, plus + word * 4 + 2);
      piece.words.push_back(code.add(low, code.mul(high, 1 << 16)));
    }
  }
  piece.scale = code.loadHalfWord(address.scales, predicate, plusScale);
  piece.shift = address.shift;
  return piece;
}

double KernelLowering::raisedBy(const View &view) const {
  bool wide = formatOf(view.stored) == BlockFormat::Q8_0;
  return wide || precision == Precision::exact ? 0 : kFewNumber + kMiddleOfFour;
}

Value KernelLowering::raisedInteger(const View &view, Value bytes, int64_t byte) {
  auto number = uint32_t(byte);
  if (formatOf(view.stored) == BlockFormat::Q4_0) {
    Value real = code.realOf(code.pickBytes(bytes, code.constant32(kFewBits), 0x7044 | number << 8));
    return raisedBy(view) ? real : code.subf(real, code.number(kFewNumber + kMiddleOfFour));
  }
  Value bits = code.pickBytes(bytes, code.constant32(kManyBits), 0x7440 | number);
  return code.subf(code.realOf(bits), code.number(kManyNumber + kMiddleOfByte));
}

Value KernelLowering::bytesOfBlock(const View &view, Value word, Value shift) {
  if (formatOf(view.stored) == BlockFormat::Q8_0)
    return code.exclusiveOr(word, code.constant32(int32_t(0x80808080)));
  Value low = arith::ShRUIOp::create(code.builder, code.loc, word, shift);
  return arith::AndIOp::create(code.builder, code.loc, low, code.constant32(0x0f0f0f0f));
}

SmallVector<Value> KernelLowering::raisedIntegersOf(const View &view, const BlockPiece &piece) {
  SmallVector<Value> reals;
  for (Value word : piece.words) {
    Value bytes = bytesOfBlock(view, word, piece.shift);
    for (int64_t byte = 0; byte < 4; ++byte)
      reals.push_back(raisedInteger(view, bytes, byte));
  }
  return reals;
}

SmallVector<Value> KernelLowering::elementsOf(const View &view, const BlockPiece &piece) {
  Value scale = code.unpackHalf(piece.scale, false);
  SmallVector<Value> reals = raisedIntegersOf(view, piece);
  for (Value &real : reals)
    real = code.mulf(raisedBy(view) ? code.subf(real, code.number(raisedBy(view))) : real, scale);
  return reals;
}

/// Whether the neighbours of each thread are a piece, and what lies between its pieces of a row whole blocks. A load
/// begins with a block.
bool KernelLowering::isReadByPieces(tile::LoadOp op) {
  Distribution shape = distributionOf(op.getResult());
  return !op.getTransposed() && !shape.oneColumn() && shape.neighbours() == kPiece &&
         shape.groupColumns() * shape.joined % kBlockElements == 0 && shape.columns % kPiece == 0;
}

Fragment KernelLowering::loadBlockPieces(tile::LoadOp op) {
  View view = viewOf(op.getMemory());
  const Distribution shape = distributionOf(op.getResult());
  BlockFormat format = formatOf(view.stored);
  Fragment to{shape, code.f32(), SmallVector<Value>(shape.registers())};
  Value first = code.add(i64Of(op.getRow()), code.toI64(rowOf(shape, 0, 0)));
  Value column = code.add(i64Of(op.getColumn()), code.toI64(columnOf(shape, 0, 0)));
  BlockAddress address = addressInBlocks(view, first, column);
  int64_t rowBytes = formats::rowBytes(format, view.columns);
  // All of them are asked for before the first is looked at.
  SmallVector<std::pair<int64_t, BlockPiece>> pieces; // by their first register
  for (int64_t slab = 0; slab < shape.slabs(); ++slab)
    for (int64_t half = 0; half < shape.halves(); ++half) {
      int64_t below = shape.oneRow() ? 0 : shape.rowAt(slab, half);
      Value inside =
          code.both(within(code.add(first, below), op.getLo(), op.getHi()), rowInside(shape, rowOf(shape, slab, half)));
      for (int64_t group = 0; group < shape.groups(); group += shape.joined) {
        int64_t blocks = shape.columnAt(group, 0) / kBlockElements;
        Value predicate = code.both(inside, columnInside(shape, columnOf(shape, group, 0)));
        pieces.push_back({shape.at(slab, group, half, 0),
                          loadBlockPiece(view, address, predicate, below * rowBytes + blocks * blockBytes(format),
                                         below * rowBytes + blocks * formats::kScaleBytes)});
      }
    }
  int64_t step = shape.at(0, 1, 0, 0); // from a pair of columns to the next of the row
  for (auto &[at, piece] : pieces)
    for (auto [n, element] : llvm::enumerate(elementsOf(view, piece)))
      to.values[at + int64_t(n) / 2 * step + int64_t(n) % 2] = element;
  return to;
}

Fragment KernelLowering::loadBlocks(tile::LoadOp op) {
  if (isReadByPieces(op))
    return loadBlockPieces(op);
  View view = viewOf(op.getMemory());
  Distribution shape = distributionOf(op.getResult());
  Fragment to{shape, code.f32(), SmallVector<Value>(shape.registers())};
  Value firstRow = i64Of(op.getRow()), firstColumn = i64Of(op.getColumn());
  bool transposed = op.getTransposed();
  // Element (i, j) of the tile, which is the first of a pair of neighbours in memory or either of them.
  auto load = [&](Value i, Value j, ArrayRef<Value *> pair) {
    Value row = code.add(firstRow, code.toI64(transposed ? j : i));
    Value column = code.add(firstColumn, code.toI64(transposed ? i : j));
    Value predicate =
        code.both(within(row, op.getLo(), op.getHi()), code.both(rowInside(shape, i), columnInside(shape, j)));
    Value odd = code.modulo(column, 2);
    BlockAddress address = addressInBlocks(view, row, pair.size() == 1 ? code.sub(column, odd) : column);
    Value word = bytesOfBlock(view, code.loadHalfWord(address.integers, predicate), address.shift);
    Value scale = code.unpackHalf(code.loadHalfWord(address.scales, predicate), false);
    if (pair.size() == 1)
      word = arith::ShRUIOp::create(code.builder, code.loc, word, code.mul(code.toI32(odd), 8));
    for (auto [byte, element] : llvm::enumerate(pair))
      *element = code.mulf(scale, code.subf(raisedInteger(view, word, int64_t(byte)), code.number(raisedBy(view))));
  };
  for (int64_t slab = 0; slab < shape.slabs(); ++slab)
    for (int64_t half = 0; half < shape.halves(); ++half)
      for (int64_t group = 0; group < shape.groups(); ++group) {
        Value i = rowOf(shape, slab, half);
        if (!transposed && shape.pairs() == 2) {
          load(i, columnOf(shape, group, 0),
               {&to.values[shape.at(slab, group, half, 0)], &to.values[shape.at(slab, group, half, 1)]});
          continue;
        }
        for (int64_t e = 0; e < shape.pairs(); ++e)
          load(i, columnOf(shape, group, e), {&to.values[shape.at(slab, group, half, e)]});
      }
  return to;
}
