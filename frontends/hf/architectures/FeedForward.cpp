#include "frontends/hf/architectures/Decoder.h"
#include "llvm/Support/FormatVariadic.h"

using namespace denim;
using namespace denim::frontends;

Value GatedMlp::write(BodyWriter &body, Value x, const Norm &norm) const {
  body.paragraph();
  Value wNorm = body.param("norm2", "post_attention_layernorm.weight", hidden);
  Value wGate = body.param("w_gate", "mlp.gate_proj.weight", {inner, hidden});
  Value wUp = body.param("w_up", "mlp.up_proj.weight", {inner, hidden});
  Value wDown = body.param("w_down", "mlp.down_proj.weight", {hidden, inner});
  Value bGate, bUp, bDown;
  if (bias) {
    bGate = body.param("b_gate", "mlp.gate_proj.bias", inner);
    bUp = body.param("b_up", "mlp.up_proj.bias", inner);
    bDown = body.param("b_down", "mlp.down_proj.bias", hidden);
  }

  body.paragraph();
  Value h = norm.write(body, "h1", x, wNorm);
  Value gate = body.linear("mg", h, wGate, bGate);
  Value up = body.linear("mu", h, wUp, bUp);
  Value active = body.mul("mp", body.silu("ms", gate), up);
  return body.add("x2", x, body.linear("mlp", active, wDown, bDown));
}

Value Experts::write(BodyWriter &body, Value x, const Norm &norm) const {
  body.paragraph();
  Value wNorm = body.param("norm2", "post_attention_layernorm.weight", hidden);
  Value wRouter = body.param("w_router", "mlp.gate.weight", {count, hidden});
  Value eGate = body.param("e_gate", "mlp.experts.{e}.gate_proj.weight", {count, inner, hidden});
  Value eUp = body.param("e_up", "mlp.experts.{e}.up_proj.weight", {count, inner, hidden});
  Value eDown = body.param("e_down", "mlp.experts.{e}.down_proj.weight", {count, hidden, inner});
  Value sGate = body.param("s_gate", "mlp.shared_expert.gate_proj.weight", {sharedInner, hidden});
  Value sUp = body.param("s_up", "mlp.shared_expert.up_proj.weight", {sharedInner, hidden});
  Value sDown = body.param("s_down", "mlp.shared_expert.down_proj.weight", {hidden, sharedInner});
  Value wShare = body.param("w_share", "mlp.shared_expert_gate.weight", {1, hidden});

  body.paragraph(llvm::formatv("every token visits the {0} experts of {1} that score highest", top, count).str());
  Value h = norm.write(body, "h1", x, wNorm);
  Value scores = body.linear("scores", h, wRouter);
  auto [weights, chosen] = body.route("weights", "chosen", scores, top, renormalized);
  Value routed = body.experts("routed", h, weights, chosen, eGate, eUp, eDown);

  body.paragraph("and the shared one, as far as its gate opens");
  Value gate = body.linear("sg", h, sGate);
  Value up = body.linear("su", h, sUp);
  Value active = body.mul("sp", body.silu("ss", gate), up);
  Value shared = body.linear("shared", active, sDown);
  Value share = body.sigmoid("share", body.linear("s0", h, wShare));
  Value mlp = body.add("mlp", routed, body.mul("part", shared, share));
  return body.add("x2", x, mlp);
}
