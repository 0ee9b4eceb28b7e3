//===- ChunkedNormalForm.cpp - linear mixers over chunks ------------------===//

#include "dialects/attn/reference/ChunkedNormalForm.h"

#include <algorithm>
#include <cmath>

namespace denim::attn::reference {

Tensor cumulativeLogDecay(const NormalForm &form, int64_t head) {
  Tensor G({form.tokens(), form.keyDim()});
  for (int64_t t = 0; t < form.tokens(); ++t)
    for (int64_t c = 0; c < form.keyDim(); ++c)
      G(t, c) = (t ? G(t - 1, c) : 0) + form.logDecayAt(t, head, c);
  return G;
}

double decayedDot(const double *x, const double *X, const double *y, const double *Y, int64_t n) {
  double sum = 0;
  for (int64_t c = 0; c < n; ++c)
    sum += x[c] * y[c] * std::exp(X[c] - Y[c]);
  return sum;
}

/// out += factor * x, over n elements.
static void accumulate(double *out, double factor, const double *x, int64_t n) {
  for (int64_t i = 0; i < n; ++i)
    out[i] += factor * x[i];
}

/// out += S^T (e^X * x) for the state `[dk,dv]` of one head.
static void readDecayed(double *out, const double *x, const double *X, const double *S, int64_t dk, int64_t dv) {
  for (int64_t c = 0; c < dk; ++c)
    accumulate(out, x[c] * std::exp(X[c]), S + c * dv, dv);
}

/// One chunk of one head: writes its outputs and moves `state` to the end of the chunk.
static void evaluateChunk(const NormalForm &form, int64_t h, LinearResult &result, int64_t firstToken) {
  int64_t length = form.tokens(), dk = form.keyDim(), dv = form.valueDim();
  double *S = result.state.row(h);

  Tensor G = cumulativeLogDecay(form, h), before = G; // inclusive; exclusive
  for (int64_t i = 0; i < length; ++i)
    for (int64_t c = 0; c < dk; ++c)
      before(i, c) = i ? G(i - 1, c) : 0;

  // What the rank-1 part reads. The system is unit lower triangular: forward substitution.
  Tensor Z({length, dv});
  if (form.lowRank())
    for (int64_t i = 0; i < length; ++i) {
      const double *reader = form.Q.row(i, h);
      readDecayed(Z.row(i), reader, before.row(i), S, dk, dv);
      for (int64_t j = 0; j < i; ++j) {
        accumulate(Z.row(i), decayedDot(reader, before.row(i), form.K.row(j, h), G.row(j), dk), form.V.row(j, h), dv);
        accumulate(Z.row(i), decayedDot(reader, before.row(i), form.P.row(j, h), G.row(j), dk), Z.row(j), dv);
      }
    }

  bool after = form.read == NormalForm::Read::After;
  for (int64_t i = 0; i < length; ++i) {
    const double *q = form.q.row(i, h), *decay = (after ? G : before).row(i);
    double *out = result.output.row(firstToken + i, h);
    readDecayed(out, q, decay, S, dk, dv);
    for (int64_t j = 0; j < (after ? i + 1 : i); ++j) {
      accumulate(out, decayedDot(q, decay, form.K.row(j, h), G.row(j), dk), form.V.row(j, h), dv);
      if (form.lowRank())
        accumulate(out, decayedDot(q, decay, form.P.row(j, h), G.row(j), dk), Z.row(j), dv);
    }
  }

  // The state decays by the last row of this chunk, however short the chunk is.
  const double *end = G.row(length - 1);
  for (int64_t c = 0; c < dk; ++c) {
    double *row = S + c * dv;
    for (int64_t e = 0; e < dv; ++e)
      row[e] *= std::exp(end[c]);
    for (int64_t j = 0; j < length; ++j) {
      double decay = std::exp(end[c] - G(j, c));
      accumulate(row, form.K(j, h, c) * decay, form.V.row(j, h), dv);
      if (form.lowRank())
        accumulate(row, form.P(j, h, c) * decay, Z.row(j), dv);
    }
  }
}

LinearResult evaluateChunked(const NormalForm &form, int64_t chunk, const Tensor &state) {
  form.check();
  require(chunk > 0, "expected a chunk of at least 1 token, but got " + std::to_string(chunk));
  LinearResult result{Tensor({form.tokens(), form.heads(), form.valueDim()}),
                      state.present() ? state : zeroState(form)};
  requireShape("state", result.state, {form.heads(), form.keyDim(), form.valueDim()});
  for (int64_t begin = 0; begin < form.tokens(); begin += chunk) {
    NormalForm part = form.slice(begin, std::min(begin + chunk, form.tokens()));
    for (int64_t h = 0; h < form.heads(); ++h)
      evaluateChunk(part, h, result, begin);
  }
  return result;
}

} // namespace denim::attn::reference
