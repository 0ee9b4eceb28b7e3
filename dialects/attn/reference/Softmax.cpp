//===- Softmax.cpp - softmax attention ------------------------------------===//

#include "dialects/attn/reference/Softmax.h"

#include "dialects/attn/reference/Activation.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace denim::attn::reference {

Visibility causal() {
  return [](int64_t, int64_t) { return true; };
}

Visibility slidingWindow(int64_t window) {
  require(window > 0, "expected a window of at least 1 key, but got " + std::to_string(window));
  return [=](int64_t position, int64_t key) { return key > position - window; };
}

Visibility blockSparse(int64_t block, int64_t localBlocks, int64_t globalTokens) {
  require(block > 0, "expected blocks of at least 1 key, but got " + std::to_string(block));
  return
      [=](int64_t position, int64_t key) { return position / block - key / block < localBlocks || key < globalTokens; };
}

Visibility selected(Tensor mask, int64_t offset) {
  return [=](int64_t position, int64_t key) { return mask(position - offset, key) != 0; };
}

static void check(const SoftmaxAttention &a) {
  requireShape("q", a.q, {-1, -1, -1});
  requireShape("k", a.k, {-1, -1, a.q.dim(2)});
  requireShape("v", a.v, {a.k.dim(0), a.k.dim(1), -1});
  require(a.offset >= 0 && a.offset + a.q.dim(0) <= a.k.dim(0),
          "expected a key for each query, but got queries up to position " + std::to_string(a.offset + a.q.dim(0)) +
              " and " + std::to_string(a.k.dim(0)) + " keys");
  require(a.k.dim(1) > 0 && a.q.dim(1) % a.k.dim(1) == 0, "expected a number of key heads that divides " +
                                                              std::to_string(a.q.dim(1)) + ", but got " +
                                                              std::to_string(a.k.dim(1)));
  if (a.sinks.present())
    requireShape("sinks", a.sinks, {a.q.dim(1)});
  if (a.gate.present())
    requireShape("gate", a.gate, {a.q.dim(0), a.q.dim(1), a.v.dim(2)});
}

static double score(const SoftmaxAttention &a, int64_t i, int64_t h, int64_t j) {
  int64_t dk = a.q.dim(2), group = a.q.dim(1) / a.k.dim(1);
  double scale = a.scale.value_or(1 / std::sqrt(static_cast<double>(dk)));
  double s = scale * dot(a.q.row(i, h), a.k.row(j, h / group), dk);
  return a.softcap ? *a.softcap * std::tanh(s / *a.softcap) : s;
}

/// Calls one(i, h, out) for each query and head, then applies the gate.
template <typename One> static Tensor forEachQuery(const SoftmaxAttention &a, One one) {
  check(a);
  Tensor output({a.q.dim(0), a.q.dim(1), a.v.dim(2)});
  for (int64_t i = 0; i < a.q.dim(0); ++i)
    for (int64_t h = 0; h < a.q.dim(1); ++h)
      one(i, h, output.row(i, h));
  return a.gate.present() ? multiply(output, map(a.gate, sigmoid)) : output;
}

Tensor softmaxAttention(const SoftmaxAttention &a) {
  int64_t dv = a.v.dim(2), group = a.q.dim(1) / a.k.dim(1);
  return forEachQuery(a, [&](int64_t i, int64_t h, double *out) {
    int64_t position = a.offset + i;
    std::vector<int64_t> keys;
    std::vector<double> weights;
    double maximum = a.sinks.present() ? a.sinks(h) : -std::numeric_limits<double>::infinity();
    for (int64_t j = 0; j <= position; ++j)
      if (a.visible(position, j)) {
        keys.push_back(j);
        weights.push_back(score(a, i, h, j));
        maximum = std::max(maximum, weights.back());
      }
    double sum = a.sinks.present() ? std::exp(a.sinks(h) - maximum) : 0;
    for (double &weight : weights)
      sum += weight = std::exp(weight - maximum);
    for (size_t n = 0; n < keys.size(); ++n)
      for (int64_t e = 0; e < dv; ++e)
        out[e] += weights[n] / sum * a.v(keys[n], h / group, e);
  });
}

PartialSoftmax PartialSoftmax::empty(int64_t valueDim) {
  return {-std::numeric_limits<double>::infinity(), 0, std::vector<double>(static_cast<size_t>(valueDim))};
}

PartialSoftmax PartialSoftmax::sink(double logit, int64_t valueDim) {
  return {logit, 1, std::vector<double>(static_cast<size_t>(valueDim))};
}

void PartialSoftmax::merge(const PartialSoftmax &other) {
  if (other.sum == 0) // the empty set: its maximum is minus infinity
    return;
  double both = std::max(maximum, other.maximum);
  double mine = sum == 0 ? 0 : std::exp(maximum - both), others = std::exp(other.maximum - both);
  for (size_t e = 0; e < values.size(); ++e)
    values[e] = values[e] * mine + other.values[e] * others;
  sum = sum * mine + other.sum * others;
  maximum = both;
}

void PartialSoftmax::add(double score, const double *value) {
  merge({score, 1, std::vector<double>(value, value + values.size())});
}

Tensor softmaxAttentionBlocked(const SoftmaxAttention &a, int64_t block) {
  require(block > 0, "expected blocks of at least 1 key, but got " + std::to_string(block));
  int64_t dv = a.v.dim(2), group = a.q.dim(1) / a.k.dim(1);
  return forEachQuery(a, [&](int64_t i, int64_t h, double *out) {
    int64_t position = a.offset + i;
    PartialSoftmax all = a.sinks.present() ? PartialSoftmax::sink(a.sinks(h), dv) : PartialSoftmax::empty(dv);
    for (int64_t begin = 0; begin <= position; begin += block) {
      PartialSoftmax part = PartialSoftmax::empty(dv);
      for (int64_t j = begin; j < std::min(begin + block, position + 1); ++j)
        if (a.visible(position, j))
          part.add(score(a, i, h, j), a.v.row(j, h / group));
      all.merge(part);
    }
    for (int64_t e = 0; e < dv; ++e)
      out[e] = all.sum == 0 ? 0 : all.values[static_cast<size_t>(e)] / all.sum;
  });
}

} // namespace denim::attn::reference
