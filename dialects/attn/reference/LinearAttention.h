//===- LinearAttention.h - linear mixers of diagonal transition -*- C++ -*-===//

#ifndef DENIM_DIALECTS_ATTN_REFERENCE_LINEARATTENTION_H
#define DENIM_DIALECTS_ATTN_REFERENCE_LINEARATTENTION_H

#include "dialects/attn/reference/NormalForm.h"

#include <optional>

namespace denim::attn::reference {

/// The linear mixers whose transition is diagonal and whose input is k v^T: they differ in the decay alone.
///
///     S[t] = Diag(e^g[t]) S[t-1] + k[t] v[t]^T;   o[t] = S[t]^T (scale q[t])
///
/// Plain linear attention has no decay, gated linear attention one per channel (section 2.4), lightning attention and
/// RetNet a constant one per head (sections 2.2 and 2.3), see `constantDecay`.
struct LinearAttention {
  Tensor q, k, v;              ///< [T,H,dk], [T,H,dk], [T,H,dv], after feature maps and rotations
  Tensor logDecay;             ///< absent, [T,H] or [T,H,dk]
  std::optional<double> scale; ///< of q; absent: dk^(-1/2). Lightning attention has 1
};
NormalForm normalForm(const LinearAttention &attention);
LinearResult linearAttention(const LinearAttention &attention, const Tensor &state = {});

/// `[T,H]` whose rows all are the log decays `[H]`.
Tensor constantDecay(const Tensor &perHead, int64_t tokens);

/// Rates `[H]` of lightning attention in MiniMax: 2^(-8 (h+1) / H) (1 - layer / (layers - 1 + 1e-5) + 1e-5). The log
/// decay is minus this. `layer` counts all layers of the model, not the lightning ones. Spec: attention.md section 2.2.
Tensor lightningRates(int64_t heads, int64_t layer, int64_t layers);

/// Log decays `[H]` of RetNet: log(1 - 2^(-5-h)). Spec: attention.md section 2.3.
Tensor retentionLogDecay(int64_t heads);

/// The split of lightning attention into a product inside each block and one with the state before it, for constant log
/// decays `[H]`. Exact algebra, the same function as `linearAttention` for any block. Spec: attention.md section 2.2.
LinearResult constantDecayBlocked(const LinearAttention &attention, const Tensor &logDecay, int64_t block,
                                  const Tensor &state = {});

/// Normalised linear attention: positive features phi = elu + 1, and the sum of features carried as one more value
/// column. State `[H,dk,dv+1]`; o = num / (den + eps). Spec: attention.md section 2.1.
NormalForm normalisedLinearForm(const Tensor &q, const Tensor &k, const Tensor &v);
LinearResult normalisedLinearAttention(const Tensor &q, const Tensor &k, const Tensor &v, double eps = 1e-6,
                                       const Tensor &state = {});

/// `[T,H,dv]` to `[T,H,dv+1]` with a last column of ones, and outputs `[T,H,dv+1]` to `[T,H,dv]`: the first dv columns
/// divided by the last plus eps. The normaliser of this and of power retention.
Tensor withOnes(const Tensor &v);
Tensor divideByLast(const Tensor &output, double eps);

} // namespace denim::attn::reference

#endif // DENIM_DIALECTS_ATTN_REFERENCE_LINEARATTENTION_H
