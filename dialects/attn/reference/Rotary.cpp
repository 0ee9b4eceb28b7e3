//===- Rotary.cpp - rotary positions and their scalings -------------------===//

#include "dialects/attn/reference/Rotary.h"

#include <algorithm>
#include <cmath>

namespace denim::attn::reference {

static constexpr double pi = 3.14159265358979323846;

RotaryTable rotaryTable(int64_t rotated, double theta) {
  require(rotated % 2 == 0, "expected an even number of rotated channels, but got " + std::to_string(rotated));
  RotaryTable table;
  for (int64_t m = 0; m < rotated / 2; ++m)
    table.frequency.push_back(std::pow(theta, -2.0 * static_cast<double>(m) / static_cast<double>(rotated)));
  return table;
}

/// 0.1 m ln s + 1, the growth of attention with the context length.
static double yarnGrowth(double m, double factor) {
  return factor <= 1 ? 1 : 0.1 * m * std::log(factor) + 1;
}

RotaryTable yarnTable(int64_t rotated, double theta, const Yarn &yarn) {
  RotaryTable table = rotaryTable(rotated, theta);
  if (yarn.attentionFactor)
    table.factor = *yarn.attentionFactor;
  else if (yarn.mscale.value_or(0) != 0 && yarn.mscaleAllDim.value_or(0) != 0)
    table.factor = yarnGrowth(*yarn.mscale, yarn.factor) / yarnGrowth(*yarn.mscaleAllDim, yarn.factor);
  else
    table.factor = yarnGrowth(1, yarn.factor);

  // The frequency that makes `turns` turns over the original length.
  double d = static_cast<double>(rotated);
  auto correction = [&](double turns) {
    return d * std::log(yarn.originalLength / (turns * 2 * pi)) / (2 * std::log(theta));
  };
  double low = correction(yarn.betaFast), high = correction(yarn.betaSlow);
  if (yarn.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, d - 1);
  if (low == high)
    high += 0.001; // no division by zero
  for (size_t m = 0; m < table.frequency.size(); ++m) {
    double ramp = std::clamp((static_cast<double>(m) - low) / (high - low), 0.0, 1.0);
    table.frequency[m] *= ramp / yarn.factor + (1 - ramp);
  }
  return table;
}

double yarnScoreScale(const Yarn &yarn) {
  double all = yarn.mscaleAllDim.value_or(0), growth = all == 0 ? 1 : yarnGrowth(all, yarn.factor);
  return growth * growth;
}

RotaryTable llamaTable(int64_t rotated, double theta, const LlamaScaling &scaling) {
  RotaryTable table = rotaryTable(rotated, theta);
  for (double &frequency : table.frequency) {
    double turns = scaling.originalLength * frequency / (2 * pi);
    double kept = std::clamp((turns - scaling.lowFactor) / (scaling.highFactor - scaling.lowFactor), 0.0, 1.0);
    frequency *= kept + (1 - kept) / scaling.factor;
  }
  return table;
}

Tensor rotate(const Tensor &x, const std::vector<int64_t> &positions, const RotaryTable &table, RotaryLayout layout) {
  requireShape("x", x, {static_cast<int64_t>(positions.size()), -1, -1});
  require(x.dim(2) >= table.rotated(), "expected at least " + std::to_string(table.rotated()) +
                                           " channels to rotate, but got " + std::to_string(x.dim(2)));
  int64_t pairs = table.rotated() / 2;
  Tensor result = x;
  for (int64_t t = 0; t < x.dim(0); ++t)
    for (int64_t m = 0; m < pairs; ++m) {
      double angle = static_cast<double>(positions[static_cast<size_t>(t)]) * table.frequency[static_cast<size_t>(m)];
      double cosine = std::cos(angle) * table.factor, sine = std::sin(angle) * table.factor;
      int64_t first = layout == RotaryLayout::Half ? m : 2 * m,
              second = layout == RotaryLayout::Half ? m + pairs : first + 1;
      for (int64_t h = 0; h < x.dim(1); ++h) {
        double a = x(t, h, first), b = x(t, h, second);
        result(t, h, first) = a * cosine - b * sine;
        result(t, h, second) = b * cosine + a * sine;
      }
    }
  return result;
}

} // namespace denim::attn::reference
