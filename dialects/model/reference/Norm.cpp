//===- Norm.cpp - norms and gated norms -----------------------------------===//

#include "dialects/model/reference/Norm.h"

#include "dialects/attn/reference/Activation.h"

#include <cmath>

namespace denim::model::reference {

using namespace attn::reference;

/// x[..., i] * factor(i).
template <typename Factor> static Tensor scaleColumns(Tensor x, Factor factor) {
  int64_t width = x.shape().back();
  for (int64_t base = 0; base < x.size(); base += width)
    for (int64_t i = 0; i < width; ++i)
      x.values()[static_cast<size_t>(base + i)] *= factor(i);
  return x;
}

static Tensor normalised(const Tensor &x, double eps, int64_t groups) {
  int64_t width = x.shape().back();
  require(groups > 0 && width % groups == 0,
          "expected a number of groups that divides " + std::to_string(width) + ", but got " + std::to_string(groups));
  Tensor result = x;
  int64_t part = width / groups;
  for (int64_t base = 0; base < x.size(); base += part) {
    double *row = result.values().data() + base;
    double factor = 1 / std::sqrt(dot(row, row, part) / static_cast<double>(part) + eps);
    for (int64_t i = 0; i < part; ++i)
      row[i] *= factor;
  }
  return result;
}

Tensor groupRmsNorm(const Tensor &x, const Tensor &weight, double eps, int64_t groups) {
  Tensor result = normalised(x, eps, groups);
  if (!weight.present())
    return result;
  requireShape("weight", weight, {x.shape().back()});
  return scaleColumns(result, [&](int64_t i) { return weight(i); });
}

Tensor rmsNorm(const Tensor &x, const Tensor &weight, double eps) {
  return groupRmsNorm(x, weight, eps, 1);
}

Tensor zeroCentredRmsNorm(const Tensor &x, const Tensor &weight, double eps) {
  requireShape("weight", weight, {x.shape().back()});
  return scaleColumns(normalised(x, eps, 1), [&](int64_t i) { return 1 + weight(i); });
}

Tensor layerNorm(const Tensor &x, const Tensor &weight, const Tensor &bias, double eps) {
  int64_t width = x.shape().back();
  requireShape("weight", weight, {width});
  Tensor result = x;
  for (int64_t base = 0; base < x.size(); base += width) {
    double *row = result.values().data() + base;
    double mean = 0, variance = 0;
    for (int64_t i = 0; i < width; ++i)
      mean += row[i] / static_cast<double>(width);
    for (int64_t i = 0; i < width; ++i)
      variance += (row[i] - mean) * (row[i] - mean) / static_cast<double>(width);
    for (int64_t i = 0; i < width; ++i)
      row[i] = (row[i] - mean) / std::sqrt(variance + eps) * weight(i) + (bias.present() ? bias(i) : 0);
  }
  return result;
}

Tensor normThenSiluGate(const Tensor &x, const Tensor &weight, const Tensor &z, double eps) {
  return multiply(rmsNorm(x, weight, eps), map(z, silu));
}

Tensor normThenSigmoidGate(const Tensor &x, const Tensor &weight, const Tensor &z, double eps) {
  return multiply(rmsNorm(x, weight, eps), map(z, sigmoid));
}

Tensor siluGateThenNorm(const Tensor &x, const Tensor &weight, const Tensor &z, double eps, int64_t groups) {
  return groupRmsNorm(multiply(x, map(z, silu)), weight, eps, groups);
}

} // namespace denim::model::reference
