#include "compiler/planner/Slots.h"
#include <algorithm>
#include <limits>
#include <numeric>

using namespace denim::planner;

static bool overlap(const Lifetime &a, const Lifetime &b) {
  return a.first <= b.last && b.first <= a.last;
}

std::string SlotProblem::check() const {
  for (size_t i = 0; i < lifetimes.size(); ++i) {
    const Lifetime &life = lifetimes[i];
    if (life.last < life.first || life.bytes < 1)
      return "expected value " + std::to_string(i) + " to end behind its beginning and to have bytes";
    for (size_t j = 0; j < i; ++j)
      if (life.fixedSlot >= 0 && life.fixedSlot == lifetimes[j].fixedSlot && overlap(life, lifetimes[j]))
        return "expected values " + std::to_string(j) + " and " + std::to_string(i) +
               ", which are bound to one slot, not to be alive at once";
  }
  return {};
}

std::string SlotProblem::verify(const std::vector<int64_t> &slotOf, const SlotPool &pool) const {
  if (slotOf.size() != lifetimes.size())
    return "expected a slot for each value";
  for (size_t i = 0; i < lifetimes.size(); ++i) {
    int64_t slot = slotOf[i];
    if (slot < 0 || slot >= int64_t(pool.slots.size()) || pool.slots[slot].bytes < lifetimes[i].bytes ||
        pool.slots[slot].rows != lifetimes[i].rows || pool.slots[slot].width != lifetimes[i].width ||
        (lifetimes[i].fixedSlot >= 0 && lifetimes[i].fixedSlot != slot))
      return "expected a slot that holds value " + std::to_string(i);
    for (size_t j = 0; j < i; ++j)
      if (slotOf[j] == slot && overlap(lifetimes[i], lifetimes[j]))
        return "expected values " + std::to_string(j) + " and " + std::to_string(i) + " to have two slots";
  }
  return {};
}

std::vector<int64_t> denim::planner::assignSlots(const SlotProblem &problem, SlotPool &pool) {
  const std::vector<Lifetime> &lives = problem.lifetimes;
  std::vector<size_t> order(lives.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    bool fixedA = lives[a].fixedSlot >= 0, fixedB = lives[b].fixedSlot >= 0;
    if (fixedA != fixedB)
      return fixedA;
    return lives[a].first != lives[b].first ? lives[a].first < lives[b].first : a < b;
  });
  std::vector<int64_t> slotOf(lives.size(), -1);
  auto isFree = [&](int64_t slot, size_t value) {
    for (size_t other = 0; other < lives.size(); ++other)
      if (slotOf[other] == slot && overlap(lives[other], lives[value]))
        return false;
    return true;
  };
  for (size_t value : order) {
    const Lifetime &life = lives[value];
    int64_t best = life.fixedSlot;
    if (best < 0) {
      // The slot that needs to grow least, then the one that wastes least.
      int64_t bestGrowth = std::numeric_limits<int64_t>::max(), bestWaste = bestGrowth;
      for (int64_t slot = 0; slot < int64_t(pool.slots.size()); ++slot) {
        if (pool.slots[slot].rows != life.rows || pool.slots[slot].width != life.width || !isFree(slot, value))
          continue;
        int64_t growth = std::max<int64_t>(life.bytes - pool.slots[slot].bytes, 0);
        int64_t waste = std::max<int64_t>(pool.slots[slot].bytes - life.bytes, 0);
        if (growth < bestGrowth || (growth == bestGrowth && waste < bestWaste))
          best = slot, bestGrowth = growth, bestWaste = waste;
      }
    }
    if (best < 0)
      best = pool.slots.size();
    while (best >= int64_t(pool.slots.size()))
      pool.slots.push_back({0, life.rows, life.width});
    pool.slots[best].bytes = std::max(pool.slots[best].bytes, life.bytes);
    slotOf[value] = best;
  }
  return slotOf;
}
