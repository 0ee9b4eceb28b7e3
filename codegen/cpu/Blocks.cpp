// Elements in blocks with a scale (formats/blocks/BlockFormat.h): how they are found and become f32.
#include "codegen/cpu/Places.h"
#include "dialects/interfaces/Interfaces.h"

using namespace mlir;
using namespace denim::codegen;
using namespace denim;
using formats::BlockFormat;
using formats::kBlockElements;

/// Elements of q4_0 whose lower or upper four bits are neighbours in memory.
static constexpr int64_t kHalf = kBlockElements / 2;
/// What four bits are more than their integer.
static constexpr int64_t kMiddle = 8;

Place Access::blocksOf(Value base, Type element, int64_t memoryColumns, Value row, Value column, int64_t rows,
                       int64_t columns) {
  BlockFormat format = *blockFormatOf(element);
  Type byte = code.builder.getI8Type();
  Place place;
  place.element = element;
  place.rows = rows, place.columns = columns;
  place.rowStride = formats::rowBytes(format, memoryColumns);
  place.alignment = 1;
  place.scales = code.advance(base, code.mul(row, place.rowStride), byte);
  place.base = code.advance(place.scales, formats::scalesBytes(memoryColumns), byte);
  place.first = column;
  return place;
}

/// Position in a row of the memory.
Value Access::positionInRow(const Place &place, Value row, Value column) {
  return code.add(place.first, place.blockAxis() == Axis::columns ? column : row);
}

/// The same place in the row of (row, column).
Value Access::inRow(const Place &place, Value pointer, Value row, Value column) {
  Axis across = otherAxis(place.blockAxis());
  if (place.extent(across) == 1)
    return pointer;
  Value number = across == Axis::rows ? row : column;
  return code.advance(pointer, code.mul(number, place.stride(across)), code.builder.getI8Type());
}

Value Access::addressInBlock(const Place &place, Value row, Value column) {
  Type byte = code.builder.getI8Type();
  Value pointer = inRow(place, place.base, row, column), position = positionInRow(place, row, column);
  if (*blockFormatOf(place.element) == BlockFormat::Q8_0)
    return code.advance(pointer, position, byte);
  Value block = code.divide(position, kBlockElements), half = code.roundDown(position, kHalf);
  return code.advance(pointer, code.add(code.mul(block, kHalf), code.sub(position, half)), byte);
}

Place Access::windowOfBlocks(const Place &place, Value row, Value column, int64_t rows, int64_t columns) {
  Place part = place;
  part.rows = rows, part.columns = columns;
  part.base = inRow(place, place.base, row, column);
  part.scales = inRow(place, place.scales, row, column);
  part.first = positionInRow(place, row, column);
  return part;
}

Value Access::elementOfBlock(const Place &place, Value row, Value column, bool vector) {
  Type byte = code.builder.getI8Type(), half = code.builder.getF16Type();
  Value position = positionInRow(place, row, column);
  Value at = code.advance(inRow(place, place.scales, row, column), code.divide(position, kBlockElements), half);
  Value scale = code.widen(code.load(code.storageOf(half), at, formats::kScaleBytes), half);
  Value integer = code.load(vector ? code.vectorOf(byte) : byte, addressInBlock(place, row, column), 1);
  bool wide = *blockFormatOf(place.element) == BlockFormat::Q8_0;
  integer = code.widenBytes(integer, /*hasSign=*/wide);
  if (!wide) {
    Value block = code.roundDown(position, kBlockElements);
    Value isUpper = code.divide(code.sub(position, block), kHalf);
    integer = code.addi(code.fourBits(integer, code.toI32(code.mul(isUpper, 4))),
                        vector ? code.broadcast(code.constant32(-kMiddle)) : code.constant32(-kMiddle));
  }
  return code.mulf(code.toReal(integer), vector ? code.broadcast(scale) : scale);
}

Place Access::scalesOf(const Place &place, Value column, int64_t columns) {
  Place scales;
  Type half = code.builder.getF16Type();
  Value row = code.advance(place.scales, code.mul(column, place.columnStride), code.builder.getI8Type());
  scales.base = code.advance(row, code.divide(place.first, kBlockElements), half);
  scales.element = half;
  scales.rows = columns, scales.columns = place.rows / kBlockElements;
  scales.rowStride = place.columnStride / formats::kScaleBytes;
  scales.alignment = formats::kScaleBytes;
  return scales;
}

/// The integers of the lower and the upper four bits.
std::pair<Value, Value> Access::realsOfFourBits(Value bytes) {
  Value four = code.constant32(4);
  if (code.target.lookUp && code.lanes == 16) {
    SmallVector<float> integers;
    for (int64_t i = 0; i < 2 * kMiddle; ++i)
      integers.push_back(float(i - kMiddle));
    return {code.lookUp(integers, bytes), code.lookUp(integers, code.shiftRight(bytes, four))};
  }
  Value middle = code.broadcast(code.constant32(-kMiddle));
  return {code.toReal(code.addi(code.fourBits(bytes, code.constant32(0)), middle)),
          code.toReal(code.addi(code.fourBits(bytes, four), middle))};
}

SmallVector<Value> Access::integersOfBlock(const Place &place, Value row, Value column) {
  bool wide = *blockFormatOf(place.element) == BlockFormat::Q8_0;
  Type bytes = code.vectorOf(code.builder.getI8Type());
  Value pointer = addressInBlock(place, row, column);
  SmallVector<Value> lower, upper;
  for (int64_t i = 0; i < formats::blockBytes(*blockFormatOf(place.element)); i += code.lanes) {
    Value at = code.advance(pointer, i, code.builder.getI8Type());
    Value integers = code.widenBytes(code.load(bytes, at, 1), /*hasSign=*/wide);
    if (wide) {
      lower.push_back(code.toReal(integers));
      continue;
    }
    auto [low, high] = realsOfFourBits(integers);
    lower.push_back(low), upper.push_back(high);
  }
  lower.append(upper);
  return lower;
}
