//===- MixtureOfExperts.cpp - experts and their sum -----------------------===//

#include "dialects/model/reference/MixtureOfExperts.h"

#include "dialects/model/reference/GatedLinearUnit.h"

#include <algorithm>
#include <map>

namespace denim::model::reference {

using namespace attn::reference;

Tensor linear(const Tensor &x, const Tensor &weight, const Tensor &bias) {
  requireShape("x", x, {-1, -1});
  requireShape("weight", weight, {-1, x.dim(1)});
  if (bias.present())
    requireShape("bias", bias, {weight.dim(0)});
  Tensor y({x.dim(0), weight.dim(0)});
  for (int64_t t = 0; t < y.dim(0); ++t)
    for (int64_t o = 0; o < y.dim(1); ++o)
      y(t, o) = dot(x.row(t), weight.row(o), x.dim(1)) + (bias.present() ? bias(o) : 0);
  return y;
}

Tensor mixtureOfExperts(const Tensor &x, const Routing &routing, const Expert &expert) {
  require(static_cast<int64_t>(routing.experts.size()) == x.dim(0), "expected a routing of " +
                                                                        std::to_string(x.dim(0)) + " tokens, but got " +
                                                                        std::to_string(routing.experts.size()));
  struct Use {
    int64_t token;
    double weight;
  };
  std::map<int64_t, std::vector<Use>> uses;
  for (size_t t = 0; t < routing.experts.size(); ++t)
    for (size_t slot = 0; slot < routing.experts[t].size(); ++slot)
      uses[routing.experts[t][slot]].push_back({static_cast<int64_t>(t), routing.weights[t][slot]});

  int64_t width = x.dim(1);
  Tensor y(x.shape());
  for (const auto &[index, rows] : uses) {
    Tensor gathered({static_cast<int64_t>(rows.size()), width});
    for (size_t n = 0; n < rows.size(); ++n)
      std::copy_n(x.row(rows[n].token), width, gathered.row(n));
    Tensor made = expert(index, gathered);
    requireShape("the output of an expert", made, gathered.shape());
    for (size_t n = 0; n < rows.size(); ++n)
      for (int64_t i = 0; i < width; ++i)
        y(rows[n].token, i) += rows[n].weight * made(n, i);
  }
  return y;
}

Expert swigluExperts(Tensor gate, Tensor up, Tensor down) {
  auto matrix = [](const Tensor &stacked, int64_t e) {
    return stacked.slice(e, e + 1).reshaped({stacked.dim(1), stacked.dim(2)});
  };
  return [=](int64_t e, const Tensor &rows) {
    return linear(swiglu(linear(rows, matrix(gate, e)), linear(rows, matrix(up, e))), matrix(down, e));
  };
}

Tensor withSharedExpert(const Tensor &x, const Tensor &routed, const Tensor &shared, const Tensor &gate) {
  requireShape("the shared expert's output", shared, routed.shape());
  Tensor y = routed;
  for (int64_t t = 0; t < y.dim(0); ++t) {
    double weight = gate.present() ? sigmoid(dot(x.row(t), gate.row(0), x.dim(1))) : 1;
    for (int64_t i = 0; i < y.dim(1); ++i)
      y(t, i) += weight * shared(t, i);
  }
  return y;
}

} // namespace denim::model::reference
