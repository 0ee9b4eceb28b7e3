//===- Convolution.h - short and dynamic causal convolutions ----*- C++ -*-===//

#ifndef DENIM_DIALECTS_ATTN_REFERENCE_CONVOLUTION_H
#define DENIM_DIALECTS_ATTN_REFERENCE_CONVOLUTION_H

#include "dialects/attn/reference/Tensor.h"

namespace denim::attn::reference {

/// Outputs `[T,C]` and the tail `[C,K-1]`: the last K - 1 *inputs*, oldest first, what the next call continues from.
struct ConvolutionResult {
  Tensor output;
  Tensor tail;
};

/// Causal depthwise convolution, y[t,c] = f(bias[c] + sum over j < K of weight[c,j] x[t-K+1+j,c]), f being SiLU or
/// nothing. Tap K - 1 meets the current token. x `[T,C]`, weight `[C,K]`, bias `[C]` or absent; the tail `[C,K-1]`
/// stands before the first token, absent: zeros. Spec: attention.md section 2.15.
ConvolutionResult shortConvolution(const Tensor &x, const Tensor &weight, const Tensor &bias = {},
                                   const Tensor &tail = {}, bool silu = true);

/// The same with taps of its own for each token and channel, kernel `[T,C,K]`, as JetBlock generates them. The taps of
/// a token are those of its own row, for all the inputs they meet. Spec: attention.md section 2.14.
ConvolutionResult dynamicConvolution(const Tensor &x, const Tensor &kernel, const Tensor &tail = {}, bool silu = true);

} // namespace denim::attn::reference

#endif // DENIM_DIALECTS_ATTN_REFERENCE_CONVOLUTION_H
