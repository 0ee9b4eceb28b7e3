// Llama: grouped softmax attention and a gated MLP in every layer.
#include "frontends/hf/architectures/Architecture.h"
#include "frontends/hf/architectures/Decoder.h"

using namespace denim;
using namespace denim::frontends;

void frontends::writeLlama(Config &config, const Checkpoint &checkpoint, Page &page) {
  Decoder decoder = Decoder::read(config, {/*hidden=*/4096, /*layers=*/32, /*vocabulary=*/32000});
  Attention attention = Attention::read(config, decoder.hidden, {/*heads=*/32, /*keyHeads=*/0, /*headDim=*/{}});
  GatedMlp mlp{decoder.hidden, config.positive("intermediate_size", 11008), config.flag("mlp_bias", false)};
  if (config.error())
    return;

  Decoder::Kind layer{"attention", attention.describe() + "; " + mlp.describe() + ".", [&](BodyWriter &body) {
                        Value x = attention.write(body, body.argument(), decoder.norm);
                        body.yield(mlp.write(body, x, decoder.norm));
                      }};
  decoder.write(page, checkpoint, layer, std::vector<size_t>(decoder.layers, 0));
}
