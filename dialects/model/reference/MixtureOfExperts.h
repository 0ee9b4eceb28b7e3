//===- MixtureOfExperts.h - experts and their sum ---------------*- C++ -*-===//

#ifndef DENIM_DIALECTS_MODEL_REFERENCE_MIXTUREOFEXPERTS_H
#define DENIM_DIALECTS_MODEL_REFERENCE_MIXTUREOFEXPERTS_H

#include "dialects/model/reference/Router.h"

#include <functional>

namespace denim::model::reference {

/// x W^T + bias: x `[T,in]`, weight `[out,in]` as checkpoints store it, bias `[out]` or absent.
Tensor linear(const Tensor &x, const Tensor &weight, const Tensor &bias = {});

/// What expert e makes of rows `[n,H]`: `[n,H]` again.
using Expert = std::function<Tensor(int64_t expert, const Tensor &rows)>;

/// y[t] = sum over the chosen experts of weight times expert(x[t]). Each expert is called once, with the rows that
/// chose it in their order, and not at all when no row did. x `[T,H]`.
Tensor mixtureOfExperts(const Tensor &x, const Routing &routing, const Expert &expert);

/// An expert of three matrices, down(silu(gate x) up x): gate, up `[E,I,H]`, down `[E,H,I]`.
Expert swigluExperts(Tensor gate, Tensor up, Tensor down);

/// Adds the expert that every token takes, times sigmoid(x.gate) for each token, gate `[1,H]`, or times 1 without a
/// gate.
Tensor withSharedExpert(const Tensor &x, const Tensor &routed, const Tensor &shared, const Tensor &gate = {});

} // namespace denim::model::reference

#endif // DENIM_DIALECTS_MODEL_REFERENCE_MIXTUREOFEXPERTS_H
