// What the compiler asks an op, whatever its dialect: does it mix tokens, what does it remember, what does it cost,
// and which linear recurrence is it.
#ifndef DIALECTS_INTERFACES_INTERFACES_H
#define DIALECTS_INTERFACES_INTERFACES_H

#include "formats/blocks/BlockFormat.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/OpDefinition.h"

namespace denim {

/// How the runtime keeps a cache.
enum class CacheKind {
  State, ///< a fixed-size value per sequence, overwritten at every step
  Tail,  ///< the last rows of an activation, oldest first
  Paged, ///< one row per token, in pages
};

/// Something an op must keep of one sequence between calls.
struct CacheNeed {
  llvm::StringRef name; ///< what it is called in a listing: "state", "keys", ...
  CacheKind kind;
  llvm::SmallVector<int64_t> shape; ///< of one sequence (state, tail) or of one token as [heads, columns] (paged)
  mlir::Type elementType;
};

/// Per token and layer.
struct Cost {
  double operations = 0; ///< floating-point operations
  double bytes = 0;      ///< bytes of cache read and written
};

/// A vector of the recurrence: `factor * product(scales[t, h]) * vector[t, h, :]`, times the decay of the token if
/// `decayed`.
struct Factor {
  mlir::Value vector;
  llvm::SmallVector<mlir::Value, 1> scales; ///< each [T, H], or [H] where it is the same for all tokens
  double factor = 1;
  bool decayed = false;
  explicit operator bool() const { return static_cast<bool>(vector); }
  /// The same vector and scales, whatever the constant and the decay.
  bool sameDirection(const Factor &other) const { return vector == other.vector && scales == other.scales; }
};

/// S_t = (Diag(exp(decay_t)) + P_t Q_t^T) S_{t-1} + K_t V_t^T,   o_t = S_t^T (readScale * q_t) + skip_t
/// for every value head h; key-side operands have `keyHeads` heads, head h uses key head h * keyHeads / valueHeads.
/// Values are operands of the op, or values that its region computes from operands of one token alone.
struct NormalForm {
  enum class Decay {
    None,     ///< 1
    Constant, ///< `constantDecay`: one number per head
    Scalar,   ///< [T, H], or [H]: one number per token and head
    Channel,  ///< [T, H, dk]: one number per channel
  };
  Decay decayKind = Decay::None;
  mlir::Value decay; ///< log decay, at most 0
  llvm::SmallVector<double, 0> constantDecay;
  Factor p, q; ///< the low-rank part of the transition, its strength all in p; absent for a diagonal transition
  Factor k;
  Factor skip; ///< what the output takes from its own token alone, [dv]; mostly absent
  mlir::Value value;
  mlir::Value query;
  double readScale = 1;
  bool readAfter = true;
  int64_t keyHeads = 1, valueHeads = 1, keyDim = 1, valueDim = 1;
  /// The term of the op that has no place above; what stands above is not the whole op unless this is empty.
  std::string outside;

  /// The delta family: P = -K and Q reads the decayed state along K's vector. Then all sums over earlier tokens share
  /// one factor, and the chunked form is that of spec/attention.md section 3.3.
  bool isDelta() const {
    return p && p.factor == -k.factor && p.sameDirection(k) && q.vector == k.vector &&
           (q.decayed || decayKind == Decay::None);
  }
};

} // namespace denim

#include "dialects/interfaces/Interfaces.h.inc"
#include "dialects/interfaces/TypeInterfaces.h.inc"

namespace denim {
/// The format of elements that are kept in blocks; nothing for others.
std::optional<formats::BlockFormat> blockFormatOf(mlir::Type element);
} // namespace denim

#endif // DIALECTS_INTERFACES_INTERFACES_H
