//===- HigherOrderLinear.cpp - second-order linear attention --------------===//

#include "dialects/attn/reference/HigherOrderLinear.h"

#include <algorithm>
#include <cmath>

namespace denim::attn::reference {

SecondOrderResult secondOrderLinearAttention(const Tensor &unscaledQ, const Tensor &unscaledK, const Tensor &v,
                                             std::optional<double> scale, SecondOrderState state) {
  requireShape("q", unscaledQ, {v.dim(0), v.dim(1), -1});
  requireShape("k", unscaledK, unscaledQ.shape());
  int64_t heads = v.dim(1), dk = unscaledQ.dim(2), dv = v.dim(2);
  double factor = scale.value_or(1 / std::sqrt(static_cast<double>(dk)));
  Tensor q = scaled(unscaledQ, factor), k = scaled(unscaledK, factor);
  if (!state.M.present())
    state = {Tensor({heads, dk, dk}), Tensor({heads, dk, dv}), Tensor({heads, dk, dv})};

  SecondOrderResult result{Tensor(v.shape()), std::move(state)};
  auto &[M, C, G] = result.state;
  for (int64_t t = 0; t < v.dim(0); ++t)
    for (int64_t h = 0; h < heads; ++h) {
      for (int64_t e = 0; e < dv; ++e) {
        double predicted = 0; // k^T C of the token before
        for (int64_t c = 0; c < dk; ++c)
          predicted += k(t, h, c) * C(h, c, e);
        for (int64_t c = 0; c < dk; ++c)
          G(h, c, e) += k(t, h, c) * predicted;
      }
      for (int64_t c = 0; c < dk; ++c) {
        for (int64_t d = 0; d < dk; ++d)
          M(h, c, d) += k(t, h, c) * k(t, h, d);
        for (int64_t e = 0; e < dv; ++e)
          C(h, c, e) += q(t, h, c) * v(t, h, e);
      }
      for (int64_t c = 0; c < dk; ++c)
        for (int64_t e = 0; e < dv; ++e) {
          double value = -G(h, c, e);
          for (int64_t d = 0; d < dk; ++d)
            value += M(h, c, d) * C(h, d, e);
          result.output(t, h, e) += q(t, h, c) * value;
        }
    }
  return result;
}

Tensor secondOrderLinearAttentionWhole(const Tensor &q, const Tensor &k, const Tensor &v, std::optional<double> scale) {
  int64_t dk = q.dim(2);
  double factor = scale.value_or(1 / std::sqrt(static_cast<double>(dk)));
  Tensor output(v.shape());
  for (int64_t h = 0; h < v.dim(1); ++h) {
    auto weight = [&](int64_t i, int64_t s) { return factor * factor * dot(q.row(i, h), k.row(s, h), dk); };
    for (int64_t i = 0; i < v.dim(0); ++i)
      for (int64_t j = 0; j <= i; ++j) {
        double both = 0;
        for (int64_t s = 0; s <= std::min(i, j); ++s)
          both += weight(i, s) * weight(j, s);
        for (int64_t e = 0; e < v.dim(2); ++e)
          output(i, h, e) += both * v(j, h, e);
      }
  }
  return output;
}

} // namespace denim::attn::reference
