// In which element type memory keeps an activation.
//
// Kernels compute in f32. On a CPU memory keeps what they compute. On a CUDA device it keeps bf16, half of the traffic
// and what matrix units take without a conversion, except where rounding would cost more than it saves:
//
//   * the residual stream: every layer adds to it, so each rounding is an error of the size of the whole stream, not of
//     what the layer adds. A sum reads and writes it in the epilogue of a product and a norm reads it, so its share of
//     the traffic is small. (`stream = bf16` keeps it as the reference implementations do.)
//   * what only decays, strengths and the weights of experts depend on: log decays are summed over a chunk and go
//     through an exponential, scores are compared; and they are few.
//   * logits, and the running sums of split attention.
//
// Pages and the rows a convolution remembers are what activations are; states stay f32.
#ifndef COMPILER_CONVERSION_MODELTOPLAN_KEPTTYPES_H
#define COMPILER_CONVERSION_MODELTOPLAN_KEPTTYPES_H

#include "dialects/attn/ir/Attn.h"
#include "dialects/plan/ir/Plan.h"

namespace denim {

class KeptTypes {
public:
  /// What the machine would keep; f32 for all is what a model is written in.
  struct Options {
    bool narrow = false;       ///< bf16 where it may be
    bool narrowStream = false; ///< the residual stream too
  };

  /// For a body between `input` and `output`; `logits` may be null.
  KeptTypes(Options options, mlir::Value input, mlir::Value output, mlir::Value logits)
      : options(options), input(input), output(output), logits(logits) {}

  /// The type of an activation, or of a cache, as memory keeps it.
  mlir::Type of(mlir::Value value);

private:
  bool isStream(mlir::Value value);
  /// Whether all that is computed from it are gates and choices.
  bool feedsGatesOnly(mlir::Value value);
  bool isKeptNarrow(mlir::Value value);

  Options options;
  mlir::Value input, output, logits;
};

} // namespace denim

#endif // COMPILER_CONVERSION_MODELTOPLAN_KEPTTYPES_H
