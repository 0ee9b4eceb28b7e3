//===- ChunkedNormalForm.h - linear mixers over chunks ----------*- C++ -*-===//

#ifndef DENIM_DIALECTS_ATTN_REFERENCE_CHUNKEDNORMALFORM_H
#define DENIM_DIALECTS_ATTN_REFERENCE_CHUNKEDNORMALFORM_H

#include "dialects/attn/reference/NormalForm.h"

namespace denim::attn::reference {

/// The normal form over chunks of tokens, the shape that prefill kernels have. With any `chunk` it is the same
/// function as `evaluate`; the last chunk may be shorter. Spec: attention.md sections 3.1 and 3.2.
///
/// Inside a chunk that starts with state S0, let G[i] be the log decay from the start of the chunk to token i,
/// inclusive, and G-[i] = G[i] - g[i] the exclusive one. Unrolled, the state after token i is
///
///     S[i] = Diag(e^G[i]) S0 + sum over j <= i of Diag(e^(G[i]-G[j])) (P[j] z[j]^T + K[j] V[j]^T)
///
/// where z[j] = S[j-1]^T Q[j] is what the rank-1 part reads. Inserted into z itself this is a triangular system,
///
///     (I - M) Z = R,    M[i,j] = Q[i]^T Diag(e^(G-[i]-G[j])) P[j]   for j < i
///     R[i] = S0^T (e^G-[i] * Q[i]) + sum over j < i of (Q[i]^T Diag(e^(G-[i]-G[j])) K[j]) V[j]
///
/// after which outputs and the state at the end are sums of products. Without a rank-1 part there is no system (3.1).
LinearResult evaluateChunked(const NormalForm &form, int64_t chunk, const Tensor &state = {});

/// G of one head and chunk, `[tokens,dk]`: sums of log decays from the first token, inclusive. `form` is a slice.
Tensor cumulativeLogDecay(const NormalForm &form, int64_t head);

/// x^T Diag(e^(X - Y)) y over n channels. X - Y is at most 0 wherever the algorithm asks; the difference is taken
/// before exp, because e^-Y alone overflows under strong decay. Spec: attention.md section 3.4.
double decayedDot(const double *x, const double *X, const double *y, const double *Y, int64_t n);

} // namespace denim::attn::reference

#endif // DENIM_DIALECTS_ATTN_REFERENCE_CHUNKEDNORMALFORM_H
