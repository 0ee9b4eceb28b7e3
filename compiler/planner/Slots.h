// Which activations share memory.
//
// A slot is a buffer with one row per token (or per output), or with one row in all. A value lives from the launch that
// makes it to the last that reads it; two values whose lives overlap need two slots. A launch reads its operands while
// it writes its results, so a life that ends at a launch overlaps one that begins there. The lives of one program are
// intervals of its launch order: taking them by their beginnings and giving each the best free slot uses as few slots
// as the most values alive at once (interval graphs are perfect).
#ifndef COMPILER_PLANNER_SLOTS_H
#define COMPILER_PLANNER_SLOTS_H

#include <cstdint>
#include <string>
#include <vector>

namespace denim::planner {

/// What the rows of a buffer follow.
enum class Rows : uint8_t { tokens, outputs, once };

struct Lifetime {
  int64_t first;     ///< when it is written; -1 for a value that is there at the start
  int64_t last;      ///< when it is read last, at least `first`
  int64_t bytes;     ///< of one row
  Rows rows;         ///< one per token, one per output, or one whatever the step brings
  int64_t fixedSlot; ///< a slot it must have, or -1
  int64_t width = 4; ///< bytes of an element: a slot has one type
};

struct Slot {
  int64_t bytes = 0;
  Rows rows = Rows::tokens;
  int64_t width = 4;
};

/// Slots are shared by all programs of a step: only one program runs at a time.
struct SlotPool {
  std::vector<Slot> slots;
};

/// The values of one program.
struct SlotProblem {
  std::vector<Lifetime> lifetimes;

  /// What is wrong with the problem; empty if nothing.
  std::string check() const;
  /// What is wrong with an answer; empty if nothing.
  std::string verify(const std::vector<int64_t> &slotOf, const SlotPool &pool) const;
};

/// A slot for every lifetime; slots of the pool grow and are added as needed.
std::vector<int64_t> assignSlots(const SlotProblem &problem, SlotPool &pool);

} // namespace denim::planner

#endif // COMPILER_PLANNER_SLOTS_H
