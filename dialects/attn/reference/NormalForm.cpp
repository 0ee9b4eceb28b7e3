//===- NormalForm.cpp - the recurrence of linear mixers -------------------===//

#include "dialects/attn/reference/NormalForm.h"

#include <cmath>

namespace denim::attn::reference {

double NormalForm::logDecayAt(int64_t t, int64_t h, int64_t c) const {
  if (!logDecay.present())
    return 0;
  return logDecay.rank() == 2 ? logDecay(t, h) : logDecay(t, h, c);
}

NormalForm NormalForm::slice(int64_t begin, int64_t end) const {
  auto part = [&](const Tensor &x) { return x.present() ? x.slice(begin, end) : Tensor(); };
  return {part(q), part(logDecay), part(P), part(Q), part(K), part(V), read};
}

void NormalForm::check() const {
  requireShape("K", K, {-1, -1, -1});
  Tensor::Shape keys = K.shape();
  requireShape("q", q, keys);
  requireShape("V", V, {tokens(), heads(), -1});
  require(P.present() == Q.present(), "expected both P and Q or neither, but got one of them");
  if (lowRank()) {
    requireShape("P", P, keys);
    requireShape("Q", Q, keys);
  }
  if (logDecay.present())
    requireShape("log decay", logDecay, logDecay.rank() == 2 ? Tensor::Shape{tokens(), heads()} : keys);
}

Tensor zeroState(const NormalForm &form) {
  return Tensor({form.heads(), form.keyDim(), form.valueDim()});
}

LinearResult evaluate(const NormalForm &form, const Tensor &state) {
  form.check();
  int64_t dk = form.keyDim(), dv = form.valueDim();
  LinearResult result{Tensor({form.tokens(), form.heads(), dv}), state.present() ? state : zeroState(form)};
  requireShape("state", result.state, {form.heads(), dk, dv});

  for (int64_t h = 0; h < form.heads(); ++h) {
    auto S = [&](int64_t c, int64_t e) -> double & { return result.state(h, c, e); };
    auto readState = [&](const double *x, double *out) { // out = S^T x
      for (int64_t e = 0; e < dv; ++e) {
        out[e] = 0;
        for (int64_t c = 0; c < dk; ++c)
          out[e] += x[c] * S(c, e);
      }
    };
    std::vector<double> z(static_cast<size_t>(dv));
    for (int64_t t = 0; t < form.tokens(); ++t) {
      if (form.read == NormalForm::Read::Before)
        readState(form.q.row(t, h), result.output.row(t, h));
      if (form.lowRank())
        readState(form.Q.row(t, h), z.data()); // before the decay
      for (int64_t c = 0; c < dk; ++c) {
        double decay = std::exp(form.logDecayAt(t, h, c));
        for (int64_t e = 0; e < dv; ++e) {
          S(c, e) = decay * S(c, e) + form.K(t, h, c) * form.V(t, h, e);
          if (form.lowRank())
            S(c, e) += form.P(t, h, c) * z[static_cast<size_t>(e)];
        }
      }
      if (form.read == NormalForm::Read::After)
        readState(form.q.row(t, h), result.output.row(t, h));
    }
  }
  return result;
}

} // namespace denim::attn::reference
