#include "compiler/planner/Slots.h"
#include <algorithm>
#include <functional>
#include <gtest/gtest.h>
#include <limits>
#include <numeric>
#include <random>

using namespace denim::planner;

namespace {

Lifetime tokens(int64_t first, int64_t last, int64_t bytes, int64_t fixedSlot = -1) {
  return {first, last, bytes, Rows::tokens, fixedSlot};
}
Lifetime outputs(int64_t first, int64_t last, int64_t bytes) {
  return {first, last, bytes, Rows::outputs, -1};
}

/// Most values alive at one launch: no assignment can use fewer slots.
size_t mostAlive(const SlotProblem &problem) {
  size_t most = 0;
  for (const Lifetime &at : problem.lifetimes) {
    size_t alive = std::count_if(problem.lifetimes.begin(), problem.lifetimes.end(), [&](const Lifetime &other) {
      return other.first <= at.first && at.first <= other.last;
    });
    most = std::max(most, alive);
  }
  return most;
}

int64_t bytesOf(const SlotPool &pool) {
  return std::accumulate(pool.slots.begin(), pool.slots.end(), int64_t(0),
                         [](int64_t sum, const Slot &slot) { return sum + slot.bytes; });
}

/// The fewest slots of any assignment, by trying all of them.
size_t fewestSlots(const SlotProblem &problem) {
  size_t n = problem.lifetimes.size(), best = n;
  std::vector<int64_t> slotOf(n);
  std::function<void(size_t, int64_t)> choose = [&](size_t value, int64_t used) {
    if (size_t(used) >= best && value < n)
      return;
    if (value == n) {
      best = std::min(best, size_t(used));
      return;
    }
    for (int64_t slot = 0; slot <= used; ++slot) {
      bool isFree = true;
      for (size_t other = 0; other < value; ++other) {
        const Lifetime &a = problem.lifetimes[value], &b = problem.lifetimes[other];
        isFree &= slotOf[other] != slot || a.first > b.last || b.first > a.last;
      }
      if (!isFree)
        continue;
      slotOf[value] = slot;
      choose(value + 1, std::max(used, slot + 1));
    }
  };
  choose(0, 0);
  return best;
}

SlotProblem randomProblem(std::mt19937 &random, int64_t values, int64_t launches) {
  auto upTo = [&](int64_t n) { return std::uniform_int_distribution<int64_t>(0, n)(random); };
  SlotProblem problem;
  for (int64_t i = 0; i < values; ++i) {
    int64_t first = upTo(launches), last = std::min(launches, first + upTo(4));
    problem.lifetimes.push_back(tokens(first, last, 64 * (1 + upTo(7))));
  }
  return problem;
}

} // namespace

TEST(Slots, ValuesThatDoNotOverlapShareASlot) {
  SlotProblem problem{{tokens(0, 1, 64), tokens(2, 3, 64)}};
  SlotPool pool;
  EXPECT_EQ(assignSlots(problem, pool), (std::vector<int64_t>{0, 0}));
  EXPECT_EQ(pool.slots.size(), 1u);
}

// A launch reads its operands while it writes its results.
TEST(Slots, OperandAndResultOfALaunchDoNotShare) {
  SlotProblem problem{{tokens(0, 1, 64), tokens(1, 2, 64)}};
  SlotPool pool;
  EXPECT_EQ(assignSlots(problem, pool), (std::vector<int64_t>{0, 1}));
}

TEST(Slots, ASlotGrowsToTheLargestOfItsValues) {
  SlotProblem problem{{tokens(0, 1, 64), tokens(2, 3, 256), tokens(4, 5, 128)}};
  SlotPool pool;
  assignSlots(problem, pool);
  ASSERT_EQ(pool.slots.size(), 1u);
  EXPECT_EQ(pool.slots[0].bytes, 256);
}

TEST(Slots, TheSlotThatWastesLeastIsTaken) {
  SlotProblem problem{{tokens(0, 1, 256), tokens(0, 1, 64), tokens(2, 3, 64)}};
  SlotPool pool;
  EXPECT_EQ(assignSlots(problem, pool), (std::vector<int64_t>{0, 1, 1}));
  EXPECT_EQ(bytesOf(pool), 256 + 64);
}

TEST(Slots, RowsPerOutputAndRowsPerTokenNeverShare) {
  SlotProblem problem{{tokens(0, 1, 64), outputs(2, 3, 64), tokens(4, 5, 64)}};
  SlotPool pool;
  EXPECT_EQ(assignSlots(problem, pool), (std::vector<int64_t>{0, 1, 0}));
  EXPECT_EQ(pool.slots[0].rows, Rows::tokens);
  EXPECT_EQ(pool.slots[1].rows, Rows::outputs);
}

TEST(Slots, WhatHasOneRowInAllSharesWithItsLikeOnly) {
  auto once = [](int64_t first, int64_t last, int64_t bytes) { return Lifetime{first, last, bytes, Rows::once, -1}; };
  SlotProblem problem{{once(0, 1, 4096), tokens(2, 3, 64), once(2, 3, 8192), once(3, 4, 1024), outputs(5, 6, 64)}};
  SlotPool pool;
  std::vector<int64_t> slots = assignSlots(problem, pool);
  EXPECT_EQ(slots, (std::vector<int64_t>{0, 1, 0, 2, 3}));
  EXPECT_EQ(pool.slots[0].rows, Rows::once);
  EXPECT_EQ(pool.slots[0].bytes, 8192); // the largest, not their sum
  EXPECT_EQ(problem.verify(slots, pool), "");
  EXPECT_EQ(problem.verify({0, 0, 0, 2, 3}, pool), "expected a slot that holds value 1");
}

TEST(Slots, ElementsOfTwoWidthsNeverShare) {
  Lifetime narrow = tokens(2, 3, 64);
  narrow.width = 2;
  SlotProblem problem{{tokens(0, 1, 64), narrow, tokens(4, 5, 64)}};
  SlotPool pool;
  std::vector<int64_t> slots = assignSlots(problem, pool);
  EXPECT_EQ(slots, (std::vector<int64_t>{0, 1, 0}));
  EXPECT_EQ(pool.slots[1].width, 2);
  EXPECT_EQ(problem.verify(slots, pool), "");
  EXPECT_EQ(problem.verify({0, 0, 0}, pool), "expected a slot that holds value 1");
}

// The residual stream: both ends of a layer are slot 0, and nothing else is while they live.
TEST(Slots, ABoundValueHasItsSlotToItself) {
  SlotProblem problem{{tokens(-1, 3, 64, 0), tokens(0, 1, 64), tokens(4, 6, 64, 0), tokens(5, 6, 64)}};
  ASSERT_EQ(problem.check(), "");
  SlotPool pool;
  std::vector<int64_t> slots = assignSlots(problem, pool);
  EXPECT_EQ(slots, (std::vector<int64_t>{0, 1, 0, 1}));
  EXPECT_EQ(problem.verify(slots, pool), "");
}

TEST(Slots, ThePoolOfAnEarlierProgramIsUsedAgain) {
  SlotPool pool;
  assignSlots({{tokens(0, 1, 64), tokens(0, 1, 256)}}, pool);
  EXPECT_EQ(assignSlots({{tokens(0, 1, 200)}}, pool), std::vector<int64_t>{1});
  EXPECT_EQ(bytesOf(pool), 64 + 256);
}

TEST(Slots, NoValuesNeedNoSlots) {
  SlotPool pool;
  SlotProblem problem;
  EXPECT_EQ(problem.check(), "");
  EXPECT_TRUE(assignSlots(problem, pool).empty());
  EXPECT_TRUE(pool.slots.empty());
  EXPECT_EQ(problem.verify({}, pool), "");
}

TEST(Slots, CheckRefusesWhatCannotBe) {
  EXPECT_EQ((SlotProblem{{tokens(2, 1, 64)}}.check()),
            "expected value 0 to end behind its beginning and to have bytes");
  EXPECT_EQ((SlotProblem{{tokens(0, 1, 64), tokens(0, 1, 0)}}.check()),
            "expected value 1 to end behind its beginning and to have bytes");
  EXPECT_EQ((SlotProblem{{tokens(0, 2, 64, 0), tokens(2, 3, 64, 0)}}.check()),
            "expected values 0 and 1, which are bound to one slot, not to be alive at once");
  EXPECT_EQ((SlotProblem{{tokens(0, 1, 64, 0), tokens(2, 3, 64, 0)}}.check()), "");
}

TEST(Slots, VerifyRefusesWrongAnswers) {
  SlotProblem problem{{tokens(0, 1, 64), tokens(1, 2, 64), outputs(3, 4, 64), tokens(3, 4, 64, 1)}};
  SlotPool pool{{{64, Rows::tokens}, {64, Rows::tokens}, {64, Rows::outputs}}};
  EXPECT_EQ(problem.verify({0, 1, 2, 1}, pool), "");
  EXPECT_EQ(problem.verify({0, 1, 2}, pool), "expected a slot for each value");
  EXPECT_EQ(problem.verify({0, 0, 2, 1}, pool), "expected values 0 and 1 to have two slots");
  EXPECT_EQ(problem.verify({0, 3, 2, 1}, pool), "expected a slot that holds value 1"); // no such slot
  EXPECT_EQ(problem.verify({-1, 1, 2, 1}, pool), "expected a slot that holds value 0");
  EXPECT_EQ(problem.verify({0, 1, 0, 1}, pool), "expected a slot that holds value 2"); // rows per output
  EXPECT_EQ(problem.verify({0, 1, 2, 0}, pool), "expected a slot that holds value 3"); // bound elsewhere
  pool.slots[0].bytes = 32;
  EXPECT_EQ(problem.verify({0, 1, 2, 1}, pool), "expected a slot that holds value 0"); // too small
}

// Interval graphs are perfect, so the greedy answer is one of the best: against all answers of small problems, against
// the bound from below for larger ones.
TEST(Slots, AsFewSlotsAsThereCanBe) {
  std::mt19937 random(7);
  for (int round = 0; round < 300; ++round) {
    SlotProblem problem = randomProblem(random, 1 + round % 7, 6);
    ASSERT_EQ(problem.check(), "");
    SlotPool pool;
    std::vector<int64_t> slots = assignSlots(problem, pool);
    ASSERT_EQ(problem.verify(slots, pool), "") << "round " << round;
    ASSERT_EQ(pool.slots.size(), fewestSlots(problem)) << "round " << round;
  }
  for (int round = 0; round < 100; ++round) {
    SlotProblem problem = randomProblem(random, 60, 40);
    SlotPool pool;
    std::vector<int64_t> slots = assignSlots(problem, pool);
    ASSERT_EQ(problem.verify(slots, pool), "") << "round " << round;
    ASSERT_EQ(pool.slots.size(), mostAlive(problem)) << "round " << round;
  }
}

TEST(Slots, TheSameProblemHasTheSameAnswer) {
  std::mt19937 random(11);
  SlotProblem problem = randomProblem(random, 40, 30);
  SlotPool a, b;
  EXPECT_EQ(assignSlots(problem, a), assignSlots(problem, b));
  EXPECT_EQ(bytesOf(a), bytesOf(b));
}
