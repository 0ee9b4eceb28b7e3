//===- ChunkedDeltaRule.cpp - the WY / UT form of the delta rule ----------===//

#include "dialects/attn/reference/ChunkedDeltaRule.h"

#include "dialects/attn/reference/ChunkedNormalForm.h"

#include <algorithm>
#include <cmath>

namespace denim::attn::reference {

/// Inverts rows [begin, end) of I + L into the same rows and columns of X.
static void invertBlock(const Tensor &L, Tensor &X, int64_t begin, int64_t end, int64_t block) {
  if (end - begin <= block) {
    for (int64_t i = begin; i < end; ++i) {
      X(i, i) = 1;
      for (int64_t j = begin; j < i; ++j)
        for (int64_t m = j; m < i; ++m)
          X(i, j) -= L(i, m) * X(m, j);
    }
    return;
  }
  int64_t blocks = (end - begin + block - 1) / block, middle = begin + (blocks + 1) / 2 * block;
  invertBlock(L, X, begin, middle, block);
  invertBlock(L, X, middle, end, block);
  Tensor product({end - middle, middle - begin}); // C A^-1
  for (int64_t i = middle; i < end; ++i)
    for (int64_t j = begin; j < middle; ++j)
      for (int64_t m = j; m < middle; ++m)
        product(i - middle, j - begin) += L(i, m) * X(m, j);
  for (int64_t i = middle; i < end; ++i)
    for (int64_t j = begin; j < middle; ++j)
      for (int64_t m = middle; m <= i; ++m)
        X(i, j) -= X(i, m) * product(m - middle, j - begin);
}

Tensor unitLowerInverse(const Tensor &L, int64_t block) {
  requireShape("L", L, {-1, L.dim(0)});
  Tensor X(L.shape());
  invertBlock(L, X, 0, L.dim(0), block);
  return X;
}

/// `[n,m] [m,k]`.
static Tensor product(const Tensor &a, const Tensor &b) {
  Tensor result({a.dim(0), b.dim(1)});
  for (int64_t i = 0; i < a.dim(0); ++i)
    for (int64_t m = 0; m < a.dim(1); ++m)
      for (int64_t j = 0; j < b.dim(1); ++j)
        result(i, j) += a(i, m) * b(m, j);
  return result;
}

/// One chunk of one head. `rule` is prepared and holds the rows of the chunk, `form` is its normal form.
static void evaluateChunk(const DeltaRule &rule, const NormalForm &form, int64_t h, LinearResult &result,
                          int64_t firstToken) {
  int64_t length = form.tokens(), dk = form.keyDim(), dv = form.valueDim();
  Tensor G = cumulativeLogDecay(form, h);

  Tensor L({length, length}), A({length, length}), betaV({length, dv}), betaK({length, dk}), q({length, dk});
  for (int64_t i = 0; i < length; ++i) {
    double beta = rule.beta(i, h);
    for (int64_t j = 0; j < i; ++j)
      L(i, j) = beta * decayedDot(rule.k.row(i, h), G.row(i), rule.k.row(j, h), G.row(j), dk);
    for (int64_t j = 0; j <= i; ++j)
      A(i, j) = decayedDot(rule.q.row(i, h), G.row(i), rule.k.row(j, h), G.row(j), dk);
    for (int64_t e = 0; e < dv; ++e)
      betaV(i, e) = beta * rule.v(i, h, e);
    for (int64_t c = 0; c < dk; ++c) {
      betaK(i, c) = beta * rule.k(i, h, c) * std::exp(G(i, c));
      q(i, c) = rule.q(i, h, c) * std::exp(G(i, c));
    }
  }
  Tensor X = unitLowerInverse(L), U = product(X, betaV), W = product(X, betaK);

  // From here on the state at the start of the chunk is needed.
  Tensor S = result.state.slice(h, h + 1).reshaped({dk, dv});
  Tensor corrected = product(W, S);
  for (int64_t i = 0; i < length; ++i)
    for (int64_t e = 0; e < dv; ++e)
      corrected(i, e) = U(i, e) - corrected(i, e);

  Tensor past = product(q, S), inside = product(A, corrected);
  for (int64_t i = 0; i < length; ++i)
    for (int64_t e = 0; e < dv; ++e)
      result.output(firstToken + i, h, e) = past(i, e) + inside(i, e);

  for (int64_t c = 0; c < dk; ++c)
    for (int64_t e = 0; e < dv; ++e) {
      double value = std::exp(G(length - 1, c)) * S(c, e);
      for (int64_t j = 0; j < length; ++j)
        value += rule.k(j, h, c) * std::exp(G(length - 1, c) - G(j, c)) * corrected(j, e);
      result.state(h, c, e) = value;
    }
}

LinearResult deltaRuleChunked(const DeltaRule &unprepared, int64_t chunk, const Tensor &state) {
  require(chunk > 0, "expected a chunk of at least 1 token, but got " + std::to_string(chunk));
  DeltaRule rule = unprepared.prepared();
  NormalForm form = normalForm(rule);
  form.check();
  LinearResult result{Tensor({form.tokens(), form.heads(), form.valueDim()}),
                      state.present() ? state : zeroState(form)};
  requireShape("state", result.state, {form.heads(), form.keyDim(), form.valueDim()});
  for (int64_t begin = 0; begin < form.tokens(); begin += chunk) {
    int64_t end = std::min(begin + chunk, form.tokens());
    DeltaRule part = rule;
    part.q = rule.q.slice(begin, end);
    part.k = rule.k.slice(begin, end);
    part.v = rule.v.slice(begin, end);
    part.beta = rule.beta.slice(begin, end);
    NormalForm partForm = form.slice(begin, end);
    for (int64_t h = 0; h < form.heads(); ++h)
      evaluateChunk(part, partForm, h, result, begin);
  }
  return result;
}

} // namespace denim::attn::reference
