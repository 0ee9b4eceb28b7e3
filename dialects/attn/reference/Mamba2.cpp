//===- Mamba2.cpp - the scan of Mamba-2 -----------------------------------===//

#include "dialects/attn/reference/Mamba2.h"

#include "dialects/attn/reference/Activation.h"

#include <algorithm>
#include <cmath>

namespace denim::attn::reference {

Tensor stepSizes(const Mamba2 &scan) {
  Tensor steps = scan.dt;
  for (int64_t t = 0; t < steps.dim(0); ++t)
    for (int64_t h = 0; h < steps.dim(1); ++h)
      steps(t, h) = std::clamp(softplus(steps(t, h) + scan.dtBias(h)), scan.lowestStep, scan.highestStep);
  return steps;
}

NormalForm normalForm(const Mamba2 &scan) {
  requireShape("x", scan.x, {-1, -1, -1});
  int64_t tokens = scan.x.dim(0), heads = scan.x.dim(1);
  requireShape("dt", scan.dt, {tokens, heads});
  Tensor steps = stepSizes(scan);
  NormalForm form;
  form.q = repeatHeads(scan.C, heads);
  form.K = repeatHeads(scan.B, heads);
  form.V = scan.x;
  form.logDecay = steps;
  for (int64_t t = 0; t < tokens; ++t)
    for (int64_t h = 0; h < heads; ++h) {
      form.logDecay(t, h) *= -std::exp(scan.aLog(h));
      for (int64_t e = 0; e < scan.x.dim(2); ++e)
        form.V(t, h, e) *= steps(t, h);
    }
  return form;
}

Tensor withSkip(const Mamba2 &scan, Tensor y) {
  if (!scan.D.present())
    return y;
  for (int64_t t = 0; t < y.dim(0); ++t)
    for (int64_t h = 0; h < y.dim(1); ++h)
      for (int64_t e = 0; e < y.dim(2); ++e)
        y(t, h, e) += scan.D(h) * scan.x(t, h, e);
  return y;
}

LinearResult mamba2(const Mamba2 &scan, const Tensor &state) {
  LinearResult result = evaluate(normalForm(scan), state);
  return {withSkip(scan, result.output), result.state};
}

} // namespace denim::attn::reference
