//===- DeltaRule.h - the delta family ---------------------------*- C++ -*-===//

#ifndef DENIM_DIALECTS_ATTN_REFERENCE_DELTARULE_H
#define DENIM_DIALECTS_ATTN_REFERENCE_DELTARULE_H

#include "dialects/attn/reference/NormalForm.h"

#include <optional>

namespace denim::attn::reference {

/// The delta family: DeltaNet, Gated DeltaNet, Kimi Delta Attention, and the gated delta product. One token is
///
///     S <- e^g S;   u = beta (v - S^T k);   S <- S + k u^T;   o = S^T q
///
/// decay, predict from the decayed state, correct, read. Spec: attention.md sections 2.6 to 2.9.
struct DeltaRule {
  Tensor q, k;                 ///< [T,Hk,dk]; value head h uses key head floor(h Hk / H)
  Tensor v;                    ///< [T,H,dv]
  Tensor beta;                 ///< [T,H]; in (0,1), or (0,2) with negative eigenvalues
  Tensor logDecay;             ///< absent (DeltaNet), [T,H] (gated) or [T,H,dk] (Kimi)
  std::optional<double> scale; ///< of q; absent: dk^(-1/2)
  bool l2Norm = true;          ///< normalise q and k
  double l2Eps = 1e-6;

  /// The same rule after the norm of q and k, the scale of q and the repetition of heads: all tensors have H heads,
  /// l2Norm is false and scale is 1.
  DeltaRule prepared() const;
};

NormalForm normalForm(const DeltaRule &rule);
LinearResult deltaRule(const DeltaRule &rule, const Tensor &state = {});

/// Gated delta product: n delta steps per token with keys, values and betas of their own, one decay before the first
/// and one read after the last. q `[T,Hk,dk]` and logDecay have T rows, the others T n. Spec: attention.md section 2.9.
LinearResult deltaProduct(const DeltaRule &rule, int64_t steps, const Tensor &state = {});
/// It is compiled by time expansion into a delta rule of T n tokens. Output of token t is row t n + n - 1 of that.
DeltaRule expandDeltaProduct(const DeltaRule &rule, int64_t steps);

/// Log decay `[T,H]` of Gated DeltaNet and Mamba-like gates: -exp(aLog[h]) softplus(a[t,h] + dtBias[h]).
Tensor scalarGate(const Tensor &a, const Tensor &aLog, const Tensor &dtBias);

/// Log decay `[T,H,dk]` of Kimi Delta Attention from f `[T,H,dk]`, aLog `[H]`, dtBias `[H,dk]`:
/// -exp(aLog[h]) softplus(f + dtBias), or with a lower bound b < 0: b sigmoid(exp(aLog[h]) (f + dtBias)).
Tensor channelGate(const Tensor &f, const Tensor &aLog, const Tensor &dtBias);
Tensor boundedChannelGate(const Tensor &f, const Tensor &aLog, const Tensor &dtBias, double lowerBound);

} // namespace denim::attn::reference

#endif // DENIM_DIALECTS_ATTN_REFERENCE_DELTARULE_H
