//===- Convolution.cpp - short and dynamic causal convolutions ------------===//

#include "dialects/attn/reference/Convolution.h"

#include "dialects/attn/reference/Activation.h"

namespace denim::attn::reference {

/// `tap(t, c, j)` is the weight of input t - K + 1 + j in output t.
template <typename Tap>
static ConvolutionResult convolve(const Tensor &x, int64_t taps, const Tensor &bias, Tensor tail, bool withSilu,
                                  Tap tap) {
  int64_t tokens = x.dim(0), channels = x.dim(1), past = taps - 1;
  if (!tail.present())
    tail = Tensor({channels, past});
  requireShape("tail", tail, {channels, past});
  if (bias.present())
    requireShape("bias", bias, {channels});
  auto input = [&](int64_t t, int64_t c) { return t < 0 ? tail(c, past + t) : x(t, c); };

  ConvolutionResult result{Tensor(x.shape()), Tensor({channels, past})};
  for (int64_t c = 0; c < channels; ++c) {
    for (int64_t t = 0; t < tokens; ++t) {
      double sum = bias.present() ? bias(c) : 0;
      for (int64_t j = 0; j < taps; ++j)
        sum += tap(t, c, j) * input(t - past + j, c);
      result.output(t, c) = withSilu ? silu(sum) : sum;
    }
    for (int64_t j = 0; j < past; ++j)
      result.tail(c, j) = input(tokens - past + j, c);
  }
  return result;
}

ConvolutionResult shortConvolution(const Tensor &x, const Tensor &weight, const Tensor &bias, const Tensor &tail,
                                   bool silu) {
  requireShape("x", x, {-1, -1});
  requireShape("weight", weight, {x.dim(1), -1});
  return convolve(x, weight.dim(1), bias, tail, silu, [&](int64_t, int64_t c, int64_t j) { return weight(c, j); });
}

ConvolutionResult dynamicConvolution(const Tensor &x, const Tensor &kernel, const Tensor &tail, bool silu) {
  requireShape("x", x, {-1, -1});
  requireShape("kernel", kernel, {x.dim(0), x.dim(1), -1});
  return convolve(x, kernel.dim(2), {}, tail, silu, [&](int64_t t, int64_t c, int64_t j) { return kernel(t, c, j); });
}

} // namespace denim::attn::reference
