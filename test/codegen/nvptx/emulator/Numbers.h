// Values of 16 bits and back, rounded to nearest even; sums of matrix units.
#ifndef TEST_CODEGEN_NVPTX_EMULATOR_NUMBERS_H
#define TEST_CODEGEN_NVPTX_EMULATOR_NUMBERS_H

#include <cmath>
#include <cstdint>
#include <cstring>

namespace denim::ptx {

inline float fromBrain(uint16_t bits) {
  uint32_t wide = uint32_t(bits) << 16;
  float value;
  std::memcpy(&value, &wide, 4);
  return value;
}
inline uint16_t toBrain(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  uint32_t quiet = 0x7fff;
  uint32_t near = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
  return uint16_t(value != value ? quiet : near);
}
inline float fromHalf(uint16_t bits) {
  int exponent = bits >> 10 & 31, mantissa = bits & 1023;
  float magnitude = exponent == 31  ? (mantissa ? NAN : INFINITY)
                    : exponent == 0 ? std::ldexp(float(mantissa), -24)
                                    : std::ldexp(float(mantissa + 1024), exponent - 25);
  return bits & 0x8000 ? -magnitude : magnitude;
}
inline uint16_t toHalf(float value) {
  uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  float magnitude = std::fabs(value);
  if (value != value)
    return 0x7fff;
  if (magnitude >= 65520)
    return sign | 0x7c00;
  int exponent = 0;
  std::frexp(magnitude, &exponent);     // magnitude in [2^(exponent-1), 2^exponent)
  if (magnitude == 0 || exponent < -13) // denormal: units of 2^-24
    return sign | uint16_t(std::nearbyint(std::ldexp(magnitude, 24)));
  // Units of 2^(exponent-11); a mantissa that rounds up to 2048 carries into the exponent by itself.
  int units = int(std::nearbyint(std::ldexp(magnitude, 11 - exponent)));
  return sign | uint16_t(((exponent + 13) << 10) + units);
}

/// What a matrix unit makes of a sum so far and the products of one instruction: bits behind the last are cut off, not
/// rounded (Fasi et al., "Numerical behavior of NVIDIA tensor cores", PeerJ CS 7:e330, 2021). Products are added to each
/// other first; in which order, and with how many bits more, is left open here.
inline float addCutOff(float sum, float products) {
  double exact = double(sum) + double(products);
  uint64_t bits;
  std::memcpy(&bits, &exact, 8);
  bits &= ~((uint64_t(1) << 29) - 1); // f64 has 29 bits of mantissa more
  double cut;
  std::memcpy(&cut, &bits, 8);
  return exact != exact ? float(exact) : float(cut);
}

} // namespace denim::ptx

#endif // TEST_CODEGEN_NVPTX_EMULATOR_NUMBERS_H
