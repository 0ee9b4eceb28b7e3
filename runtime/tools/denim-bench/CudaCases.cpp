//===- CudaCases.cpp - operators at the sizes of GPU libraries ------------===//
//
// Rows of `--device cuda`: the shapes at which libraries for GPUs publish their figures. bf16, heads of 128 channels, B
// sequences of equal length in one step.
//
// Modules do not know lengths, so all rows of an operator share one.
//
//===----------------------------------------------------------------------===//

#include "formats/blocks/BlockFormat.h"
#include "runtime/tools/denim-bench/Cases.h"
#include <algorithm>
#include <cmath>

namespace denim::bench {

namespace {

constexpr int64_t kDim = 128;
/// Layers of a row that is about one of them inside a step.
constexpr int64_t kRing = 8;
/// Channels of the residual stream: few, for the products around the mixer are not timed.
constexpr int64_t kStream = 16;

/// `%name_flat` = what a product leaves in memory: |channels| of bf16.
std::string projection(const std::string &name, int64_t channels) {
  return text("  %w_", name, " = param \"", name, ".weight\" : tensor<", channels, "x", kStream, "xbf16>\n  %", name,
              "_flat = linear %x, %w_", name, "\n");
}
std::string headed(const std::string &name, int64_t heads, int64_t dim = kDim) {
  return projection(name, heads * dim) + text("  %", name, " = heads %", name, "_flat, ", heads, "\n");
}

/// |layers| layers whose |body| makes `%o` of |outputs| channels from `%x`; a product reads all of it.
std::string model(const std::string &body, int64_t outputs, int64_t layers = 1) {
  std::string tail = text("  %w_out = param \"out.weight\" : tensor<", kStream, "x", outputs, R"(xbf16>
  %all = flatten %o
  %back = linear %all, %w_out
  %y = add %x, %back
  yield %y
}
)");
  return network(kStream, text(layers, " x @mix"),
                 text("model.block @mix(%x: tensor<?x", kStream, "xf32>) {\n", body, tail), "bf16");
}

/// An operator: its page, and what a token costs in operations and bytes.
struct Operator {
  std::string name;    ///< "GDN prefill 16/32"
  std::string body;    ///< of a layer
  int64_t outputs = 0; ///< channels of `%o`
  std::string kernels; ///< see Case
  double tokenFlops = 0, tokenBytes = 0;
  double sequenceBytes = 0; ///< of a decode step: the state, read and written
};

constexpr double kElements = double(kDim) * kDim; ///< of a state
constexpr double kChannelBytes = 2 * kDim;        ///< of one head

Case makeCase(const Operator &op, int64_t sequences, int64_t tokens, int64_t layers = 1) {
  Case result;
  result.name = tokens == 1 ? text(op.name, " B=", sequences) : text(op.name, " B=", sequences, " T=", tokens);
  if (layers > 1)
    result.name += text(" ring=", layers);
  result.model = model(op.body, op.outputs, layers);
  result.applications = layers;
  result.kernels = op.kernels;
  result.whole = true;
  result.tokens = tokens;
  result.sequences = sequences;
  double all = static_cast<double>(tokens * sequences);
  result.flops = op.tokenFlops * all;
  result.bytes = op.tokenBytes * all + (tokens == 1 ? op.sequenceBytes * static_cast<double>(sequences) : 0);
  result.traffic = tokens == 1 ? Traffic::Update : Traffic::Read;
  return result;
}

//===----------------------------------------------------------------------===//
// Linear mixers
//===----------------------------------------------------------------------===//

enum class Gate { None, Head, Softplus, Bounded };

/// The delta rule with l2 norms of q and k, sigmoid, and the gate from what its projection leaves.
Operator deltaRule(const std::string &name, int64_t keyHeads, int64_t valueHeads, Gate gate) {
  std::string body = headed("q_raw", keyHeads) + headed("k_raw", keyHeads) + headed("v", valueHeads) +
                     projection("b", valueHeads) +
                     "  %q = l2_norm %q_raw\n  %k = l2_norm %k_raw\n  %beta = sigmoid %b_flat\n";
  bool channels = gate == Gate::Softplus || gate == Gate::Bounded;
  int64_t gates = gate == Gate::None ? 0 : channels ? valueHeads * kDim : valueHeads;
  if (gates) {
    body += channels ? headed("a", valueHeads) : projection("a", valueHeads);
    body += text("  %rate = param \"A_log\" : tensor<", valueHeads, "xbf16>\n  %bias = param \"dt_bias\" : tensor<",
                 gates, "xbf16>\n  %decay = attn.log_decay ", channels ? "%a" : "%a_flat", " rate %rate bias %bias",
                 gate == Gate::Bounded ? " at_least -5" : "", "\n");
  }
  body += text("  %o = attn.delta_rule %q, %k, %v beta %beta", gates ? " decay %decay" : "", "\n");
  Operator op{name, body, valueHeads * kDim, "recurrence"};
  // S^T k, the rank-1 update and S^T q; libraries do not count the decay.
  op.tokenFlops = 6 * kElements * static_cast<double>(valueHeads);
  // Gates of heads are f32, of channels bf16; a rate per head is f32 as well.
  op.tokenBytes = kChannelBytes * static_cast<double>(2 * keyHeads + 2 * valueHeads) +
                  4.0 * static_cast<double>(valueHeads) + (channels ? 2.0 : 4.0) * static_cast<double>(gates);
  op.sequenceBytes = 8 * kElements * static_cast<double>(valueHeads);
  return op;
}

/// Write, fade, read: with a gate that its projection leaves (Mamba-2, as simple GLA), or rates of the text
/// (lightning).
Operator fading(const std::string &name, int64_t heads, bool gated) {
  std::ostringstream body;
  body << headed("q", heads) << headed("k", heads) << headed("v", heads);
  if (gated)
    body << projection("a", heads) << "  %positive = softplus %a_flat\n  %g = scale %positive, -1\n";
  body << "  %o = attn.recurrence (%s : 128x128, %q = %q, %k = %k, %v = %v" << (gated ? ", %g = %g" : "") << ") {\n";
  if (gated) {
    body << "    %d = decay %s, %g\n";
  } else {
    body << "    %d = decay %s, [";
    for (int64_t h = 0; h < heads; ++h)
      body << (h ? ", " : "") << "-" << 1.0 / static_cast<double>(h + 2);
    body << "]\n";
  }
  body << "    %n = write %d, %k, %v\n    %y = read %n, %q\n    %z = scale %y, 0.08838834764831845\n"
          "    yield %n, %z\n  }\n";
  Operator op{name, body.str(), heads * kDim, "recurrence"};
  op.tokenFlops = 4 * kElements * static_cast<double>(heads);
  op.tokenBytes = kChannelBytes * static_cast<double>(4 * heads) + (gated ? 4.0 * static_cast<double>(heads) : 0);
  op.sequenceBytes = 8 * kElements * static_cast<double>(heads);
  return op;
}

//===----------------------------------------------------------------------===//
// Launches
//===----------------------------------------------------------------------===//

Case emptyKernel(int64_t blocks, int64_t launches) {
  Case result;
  result.name = text("empty kernel blocks=", blocks);
  if (launches > 1)
    result.name += text(" ring=", launches);
  result.bareBlocks = blocks;
  result.applications = launches;
  return result;
}

/// The state of a recurrence with |heads| heads, read and written by as many blocks as its kernel has at B=1.
Case stateAlone(int64_t heads, int64_t launches) {
  constexpr int64_t kBlocksOfHead = 4;
  Case result = emptyKernel(heads * kBlocksOfHead, launches);
  result.name = text("state alone heads=", heads);
  if (launches > 1)
    result.name += text(" ring=", launches);
  result.bytes = 8 * kElements * static_cast<double>(heads);
  result.traffic = Traffic::Update;
  return result;
}

//===----------------------------------------------------------------------===//
// Softmax attention
//===----------------------------------------------------------------------===//

constexpr int64_t kHeads = 32;

std::string softmax(int64_t keyHeads, const std::string &visible, int64_t heads = kHeads, int64_t dim = kDim) {
  return model(text(headed("q", heads, dim), headed("k", keyHeads, dim), headed("v", keyHeads, dim),
                    "  %o = attn.softmax %q, %k, %v", visible, "\n"),
               heads * dim);
}

/// Keys and values of |keyHeads| heads for one token, or q and o.
double pairBytes(int64_t heads) {
  return 2 * kChannelBytes * static_cast<double>(heads);
}

Case softmaxPrefill(int64_t keyHeads, int64_t window, int64_t tokens) {
  Case result;
  std::string kind = window ? text("window ", window, " prefill ") : "softmax prefill ";
  result.name = text(kind, kHeads, "/", keyHeads, " B=1 T=", tokens);
  result.model = softmax(keyHeads, window ? text(" window ", window) : "");
  result.kernels = "softmax";
  result.whole = true;
  result.tokens = tokens;
  auto n = static_cast<double>(tokens), w = static_cast<double>(window && window < tokens ? window : tokens);
  double pairs = w * (w + 1) / 2 + (n - w) * w;
  result.flops = 4.0 * kDim * kHeads * pairs;
  result.bytes = n * (pairBytes(keyHeads) + pairBytes(kHeads));
  return result;
}

Case softmaxDecode(int64_t keyHeads, int64_t keys, int64_t sequences) {
  Case result;
  result.name = text("GQA decode ", kHeads, "/", keyHeads, " KV=", keys, " B=", sequences);
  result.model = softmax(keyHeads, "");
  result.kernels = "softmax";
  result.whole = true;
  result.past = keys - 1;
  result.sequences = sequences;
  auto b = static_cast<double>(sequences), n = static_cast<double>(keys);
  result.flops = 4.0 * kDim * kHeads * n * b;
  result.bytes = b * n * pairBytes(keyHeads);
  return result;
}

/// Blocks of 64 tokens, of which each token sees its own, the 15 before it, and the first of the sequence.
constexpr int64_t kBlock = 64, kLocalBlocks = 16;

double sparseKeys(int64_t position) {
  int64_t first = std::max<int64_t>(position / kBlock - kLocalBlocks + 1, 0) * kBlock;
  return static_cast<double>(position - first + 1 + std::min(first, kBlock));
}

std::string sparseSoftmax(int64_t keyHeads) {
  return softmax(keyHeads, text(" blocks ", kBlock, " local ", kLocalBlocks, " global ", kBlock));
}

Case sparsePrefill(int64_t keyHeads, int64_t tokens) {
  Case result = softmaxPrefill(keyHeads, 0, tokens);
  result.name = text("block-sparse prefill ", kHeads, "/", keyHeads, " B=1 T=", tokens);
  result.model = sparseSoftmax(keyHeads);
  double pairs = 0;
  for (int64_t i = 0; i < tokens; ++i)
    pairs += sparseKeys(i);
  result.flops = 4.0 * kDim * kHeads * pairs;
  return result;
}

Case sparseDecode(int64_t keyHeads, int64_t keys, int64_t sequences) {
  Case result = softmaxDecode(keyHeads, keys, sequences);
  result.name = text("block-sparse decode ", kHeads, "/", keyHeads, " KV=", keys, " B=", sequences);
  result.model = sparseSoftmax(keyHeads);
  double visible = sparseKeys(keys - 1) * static_cast<double>(sequences);
  result.flops = 4.0 * kDim * kHeads * visible;
  result.bytes = visible * pairBytes(keyHeads);
  return result;
}

/// The same with heads of another width.
Case wideSoftmaxPrefill(int64_t heads, int64_t keyHeads, int64_t dim, int64_t tokens) {
  Case result = softmaxPrefill(keyHeads, 0, tokens);
  result.name = text("softmax prefill ", heads, "/", keyHeads, " d=", dim, " B=1 T=", tokens);
  result.model = softmax(keyHeads, "", heads, dim);
  double share = static_cast<double>(heads * dim) / (kHeads * kDim);
  result.flops *= share;
  result.bytes = static_cast<double>(tokens) * 4.0 * static_cast<double>(dim * (heads + keyHeads));
  return result;
}

//===----------------------------------------------------------------------===//
// Latent attention
//===----------------------------------------------------------------------===//

constexpr int64_t kRank = 512, kRope = 64; ///< of a token's latent, and of the rotated key beside it

std::string latent(int64_t heads) {
  return model(text(projection("qf", heads * (kDim + kRope)), "  %qh = heads %qf_flat, ", heads,
                    "\n  %qn, %qr = split %qh into ", kDim, ", ", kRope, "\n", projection("kv", kRank + kRope),
                    "  %c, %kr = split %kv_flat into ", kRank, ", 1x", kRope,
                    "\n  %kv_b = param \"kv_b.weight\" : tensor<", heads * 2 * kDim, "x", kRank,
                    "xbf16>\n  %o = attn.latent_softmax %qn, %c, %kv_b rope %qr, %kr\n"),
               heads * kDim);
}

/// Attention of absorbed queries over latents, without the products in front of it and behind it.
Case latentDecode(int64_t heads, int64_t keys, int64_t sequences) {
  Case result;
  result.name = text("MLA decode ", heads, " KV=", keys, " B=", sequences);
  result.model = latent(heads);
  result.kernels = "softmax";
  result.past = keys - 1;
  result.sequences = sequences;
  auto b = static_cast<double>(sequences), n = static_cast<double>(keys);
  result.flops = 2.0 * static_cast<double>(heads * (2 * kRank + kRope)) * n * b;
  result.bytes = 2.0 * (kRank + kRope) * n * b;
  return result;
}

/// Heads with keys of 192 channels and values of 128, made of the latents: counted as attention over them alone.
Case latentPrefill(int64_t heads, int64_t tokens) {
  Case result;
  result.name = text("MLA prefill ", heads, " B=1 T=", tokens);
  result.model = latent(heads);
  result.kernels = "latent";
  result.whole = true;
  result.tokens = tokens;
  auto n = static_cast<double>(tokens);
  result.flops = 2.0 * static_cast<double>(heads * (2 * kDim + kRope)) * n * (n + 1) / 2;
  result.bytes = n * 2.0 * static_cast<double>(heads * (2 * kDim + kRope) + kRank + kRope);
  return result;
}

//===----------------------------------------------------------------------===//
// Mixture of experts
//===----------------------------------------------------------------------===//

/// Routing and experts of a layer shaped as in Qwen3-30B-A3B: 128 experts of 768 channels, eight for each token. Scores
/// are those of random weights, so experts get about as many tokens each.
Case experts(const std::string &what, int64_t sequences, int64_t tokens) {
  constexpr int64_t kExperts = 128, kTop = 8, kHidden = 2048, kInner = 768;
  Case result;
  result.name = text("MoE ", what, " ", kExperts, "/", kTop, " B=", sequences);
  if (tokens > 1)
    result.name += text(" T=", tokens);
  std::string up = text("tensor<", kExperts, "x", kInner, "x", kHidden, "xbf16>\n");
  result.model = model(text(projection("h", kHidden), "  %router = param \"router\" : tensor<", kExperts, "x", kHidden,
                            "xbf16>\n  %gate = param \"e.{e}.gate\" : ", up, "  %up = param \"e.{e}.up\" : ", up,
                            "  %down = param \"e.{e}.down\" : tensor<", kExperts, "x", kHidden, "x", kInner,
                            "xbf16>\n  %scores = linear %h_flat, %router\n  %weights, %chosen = route %scores top ",
                            kTop, " renormalized\n  %sum = experts %h_flat, %weights, %chosen gate %gate up %up down ",
                            "%down\n  %o = heads %sum, 16\n"),
                       kHidden);
  result.kernels = "experts";
  result.whole = true;
  result.tokens = tokens;
  result.sequences = sequences;
  auto rows = static_cast<double>(tokens * sequences), all = static_cast<double>(kExperts);
  double elements = 3.0 * kHidden * kInner, share = static_cast<double>(kTop) / all;
  result.flops = 2 * elements * kTop * rows;
  // The weights of all experts that some row has chosen, if rows choose independently.
  result.bytes = 2 * elements * all * (1 - std::pow(1 - share, rows)) + 4.0 * kHidden * rows;
  return result;
}

//===----------------------------------------------------------------------===//
// Products with weights
//===----------------------------------------------------------------------===//

/// Rows of bf16 that a norm has left, times a weight; the result is the residual stream, f32. What makes bf16 of a
/// weight in front of the product is counted, and so is the norm for one row, which is part of the kernel then.
Case product(const std::string &type, int64_t rows) {
  constexpr int64_t kWidth = 4096;
  std::optional<formats::BlockFormat> format = formats::blockFormatOf(type);
  Case result;
  result.name = text("mul_mat ", type, " M=", rows, " K=", kWidth, " N=", kWidth);
  std::string block = text("model.block @product(%x: tensor<?x", kWidth, R"(xf32>) {
  %norm = param "norm.weight" : tensor<)",
                           kWidth, R"(xf32>
  %w = param "weight" : tensor<)",
                           kWidth, "x", kWidth, "x", format ? "!model." : "", type, R"(>
  %h = rms_norm %x, %norm
  %y = linear %h, %w
  yield %y
}
)");
  result.model = network(kWidth, "1 x @product", block, "bf16");
  result.kernels = "linear,dequantize,one_row";
  result.tokens = rows;
  constexpr auto kElements = static_cast<double>(kWidth * kWidth);
  double element = format ? static_cast<double>(formats::rowBytes(*format, kWidth)) / kWidth : 2;
  result.flops = 2 * kElements * static_cast<double>(rows);
  result.bytes = element * kElements + (2.0 + 4.0) * kWidth * static_cast<double>(rows);
  return result;
}

} // namespace

std::vector<Case> cudaCases() {
  std::vector<Case> cases;
  auto prefill = [&](const Operator &op, std::initializer_list<int64_t> tokens, int64_t sequences = 1) {
    for (int64_t t : tokens)
      cases.push_back(makeCase(op, sequences, t));
  };
  auto lengths = {int64_t(2048), int64_t(8192), int64_t(32768), int64_t(131072)};
  Operator gdn = deltaRule("GDN prefill 16/32", 16, 32, Gate::Head);
  prefill(gdn, lengths);
  prefill(gdn, {8192}, 4);
  prefill(deltaRule("GDN prefill 32/32", 32, 32, Gate::Head), lengths);
  prefill(deltaRule("GDN prefill 64/64", 64, 64, Gate::Head), {8192});
  Operator kda = deltaRule("KDA prefill 32 softplus", 32, 32, Gate::Softplus);
  prefill(kda, lengths);
  Operator bounded = deltaRule("KDA prefill 32 at_least=-5", 32, 32, Gate::Bounded);
  prefill(bounded, lengths);
  prefill(bounded, {8192}, 4);
  prefill(deltaRule("delta rule prefill 32/32", 32, 32, Gate::None), lengths);
  Operator scan = fading("SSD prefill 32/32", 32, true);
  prefill(scan, lengths);
  prefill(scan, {8192}, 4);
  prefill(fading("SSD prefill 8/8", 8, true), {8192}); // what one of four GPUs has
  prefill(fading("lightning prefill 32/32", 32, false), lengths);
  for (int64_t keyHeads : {8, 32})
    for (int64_t t : lengths)
      cases.push_back(softmaxPrefill(keyHeads, 0, t));
  for (int64_t keyHeads : {8, 32})
    for (int64_t t : {8192, 32768, 131072})
      cases.push_back(softmaxPrefill(keyHeads, 4096, t));
  cases.push_back(wideSoftmaxPrefill(16, 2, 256, 8192));
  cases.push_back(wideSoftmaxPrefill(32, 8, 64, 8192));
  for (int64_t t : {8192, 32768, 131072})
    cases.push_back(sparsePrefill(8, t));
  for (int64_t sequences : {1, 128})
    cases.push_back(sparseDecode(8, 32768, sequences));
  for (int64_t t : {2048, 8192})
    cases.push_back(latentPrefill(32, t));
  gdn.name = "GDN decode 16/32";
  kda.name = "KDA decode 32 softplus";
  scan.name = "SSD decode 32/32";
  for (const Operator &op : {gdn, kda, scan}) {
    for (int64_t sequences : {1, 32, 128})
      cases.push_back(makeCase(op, sequences, 1));
    cases.push_back(makeCase(op, 1, 1, kRing));
  }
  // As many as a recurrence of 32 heads has at B=1.
  cases.push_back(emptyKernel(128, 1));
  cases.push_back(emptyKernel(128, kRing));
  cases.push_back(stateAlone(32, 1));
  cases.push_back(stateAlone(32, kRing));
  for (int64_t keys : {8192, 32768, 131072})
    for (int64_t sequences : {1, 32, 128})
      cases.push_back(softmaxDecode(8, keys, sequences));
  for (int64_t keys : {8192, 32768})
    for (int64_t sequences : {1, 32, 128})
      cases.push_back(latentDecode(128, keys, sequences));
  for (int64_t t : {512, 2048, 8192})
    cases.push_back(experts("prefill", 1, t));
  for (int64_t sequences : {1, 8, 32, 128})
    cases.push_back(experts("decode", sequences, 1));
  for (int64_t rows : {1, 16, 32, 128, 512, 2048, 8192})
    for (const char *type : {"bf16", "q8_0", "q4_0"})
      cases.push_back(product(type, rows));
  return cases;
}

} // namespace denim::bench
