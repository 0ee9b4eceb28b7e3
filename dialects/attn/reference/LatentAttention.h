//===- LatentAttention.h - multi-head latent attention ----------*- C++ -*-===//

#ifndef DENIM_DIALECTS_ATTN_REFERENCE_LATENTATTENTION_H
#define DENIM_DIALECTS_ATTN_REFERENCE_LATENTATTENTION_H

#include "dialects/attn/reference/Softmax.h"

namespace denim::attn::reference {

/// Multi-head latent attention after its projections, norms and rotations: the cache holds one latent and one rotated
/// key per token for all heads, and keyValue expands the latent per head. Spec: attention.md section 1.9.
///
/// keyValue `[H,dn+dv,r]`: rows 0 to dn of a head make keys (W_UK), the other dv make values (W_UV).
struct LatentAttention {
  Tensor qNope, qRope;         ///< [T,H,dn], [T,H,dr]
  Tensor latent, kRope;        ///< [n,r], [n,dr]
  Tensor keyValue;             ///< [H,dn+dv,r]
  int64_t offset = 0;          ///< absolute position of the first query
  std::optional<double> scale; ///< absent: (dn+dr)^(-1/2), never of the latent's r
  Visibility visible = causal();
};

/// Keys [W_UK latent | kRope] and values W_UV latent, then softmax attention with one key head per head. For prefill.
SoftmaxAttention naiveForm(const LatentAttention &attention);

/// Queries [W_UK^T qNope | qRope], then multi-query attention on the cache as it lies: the one key is [latent | kRope],
/// the one value is the latent. Its output `[T,H,r]` still goes through `expandValues`. For decode.
SoftmaxAttention absorbedForm(const LatentAttention &attention);
/// `[T,H,r]` to `[T,H,dv]` by W_UV of each head.
Tensor expandValues(const LatentAttention &attention, const Tensor &latents);

Tensor latentAttentionNaive(const LatentAttention &attention);
Tensor latentAttentionAbsorbed(const LatentAttention &attention);

} // namespace denim::attn::reference

#endif // DENIM_DIALECTS_ATTN_REFERENCE_LATENTATTENTION_H
