//===- Softmax.h - softmax attention ----------------------------*- C++ -*-===//

#ifndef DENIM_DIALECTS_ATTN_REFERENCE_SOFTMAX_H
#define DENIM_DIALECTS_ATTN_REFERENCE_SOFTMAX_H

#include "dialects/attn/reference/Tensor.h"

#include <functional>
#include <optional>
#include <vector>

namespace denim::attn::reference {

/// Which keys a query may see: `visible(p, j)` for a query at absolute position p and the key at position j. Keys
/// after the query (j > p) are never asked for.
using Visibility = std::function<bool(int64_t position, int64_t key)>;

Visibility causal();
/// The last `window` keys, the token itself included. Spec: attention.md section 1.3.
Visibility slidingWindow(int64_t window);
/// The last `localBlocks` blocks of `block` keys, the block of the token included, and the first `globalTokens`
/// keys. Spec: section 1.8.
Visibility blockSparse(int64_t block, int64_t localBlocks, int64_t globalTokens);
/// The keys whose entry `[T,n]` is not 0, as an index of sparse attention selects them; row t is the query at
/// position offset + t. Spec: section 1.10.
Visibility selected(Tensor mask, int64_t offset = 0);

/// Softmax attention of T queries over n keys, all of one sequence. Spec: attention.md section 1.
///
///     s[i,j] = cap(scale q[i].k[j])        o[i] = gate(sum over visible j of softmax(s)[i,j] v[j])
///
/// Query head h uses key head floor(h Hk / H). The same description is multi-head (Hk = H), grouped-query, and
/// multi-query (Hk = 1) attention, prefill (offset 0, T = n), a later chunk, and decode (T = 1, offset n - 1).
struct SoftmaxAttention {
  Tensor q;                      ///< [T,H,dk]
  Tensor k, v;                   ///< [n,Hk,dk], [n,Hk,dv]
  int64_t offset = 0;            ///< absolute position of the first query; key j is at position j
  std::optional<double> scale;   ///< absent: dk^(-1/2)
  std::optional<double> softcap; ///< c: s becomes c tanh(s / c), after the scale and before the mask
  Visibility visible = causal();
  Tensor sinks; ///< absent or [H]: one more logit per head that has no value and takes part in the denominator only
  Tensor gate;  ///< absent or [T,H,dv]: the output times sigmoid(gate)
};

/// The definition: `[T,H,dv]`. A query that sees no key and no sink gives zeros.
Tensor softmaxAttention(const SoftmaxAttention &attention);

/// What is left of a set of keys for one query and head: maximum m, sum of e^(s - m), and values weighted by that.
/// Partial results over disjoint sets of keys merge; that one rule is the online softmax, split decode, the union of
/// local and global blocks, and sinks (a set of one logit without a value).
struct PartialSoftmax {
  double maximum;             ///< minus infinity for the empty set
  double sum;                 ///< 0 for the empty set
  std::vector<double> values; ///< [dv], not yet divided by the sum

  static PartialSoftmax empty(int64_t valueDim);
  static PartialSoftmax sink(double logit, int64_t valueDim);
  void add(double score, const double *value);
  void merge(const PartialSoftmax &other);
};

/// The same function by partial results over blocks of `block` keys. Blocks without a visible key are left out by
/// asking the mask, never by their value: e^(-inf - -inf) is not a number.
Tensor softmaxAttentionBlocked(const SoftmaxAttention &attention, int64_t block);

} // namespace denim::attn::reference

#endif // DENIM_DIALECTS_ATTN_REFERENCE_SOFTMAX_H
