//===- ChunkedDeltaRule.h - the WY / UT form of the delta rule --*- C++ -*-===//

#ifndef DENIM_DIALECTS_ATTN_REFERENCE_CHUNKEDDELTARULE_H
#define DENIM_DIALECTS_ATTN_REFERENCE_CHUNKEDDELTARULE_H

#include "dialects/attn/reference/DeltaRule.h"

namespace denim::attn::reference {

/// The delta rule over chunks in its WY / UT form, the one its kernels have. Same function as `deltaRule`.
///
/// In the normal form of a delta rule P = -beta k and K = beta k share one factor, so the two sums of
/// ChunkedNormalForm.h become one over the corrected values N[j] = beta[j] (v[j] - z[j]). With G as there,
///
///     L[i,j] = beta[i] k[i]^T Diag(e^(G[i]-G[j])) k[j]  for j < i;      X = (I + L)^-1
///     U = X (beta * V),   W = X (beta * K * e^G)           these do not know S0: all chunks at once
///     N = U - W S0                                         from here on one chunk after the other
///     O = (Q * e^G) S0 + A N,   A[i,j] = q[i]^T Diag(e^(G[i]-G[j])) k[j]  for j <= i
///     S = Diag(e^G[last]) S0 + (K * e^(G[last]-G))^T N
///
/// Worked example, one head, dk = dv = 1, no decay, chunk 2, k = (1, 1), beta = (1, 1), v = (5, 7): L[1,0] = 1,
/// X = [[1, 0], [-1, 1]], U = (5, 2), W = (1, 0). With S0 = 3: N = (2, 2), so the state goes 3, 5, 7: each value
/// replaces the one before it. Spec: attention.md section 3.3.
LinearResult deltaRuleChunked(const DeltaRule &rule, int64_t chunk, const Tensor &state = {});

/// (I + L)^-1 of a strictly lower triangular `[n,n]`: forward substitution on diagonal blocks of at most `block` rows,
/// merged by [[A, 0], [C, B]]^-1 = [[A^-1, 0], [-B^-1 C A^-1, B^-1]]. Elements on and above the diagonal are not read.
Tensor unitLowerInverse(const Tensor &L, int64_t block = 16);

} // namespace denim::attn::reference

#endif // DENIM_DIALECTS_ATTN_REFERENCE_CHUNKEDDELTARULE_H
