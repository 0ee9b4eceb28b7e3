//===- LatentAttention.cpp - multi-head latent attention ------------------===//

#include "dialects/attn/reference/LatentAttention.h"

#include <algorithm>
#include <cmath>

namespace denim::attn::reference {

static int64_t nopeDim(const LatentAttention &a) {
  return a.qNope.dim(2);
}
static int64_t valueDim(const LatentAttention &a) {
  return a.keyValue.dim(1) - nopeDim(a);
}

static void check(const LatentAttention &a) {
  requireShape("q_nope", a.qNope, {-1, -1, -1});
  requireShape("q_rope", a.qRope, {a.qNope.dim(0), a.qNope.dim(1), -1});
  requireShape("latent", a.latent, {-1, -1});
  requireShape("k_rope", a.kRope, {a.latent.dim(0), a.qRope.dim(2)});
  requireShape("key-value projection", a.keyValue, {a.qNope.dim(1), -1, a.latent.dim(1)});
  require(valueDim(a) > 0, "expected a key-value projection of more than " + std::to_string(nopeDim(a)) +
                               " rows per head, but got " + std::to_string(a.keyValue.dim(1)));
}

static SoftmaxAttention around(const LatentAttention &a, Tensor q, Tensor k, Tensor v) {
  SoftmaxAttention softmax;
  softmax.q = std::move(q);
  softmax.k = std::move(k);
  softmax.v = std::move(v);
  softmax.offset = a.offset;
  softmax.scale = a.scale.value_or(1 / std::sqrt(static_cast<double>(nopeDim(a) + a.qRope.dim(2))));
  softmax.visible = a.visible;
  return softmax;
}

SoftmaxAttention naiveForm(const LatentAttention &a) {
  check(a);
  int64_t dn = nopeDim(a), dr = a.qRope.dim(2), dv = valueDim(a), rank = a.latent.dim(1);
  int64_t tokens = a.qNope.dim(0), heads = a.qNope.dim(1), keys = a.latent.dim(0);
  Tensor q({tokens, heads, dn + dr}), k({keys, heads, dn + dr}), v({keys, heads, dv});
  for (int64_t h = 0; h < heads; ++h) {
    for (int64_t t = 0; t < tokens; ++t) {
      std::copy_n(a.qNope.row(t, h), dn, q.row(t, h));
      std::copy_n(a.qRope.row(t, h), dr, q.row(t, h) + dn);
    }
    for (int64_t j = 0; j < keys; ++j) {
      for (int64_t c = 0; c < dn; ++c)
        k(j, h, c) = dot(a.keyValue.row(h, c), a.latent.row(j), rank);
      std::copy_n(a.kRope.row(j), dr, k.row(j, h) + dn);
      for (int64_t e = 0; e < dv; ++e)
        v(j, h, e) = dot(a.keyValue.row(h, dn + e), a.latent.row(j), rank);
    }
  }
  return around(a, q, k, v);
}

SoftmaxAttention absorbedForm(const LatentAttention &a) {
  check(a);
  int64_t dn = nopeDim(a), dr = a.qRope.dim(2), rank = a.latent.dim(1);
  int64_t tokens = a.qNope.dim(0), heads = a.qNope.dim(1), keys = a.latent.dim(0);
  Tensor q({tokens, heads, rank + dr}), k({keys, 1, rank + dr});
  for (int64_t t = 0; t < tokens; ++t)
    for (int64_t h = 0; h < heads; ++h) {
      for (int64_t c = 0; c < dn; ++c)
        for (int64_t m = 0; m < rank; ++m)
          q(t, h, m) += a.qNope(t, h, c) * a.keyValue(h, c, m);
      std::copy_n(a.qRope.row(t, h), dr, q.row(t, h) + rank);
    }
  for (int64_t j = 0; j < keys; ++j) {
    std::copy_n(a.latent.row(j), rank, k.row(j, 0));
    std::copy_n(a.kRope.row(j), dr, k.row(j, 0) + rank);
  }
  return around(a, q, k, a.latent.reshaped({keys, 1, rank}));
}

Tensor expandValues(const LatentAttention &a, const Tensor &latents) {
  int64_t dn = nopeDim(a), dv = valueDim(a), rank = a.latent.dim(1);
  requireShape("latents", latents, {-1, a.qNope.dim(1), rank});
  Tensor output({latents.dim(0), latents.dim(1), dv});
  for (int64_t t = 0; t < latents.dim(0); ++t)
    for (int64_t h = 0; h < latents.dim(1); ++h)
      for (int64_t e = 0; e < dv; ++e)
        output(t, h, e) = dot(a.keyValue.row(h, dn + e), latents.row(t, h), rank);
  return output;
}

Tensor latentAttentionNaive(const LatentAttention &a) {
  return softmaxAttention(naiveForm(a));
}

Tensor latentAttentionAbsorbed(const LatentAttention &a) {
  return expandValues(a, softmaxAttention(absorbedForm(a)));
}

} // namespace denim::attn::reference
