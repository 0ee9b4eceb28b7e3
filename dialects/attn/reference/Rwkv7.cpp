//===- Rwkv7.cpp - the recurrence of RWKV-7 -------------------------------===//

#include "dialects/attn/reference/Rwkv7.h"

namespace denim::attn::reference {

NormalForm normalForm(const Rwkv7 &mixer) {
  NormalForm form;
  form.q = mixer.r;
  form.logDecay = mixer.w;
  form.P = multiply(mixer.removal, mixer.rate);
  form.Q = scaled(mixer.removal, -1);
  form.K = mixer.k;
  form.V = mixer.v;
  return form;
}

LinearResult rwkv7(const Rwkv7 &mixer, const Tensor &state) {
  return evaluate(normalForm(mixer), state);
}

} // namespace denim::attn::reference
