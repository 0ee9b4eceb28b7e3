//===- Router.h - which experts, with what weight ---------------*- C++ -*-===//

#ifndef DENIM_DIALECTS_MODEL_REFERENCE_ROUTER_H
#define DENIM_DIALECTS_MODEL_REFERENCE_ROUTER_H

#include "dialects/attn/reference/Tensor.h"

namespace denim::model::reference {

using attn::reference::Tensor;

/// Chooses `count` of E experts per token from logits `[T,E]`. Two candidates of equal score: the lower index wins.
///
/// | kind          | scores           | chosen by       | weights                     | models | | ------------- |
/// ---------------- | --------------- | --------------------------- | ------------------------------- | | Softmax | p =
/// softmax(l)   | p               | p, or p / sum of the chosen | MiniMax, Qwen3-Next, DeepSeek-V2 | | Sigmoid       |
/// s = sigmoid(l)   | s + bias        | s, or s / sum of the chosen | MiniMax-M2, DeepSeek-V3, Kimi    | |
/// SoftmaxOfTopK | l                | l               | softmax over the chosen l   | gpt-oss                         |
///
/// With groups, contiguous parts of the experts, only the `keptGroups` best take part. The score of a group is the
/// largest p of it (Softmax) or the sum of its two largest s + bias (Sigmoid).
struct Router {
  enum class Kind { Softmax, Sigmoid, SoftmaxOfTopK };

  Kind kind = Kind::Softmax;
  int64_t count = 1;
  bool renormalise = false;
  double scale = 1; ///< of the weights, after renormalisation
  int64_t groups = 1, keptGroups = 1;
  Tensor bias; ///< [E] or absent; takes part in the choice only
};

/// Experts and weights of each token, best score first; both have T rows of `count` entries.
struct Routing {
  std::vector<std::vector<int64_t>> experts;
  std::vector<std::vector<double>> weights;
};

Routing route(const Tensor &logits, const Router &router);

} // namespace denim::model::reference

#endif // DENIM_DIALECTS_MODEL_REFERENCE_ROUTER_H
