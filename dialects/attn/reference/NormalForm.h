//===- NormalForm.h - the recurrence of linear mixers -----------*- C++ -*-===//

#ifndef DENIM_DIALECTS_ATTN_REFERENCE_NORMALFORM_H
#define DENIM_DIALECTS_ATTN_REFERENCE_NORMALFORM_H

#include "dialects/attn/reference/Tensor.h"

namespace denim::attn::reference {

/// The one recurrence behind every linear token mixer but two (attention.md section 2). Per head,
///
///     S[t] = (Diag(exp g[t]) + P[t] Q[t]^T) S[t-1] + K[t] V[t]^T        S is [dk,dv], zero before the first token
///     o[t] = S[t]^T q[t]        (read after)      or      S[t-1]^T q[t]      (read before)
///
/// A variant is a description: it says what g, P, Q, K, V and q are made of, and what happens to o. What a description
/// means is said once, by `evaluate`; the chunked forms of ChunkedNormalForm.h compute the same function.
///
/// Q multiplies the state *before* decay. A rule that reads the decayed state folds the decay into Q. The delta rule
/// in its usual order (decay, predict from the decayed state, correct) is
///
///     S' = Diag(a) S;   S = S' + k (b (v - S'^T k))^T
///        = Diag(a) S + (-b k)(a k)^T S + (b k) v^T      so  P = -b k,  Q = a * k,  K = b k,  V = v
///
/// Worked example, dk = 2, dv = 1, a = 1, b = 1: after k = (1, 0), v = 5 the state is (5, 0). Then k = (1, 0), v = 7
/// gives P Q^T = [[-1, 0], [0, 0]], which clears the first row, and K V^T writes 7 there: (7, 0), not (12, 0).
struct NormalForm {
  enum class Read { After, Before };

  Tensor q;        ///< [T,H,dk] what reads; scale and feature map are already applied
  Tensor logDecay; ///< absent: none; [T,H]: one number per head and token; [T,H,dk]: one per channel. At most 0
  Tensor P, Q;     ///< [T,H,dk] the rank-1 part of the transition; both absent: the transition is diagonal
  Tensor K, V;     ///< [T,H,dk], [T,H,dv] the input
  Read read = Read::After;

  int64_t tokens() const { return K.dim(0); }
  int64_t heads() const { return K.dim(1); }
  int64_t keyDim() const { return K.dim(2); }
  int64_t valueDim() const { return V.dim(2); }
  bool lowRank() const { return P.present(); }

  /// g[t][h][c], whichever of the three kinds of decay there is.
  double logDecayAt(int64_t t, int64_t h, int64_t c) const;
  /// The description of tokens [begin, end).
  NormalForm slice(int64_t begin, int64_t end) const;
  /// Refuses shapes that do not fit each other.
  void check() const;
};

/// What a linear mixer returns: outputs `[T,H,dv]` and the state `[H,dk,dv]` after the last token.
struct LinearResult {
  Tensor output;
  Tensor state;
};

/// A state of zeros for the form.
Tensor zeroState(const NormalForm &form);

/// The meaning: token by token. `state` is `[H,dk,dv]`, or absent for zeros.
LinearResult evaluate(const NormalForm &form, const Tensor &state = {});

} // namespace denim::attn::reference

#endif // DENIM_DIALECTS_ATTN_REFERENCE_NORMALFORM_H
