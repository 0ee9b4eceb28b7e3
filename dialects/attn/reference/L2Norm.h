//===- L2Norm.h - the norm inside the delta rules ---------------*- C++ -*-===//

#ifndef DENIM_DIALECTS_ATTN_REFERENCE_L2NORM_H
#define DENIM_DIALECTS_ATTN_REFERENCE_L2NORM_H

#include "dialects/attn/reference/Tensor.h"

namespace denim::attn::reference {

/// x / sqrt(sum(x^2) + eps) over the last dimension. eps stands inside the root: this is not x / max(|x|, eps).
/// It lives with the mixers, not with the norms of the model, because a delta rule on keys longer than 1 may
/// diverge: the norm is part of the variant. Spec: attention.md sections 2.6 and 3.3.
Tensor l2Norm(const Tensor &x, double eps = 1e-6);

} // namespace denim::attn::reference

#endif // DENIM_DIALECTS_ATTN_REFERENCE_L2NORM_H
