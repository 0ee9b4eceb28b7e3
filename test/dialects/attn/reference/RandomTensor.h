#ifndef DENIM_TEST_DIALECTS_ATTN_REFERENCE_RANDOMTENSOR_H
#define DENIM_TEST_DIALECTS_ATTN_REFERENCE_RANDOMTENSOR_H

#include "dialects/attn/reference/Tensor.h"

#include <random>

namespace denim::test {

/// Tensors of pseudo-random values, the same on every machine and library (the distributions of <random> are not).
class RandomTensors {
public:
  explicit RandomTensors(uint32_t seed = 20261121) : engine(seed) {}

  attn::reference::Tensor uniform(attn::reference::Tensor::Shape shape, double low = -1, double high = 1) {
    attn::reference::Tensor tensor(std::move(shape));
    for (double &value : tensor.values())
      value = low + (high - low) * (static_cast<double>(engine()) / 4294967295.0);
    return tensor;
  }

private:
  std::mt19937 engine;
};

} // namespace denim::test

#endif // DENIM_TEST_DIALECTS_ATTN_REFERENCE_RANDOMTENSOR_H
