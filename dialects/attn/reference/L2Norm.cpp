//===- L2Norm.cpp - the norm inside the delta rules -----------------------===//

#include "dialects/attn/reference/L2Norm.h"

#include <cmath>

namespace denim::attn::reference {

Tensor l2Norm(const Tensor &x, double eps) {
  Tensor result = x;
  int64_t width = x.shape().back();
  for (int64_t base = 0; base < x.size(); base += width) {
    double *row = result.values().data() + base;
    double factor = 1 / std::sqrt(dot(row, row, width) + eps);
    for (int64_t i = 0; i < width; ++i)
      row[i] *= factor;
  }
  return result;
}

} // namespace denim::attn::reference
