//===- SparseIndex.h - the index of sparse attention ------------*- C++ -*-===//

#ifndef DENIM_DIALECTS_ATTN_REFERENCE_SPARSEINDEX_H
#define DENIM_DIALECTS_ATTN_REFERENCE_SPARSEINDEX_H

#include "dialects/attn/reference/Tensor.h"

namespace denim::attn::reference {

/// The lightning indexer of DeepSeek sparse attention: Hi small heads score every key, the best `count` are attended
/// to. Spec: attention.md section 1.10.
struct SparseIndex {
  Tensor q;           ///< [T,Hi,Di], rotated
  Tensor k;           ///< [n,Di], normalised and rotated, one for all heads
  Tensor headWeight;  ///< [T,Hi]
  int64_t offset = 0; ///< absolute position of the first query
};

/// `[T,n]`: sum over heads of Hi^(-1/2) w[t,h] relu(Di^(-1/2) q[t,h].k[j]); minus infinity where j is after the query.
Tensor indexScores(const SparseIndex &index);

/// `[T,n]` of 0 and 1: the `count` best visible keys of each row, all visible keys when there are fewer. Keys of equal
/// score are taken lowest index first; keys that all heads reject score exactly 0, so ties do happen.
Tensor selectKeys(const Tensor &scores, int64_t count, int64_t offset = 0);

/// The selected keys of each row of a mask, ascending.
std::vector<std::vector<int64_t>> selectedKeys(const Tensor &mask);

} // namespace denim::attn::reference

#endif // DENIM_DIALECTS_ATTN_REFERENCE_SPARSEINDEX_H
