#include "frontends/hf/architectures/Decoder.h"
#include "llvm/Support/FormatVariadic.h"

using namespace denim;
using namespace denim::frontends;

Attention Attention::read(Config &config, int64_t hidden, const Defaults &defaults) {
  Attention attention;
  attention.hidden = hidden;
  attention.heads = config.positive("num_attention_heads", defaults.heads);
  attention.keyHeads = config.positive("num_key_value_heads", defaults.keyHeads ? defaults.keyHeads : attention.heads);
  config.expect(attention.heads % attention.keyHeads == 0,
                llvm::formatv("num_attention_heads to be a multiple of num_key_value_heads {0}, but got {1}",
                              attention.keyHeads, attention.heads));
  attention.headDim = config.positive("head_dim", defaults.headDim.value_or(0));
  if (!attention.headDim) {
    config.expect(hidden % attention.heads == 0,
                  llvm::formatv("hidden_size to be a multiple of num_attention_heads {0}, or a head_dim, but got {1}",
                                attention.heads, hidden));
    attention.headDim = std::max<int64_t>(hidden / attention.heads, 1);
  }
  attention.bias = config.flag("attention_bias", false);
  attention.rotation = config.rotation(attention.headDim, defaults.partialRotation);
  return attention;
}

std::string Attention::describe() const {
  std::string text = "Softmax attention";
  if (window)
    text += llvm::formatv(" over the last {0} tokens", *window);
  llvm::SmallVector<std::string> traits;
  if (headNorms)
    traits.push_back("normed queries and keys");
  if (rotation.over != headDim)
    traits.push_back(llvm::formatv("rotation of {0} of {1} channels", rotation.over, headDim));
  if (gated)
    traits.push_back("an output gate");
  for (auto [i, trait] : llvm::enumerate(traits)) {
    bool last = i + 1 == traits.size();
    text += (i == 0 ? " with " : last ? (traits.size() > 2 ? ", and " : " and ") : ", ") + trait;
  }
  return text;
}

Value Attention::write(BodyWriter &body, Value x, const Norm &norm) const {
  int64_t queries = heads * headDim * (gated ? 2 : 1), keys = keyHeads * headDim;
  Value wNorm = body.param("norm", "input_layernorm.weight", hidden);
  Value wQ = body.param("w_q", "self_attn.q_proj.weight", {queries, hidden});
  Value wK = body.param("w_k", "self_attn.k_proj.weight", {keys, hidden});
  Value wV = body.param("w_v", "self_attn.v_proj.weight", {keys, hidden});
  Value wO = body.param("w_o", "self_attn.o_proj.weight", {hidden, heads * headDim});
  Value bQ, bK, bV, bO, wQNorm, wKNorm;
  if (bias) {
    bQ = body.param("b_q", "self_attn.q_proj.bias", queries);
    bK = body.param("b_k", "self_attn.k_proj.bias", keys);
    bV = body.param("b_v", "self_attn.v_proj.bias", keys);
    bO = body.param("b_o", "self_attn.o_proj.bias", hidden);
  }
  if (headNorms) {
    wQNorm = body.param("q_norm", "self_attn.q_norm.weight", headDim);
    wKNorm = body.param("k_norm", "self_attn.k_norm.weight", headDim);
  }

  body.paragraph();
  Value h = norm.write(body, "h", x, wNorm);
  Value q, gate;
  if (gated) {
    // Every head of the projection holds its query, then its gate.
    Value perHead = body.heads("per_head", body.linear("qg", h, wQ, bQ), heads);
    auto [query, z] = body.split<2>({"q0", "z"}, perHead, {headDim, headDim});
    q = query;
    gate = z;
  } else {
    q = body.heads("q0", body.linear("qf", h, wQ, bQ), heads);
  }
  Value k = body.heads("k0", body.linear("kf", h, wK, bK), keyHeads);
  Value v = body.heads("v", body.linear("vf", h, wV, bV), keyHeads);

  body.paragraph();
  if (headNorms) {
    q = norm.write(body, "q1", q, wQNorm);
    k = norm.write(body, "k1", k, wKNorm);
  }
  q = body.rotary("q", q, rotation.theta, rotation.over);
  k = body.rotary("k", k, rotation.theta, rotation.over);
  Value o = body.softmax("o", q, k, v, window);

  body.paragraph();
  if (gated)
    o = body.mul("og", o, body.sigmoid("gate", gate));
  return body.add("x1", x, body.linear("mixer", o, wO, bO));
}
