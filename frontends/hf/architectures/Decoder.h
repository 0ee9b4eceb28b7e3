// What decoder-only families share: the network around the layers, pre-norm blocks, softmax attention with grouped
// heads, gated MLPs and experts.
//
//     x <- x + mixer(norm(x));   x <- x + mlp(norm(x))
//
// Values have the same names in every family, so that two pages can be compared line by line: `%h` and `%h1` are the
// normed streams before mixer and MLP, `%mixer` and `%mlp` what is added to the stream.
#ifndef FRONTENDS_HF_ARCHITECTURES_DECODER_H
#define FRONTENDS_HF_ARCHITECTURES_DECODER_H

#include "frontends/builder/BodyWriter.h"
#include "frontends/hf/Checkpoint.h"
#include "frontends/hf/Config.h"

namespace denim::frontends {

using mlir::Value;

struct Norm {
  double eps;
  bool zeroCentered = false; ///< checkpoints hold weights around 0, the factor is 1 + weight
  Value write(BodyWriter &body, llvm::StringRef name, Value input, Value weight) const {
    return body.rmsNorm(name, input, weight, eps, zeroCentered);
  }
};

/// The fields that every family has, read with the family's defaults.
struct Decoder {
  std::string modelType;
  int64_t hidden, layers, vocabulary;
  Norm norm;
  bool tied;
  std::vector<int64_t> eos;

  struct Defaults {
    int64_t hidden, layers, vocabulary;
  };
  static Decoder read(Config &config, const Defaults &defaults);

  /// One kind of layer: what it is called, the comment above it, and its body from `%x` on.
  struct Kind {
    std::string block, comment;
    std::function<void(BodyWriter &)> write;
  };
  /// Writes the network, its schedule, and each kind in the order in which layers first use it. `kindOf` holds the
  /// index in `kinds` of every layer.
  void write(Page &page, const Checkpoint &checkpoint, llvm::ArrayRef<Kind> kinds, llvm::ArrayRef<size_t> kindOf) const;
};

/// Softmax attention with H query heads on Hk heads of keys and values.
struct Attention {
  int64_t hidden, heads, keyHeads, headDim;
  Rotation rotation;
  bool bias = false;
  bool headNorms = false; ///< queries and keys are normed, each head alone
  bool gated = false;     ///< the query projection also makes a gate for the output
  std::optional<int64_t> window;

  struct Defaults {
    int64_t heads, keyHeads;
    std::optional<int64_t> headDim; ///< hidden / heads when there is none
    double partialRotation = 1;
  };
  static Attention read(Config &config, int64_t hidden, const Defaults &defaults);

  /// "Softmax attention with ...", for the comment above a block.
  std::string describe() const;
  /// The mixer's half of a block; gives the stream behind it.
  Value write(BodyWriter &body, Value x, const Norm &norm) const;
};

/// down(silu(gate x) * up x)
struct GatedMlp {
  int64_t hidden, inner;
  bool bias = false;
  std::string describe() const { return "a gated MLP"; }
  /// The second half of a block; gives the stream behind it.
  Value write(BodyWriter &body, Value x, const Norm &norm) const;
};

/// The best experts for each token, and one that all tokens visit as far as its gate opens.
struct Experts {
  int64_t hidden, count, top, inner, sharedInner;
  bool renormalized;
  std::string describe() const { return std::to_string(top) + " of " + std::to_string(count) + " experts"; }
  Value write(BodyWriter &body, Value x, const Norm &norm) const;
};

} // namespace denim::frontends

#endif // FRONTENDS_HF_ARCHITECTURES_DECODER_H
