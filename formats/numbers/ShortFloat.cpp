//===- ShortFloat.cpp - f16 and bf16 --------------------------------------===//

#include "formats/numbers/ShortFloat.h"

#include <cmath>
#include <cstring>

namespace denim::formats {

float fromHalf(uint16_t bits) {
  int exponent = bits >> 10 & 31, mantissa = bits & 0x3ff;
  float magnitude;
  if (exponent == 31)
    magnitude = mantissa ? NAN : INFINITY;
  else if (exponent == 0)
    magnitude = std::ldexp(static_cast<float>(mantissa), -24);
  else
    magnitude = std::ldexp(static_cast<float>(mantissa | 0x400), exponent - 25);
  return bits & 0x8000 ? -magnitude : magnitude;
}

uint16_t toHalf(float value) {
  auto sign = static_cast<uint16_t>(std::signbit(value) ? 0x8000 : 0);
  float magnitude = std::fabs(value);
  if (std::isnan(value))
    return sign | 0x7e00;
  if (magnitude >= 65520.0f) // half way from the largest to the next
    return sign | 0x7c00;
  if (magnitude < std::ldexp(1.0f, -14)) // subnormal; 1024 is the smallest normal number
    return sign | static_cast<uint16_t>(std::nearbyint(std::ldexp(magnitude, 24)));
  int exponent;
  float fraction = std::frexp(magnitude, &exponent); // in [1/2, 1)
  // 11 bits; a carry out of them goes into the exponent, as it should.
  auto rounded = static_cast<uint16_t>(std::nearbyint(std::ldexp(fraction, 11)));
  return sign | static_cast<uint16_t>(((exponent + 14) << 10) + (rounded - 0x400));
}

float fromBrain(uint16_t bits) {
  uint32_t word = uint32_t(bits) << 16;
  float value;
  std::memcpy(&value, &word, sizeof value);
  return value;
}

uint16_t toBrain(float value) {
  uint32_t word;
  std::memcpy(&word, &value, sizeof word);
  if (std::isnan(value))
    return static_cast<uint16_t>(word >> 16 | 0x40);
  return static_cast<uint16_t>((word + 0x7fff + (word >> 16 & 1)) >> 16);
}

} // namespace denim::formats
