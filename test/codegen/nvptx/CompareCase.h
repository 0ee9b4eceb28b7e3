// What a case has left in its buffers against what the interpreter says, for every machine that runs cases.
#ifndef TEST_CODEGEN_NVPTX_COMPARECASE_H
#define TEST_CODEGEN_NVPTX_COMPARECASE_H

#include "test/codegen/nvptx/CaseFile.h"
#include <algorithm>
#include <cmath>
#include <cstring>

namespace denim::test {

inline double valueAt(const std::vector<char> &data, const std::string &element, size_t i) {
  if (element == "bf16") {
    uint32_t bits = uint32_t(reinterpret_cast<const uint16_t *>(data.data())[i]) << 16;
    float value;
    std::memcpy(&value, &bits, 4);
    return value;
  }
  if (element == "f16") {
    uint16_t bits = reinterpret_cast<const uint16_t *>(data.data())[i];
    int exponent = bits >> 10 & 31, mantissa = bits & 1023;
    double magnitude = exponent == 31  ? (mantissa ? NAN : INFINITY)
                       : exponent == 0 ? std::ldexp(mantissa, -24)
                                       : std::ldexp(mantissa + 1024, exponent - 25);
    return bits & 0x8000 ? -magnitude : magnitude;
  }
  if (element == "i32")
    return reinterpret_cast<const int32_t *>(data.data())[i];
  return reinterpret_cast<const float *>(data.data())[i];
}

/// What is wrong with the values of a buffer, or nothing. Errors are shares of the largest value expected.
inline std::string compare(const GpuBuffer &buffer, const std::vector<char> &got, double tolerance, double &worst) {
  size_t count = got.size() / (buffer.element == "bf16" || buffer.element == "f16" ? 2 : 4);
  double largest = 1e-30;
  for (size_t i = 0; i < count; ++i)
    if (double v = std::fabs(valueAt(buffer.after, buffer.element, i)); std::isfinite(v))
      largest = std::max(largest, v);
  std::string first;
  size_t wrong = 0;
  for (size_t i = 0; i < count; ++i) {
    double want = valueAt(buffer.after, buffer.element, i), have = valueAt(got, buffer.element, i);
    if (want == have || (std::isnan(want) && std::isnan(have)))
      continue;
    double error = std::fabs(want - have) / largest;
    if (error <= tolerance) {
      worst = std::max(worst, error);
      continue;
    }
    if (wrong++ == 0)
      first = "element " + std::to_string(i) + " is " + std::to_string(have) + ", expected " + std::to_string(want);
  }
  return wrong ? std::to_string(wrong) + " of " + std::to_string(count) + " wrong, " + first : "";
}

} // namespace denim::test

#endif // TEST_CODEGEN_NVPTX_COMPARECASE_H
