//===- NumberPool.h - small numbers, taken and given back ---------*- C++ -*-===//

#ifndef DENIM_RUNTIME_CACHE_NUMBERPOOL_H
#define DENIM_RUNTIME_CACHE_NUMBERPOOL_H

#include <cstddef>
#include <cstdint>
#include <vector>

namespace denim {

/// Hands out 0, 1, 2, ... and prefers what was given back, so that the highest stays low.
class NumberPool {
public:
  /// Numbers that are out.
  size_t used() const { return static_cast<size_t>(next) - free.size(); }
  /// One more than the highest number after |count| further `take`.
  size_t highAfter(size_t count) const {
    return static_cast<size_t>(next) + (count > free.size() ? count - free.size() : 0);
  }
  /// Makes the next |count| `take` and all `give` free of allocation.
  void prepare(size_t count) { free.reserve(highAfter(count)); }

  /// The next number was never out before.
  bool nextIsNew() const { return free.empty(); }

  int32_t take() {
    if (free.empty())
      return next++;
    int32_t number = free.back();
    free.pop_back();
    return number;
  }
  void give(int32_t number) { free.push_back(number); }

private:
  std::vector<int32_t> free;
  int32_t next = 0;
};

} // namespace denim

#endif
