//===- LinearAttention.cpp - linear mixers of diagonal transition ---------===//

#include "dialects/attn/reference/LinearAttention.h"

#include "dialects/attn/reference/Activation.h"

#include <algorithm>
#include <cmath>

namespace denim::attn::reference {

NormalForm normalForm(const LinearAttention &attention) {
  requireShape("q", attention.q, {-1, -1, -1});
  NormalForm form;
  form.q = scaled(attention.q, attention.scale.value_or(1 / std::sqrt(static_cast<double>(attention.q.dim(2)))));
  form.logDecay = attention.logDecay;
  form.K = attention.k;
  form.V = attention.v;
  return form;
}

LinearResult linearAttention(const LinearAttention &attention, const Tensor &state) {
  return evaluate(normalForm(attention), state);
}

Tensor constantDecay(const Tensor &perHead, int64_t tokens) {
  requireShape("decay per head", perHead, {-1});
  Tensor decay({tokens, perHead.dim(0)});
  for (int64_t t = 0; t < tokens; ++t)
    std::copy_n(perHead.row(0), perHead.dim(0), decay.row(t));
  return decay;
}

Tensor lightningRates(int64_t heads, int64_t layer, int64_t layers) {
  Tensor rates({heads});
  double depth = 1 - static_cast<double>(layer) / (static_cast<double>(layers - 1) + 1e-5) + 1e-5;
  for (int64_t h = 0; h < heads; ++h)
    rates(h) = std::exp2(-8.0 * static_cast<double>(h + 1) / static_cast<double>(heads)) * depth;
  return rates;
}

Tensor retentionLogDecay(int64_t heads) {
  Tensor decay({heads});
  for (int64_t h = 0; h < heads; ++h)
    decay(h) = std::log1p(-std::exp2(-5.0 - static_cast<double>(h)));
  return decay;
}

LinearResult constantDecayBlocked(const LinearAttention &attention, const Tensor &logDecay, int64_t block,
                                  const Tensor &state) {
  require(block > 0, "expected blocks of at least 1 token, but got " + std::to_string(block));
  NormalForm form = normalForm(attention);
  int64_t dk = form.keyDim(), dv = form.valueDim();
  LinearResult result{Tensor({form.tokens(), form.heads(), dv}), state.present() ? state : zeroState(form)};
  for (int64_t h = 0; h < form.heads(); ++h)
    for (int64_t begin = 0; begin < form.tokens(); begin += block) {
      int64_t end = std::min(begin + block, form.tokens()); // the last block decays by its own length
      auto decay = [&](int64_t tokens) { return std::exp(logDecay(h) * static_cast<double>(tokens)); };
      for (int64_t i = begin; i < end; ++i)
        for (int64_t e = 0; e < dv; ++e) {
          double inside = 0, before = 0;
          for (int64_t j = begin; j <= i; ++j)
            inside += decay(i - j) * dot(form.q.row(i, h), form.K.row(j, h), dk) * form.V(j, h, e);
          for (int64_t c = 0; c < dk; ++c)
            before += form.q(i, h, c) * result.state(h, c, e);
          result.output(i, h, e) = inside + decay(i - begin + 1) * before;
        }
      for (int64_t c = 0; c < dk; ++c)
        for (int64_t e = 0; e < dv; ++e) {
          double &S = result.state(h, c, e);
          S *= decay(end - begin);
          for (int64_t j = begin; j < end; ++j)
            S += decay(end - 1 - j) * form.K(j, h, c) * form.V(j, h, e);
        }
    }
  return result;
}

Tensor withOnes(const Tensor &v) {
  int64_t dv = v.dim(2);
  Tensor result({v.dim(0), v.dim(1), dv + 1});
  for (int64_t t = 0; t < v.dim(0); ++t)
    for (int64_t h = 0; h < v.dim(1); ++h) {
      std::copy_n(v.row(t, h), dv, result.row(t, h));
      result(t, h, dv) = 1;
    }
  return result;
}

Tensor divideByLast(const Tensor &output, double eps) {
  int64_t dv = output.dim(2) - 1;
  Tensor result({output.dim(0), output.dim(1), dv});
  for (int64_t t = 0; t < output.dim(0); ++t)
    for (int64_t h = 0; h < output.dim(1); ++h)
      for (int64_t e = 0; e < dv; ++e)
        result(t, h, e) = output(t, h, e) / (output(t, h, dv) + eps);
  return result;
}

NormalForm normalisedLinearForm(const Tensor &q, const Tensor &k, const Tensor &v) {
  NormalForm form;
  form.q = map(q, eluPlusOne);
  form.K = map(k, eluPlusOne);
  form.V = withOnes(v);
  return form;
}

LinearResult normalisedLinearAttention(const Tensor &q, const Tensor &k, const Tensor &v, double eps,
                                       const Tensor &state) {
  LinearResult result = evaluate(normalisedLinearForm(q, k, v), state);
  return {divideByLast(result.output, eps), result.state};
}

} // namespace denim::attn::reference
