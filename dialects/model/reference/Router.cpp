//===- Router.cpp - which experts, with what weight -----------------------===//

#include "dialects/model/reference/Router.h"

#include "dialects/attn/reference/Activation.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace denim::model::reference {

using namespace attn::reference;
using Row = std::vector<double>;

static Row softmax(Row x) {
  double maximum = *std::max_element(x.begin(), x.end()), sum = 0;
  for (double &value : x)
    sum += value = std::exp(value - maximum);
  for (double &value : x)
    value /= sum;
  return x;
}

/// Indices of the `count` largest, largest first, lowest index first among equals.
static std::vector<int64_t> largest(const Row &x, int64_t count) {
  std::vector<int64_t> order(x.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    double xa = x[static_cast<size_t>(a)], xb = x[static_cast<size_t>(b)];
    return xa != xb ? xa > xb : a < b;
  });
  order.resize(static_cast<size_t>(count));
  return order;
}

/// Scores in the groups that are not kept become minus infinity.
static Row keepGroups(const Row &scores, const Router &router) {
  int64_t part = static_cast<int64_t>(scores.size()) / router.groups;
  Row groupScores;
  for (auto begin = scores.begin(); begin != scores.end(); begin += part) {
    Row group(begin, begin + part);
    std::sort(group.rbegin(), group.rend());
    bool two = router.kind == Router::Kind::Sigmoid && part > 1;
    groupScores.push_back(two ? group[0] + group[1] : group[0]);
  }
  Row kept(scores.size(), -std::numeric_limits<double>::infinity());
  for (int64_t group : largest(groupScores, router.keptGroups))
    std::copy_n(scores.begin() + group * part, part, kept.begin() + group * part);
  return kept;
}

Routing route(const Tensor &logits, const Router &router) {
  requireShape("router logits", logits, {-1, -1});
  int64_t experts = logits.dim(1);
  require(router.count > 0 && router.groups > 0 && experts % router.groups == 0 &&
              router.count <= experts / router.groups * router.keptGroups,
          "expected at most " + std::to_string(experts) + " experts per token out of kept groups, but got " +
              std::to_string(router.count));
  Routing routing;
  for (int64_t t = 0; t < logits.dim(0); ++t) {
    Row row(logits.row(t), logits.row(t) + experts), scores = row;
    if (router.kind == Router::Kind::Softmax)
      scores = softmax(row);
    else if (router.kind == Router::Kind::Sigmoid)
      std::transform(row.begin(), row.end(), scores.begin(), sigmoid);

    Row choice = scores;
    if (router.bias.present())
      for (int64_t e = 0; e < experts; ++e)
        choice[static_cast<size_t>(e)] += router.bias(e);
    if (router.groups > 1)
      choice = keepGroups(choice, router);
    std::vector<int64_t> chosen = largest(choice, router.count);

    Row weights;
    for (int64_t expert : chosen)
      weights.push_back(scores[static_cast<size_t>(expert)]);
    if (router.kind == Router::Kind::SoftmaxOfTopK)
      weights = softmax(weights);
    // Published code adds 1e-20 to the sum, which changes no double unless every chosen sigmoid is about 0.
    double sum = router.renormalise ? std::accumulate(weights.begin(), weights.end(), 0.0) : 1;
    for (double &weight : weights)
      weight *= router.scale / sum;
    routing.experts.push_back(std::move(chosen));
    routing.weights.push_back(std::move(weights));
  }
  return routing;
}

} // namespace denim::model::reference
