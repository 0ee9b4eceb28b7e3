//===- SparseIndex.cpp - the index of sparse attention --------------------===//

#include "dialects/attn/reference/SparseIndex.h"

#include "dialects/attn/reference/Activation.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace denim::attn::reference {

Tensor indexScores(const SparseIndex &index) {
  requireShape("index queries", index.q, {-1, -1, -1});
  int64_t tokens = index.q.dim(0), heads = index.q.dim(1), dim = index.q.dim(2), keys = index.k.dim(0);
  requireShape("index keys", index.k, {-1, dim});
  requireShape("head weights", index.headWeight, {tokens, heads});
  double keyScale = 1 / std::sqrt(static_cast<double>(dim)), headScale = 1 / std::sqrt(static_cast<double>(heads));
  Tensor scores({tokens, keys});
  for (int64_t t = 0; t < tokens; ++t)
    for (int64_t j = 0; j < keys; ++j) {
      if (j > index.offset + t) {
        scores(t, j) = -std::numeric_limits<double>::infinity();
        continue;
      }
      for (int64_t h = 0; h < heads; ++h)
        scores(t, j) +=
            headScale * index.headWeight(t, h) * relu(keyScale * dot(index.q.row(t, h), index.k.row(j), dim));
    }
  return scores;
}

Tensor selectKeys(const Tensor &scores, int64_t count, int64_t offset) {
  Tensor mask(scores.shape());
  for (int64_t t = 0; t < scores.dim(0); ++t) {
    int64_t visible = std::min(offset + t + 1, scores.dim(1));
    std::vector<int64_t> order(static_cast<size_t>(visible));
    std::iota(order.begin(), order.end(), 0);
    std::sort(order.begin(), order.end(),
              [&](int64_t a, int64_t b) { return scores(t, a) != scores(t, b) ? scores(t, a) > scores(t, b) : a < b; });
    for (int64_t n = 0; n < std::min(count, visible); ++n)
      mask(t, order[static_cast<size_t>(n)]) = 1;
  }
  return mask;
}

std::vector<std::vector<int64_t>> selectedKeys(const Tensor &mask) {
  std::vector<std::vector<int64_t>> keys(static_cast<size_t>(mask.dim(0)));
  for (int64_t t = 0; t < mask.dim(0); ++t)
    for (int64_t j = 0; j < mask.dim(1); ++j)
      if (mask(t, j) != 0)
        keys[static_cast<size_t>(t)].push_back(j);
  return keys;
}

} // namespace denim::attn::reference
