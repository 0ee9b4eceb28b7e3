#include "frontends/hf/architectures/Decoder.h"
#include "frontends/builder/FoldSchedule.h"
#include "llvm/Support/FormatVariadic.h"

using namespace denim;
using namespace denim::frontends;
using llvm::ArrayRef;
using llvm::StringRef;

/// More would take long to fold, and no model comes near.
static constexpr int64_t kMostLayers = 1024;

Decoder Decoder::read(Config &config, const Defaults &defaults) {
  Decoder decoder;
  decoder.modelType = config.word("model_type", "");
  decoder.hidden = config.positive("hidden_size", defaults.hidden);
  decoder.layers = config.positive("num_hidden_layers", defaults.layers);
  decoder.vocabulary = config.positive("vocab_size", defaults.vocabulary);
  decoder.norm.eps = config.positiveNumber("rms_norm_eps", 1e-6);
  decoder.tied = config.flag("tie_word_embeddings", false);
  decoder.eos = config.integers("eos_token_id");
  std::string act = config.word("hidden_act", "silu");
  config.expect(act == "silu", "hidden_act silu, but got \"" + act + '"');
  config.expect(decoder.layers <= kMostLayers,
                llvm::formatv("num_hidden_layers to be at most {0}, but got {1}", kMostLayers, decoder.layers));
  for (int64_t token : decoder.eos)
    config.expect(token >= 0 && token < decoder.vocabulary,
                  llvm::formatv("eos_token_id in a vocabulary of {0}, but got {1}", decoder.vocabulary, token));
  return decoder;
}

void Decoder::write(Page &page, const Checkpoint &checkpoint, ArrayRef<Kind> kinds, ArrayRef<size_t> kindOf) const {
  auto elementTypes = [&](const std::string &prefix) -> BodyWriter::ElementTypes {
    return [&page, &checkpoint, prefix](StringRef tensor, ArrayRef<int64_t> shape) {
      return checkpoint.elementType(page.context(), prefix + tensor.str(), shape);
    };
  };
  page.setTitle(
      llvm::formatv("{0}: {1} layers, hidden {2}, vocabulary {3}", modelType, layers, hidden, vocabulary).str());

  BodyWriter body = BodyWriter::network(page, modelType, eos, elementTypes(""));
  Value table = body.param("table", "model.embed_tokens.weight", {vocabulary, hidden});
  Value weight = body.param("norm", "model.norm.weight", hidden);
  Value head = tied ? table : body.param("head", "lm_head.weight", {vocabulary, hidden});
  std::vector<std::string> blocks;
  for (size_t kind : kindOf)
    blocks.push_back(kinds[kind].block);
  body.paragraph();
  Value x = body.embed("x", body.argument(), table);
  Value y = body.layers("y", x, "model.layers.{i}", foldSchedule(page.context(), blocks));
  Value h = norm.write(body, "h", y, weight);
  body.output(body.linear("logits", h, head));

  std::vector<bool> written(kinds.size());
  for (auto [layer, kind] : llvm::enumerate(kindOf)) {
    if (written[kind])
      continue;
    written[kind] = true;
    // Types of parameters are those of the first layer of a kind; `Checkpoint::check` holds the others to it.
    BodyWriter block = BodyWriter::block(page, kinds[kind].block, hidden, kinds[kind].comment,
                                         elementTypes(llvm::formatv("model.layers.{0}.", layer)));
    kinds[kind].write(block);
  }
}
