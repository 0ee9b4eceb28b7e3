//===- BlockFormat.h - weights of a few bits, in blocks -----------*- C++ -*-===//
//
// A row of a matrix in blocks of 32 neighbours that share a scale: element = scale * integer. The numbers are those of
// the formats of the same names in ggml.
//
//   q8_0   integers -127 .. 127, a byte each                      34 bytes for 32 elements
//   q4_0   integers -8 .. 7, four bits each, kept as integer + 8  18 bytes for 32 elements
//
// In memory a row is its scales, then its integers, without gaps; so is the next row behind it:
//
//   f16 scale [elements / 32] | integers of block 0 | integers of block 1 | ...
//
// A block of q4_0 is 16 bytes; byte j has element j in its lower four bits and element j + 16 in its upper ones. The
// scales stand in front, where ggml has each beside its integers: so the integers of a row are one stream of whole
// words, and a kernel converts the scales of many blocks at once.
//
// A safetensors file has such a matrix [N, K] under its own name as U8 [N, rowBytes(K)].
//
//===----------------------------------------------------------------------===//

#ifndef DENIM_FORMATS_BLOCKS_BLOCKFORMAT_H
#define DENIM_FORMATS_BLOCKS_BLOCKFORMAT_H

#include <cstdint>
#include <optional>
#include <string_view>

namespace denim::formats {

enum class BlockFormat : uint8_t { Q8_0, Q4_0 };

/// Elements of a block. Rows are whole blocks.
inline constexpr int64_t kBlockElements = 32;
/// Bytes of a scale, an f16; rows are aligned to it.
inline constexpr int64_t kScaleBytes = 2;

/// "q8_0".
std::string_view name(BlockFormat format);
std::optional<BlockFormat> blockFormatOf(std::string_view name);

/// Bits of one integer.
constexpr int64_t integerBits(BlockFormat format) {
  return format == BlockFormat::Q8_0 ? 8 : 4;
}
/// Bytes of the integers of a block.
constexpr int64_t blockBytes(BlockFormat format) {
  return kBlockElements * integerBits(format) / 8;
}
/// Bytes of the scales of a row, which is where its integers begin.
constexpr int64_t scalesBytes(int64_t elements) {
  return elements / kBlockElements * kScaleBytes;
}
constexpr int64_t rowBytes(BlockFormat format, int64_t elements) {
  return scalesBytes(elements) + elements / kBlockElements * blockBytes(format);
}

/// Writes a row of `elements`, a multiple of kBlockElements. The scale is the one with which the element of largest
/// magnitude becomes 127 (q8_0) or -8 (q4_0), rounded to f16; integers are rounded to nearest. An element is off by at
/// most half a scale, one of q4_0 that is opposite in sign to the largest by at most a whole one; scales that are
/// subnormal as f16 are off by up to 2^-25 more for each integer. False, with the row in any state, where an element is
/// not finite or a scale is above the largest f16: nothing stands for it.
bool encodeRow(BlockFormat format, const float *values, int64_t elements, void *row);
/// The elements of a row, exactly. What encodeRow made is encoded to the same row again where scales are 2^-16 and
/// above.
void decodeRow(BlockFormat format, const void *row, int64_t elements, float *values);

} // namespace denim::formats

#endif
