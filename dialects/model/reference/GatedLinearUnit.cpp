//===- GatedLinearUnit.cpp - what stands inside an MLP --------------------===//

#include "dialects/model/reference/GatedLinearUnit.h"

#include <algorithm>

namespace denim::model::reference {

using namespace attn::reference;

Tensor swiglu(const Tensor &gate, const Tensor &up) {
  return multiply(map(gate, silu), up);
}

Tensor clampedSwiglu(const Tensor &gate, const Tensor &up) {
  auto activated = [](double x) {
    x = std::min(x, 7.0);
    return x * sigmoid(1.702 * x);
  };
  return multiply(map(gate, activated), map(up, [](double x) { return std::clamp(x, -7.0, 7.0) + 1; }));
}

Tensor squaredRelu(const Tensor &x) {
  return map(x, [](double value) { return relu(value) * relu(value); });
}

static int64_t halfWidth(const Tensor &x) {
  int64_t width = x.shape().back();
  require(width % 2 == 0, "expected an even number of columns, but got " + std::to_string(width));
  return width / 2;
}

GateAndUp splitHalves(const Tensor &x) {
  int64_t half = halfWidth(x);
  return {x.columns(0, half), x.columns(half, 2 * half)};
}

GateAndUp splitInterleaved(const Tensor &x) {
  Tensor::Shape shape = x.shape();
  shape.back() = halfWidth(x);
  GateAndUp result{Tensor(shape), Tensor(shape)};
  for (int64_t i = 0; i < x.size(); ++i)
    (i % 2 ? result.up : result.gate).values()[static_cast<size_t>(i / 2)] = x.values()[static_cast<size_t>(i)];
  return result;
}

} // namespace denim::model::reference
