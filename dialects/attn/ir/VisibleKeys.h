// Which of the keys no later than itself a query of softmax attention sees (spec/attention.md 1.3, 1.8).
#ifndef DIALECTS_ATTN_IR_VISIBLEKEYS_H
#define DIALECTS_ATTN_IR_VISIBLEKEYS_H

#include <algorithm>
#include <cstdint>
#include <optional>

namespace denim::attn {

/// All of them, or those of a window or of some blocks next to the query, and then maybe those of the first tokens too.
struct VisibleKeys {
  std::optional<uint64_t> window;       ///< keys, that of the query included
  std::optional<uint64_t> blockSize;    ///< tokens of a block: 0, 1, ... of a sequence begin at multiples of it
  std::optional<uint64_t> localBlocks;  ///< that of the query included
  std::optional<uint64_t> globalTokens; ///< at the start of a sequence, seen by all

  bool all() const { return !window && !blockSize; }
  int64_t global() const { return static_cast<int64_t>(globalTokens.value_or(0)); }
  /// Keys that a query with `context` keys up to itself sees at most.
  double atMost(double context) const {
    if (all())
      return context;
    auto local = static_cast<double>(window ? *window : *blockSize * *localBlocks);
    return std::min(context, local + static_cast<double>(global()));
  }
};

} // namespace denim::attn

#endif // DIALECTS_ATTN_IR_VISIBLEKEYS_H
