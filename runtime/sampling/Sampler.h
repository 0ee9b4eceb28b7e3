//===- Sampler.h - from logits to a token -------------------------*- C++ -*-===//
//
// The same logits, options and number of draws give the same token on every machine: the arithmetic is double
// and sequential, and ties go to the lowest id.
//
//===----------------------------------------------------------------------===//

#ifndef DENIM_RUNTIME_SAMPLING_SAMPLER_H
#define DENIM_RUNTIME_SAMPLING_SAMPLER_H

#include "runtime/base/Status.h"

#include <cstdint>
#include <random>
#include <vector>

namespace denim {

struct SamplingOptions {
  double temperature = 0; ///< 0: the likeliest token, always
  double topP = 1;        ///< only the likeliest tokens that together reach this probability
  uint64_t seed = 0;
};

/// One sequence's choices; owned by it, one thread at a time.
class Sampler {
public:
  static Status create(const SamplingOptions &options, Sampler &out);

  /// NaN is never chosen while there is anything else.
  int32_t sample(const float *logits, int32_t vocabulary);

private:
  SamplingOptions options;
  std::mt19937_64 random;
  std::vector<double> weights;
  std::vector<int32_t> order;
};

/// The index of the largest value, the lowest of equals; NaN counts as less than all.
int32_t argmax(const float *values, int32_t count);

} // namespace denim

#endif
