//===- Norm.h - norms and gated norms ---------------------------*- C++ -*-===//

#ifndef DENIM_DIALECTS_MODEL_REFERENCE_NORM_H
#define DENIM_DIALECTS_MODEL_REFERENCE_NORM_H

#include "dialects/attn/reference/L2Norm.h"
#include "dialects/attn/reference/Tensor.h"

/// The parts of a model around its token mixers. Norms work over the last dimension.
namespace denim::model::reference {

using attn::reference::l2Norm;
using attn::reference::Tensor;

/// w x / sqrt(mean(x^2) + eps). `weight` `[N]`, or absent: 1. Spec: attention.md section 5.1.
Tensor rmsNorm(const Tensor &x, const Tensor &weight, double eps);

/// The same with (1 + w): Qwen3-Next stores weights around 0. Its gated norm does not.
Tensor zeroCentredRmsNorm(const Tensor &x, const Tensor &weight, double eps);

/// The mean is taken over each of `groups` equal parts of the last dimension.
Tensor groupRmsNorm(const Tensor &x, const Tensor &weight, double eps, int64_t groups);

/// w (x - mean) / sqrt(variance + eps) + bias, as the index keys of sparse attention have it. `bias` may be absent.
Tensor layerNorm(const Tensor &x, const Tensor &weight, const Tensor &bias, double eps);

/// Output norms with a gate z of the shape of x. The orders are not interchangeable. Spec: attention.md section 5.2.
///
/// rms(x) w silu(z), per head: Gated DeltaNet in Qwen3-Next, JetBlock.
Tensor normThenSiluGate(const Tensor &x, const Tensor &weight, const Tensor &z, double eps);
/// rms(x) w sigmoid(z): Kimi Delta Attention per head, lightning attention over all heads at once.
Tensor normThenSigmoidGate(const Tensor &x, const Tensor &weight, const Tensor &z, double eps);
/// rms(x silu(z)) w over groups of the width: Mamba-2 (one group), Nemotron-H.
Tensor siluGateThenNorm(const Tensor &x, const Tensor &weight, const Tensor &z, double eps, int64_t groups = 1);

} // namespace denim::model::reference

#endif // DENIM_DIALECTS_MODEL_REFERENCE_NORM_H
