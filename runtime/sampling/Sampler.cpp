//===- Sampler.cpp - from logits to a token -------------------------------===//

#include "runtime/sampling/Sampler.h"

#include <algorithm>
#include <cmath>

namespace denim {

int32_t argmax(const float *values, int32_t count) {
  int32_t best = 0;
  for (int32_t i = 1; i < count; ++i)
    if (values[i] > values[best] || (std::isnan(values[best]) && !std::isnan(values[i])))
      best = i;
  return best;
}

Status Sampler::create(const SamplingOptions &options, Sampler &out) {
  if (!(options.temperature >= 0) || std::isinf(options.temperature))
    return invalidArgument("expected a temperature of 0 or more, but got ", options.temperature);
  if (!(options.topP > 0 && options.topP <= 1))
    return invalidArgument("expected top-p above 0 and at most 1, but got ", options.topP);
  out.options = options;
  out.random.seed(options.seed);
  return {};
}

int32_t Sampler::sample(const float *logits, int32_t vocabulary) {
  int32_t best = argmax(logits, vocabulary);
  if (options.temperature == 0 || !std::isfinite(logits[best]))
    return best;
  weights.resize(vocabulary);
  order.resize(vocabulary);
  for (int32_t i = 0; i < vocabulary; ++i) {
    double weight = std::exp((double(logits[i]) - logits[best]) / options.temperature);
    weights[i] = std::isnan(weight) ? 0 : weight;
    order[i] = i;
  }
  std::sort(order.begin(), order.end(),
            [&](int32_t a, int32_t b) { return weights[a] != weights[b] ? weights[a] > weights[b] : a < b; });
  double total = 0, kept = 0;
  for (int32_t i : order)
    total += weights[i];
  size_t count = 0;
  while (count < order.size() && (count == 0 || kept < options.topP * total))
    kept += weights[order[count++]];
  // 53 bits, by hand: the library's distributions differ between libraries.
  double point = static_cast<double>(random() >> 11) * 0x1p-53 * kept;
  for (size_t i = 0; i < count; ++i) {
    point -= weights[order[i]];
    if (point < 0)
      return order[i];
  }
  return order[count - 1];
}

} // namespace denim
