// Qwen3-Next: most layers mix tokens by a gated delta rule, every fourth by gated softmax attention; experts, or a
// gated MLP in the layers that the configuration names.
#include "frontends/hf/architectures/Architecture.h"
#include "frontends/hf/architectures/Decoder.h"
#include "llvm/Support/FormatVariadic.h"

using namespace denim;
using namespace denim::frontends;

namespace {

/// Gated DeltaNet: Hk heads of queries and keys, each shared by `ratio()` heads of values.
struct GatedDeltaNet {
  int64_t hidden, keyHeads, valueHeads, keyDim, valueDim, taps;
  double eps;

  static GatedDeltaNet read(Config &config, const Decoder &decoder);
  int64_t ratio() const { return valueHeads / keyHeads; }
  Value write(BodyWriter &body, Value x, const Norm &norm) const;
};

} // namespace

GatedDeltaNet GatedDeltaNet::read(Config &config, const Decoder &decoder) {
  GatedDeltaNet net;
  net.hidden = decoder.hidden;
  net.keyHeads = config.positive("linear_num_key_heads", 16);
  net.valueHeads = config.positive("linear_num_value_heads", 32);
  net.keyDim = config.positive("linear_key_head_dim", 128);
  net.valueDim = config.positive("linear_value_head_dim", 128);
  net.taps = config.positive("linear_conv_kernel_dim", 4);
  net.eps = decoder.norm.eps;
  config.expect(net.valueHeads % net.keyHeads == 0,
                llvm::formatv("linear_num_value_heads to be a multiple of linear_num_key_heads {0}, but got {1}",
                              net.keyHeads, net.valueHeads));
  return net;
}

Value GatedDeltaNet::write(BodyWriter &body, Value x, const Norm &norm) const {
  int64_t keys = keyHeads * keyDim, values = valueHeads * valueDim, channels = 2 * keys + values;
  Value wNorm = body.param("norm", "input_layernorm.weight", hidden);
  Value wQkvz = body.param("w_qkvz", "linear_attn.in_proj_qkvz.weight", {channels + values, hidden});
  Value wBa = body.param("w_ba", "linear_attn.in_proj_ba.weight", {2 * valueHeads, hidden});
  Value wConv = body.param("w_conv", "linear_attn.conv1d.weight", {channels, 1, taps});
  Value aLog = body.param("a_log", "linear_attn.A_log", valueHeads);
  Value dtBias = body.param("dt_bias", "linear_attn.dt_bias", valueHeads);
  Value wONorm = body.param("w_onorm", "linear_attn.norm.weight", valueDim);
  Value wOut = body.param("w_out", "linear_attn.out_proj.weight", {hidden, values});

  int64_t width = ratio() * valueDim;
  body.paragraph(llvm::formatv("one group per key head: query {0}, key {0}, value {1}x{2}, output gate {1}x{2}; write "
                               "strength {1}, decay {1}",
                               keyDim, ratio(), valueDim)
                     .str());
  Value h = norm.write(body, "h", x, wNorm);
  Value groups = body.heads("groups", body.linear("qkvz", h, wQkvz), keyHeads);
  auto [gq, gk, gv, gz] = body.split<4>({"gq", "gk", "gv", "gz"}, groups, {keyDim, keyDim, width, width});
  Value gates = body.heads("gba", body.linear("ba", h, wBa), keyHeads);
  auto [gb, ga] = body.split<2>({"gb", "ga"}, gates, {ratio(), ratio()});

  body.paragraph(llvm::formatv("every channel of q, k, v sees its last {0} tokens", taps).str());
  Value qkv = body.concat("qkv", {gq, gk, gv});
  Value active = body.silu("active", body.shortConv("mixed", qkv, wConv));
  auto [q0, k0, v] =
      body.split<3>({"q0", "k0", "v"}, active, {{keyHeads, keyDim}, {keyHeads, keyDim}, {valueHeads, valueDim}});
  Value q = body.l2Norm("q", q0);
  Value k = body.l2Norm("k", k0);

  body.paragraph("the state keeps exp(decay) of itself and is corrected by beta");
  Value beta = body.sigmoid("beta", body.flatten("b", gb));
  Value decay = body.logDecay("decay", body.flatten("a", ga), aLog, dtBias);
  Value o = body.deltaRule("o", q, k, v, beta, decay);

  // The norm of the output is an ordinary one, whatever the others are.
  body.paragraph();
  Value z = body.heads("z", gz, valueHeads);
  Value gate = body.silu("gate", z);
  Value og = body.mul("og", body.rmsNorm("on", o, wONorm, eps), gate);
  return body.add("x1", x, body.linear("mixer", og, wOut));
}

/// A linear mixer in this layer, or softmax attention.
static std::vector<bool> linearLayers(Config &config, int64_t layers) {
  std::vector<bool> linear(layers);
  int64_t interval = config.positive("full_attention_interval", 4);
  auto types = config.words("layer_types");
  config.expect(!types || int64_t(types->size()) == layers,
                llvm::formatv("layer_types of {0} layers, but got {1}", layers, types ? types->size() : 0));
  if (config.error())
    return linear;
  for (int64_t i = 0; i < layers; ++i) {
    linear[i] = types ? (*types)[i] == "linear_attention" : (i + 1) % interval != 0;
    config.expect(!types || linear[i] || (*types)[i] == "full_attention",
                  "layer_types of linear_attention and full_attention, but got \"" + (types ? (*types)[i] : "") + '"');
  }
  return linear;
}

/// A gated MLP in this layer, or experts.
static std::vector<bool> denseLayers(Config &config, int64_t layers, int64_t experts) {
  std::vector<bool> dense(layers);
  int64_t step = config.positive("decoder_sparse_step", 1);
  std::vector<int64_t> named = config.integers("mlp_only_layers");
  for (int64_t i = 0; i < layers; ++i)
    dense[i] = experts == 0 || (i + 1) % step != 0 || llvm::is_contained(named, i);
  return dense;
}

void frontends::writeQwen3Next(Config &config, const Checkpoint &checkpoint, Page &page) {
  Decoder decoder = Decoder::read(config, {/*hidden=*/2048, /*layers=*/48, /*vocabulary=*/151936});
  decoder.norm.zeroCentered = true;
  auto net = GatedDeltaNet::read(config, decoder);
  auto attention = Attention::read(config, decoder.hidden,
                                   {/*heads=*/16, /*keyHeads=*/2, /*headDim=*/256, /*partialRotation=*/0.25});
  attention.headNorms = attention.gated = true;
  GatedMlp mlp{decoder.hidden, config.positive("intermediate_size", 5632)};
  Experts experts{decoder.hidden,
                  config.natural("num_experts", 512),
                  config.positive("num_experts_per_tok", 10),
                  config.positive("moe_intermediate_size", 512),
                  config.positive("shared_expert_intermediate_size", 512),
                  config.flag("norm_topk_prob", true)};
  std::vector<bool> linear = linearLayers(config, decoder.layers);
  std::vector<bool> dense = denseLayers(config, decoder.layers, experts.count);
  config.expect(
      experts.count == 0 || experts.top <= experts.count,
      llvm::formatv("num_experts_per_tok to be at most num_experts {0}, but got {1}", experts.count, experts.top));
  if (config.error())
    return;

  // Blocks are named for their mixer; where both kinds of MLP occur, those with the dense one say so.
  std::string suffix = llvm::is_contained(dense, false) ? "_dense" : "";
  std::string mixers[2] = {
      attention.describe(),
      "A linear mixer: a state per head that forgets (decay) and corrects what it stored (delta rule)"};
  std::vector<Decoder::Kind> kinds;
  for (bool isDense : {false, true})
    for (bool isLinear : {false, true})
      kinds.push_back({std::string(isLinear ? "gated_delta_net" : "gated_attention") + (isDense ? suffix : ""),
                       mixers[isLinear] + "; " + (isDense ? mlp.describe() : experts.describe()) + ".",
                       [&, isDense, isLinear](BodyWriter &body) {
                         Value x = body.argument();
                         x = isLinear ? net.write(body, x, decoder.norm) : attention.write(body, x, decoder.norm);
                         x = isDense ? mlp.write(body, x, decoder.norm) : experts.write(body, x, decoder.norm);
                         body.yield(x);
                       }});
  std::vector<size_t> kindOf;
  for (int64_t i = 0; i < decoder.layers; ++i)
    kindOf.push_back(2 * dense[i] + linear[i]);
  decoder.write(page, checkpoint, kinds, kindOf);
}
