//===- BlockFormat.cpp - weights of a few bits, in blocks -----------------===//

#include "formats/blocks/BlockFormat.h"
#include "formats/numbers/ShortFloat.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace denim::formats {

std::string_view name(BlockFormat format) {
  return format == BlockFormat::Q8_0 ? "q8_0" : "q4_0";
}

std::optional<BlockFormat> blockFormatOf(std::string_view text) {
  for (BlockFormat format : {BlockFormat::Q8_0, BlockFormat::Q4_0})
    if (text == name(format))
      return format;
  return std::nullopt;
}

/// The scale of a block, as it will be read; nothing where there is none.
static std::optional<uint16_t> scaleOf(BlockFormat format, const float *values) {
  float largest = 0;
  for (int64_t i = 0; i < kBlockElements; ++i) {
    if (!std::isfinite(values[i]))
      return std::nullopt;
    if (std::fabs(values[i]) > std::fabs(largest))
      largest = values[i];
  }
  float scale = format == BlockFormat::Q8_0 ? std::fabs(largest) / 127 : largest / -8;
  uint16_t bits = toHalf(scale);
  if (!std::isfinite(fromHalf(bits)))
    return std::nullopt;
  return bits;
}

bool encodeRow(BlockFormat format, const float *values, int64_t elements, void *row) {
  auto *scales = static_cast<unsigned char *>(row), *integers = scales + scalesBytes(elements);
  for (int64_t begin = 0; begin < elements; begin += kBlockElements) {
    std::optional<uint16_t> bits = scaleOf(format, values + begin);
    if (!bits)
      return false;
    std::memcpy(scales, &*bits, kScaleBytes);
    float scale = fromHalf(*bits);
    bool wide = format == BlockFormat::Q8_0;
    auto integerOf = [&](int64_t i) {
      float ratio = scale == 0 ? 0 : values[begin + i] / scale;
      return static_cast<int>(std::nearbyint(std::clamp(ratio, wide ? -127.0f : -8.0f, wide ? 127.0f : 7.0f)));
    };
    for (int64_t j = 0; j < blockBytes(format); ++j)
      integers[j] = static_cast<unsigned char>(wide ? integerOf(j) : (integerOf(j) + 8) | (integerOf(j + 16) + 8) << 4);
    scales += kScaleBytes, integers += blockBytes(format);
  }
  return true;
}

void decodeRow(BlockFormat format, const void *row, int64_t elements, float *values) {
  const auto *scales = static_cast<const unsigned char *>(row), *integers = scales + scalesBytes(elements);
  for (int64_t begin = 0; begin < elements; begin += kBlockElements) {
    uint16_t bits;
    std::memcpy(&bits, scales, kScaleBytes);
    float scale = fromHalf(bits);
    for (int64_t j = 0; j < blockBytes(format); ++j) {
      if (format == BlockFormat::Q8_0) {
        values[begin + j] = scale * static_cast<float>(static_cast<signed char>(integers[j]));
      } else {
        values[begin + j] = scale * static_cast<float>((integers[j] & 15) - 8);
        values[begin + j + 16] = scale * static_cast<float>((integers[j] >> 4) - 8);
      }
    }
    scales += kScaleBytes, integers += blockBytes(format);
  }
}

} // namespace denim::formats
