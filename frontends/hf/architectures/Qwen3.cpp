// Qwen3: as Llama, with queries and keys normed head by head, and a sliding window in some layers of some checkpoints.
#include "frontends/hf/architectures/Architecture.h"
#include "frontends/hf/architectures/Decoder.h"

using namespace denim;
using namespace denim::frontends;

/// Which layers see a window only: those that `layer_types` names, else those from `max_window_layers` on.
static std::vector<size_t> windowedLayers(Config &config, int64_t layers, bool windowed) {
  std::vector<size_t> kindOf(layers, 0);
  int64_t first = config.natural("max_window_layers", 28);
  auto types = config.words("layer_types");
  config.expect(!types || int64_t(types->size()) == layers, "layer_types of " + std::to_string(layers) +
                                                                " layers, but got " +
                                                                std::to_string(types ? types->size() : 0));
  if (config.error())
    return kindOf;
  for (int64_t i = 0; i < layers; ++i) {
    kindOf[i] = types ? (*types)[i] == "sliding_attention" : windowed && i >= first;
    config.expect(!types || kindOf[i] || (*types)[i] == "full_attention",
                  "layer_types of full_attention and sliding_attention, but got \"" + (types ? (*types)[i] : "") + '"');
    config.expect(!kindOf[i] || windowed,
                  "use_sliding_window and a sliding_window for sliding_attention in layer " + std::to_string(i));
  }
  return kindOf;
}

void frontends::writeQwen3(Config &config, const Checkpoint &checkpoint, Page &page) {
  Decoder decoder = Decoder::read(config, {/*hidden=*/4096, /*layers=*/32, /*vocabulary=*/151936});
  Attention attention = Attention::read(config, decoder.hidden, {/*heads=*/32, /*keyHeads=*/32, /*headDim=*/128});
  attention.headNorms = true;
  GatedMlp mlp{decoder.hidden, config.positive("intermediate_size", 22016)};
  Attention sliding = attention;
  if (int64_t window = config.natural("sliding_window", 4096); window && config.flag("use_sliding_window", false))
    sliding.window = window;
  auto kindOf = windowedLayers(config, decoder.layers, sliding.window.has_value());
  if (config.error())
    return;

  auto layer = [&](const std::string &block, const Attention &mixer) {
    return Decoder::Kind{block, mixer.describe() + "; " + mlp.describe() + ".", [&](BodyWriter &body) {
                           Value x = mixer.write(body, body.argument(), decoder.norm);
                           body.yield(mlp.write(body, x, decoder.norm));
                         }};
  };
  decoder.write(page, checkpoint, {layer("attention", attention), layer("sliding_attention", sliding)}, kindOf);
}
