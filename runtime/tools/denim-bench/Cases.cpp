//===- Cases.cpp - operators and shapes to time ---------------------------===//

#include "runtime/tools/denim-bench/Cases.h"
#include "formats/blocks/BlockFormat.h"

namespace denim::bench {

std::string network(int64_t width, const std::string &schedule, const std::string &blocks, const std::string &weights) {
  std::string table = text("tensor<256x", width, "x", weights, ">");
  return text(R"(
model.network @bench(%ids: tensor<?xi32>) {
  %table = param "embed.weight" : )",
              table, R"(
  %head = param "head.weight" : )",
              table, R"(
  %x = embed %ids, %table
  %y = layers %x, "layers.{i}" = )",
              schedule, R"(
  %logits = linear %y, %head
  output %logits
}
)",
              blocks);
}

namespace {

/// Channels of the residual stream around a mixer.
constexpr int64_t kNarrow = 16;

/// A block around a mixer: |body| makes `%o`, of |outputs| channels, from `%h`, a normed row of kNarrow channels.
std::string mixerBlock(int64_t outputs, const std::string &body) {
  return text(R"(
model.block @mix(%x: tensor<?x)",
              kNarrow, R"(xf32>) {
  %w_in = param "norm_in.weight" : tensor<)",
              kNarrow, R"(xf32>
  %w_out = param "out.weight" : tensor<)",
              kNarrow, "x", outputs, R"(xf32>
  %h = rms_norm %x, %w_in zero_centered
)",
              body, R"(
  %mixed_back = linear %o, %w_out
  %y = add %x, %mixed_back
  yield %y
}
)");
}

/// `%name` = product of `%h` with weights of its own, of |channels| channels.
std::string projection(const std::string &name, int64_t channels) {
  return text("  %w_", name, " = param \"", name, ".weight\" : tensor<", channels, "x", kNarrow, "xf32>\n  %", name,
              " = linear %h, %w_", name, "\n");
}

std::string suffix(int64_t ring) {
  return ring > 1 ? text(" ring=", ring) : "";
}

//===----------------------------------------------------------------------===//
// Gated delta rule
//===----------------------------------------------------------------------===//

constexpr int64_t kHeadDim = 128, kTaps = 4;

double deltaRuleFlops(int64_t tokens, int64_t valueHeads) {
  // decay 1, S^T k 2, rank-1 update 2, S^T q 2, for each element of the state
  return 7.0 * kHeadDim * kHeadDim * static_cast<double>(tokens * valueHeads);
}
double stateBytes(int64_t valueHeads) {
  return 2.0 * 4 * kHeadDim * kHeadDim * static_cast<double>(valueHeads);
}

/// The bare operator: its inputs stand in memory, gates computed. A token keeps about exp(-0.7 decay) of a state.
Case deltaRule(int64_t tokens, int64_t keyHeads, int64_t valueHeads, int64_t ring, double decay = 0.1) {
  int64_t keys = keyHeads * kHeadDim, values = valueHeads * kHeadDim;
  std::string body = text(projection("q_flat", keys), projection("k_flat", keys), projection("v_flat", values),
                          projection("b", valueHeads), projection("a", valueHeads), R"(
  %q = heads %q_flat, )",
                          keyHeads, R"(
  %k = heads %k_flat, )",
                          keyHeads, R"(
  %v = heads %v_flat, )",
                          valueHeads, R"(
  %beta = sigmoid %b
  %positive = softplus %a
  %decay = scale %positive, -)",
                          decay, R"(
  %o = attn.delta_rule %q, %k, %v beta %beta decay %decay)");
  Case result;
  result.name = text("gdn T=", tokens, " Hk=", keyHeads, " Hv=", valueHeads, " d=128", ring > 1 ? " writeback" : "",
                     suffix(ring), decay > 1 ? " fast decay" : "");
  result.model = network(kNarrow, text(ring, " x @mix"), mixerBlock(values, body));
  result.kernels = "recurrence";
  result.tokens = tokens;
  result.applications = ring;
  result.flops = deltaRuleFlops(tokens, valueHeads);
  result.bytes = stateBytes(valueHeads) + 4.0 * static_cast<double>(tokens * (2 * keys + 2 * values + 2 * valueHeads));
  result.traffic = Traffic::Update;
  return result;
}

/// As Qwen3-Next uses it, all inside one kernel: short convolution, silu and l2 norm before it, both gates, gated norm
/// behind it. Counted as the bare operator, so the difference of the two rows is the price of what is around it.
Case fusedDeltaRule(int64_t tokens, int64_t keyHeads, int64_t valueHeads, int64_t ring) {
  int64_t keys = keyHeads * kHeadDim, values = valueHeads * kHeadDim, channels = 2 * keys + values;
  int64_t group = valueHeads / keyHeads, wide = group * kHeadDim;
  std::string body = text(projection("qkvz", channels + values), projection("ba", 2 * valueHeads), R"(
  %w_conv = param "conv.weight" : tensor<)",
                          channels, R"(x1x4xf32>
  %rate = param "A_log" : tensor<)",
                          valueHeads, R"(xf32>
  %bias = param "dt_bias" : tensor<)",
                          valueHeads, R"(xf32>
  %w_norm = param "norm.weight" : tensor<128xf32>
  %groups = heads %qkvz, )",
                          keyHeads, R"(
  %gq, %gk, %gv, %gz = split %groups into 128, 128, )",
                          wide, ", ", wide, R"(
  %gba = heads %ba, )",
                          keyHeads, R"(
  %gb, %ga = split %gba into )",
                          group, ", ", group, R"(
  %qkv = concat %gq, %gk, %gv
  %mixed = attn.short_conv %qkv, %w_conv
  %active = silu %mixed
  %q0, %k0, %v = split %active into )",
                          keyHeads, "x128, ", keyHeads, "x128, ", valueHeads, R"(x128
  %q = l2_norm %q0
  %k = l2_norm %k0
  %b = flatten %gb
  %beta = sigmoid %b
  %a = flatten %ga
  %decay = attn.log_decay %a rate %rate bias %bias
  %mixer = attn.delta_rule %q, %k, %v beta %beta decay %decay
  %z = heads %gz, )",
                          valueHeads, R"(
  %gate = silu %z
  %normed = rms_norm %mixer, %w_norm
  %o = mul %normed, %gate)");
  Case result;
  result.name = text("gdn fused T=", tokens, " Hk=", keyHeads, " Hv=", valueHeads, " d=128", suffix(ring));
  result.model = network(kNarrow, text(ring, " x @mix"), mixerBlock(values, body));
  result.kernels = "recurrence";
  result.tokens = tokens;
  result.applications = ring;
  result.flops = deltaRuleFlops(tokens, valueHeads);
  result.bytes = stateBytes(valueHeads) + 2.0 * 4 * (kTaps - 1) * static_cast<double>(channels) +
                 4.0 * static_cast<double>(tokens * (channels + 2 * values + 2 * valueHeads));
  result.traffic = Traffic::Update;
  return result;
}

//===----------------------------------------------------------------------===//
// Other linear mixers, as regions
//===----------------------------------------------------------------------===//

/// Heads of `%q`, `%k`, `%v`, and with `gates` a log decay `%g` for each head (1) or channel: minus a square, so that
/// it stands in memory but for a multiplication.
std::string linearInputs(int64_t keyHeads, int64_t keyDim, int64_t valueHeads, int64_t valueDim, int64_t gates) {
  std::string body = text(projection("q_flat", keyHeads * keyDim), projection("k_flat", keyHeads * keyDim),
                          projection("v_flat", valueHeads * valueDim), "  %q = heads %q_flat, ", keyHeads,
                          "\n  %k = heads %k_flat, ", keyHeads, "\n  %v = heads %v_flat, ", valueHeads, "\n");
  if (gates == 0)
    return body;
  body += text(projection("a", valueHeads * gates), "  %square = mul %a, %a\n  %g_flat = scale %square, -1\n");
  return body + (gates == 1 ? "  %g = scale %g_flat, 1\n" : text("  %g = heads %g_flat, ", valueHeads, "\n"));
}

Case linearMixer(const std::string &name, int64_t tokens, int64_t ring, const std::string &body, int64_t heads,
                 int64_t keyDim, int64_t valueDim, int64_t perElement, int64_t channels) {
  Case result;
  result.name = text(name, suffix(ring));
  result.model = network(kNarrow, text(ring, " x @mix"), mixerBlock(heads * valueDim, body));
  result.kernels = "recurrence";
  result.tokens = tokens;
  result.applications = ring;
  double elements = static_cast<double>(heads * keyDim * valueDim);
  result.flops = static_cast<double>(perElement * tokens) * elements;
  result.bytes = 8 * elements + 4.0 * static_cast<double>(tokens * channels);
  result.traffic = Traffic::Update;
  return result;
}

/// Kimi Delta Attention: a gate per channel.
Case kimiDelta(int64_t tokens, int64_t heads, int64_t ring) {
  int64_t width = heads * kHeadDim;
  std::string body = text(linearInputs(heads, kHeadDim, heads, kHeadDim, kHeadDim), projection("b", heads), R"(
  %beta = sigmoid %b
  %o = attn.recurrence (%s : 128x128, %q = %q, %k = %k, %v = %v, %b = %beta, %g = %g) {
    %d = decay %s, %g
    %p = read %d, %k
    %e = sub %v, %p
    %w = mul %b, %e
    %n = write %d, %k, %w
    %y = read %n, %q
    yield %n, %y
  })");
  return linearMixer(text("kda T=", tokens, " Hk=", heads, " Hv=", heads, " d=128", ring > 1 ? " writeback" : ""),
                     tokens, ring, body, heads, kHeadDim, kHeadDim, 7, 5 * width + heads);
}

/// Gated linear attention: a gate per channel. With `fast` a token keeps exp(-3.2) of a state, which no longer lets
/// several chunks be handled as one.
Case gatedLinear(int64_t tokens, int64_t heads, int64_t dim, bool fast = false) {
  std::string gate = fast ? "%f" : "%g";
  std::string faster = "  %positive = softplus %g\n  %f = scale %positive, -4.6\n";
  std::string body =
      text(linearInputs(heads, dim, heads, dim, dim), fast ? faster : "", "  %o = attn.recurrence (%s : ", dim, "x",
           dim, ", %q = %q, %k = %k, %v = %v, %g = ", gate, R"() {
    %d = decay %s, %g
    %n = write %d, %k, %v
    %y = read %n, %q
    yield %n, %y
  })");
  return linearMixer(text("gla T=", tokens, " H=", heads, " d=", dim, fast ? " fast decay" : ""), tokens, 1, body,
                     heads, dim, dim, 5, 5 * heads * dim);
}

/// Lightning attention: a constant decay for each head.
Case lightning(int64_t tokens, int64_t heads) {
  std::string rates;
  for (int64_t h = 0; h < heads; ++h)
    rates += text(h ? ", " : "", "-", 1.0 / static_cast<double>(h + 2));
  std::string body =
      text(linearInputs(heads, kHeadDim, heads, kHeadDim, 0),
           "  %o = attn.recurrence (%s : 128x128, %q = %q, %k = %k, %v = %v) {\n    %d = decay %s, [", rates, R"(]
    %n = write %d, %k, %v
    %y = read %n, %q
    yield %n, %y
  })");
  return linearMixer(text("lightning T=", tokens, " H=", heads, " d=128"), tokens, 1, body, heads, kHeadDim, kHeadDim,
                     5, 4 * heads * kHeadDim);
}

/// The scan of Mamba-2: keys and queries belong to a group of heads.
Case scan(int64_t tokens, int64_t heads, int64_t groups, int64_t ring) {
  constexpr int64_t kState = 128, kValue = 64;
  std::string body = text(linearInputs(groups, kState, heads, kValue, 1), projection("dt_raw", heads), R"(
  %dt = softplus %dt_raw
  %o = attn.recurrence (%s : 128x64, %q = %q, %k = %k, %v = %v, %g = %g, %dt = %dt) {
    %d = decay %s, %g
    %u = mul %dt, %v
    %n = write %d, %k, %u
    %y = read %n, %q
    yield %n, %y
  })");
  return linearMixer(text("ssm_scan T=", tokens, " H=", heads, " P=64 N=128 G=", groups), tokens, ring, body, heads,
                     kState, kValue, 5, 2 * heads * kValue + 2 * groups * kState + 2 * heads);
}

/// RWKV-7: a gate per channel; what is removed is read of the undecayed state along one vector and written along
/// another. All of them stand in memory, as with ggml's operator.
Case receptanceWeighted(int64_t tokens, int64_t heads) {
  constexpr int64_t kDim = 64;
  std::string body =
      text(linearInputs(heads, kDim, heads, kDim, kDim), projection("removal", heads * kDim),
           projection("rate", heads * kDim), "  %m = heads %removal, ", heads, "\n  %b = heads %rate, ", heads, R"(
  %o = attn.recurrence (%s : 64x64, %q = %q, %k = %k, %v = %v, %g = %g, %m = %m, %b = %b) {
    %z = read %s, %m
    %d = decay %s, %g
    %zn = scale %z, -1
    %c = write %d, %b, %zn
    %n = write %c, %k, %v
    %y = read %n, %q
    yield %n, %y
  })");
  return linearMixer(text("wkv7 T=", tokens, " H=", heads, " d=64"), tokens, 1, body, heads, kDim, kDim, 9,
                     7 * heads * kDim);
}

//===----------------------------------------------------------------------===//
// Short convolution
//===----------------------------------------------------------------------===//

/// As an op of its own: its input stands in memory. In a model it is part of the mixer behind it (`gdn fused`).
Case shortConvolution(int64_t tokens, int64_t channels) {
  std::string body = text(projection("mixed", channels), "  %w_conv = param \"conv.weight\" : tensor<", channels,
                          "x1x4xf32>\n  %o = attn.short_conv %mixed, %w_conv");
  Case result;
  result.name = text("ssm_conv T=", tokens, " C=", channels, " W=4");
  result.model = network(kNarrow, "1 x @mix", mixerBlock(channels, body));
  result.kernels = "rows";
  result.tokens = tokens;
  auto elements = static_cast<double>(tokens * channels);
  result.flops = 2.0 * kTaps * elements;
  result.bytes = 4.0 * (2 * elements + static_cast<double>((2 * (kTaps - 1) + kTaps) * channels));
  return result;
}

//===----------------------------------------------------------------------===//
// Softmax attention
//===----------------------------------------------------------------------===//

/// Over pages of `pages`: f32, f16 or bf16.
Case attention(const std::string &pages, int64_t tokens, int64_t total, int64_t ring) {
  constexpr int64_t kHeads = 16, kKeyHeads = 4;
  std::string body = text(projection("qkv", (kHeads + 2 * kKeyHeads) * kHeadDim), R"(
  %q, %k, %v = split %qkv into 16x128, 4x128, 4x128
  %o = attn.softmax %q, %k, %v)");
  int64_t past = total - tokens;
  double pairs = static_cast<double>(tokens) * static_cast<double>(past) +
                 0.5 * static_cast<double>(tokens) * static_cast<double>(tokens + 1);
  Case result;
  result.name = text("attn ", pages, " Tq=", tokens, " Tkv=", total, " Hq=16 Hkv=4 d=128", suffix(ring));
  result.model = network(kNarrow, text(ring, " x @mix"), mixerBlock(kHeads * kHeadDim, body));
  result.kernels = "softmax";
  result.tokens = tokens;
  result.past = past;
  result.applications = ring;
  result.flops = 4.0 * kHeadDim * kHeads * pairs;
  result.pages = pages;
  result.bytes = (pages == "f32" ? 4.0 : 2.0) * 2.0 * kKeyHeads * kHeadDim * static_cast<double>(total) +
                 4.0 * 2.0 * kHeads * kHeadDim * static_cast<double>(tokens);
  return result;
}

//===----------------------------------------------------------------------===//
// Products with weights
//===----------------------------------------------------------------------===//

/// K = N, so that layers follow each other; a norm behind every 16 of them keeps values in range.
Case product(const std::string &type, int64_t rows, int64_t ring) {
  constexpr int64_t kWidth = 2048, kBetweenNorms = 16;
  std::string blocks = text(R"(
model.block @product(%x: tensor<?x2048xf32>) {
  %w = param "weight" : tensor<2048x2048x)",
                            formats::blockFormatOf(type) ? "!model." : "", type, R"(>
  %y = linear %x, %w
  yield %y
}
model.block @norm(%x: tensor<?x2048xf32>) {
  %w = param "weight" : tensor<2048xf32>
  %y = rms_norm %x, %w zero_centered
  yield %y
}
)");
  std::string schedule = ring < kBetweenNorms
                             ? text(ring, " x @product")
                             : text(ring / kBetweenNorms, " x (", kBetweenNorms, " x @product, 1 x @norm)");
  std::optional<formats::BlockFormat> format = formats::blockFormatOf(type);
  double element = type == "f32" ? 4 : 2;
  if (format)
    element = static_cast<double>(formats::rowBytes(*format, kWidth)) / kWidth;
  Case result;
  result.name = text("mul_mat ", type, " M=", rows, " K=2048 N=2048", suffix(ring));
  result.model = network(kWidth, schedule, blocks);
  result.kernels = "linear";
  result.tokens = rows;
  result.applications = ring;
  result.flops = 2.0 * kWidth * kWidth * static_cast<double>(rows);
  result.bytes = element * kWidth * kWidth + 4.0 * 2 * kWidth * static_cast<double>(rows);
  return result;
}

} // namespace

std::vector<Case> allCases() {
  std::vector<Case> cases;
  // State of one head: 64 KiB. Rings of 24 as in the peers' figures; those of 512 come from memory also where the
  // last cache is large.
  for (int64_t tokens : {1, 64, 512, 2048, 8192})
    cases.push_back(deltaRule(tokens, 16, 16, 1));
  for (int64_t ring : {24, 512})
    cases.push_back(deltaRule(1, 16, 16, ring));
  for (int64_t tokens : {1, 64, 512, 2048, 8192})
    cases.push_back(deltaRule(tokens, 32, 32, 1));
  for (int64_t ring : {24, 256})
    cases.push_back(deltaRule(1, 32, 32, ring));
  cases.push_back(deltaRule(2048, 16, 32, 1));
  // Heads that forget within a few tokens, as trained models have them: what is left becomes denormal.
  cases.push_back(deltaRule(2048, 16, 16, 1, 4.5));
  cases.push_back(deltaRule(1, 16, 32, 24));
  for (int64_t tokens : {512, 2048})
    cases.push_back(fusedDeltaRule(tokens, 16, 16, 1));
  cases.push_back(fusedDeltaRule(2048, 16, 32, 1));
  for (int64_t ring : {24, 512})
    cases.push_back(fusedDeltaRule(1, 16, 16, ring));
  cases.push_back(kimiDelta(2048, 32, 1));
  cases.push_back(kimiDelta(1, 32, 24));
  cases.push_back(lightning(2048, 16));
  for (int64_t tokens : {1, 64, 512, 2048})
    cases.push_back(scan(tokens, 64, 1, 1));
  cases.push_back(scan(1, 64, 1, 24));
  cases.push_back(scan(2048, 128, 8, 1));
  for (int64_t tokens : {1, 512, 2048})
    cases.push_back(gatedLinear(tokens, 16, 128));
  cases.push_back(gatedLinear(2048, 32, 64));
  cases.push_back(gatedLinear(2048, 16, 128, /*fast=*/true));
  cases.push_back(receptanceWeighted(1, 32));
  cases.push_back(receptanceWeighted(512, 32));
  cases.push_back(receptanceWeighted(2048, 32));
  for (int64_t tokens : {1, 512, 2048})
    cases.push_back(shortConvolution(tokens, 8192));
  for (const char *pages : {"f32", "f16", "bf16"}) {
    for (int64_t tokens : {512, 2048, 8192})
      cases.push_back(attention(pages, tokens, tokens, 1));
    for (int64_t total : {2048, 8192, 32768})
      cases.push_back(attention(pages, 1, total, 1));
    cases.push_back(attention(pages, 1, 8192, 12));
  }
  for (const char *type : {"f32", "f16", "bf16"}) {
    bool wide = std::string(type) == "f32";
    cases.push_back(product(type, 512, 1));
    cases.push_back(product(type, 64, 1));
    cases.push_back(product(type, 1, 1));
    cases.push_back(product(type, 1, wide ? 16 : 32));
    cases.push_back(product(type, 1, wide ? 64 : 128));
  }
  for (const char *type : {"q8_0", "q4_0"}) {
    int64_t ring = std::string(type) == "q8_0" ? 48 : 96;
    for (int64_t rows : {512, 64, 1})
      cases.push_back(product(type, rows, 1));
    cases.push_back(product(type, 1, ring));
    cases.push_back(product(type, 1, 4 * ring));
  }
  return cases;
}

} // namespace denim::bench
