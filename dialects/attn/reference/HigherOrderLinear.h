//===- HigherOrderLinear.h - second-order linear attention ------*- C++ -*-===//

#ifndef DENIM_DIALECTS_ATTN_REFERENCE_HIGHERORDERLINEAR_H
#define DENIM_DIALECTS_ATTN_REFERENCE_HIGHERORDERLINEAR_H

#include "dialects/attn/reference/Tensor.h"

#include <optional>

namespace denim::attn::reference {

/// Second-order linear attention, masked. It is not of the normal form: its output is a product of two states. Spec:
/// attention.md section 2.12.
///
///     G <- G + k (k^T C);   M <- M + k k^T;   C <- C + q v^T;   o = (M C - G)^T q
///
/// G uses the C of the token before. In one formula: tril(tril(Q K^T) tril(Q K^T)^T) V.
struct SecondOrderState {
  Tensor M; ///< [H,dk,dk]
  Tensor C; ///< [H,dk,dv]
  Tensor G; ///< [H,dk,dv]
};

struct SecondOrderResult {
  Tensor output; ///< [T,H,dv]
  SecondOrderState state;
};

/// q, k `[T,H,dk]`, v `[T,H,dv]`; `scale`, absent dk^(-1/2), multiplies q and k each. A state without tensors is zero.
SecondOrderResult secondOrderLinearAttention(const Tensor &q, const Tensor &k, const Tensor &v,
                                             std::optional<double> scale = {}, SecondOrderState state = {});

/// The formula over the whole sequence, from a state of zeros.
Tensor secondOrderLinearAttentionWhole(const Tensor &q, const Tensor &k, const Tensor &v,
                                       std::optional<double> scale = {});

} // namespace denim::attn::reference

#endif // DENIM_DIALECTS_ATTN_REFERENCE_HIGHERORDERLINEAR_H
