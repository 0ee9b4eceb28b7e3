//===- DeltaRule.cpp - the delta family -----------------------------------===//

#include "dialects/attn/reference/DeltaRule.h"

#include "dialects/attn/reference/Activation.h"
#include "dialects/attn/reference/L2Norm.h"

#include <algorithm>
#include <cmath>

namespace denim::attn::reference {

DeltaRule DeltaRule::prepared() const {
  DeltaRule rule = *this;
  int64_t heads = v.dim(1);
  double factor = scale.value_or(1 / std::sqrt(static_cast<double>(k.dim(2))));
  rule.q = scaled(repeatHeads(l2Norm ? reference::l2Norm(q, l2Eps) : q, heads), factor);
  rule.k = repeatHeads(l2Norm ? reference::l2Norm(k, l2Eps) : k, heads);
  rule.l2Norm = false;
  rule.scale = 1;
  return rule;
}

/// x[t,h,:] * factor(t, h, c).
template <typename Factor> static Tensor scaledKeys(Tensor x, Factor factor) {
  for (int64_t t = 0; t < x.dim(0); ++t)
    for (int64_t h = 0; h < x.dim(1); ++h)
      for (int64_t c = 0; c < x.dim(2); ++c)
        x(t, h, c) *= factor(t, h, c);
  return x;
}

NormalForm normalForm(const DeltaRule &unprepared) {
  DeltaRule rule = unprepared.prepared();
  requireShape("beta", rule.beta, {rule.k.dim(0), rule.k.dim(1)});
  NormalForm form;
  form.q = rule.q;
  form.logDecay = rule.logDecay;
  form.V = rule.v;
  form.K = scaledKeys(rule.k, [&](int64_t t, int64_t h, int64_t) { return rule.beta(t, h); });
  form.P = scaled(form.K, -1);
  form.Q = scaledKeys(rule.k, [&](int64_t t, int64_t h, int64_t c) { return std::exp(form.logDecayAt(t, h, c)); });
  return form;
}

LinearResult deltaRule(const DeltaRule &rule, const Tensor &state) {
  return evaluate(normalForm(rule), state);
}

DeltaRule expandDeltaProduct(const DeltaRule &rule, int64_t steps) {
  int64_t tokens = rule.q.dim(0);
  requireShape("k", rule.k, {tokens * steps, rule.q.dim(1), rule.q.dim(2)});
  DeltaRule expanded = rule;
  // A query of zeros reads zeros, which nobody looks at; the norm of a zero row is zero.
  expanded.q = Tensor({tokens * steps, rule.q.dim(1), rule.q.dim(2)});
  for (int64_t t = 0; t < tokens; ++t)
    std::copy_n(rule.q.row(t), rule.q.dim(1) * rule.q.dim(2), expanded.q.row(t * steps + steps - 1));
  if (rule.logDecay.present()) {
    Tensor::Shape shape = rule.logDecay.shape();
    shape[0] *= steps;
    expanded.logDecay = Tensor(shape);
    int64_t width = tokens ? rule.logDecay.size() / tokens : 0;
    for (int64_t t = 0; t < tokens; ++t)
      std::copy_n(rule.logDecay.row(t), width, expanded.logDecay.row(t * steps));
  }
  return expanded;
}

LinearResult deltaProduct(const DeltaRule &rule, int64_t steps, const Tensor &state) {
  LinearResult all = deltaRule(expandDeltaProduct(rule, steps), state);
  int64_t tokens = rule.q.dim(0), heads = all.output.dim(1), dv = all.output.dim(2);
  LinearResult result{Tensor({tokens, heads, dv}), all.state};
  for (int64_t t = 0; t < tokens; ++t)
    std::copy_n(all.output.row(t * steps + steps - 1), heads * dv, result.output.row(t));
  return result;
}

Tensor scalarGate(const Tensor &a, const Tensor &aLog, const Tensor &dtBias) {
  Tensor g = a;
  for (int64_t t = 0; t < a.dim(0); ++t)
    for (int64_t h = 0; h < a.dim(1); ++h)
      g(t, h) = -std::exp(aLog(h)) * softplus(a(t, h) + dtBias(h));
  return g;
}

template <typename Gate> static Tensor gateChannels(const Tensor &f, const Tensor &dtBias, Gate gate) {
  requireShape("dt_bias", dtBias, {f.dim(1), f.dim(2)});
  Tensor g = f;
  for (int64_t t = 0; t < f.dim(0); ++t)
    for (int64_t h = 0; h < f.dim(1); ++h)
      for (int64_t c = 0; c < f.dim(2); ++c)
        g(t, h, c) = gate(h, f(t, h, c) + dtBias(h, c));
  return g;
}

Tensor channelGate(const Tensor &f, const Tensor &aLog, const Tensor &dtBias) {
  return gateChannels(f, dtBias, [&](int64_t h, double x) { return -std::exp(aLog(h)) * softplus(x); });
}

Tensor boundedChannelGate(const Tensor &f, const Tensor &aLog, const Tensor &dtBias, double lowerBound) {
  require(lowerBound < 0, "expected a lower bound below 0, but got " + std::to_string(lowerBound));
  return gateChannels(f, dtBias, [&](int64_t h, double x) { return lowerBound * sigmoid(std::exp(aLog(h)) * x); });
}

} // namespace denim::attn::reference
