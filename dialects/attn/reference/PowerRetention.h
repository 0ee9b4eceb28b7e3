//===- PowerRetention.h - power retention -----------------------*- C++ -*-===//

#ifndef DENIM_DIALECTS_ATTN_REFERENCE_POWERRETENTION_H
#define DENIM_DIALECTS_ATTN_REFERENCE_POWERRETENTION_H

#include "dialects/attn/reference/NormalForm.h"

#include <optional>

namespace denim::attn::reference {

/// Power retention of an even degree: weights (scale q.k)^degree, decayed by a gate per token, divided by their sum.
/// Spec: attention.md section 2.11.
struct PowerRetention {
  Tensor q, k, v;              ///< [T,H,d], [T,H,d], [T,H,dv]
  Tensor logGate;              ///< [T,H], at most 0
  std::optional<double> scale; ///< absent: d^(-1/2)
};

/// The definition, over all pairs of tokens. `[T,H,dv]`.
Tensor powerRetentionAttention(const PowerRetention &retention, int64_t degree = 2);

/// Degree 2 as a recurrence: (q.k)^2 = phi(q).phi(k) with phi of `symmetricPower`. State `[H,d(d+1)/2,dv+1]`, the last
/// value column being the normaliser.
NormalForm normalForm(const PowerRetention &retention);
LinearResult powerRetention(const PowerRetention &retention, const Tensor &state = {});

/// `[...,d]` to `[...,d(d+1)/2]`: the products x_i x_j for i <= j, times sqrt(2) where i < j. Example, d = 2: (a, b)
/// becomes (a a, sqrt(2) a b, b b), whose dot product with that of (c, d) is (a c + b d)^2.
Tensor symmetricPower(const Tensor &x);

} // namespace denim::attn::reference

#endif // DENIM_DIALECTS_ATTN_REFERENCE_POWERRETENTION_H
