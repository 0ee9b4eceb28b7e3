//===- PowerRetention.cpp - power retention -------------------------------===//

#include "dialects/attn/reference/PowerRetention.h"

#include "dialects/attn/reference/LinearAttention.h"

#include <cmath>

namespace denim::attn::reference {

static double scaleOf(const PowerRetention &retention) {
  return retention.scale.value_or(1 / std::sqrt(static_cast<double>(retention.q.dim(2))));
}

Tensor powerRetentionAttention(const PowerRetention &retention, int64_t degree) {
  require(degree > 0 && degree % 2 == 0, "expected an even degree, but got " + std::to_string(degree));
  const Tensor &q = retention.q, &k = retention.k, &v = retention.v;
  double scale = scaleOf(retention);
  Tensor output(v.shape());
  for (int64_t h = 0; h < q.dim(1); ++h)
    for (int64_t i = 0; i < q.dim(0); ++i) {
      double sum = 0, logDecay = 0;
      for (int64_t j = i; j >= 0; --j) { // backwards, so that the decay is a running sum
        double weight = std::pow(scale * dot(q.row(i, h), k.row(j, h), q.dim(2)), degree) * std::exp(logDecay);
        sum += weight;
        for (int64_t e = 0; e < v.dim(2); ++e)
          output(i, h, e) += weight * v(j, h, e);
        logDecay += retention.logGate(j, h);
      }
      for (int64_t e = 0; e < v.dim(2); ++e)
        output(i, h, e) /= sum;
    }
  return output;
}

Tensor symmetricPower(const Tensor &x) {
  int64_t d = x.shape().back(), rows = d ? x.size() / d : 0;
  Tensor::Shape shape = x.shape();
  shape.back() = d * (d + 1) / 2;
  std::vector<double> values;
  for (int64_t row = 0; row < rows; ++row) {
    const double *from = x.values().data() + row * d;
    for (int64_t i = 0; i < d; ++i)
      for (int64_t j = i; j < d; ++j)
        values.push_back(from[i] * from[j] * (i == j ? 1 : std::sqrt(2.0)));
  }
  return Tensor(std::move(shape), std::move(values));
}

NormalForm normalForm(const PowerRetention &retention) {
  NormalForm form;
  form.q = symmetricPower(scaled(retention.q, scaleOf(retention)));
  form.logDecay = retention.logGate;
  form.K = symmetricPower(retention.k);
  form.V = withOnes(retention.v);
  return form;
}

LinearResult powerRetention(const PowerRetention &retention, const Tensor &state) {
  LinearResult result = evaluate(normalForm(retention), state);
  return {divideByLast(result.output, 0), result.state};
}

} // namespace denim::attn::reference
