//===- Rwkv7.h - the recurrence of RWKV-7 -----------------------*- C++ -*-===//

#ifndef DENIM_DIALECTS_ATTN_REFERENCE_RWKV7_H
#define DENIM_DIALECTS_ATTN_REFERENCE_RWKV7_H

#include "dialects/attn/reference/NormalForm.h"

namespace denim::attn::reference {

/// RWKV-7. Unlike in the delta rules, what is removed is read from the state *before* its decay, and the key that
/// removes is not the key that writes. Spec: attention.md section 2.10.
///
///     S[t] = Diag(e^w) S[t-1] - (removal * rate) (S[t-1]^T removal)^T + k v^T;   o[t] = S[t]^T r
struct Rwkv7 {
  Tensor r;       ///< [T,H,dk] receptance, no scale
  Tensor w;       ///< [T,H,dk] log decay
  Tensor k, v;    ///< [T,H,dk], [T,H,dv]
  Tensor removal; ///< [T,H,dk] of unit length
  Tensor rate;    ///< [T,H,dk] in-context learning rate, in (0,1)
};

NormalForm normalForm(const Rwkv7 &mixer);
LinearResult rwkv7(const Rwkv7 &mixer, const Tensor &state = {});

} // namespace denim::attn::reference

#endif // DENIM_DIALECTS_ATTN_REFERENCE_RWKV7_H
