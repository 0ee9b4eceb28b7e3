//===- Rotary.h - rotary positions and their scalings -----------*- C++ -*-===//

#ifndef DENIM_DIALECTS_ATTN_REFERENCE_ROTARY_H
#define DENIM_DIALECTS_ATTN_REFERENCE_ROTARY_H

#include "dialects/attn/reference/Tensor.h"

#include <optional>

namespace denim::attn::reference {

/// Rotary positions: frequency m of d/2 turns a pair of channels by position * frequency[m]; cos and sin are multiplied
/// by `factor`. Spec: attention.md section 4.
struct RotaryTable {
  std::vector<double> frequency; ///< d/2 of them, d being the number of rotated channels
  double factor = 1;

  int64_t rotated() const { return 2 * static_cast<int64_t>(frequency.size()); }
};

/// theta^(-2m/d).
RotaryTable rotaryTable(int64_t rotated, double theta);

/// Section 4.3. Absent numbers are not given by the configuration.
struct Yarn {
  double factor = 1;
  double originalLength = 4096;
  double betaFast = 32, betaSlow = 1;
  std::optional<double> attentionFactor, mscale, mscaleAllDim;
  bool truncate = true;
};
RotaryTable yarnTable(int64_t rotated, double theta, const Yarn &yarn);

/// What the softmax scale of DeepSeek is multiplied by under YaRN: (0.1 mscaleAllDim ln factor + 1)^2, or 1.
double yarnScoreScale(const Yarn &yarn);

/// The scaling of Llama 3.1: wavelengths above originalLength / lowFactor are stretched by `factor`, those below
/// originalLength / highFactor are left alone, and between them frequencies are blended linearly in originalLength /
/// wavelength.
struct LlamaScaling {
  double factor = 8, lowFactor = 1, highFactor = 4, originalLength = 8192;
};
RotaryTable llamaTable(int64_t rotated, double theta, const LlamaScaling &scaling);

/// Which channels make a pair. Half: m and m + d/2 (Llama, Qwen). Interleaved: 2m and 2m + 1 (the latent attention of
/// DeepSeek). Weights made for one are wrong for the other.
enum class RotaryLayout { Half, Interleaved };

/// Rotates the first d channels of x `[T,H,D]` in place of the row, D >= d; the rest passes unchanged. A pair (a, b)
/// becomes (a cos - b sin, b cos + a sin). `positions` has T entries.
Tensor rotate(const Tensor &x, const std::vector<int64_t> &positions, const RotaryTable &table, RotaryLayout layout);

} // namespace denim::attn::reference

#endif // DENIM_DIALECTS_ATTN_REFERENCE_ROTARY_H
