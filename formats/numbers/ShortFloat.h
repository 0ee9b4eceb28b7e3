//===- ShortFloat.h - f16 and bf16 --------------------------------*- C++ -*-===//

#ifndef DENIM_FORMATS_NUMBERS_SHORTFLOAT_H
#define DENIM_FORMATS_NUMBERS_SHORTFLOAT_H

#include <cstdint>

namespace denim::formats {

/// Bits of IEEE 754 binary16 ("F16"), and the nearest of them (ties to even; beyond the largest, infinity).
float fromHalf(uint16_t bits);
uint16_t toHalf(float value);

/// Bits of bfloat16 ("BF16"), the upper half of an f32, and the nearest of them (ties to even).
float fromBrain(uint16_t bits);
uint16_t toBrain(float value);

} // namespace denim::formats

#endif
