//===- Activation.h - scalar functions of mixers ----------------*- C++ -*-===//

#ifndef DENIM_DIALECTS_ATTN_REFERENCE_ACTIVATION_H
#define DENIM_DIALECTS_ATTN_REFERENCE_ACTIVATION_H

#include <cmath>

namespace denim::attn::reference {

/// 1 / (1 + e^-x), written with tanh so that neither tail overflows.
inline double sigmoid(double x) {
  return 0.5 * (1 + std::tanh(0.5 * x));
}

/// x sigmoid(x).
inline double silu(double x) {
  return x * sigmoid(x);
}

/// log(1 + e^x). The exponential is never of a positive number; log1p keeps the small ones.
inline double softplus(double x) {
  return (x > 0 ? x : 0) + std::log1p(std::exp(-std::fabs(x)));
}

/// log sigmoid(x), the log decay of gated linear attention.
inline double logSigmoid(double x) {
  return -softplus(-x);
}

/// elu(x) + 1, the positive feature map of linear attention.
inline double eluPlusOne(double x) {
  return x > 0 ? x + 1 : std::exp(x);
}

/// max(x, 0).
inline double relu(double x) {
  return x > 0 ? x : 0;
}

} // namespace denim::attn::reference

#endif // DENIM_DIALECTS_ATTN_REFERENCE_ACTIVATION_H
