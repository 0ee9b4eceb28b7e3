//===- GatedLinearUnit.h - what stands inside an MLP ------------*- C++ -*-===//

#ifndef DENIM_DIALECTS_MODEL_REFERENCE_GATEDLINEARUNIT_H
#define DENIM_DIALECTS_MODEL_REFERENCE_GATEDLINEARUNIT_H

#include "dialects/attn/reference/Activation.h"
#include "dialects/attn/reference/Tensor.h"

/// What stands between the two products of an MLP. Operands of any shape; a gate and its `up` have the same.
namespace denim::model::reference {

using attn::reference::sigmoid;
using attn::reference::silu;
using attn::reference::softplus;
using attn::reference::Tensor;

/// silu(gate) up.
Tensor swiglu(const Tensor &gate, const Tensor &up);

/// gpt-oss: (up + 1) gate sigmoid(1.702 gate), after gate is cut at 7 from above and up at 7 from both sides.
Tensor clampedSwiglu(const Tensor &gate, const Tensor &up);

/// max(x, 0)^2, which has no gate: Nemotron-H.
Tensor squaredRelu(const Tensor &x);

/// Two operands that one product makes together, `[..., 2I]`: the first half is the gate, or the even columns are
/// (gpt-oss).
struct GateAndUp {
  Tensor gate, up;
};
GateAndUp splitHalves(const Tensor &x);
GateAndUp splitInterleaved(const Tensor &x);

} // namespace denim::model::reference

#endif // DENIM_DIALECTS_MODEL_REFERENCE_GATEDLINEARUNIT_H
