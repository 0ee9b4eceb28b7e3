//===- Mamba2.h - the scan of Mamba-2 ---------------------------*- C++ -*-===//

#ifndef DENIM_DIALECTS_ATTN_REFERENCE_MAMBA2_H
#define DENIM_DIALECTS_ATTN_REFERENCE_MAMBA2_H

#include "dialects/attn/reference/NormalForm.h"

#include <limits>

namespace denim::attn::reference {

/// The scan of Mamba-2 (state space duality), after convolution and SiLU. Spec: attention.md section 2.5.
///
///     d[t,h] = clamp(softplus(dt[t,h] + dtBias[h]), low, high)
///     S[t] = e^(-d exp(aLog)) S[t-1] + B[t] (d x[t])^T;   y[t] = S[t]^T C[t] + D x[t]
///
/// Head h uses group floor(h G / H) of B and C. The step is clamped in prefill and decode alike.
struct Mamba2 {
  Tensor x;               ///< [T,H,P]
  Tensor dt;              ///< [T,H], raw
  Tensor B, C;            ///< [T,G,N]
  Tensor aLog, dtBias, D; ///< [H]; D absent: no skip
  double lowestStep = 0;
  double highestStep = std::numeric_limits<double>::infinity();
};

/// d of the formula, `[T,H]`.
Tensor stepSizes(const Mamba2 &scan);
/// Key dimension N, value dimension P; the skip is not part of it.
NormalForm normalForm(const Mamba2 &scan);
/// y += D x.
Tensor withSkip(const Mamba2 &scan, Tensor y);

/// Output `[T,H,P]`. The state is key-first, `[H,N,P]`: the transpose of the `[H,P,N]` that Mamba-2 stores.
LinearResult mamba2(const Mamba2 &scan, const Tensor &state = {});

} // namespace denim::attn::reference

#endif // DENIM_DIALECTS_ATTN_REFERENCE_MAMBA2_H
