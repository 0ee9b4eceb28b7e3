//===- HybridCacheTest.cpp - pages, slots, forks and the budget -----------===//

#include "runtime/cache/HybridCache.h"
#include "runtime/device/cpu/CpuDevice.h"
#include "runtime/module/PlanReader.h"
#include "test/runtime/Inputs/TestModule.h"

#include <gtest/gtest.h>
#include <limits>
#include <map>
#include <random>
#include <set>

using namespace denim;

namespace {

// Of the test plan.
constexpr size_t kSlot = 128, kPage = 4096;
enum { State, Tail, Keys };

/// Counts what is asked of it.
class CountingDevice : public CpuDevice {
public:
  using CpuDevice::CpuDevice;
  void zero(void *to, size_t bytes) override {
    ++zeroCalls;
    CpuDevice::zero(to, bytes);
  }
  int zeroCalls = 0;
};

class HybridCacheTest : public ::testing::Test {
protected:
  HybridCacheTest() { EXPECT_FALSE(readPlan(test::kTestPlan, Machine::Cpu, plan)); }
  void create(size_t budget) {
    Status status = HybridCache::create(device, plan, budget, cache);
    ASSERT_FALSE(status) << status.message();
  }
  SequenceId sequence() {
    SequenceId id = -1;
    Status status = cache->createSequence(id);
    EXPECT_FALSE(status) << status.message();
    return id;
  }
  SequenceId fork(SequenceId from) {
    SequenceId id = -1;
    Status status = cache->fork(from, id);
    EXPECT_FALSE(status) << status.message();
    return id;
  }
  bool grow(SequenceId id, int64_t tokens) {
    if (cache->reserve({{id, tokens}}))
      return false;
    cache->advance(id, tokens);
    return true;
  }
  const std::vector<int32_t> &pages(SequenceId id) { return cache->find(id)->pages; }
  float *state(SequenceId id) { return static_cast<float *>(cache->slot(State, *cache->find(id))); }
  float *page(int32_t page) { return static_cast<float *>(cache->pageBase(Keys)) + page * (kPage / 4); }

  Plan plan;
  CountingDevice device{1};
  std::unique_ptr<HybridCache> cache;
};

TEST_F(HybridCacheTest, PagesComeOnDemand) {
  create(1 << 20);
  SequenceId a = sequence();
  EXPECT_EQ(cache->usedBytes(), kSlot);
  EXPECT_TRUE(grow(a, 1));
  EXPECT_EQ(pages(a).size(), 1u);
  EXPECT_TRUE(grow(a, 63));
  EXPECT_EQ(pages(a).size(), 1u);
  EXPECT_TRUE(grow(a, 1));
  EXPECT_EQ(pages(a).size(), 2u);
  EXPECT_EQ(cache->usedBytes(), kSlot + 2 * kPage);
  EXPECT_FALSE(cache->release(a));
  EXPECT_EQ(cache->usedBytes(), 0u);
}

TEST_F(HybridCacheTest, SlotsAreAlignedApartAndZero) {
  create(1 << 20);
  SequenceId a = sequence(), b = sequence();
  EXPECT_EQ(reinterpret_cast<uintptr_t>(state(b)) % 64, 0u);
  EXPECT_GE(std::abs(state(b) - state(a)), 16);
  EXPECT_EQ(state(a)[15], 0.0f);
  state(a)[15] = 1;
  EXPECT_FALSE(cache->release(a));
  EXPECT_EQ(state(sequence())[15], 0.0f);
}

TEST_F(HybridCacheTest, APageOfAnotherSequenceComesBackZero) {
  create(1 << 20);
  SequenceId poisoned = sequence();
  ASSERT_TRUE(grow(poisoned, 1));
  int32_t number = pages(poisoned)[0];
  std::fill_n(page(number), kPage / 4, std::numeric_limits<float>::quiet_NaN());
  EXPECT_FALSE(cache->release(poisoned));
  SequenceId next = sequence();
  ASSERT_TRUE(grow(next, 1));
  ASSERT_EQ(pages(next)[0], number);
  for (size_t i = 0; i < kPage / 4; ++i)
    ASSERT_EQ(page(number)[i], 0.0f) << i;
}

TEST_F(HybridCacheTest, NeighbouringPagesAreClearedAtOnce) {
  create(1 << 20);
  SequenceId first = sequence(), kept = sequence(), second = sequence();
  ASSERT_TRUE(grow(first, 3 * 64));
  ASSERT_TRUE(grow(kept, 64));
  ASSERT_TRUE(grow(second, 2 * 64));
  for (SequenceId id : {first, second}) {
    for (int32_t number : pages(id))
      std::fill_n(page(number), kPage / 4, std::numeric_limits<float>::quiet_NaN());
    EXPECT_FALSE(cache->release(id));
  }
  std::fill_n(page(pages(kept)[0]), kPage / 4, 3.0f);
  SequenceId next = sequence();
  int before = device.zeroCalls;
  ASSERT_TRUE(grow(next, 6 * 64)); // five that were used, around the one that is kept, and a new one
  EXPECT_EQ(device.zeroCalls - before, 2);
  for (int32_t number : pages(next))
    for (size_t i = 0; i < kPage / 4; ++i)
      ASSERT_EQ(page(number)[i], 0.0f) << number << " " << i;
  for (size_t i = 0; i < kPage / 4; ++i)
    ASSERT_EQ(page(pages(kept)[0])[i], 3.0f) << i;
}

TEST_F(HybridCacheTest, ForksCopySlotsAndShareFullPages) {
  create(1 << 20);
  SequenceId a = sequence();
  EXPECT_TRUE(grow(a, 130));
  state(a)[0] = 5;
  page(pages(a)[2])[0] = 7;
  SequenceId b = fork(a);
  EXPECT_EQ(state(b)[0], 5.0f);
  EXPECT_NE(state(a), state(b));
  EXPECT_EQ(pages(a), pages(b));
  EXPECT_EQ(cache->usedBytes(), 2 * kSlot + 3 * kPage);
  // Who grows first gets a copy of the last page; the other keeps it.
  std::vector<int32_t> before = pages(a);
  EXPECT_TRUE(grow(a, 1));
  EXPECT_EQ(pages(a)[1], before[1]);
  EXPECT_NE(pages(a)[2], before[2]);
  EXPECT_EQ(page(pages(a)[2])[0], 7.0f);
  EXPECT_TRUE(grow(b, 1));
  EXPECT_EQ(pages(b), before);
  EXPECT_EQ(cache->usedBytes(), 2 * kSlot + 4 * kPage);
  EXPECT_FALSE(cache->release(a));
  EXPECT_EQ(cache->usedBytes(), kSlot + 3 * kPage);
}

TEST_F(HybridCacheTest, ForksThatGrowTogetherCopyOnceLess) {
  create(2 * kSlot + 2 * kPage);
  SequenceId a = sequence();
  EXPECT_TRUE(grow(a, 10));
  SequenceId b = fork(a);
  Status status = cache->reserve({{a, 1}, {b, 1}});
  EXPECT_FALSE(status) << status.message();
  EXPECT_NE(pages(a), pages(b));
}

TEST_F(HybridCacheTest, ARefusalChangesNothing) {
  create(2 * kSlot + 2 * kPage);
  SequenceId a = sequence(), b = sequence();
  EXPECT_TRUE(grow(a, 64));
  EXPECT_EQ(cache->reserve({{a, 64}, {b, 1}}).code(), DENIM_STATUS_RESOURCE_EXHAUSTED);
  EXPECT_EQ(pages(a).size(), 1u);
  EXPECT_EQ(pages(b).size(), 0u);
  EXPECT_EQ(cache->usedBytes(), 2 * kSlot + kPage);
  EXPECT_EQ(cache->reserve({{a, INT32_MAX}}).code(), DENIM_STATUS_RESOURCE_EXHAUSTED);
  EXPECT_TRUE(grow(b, 64));
}

TEST_F(HybridCacheTest, RandomUseKeepsTheBooks) {
  create(20 * kSlot + 40 * kPage);
  std::mt19937 random(1);
  std::map<SequenceId, int64_t> lengths;
  for (int n = 0; n < 5000; ++n) {
    SequenceId some = lengths.empty() ? -1 : std::next(lengths.begin(), random() % lengths.size())->first;
    switch (random() % 8) {
    case 0:
    case 1: {
      SequenceId id;
      if (!cache->createSequence(id))
        lengths[id] = 0;
      break;
    }
    case 2: {
      SequenceId id;
      if (some >= 0 && !cache->fork(some, id))
        lengths[id] = lengths[some];
      break;
    }
    case 3:
      if (some >= 0) {
        EXPECT_FALSE(cache->release(some));
        lengths.erase(some);
      }
      break;
    default:
      if (some >= 0) {
        int64_t tokens = random() % 90;
        if (grow(some, tokens))
          lengths[some] += tokens;
      }
    }
    // Counted again from the tables: no more than the books say, none missing, none written by two.
    std::map<int32_t, int> uses;
    for (auto &[id, length] : lengths) {
      ASSERT_EQ(cache->find(id)->length, length);
      ASSERT_GE(static_cast<int64_t>(pages(id).size()) * 64, length);
      for (int32_t page : pages(id))
        ++uses[page];
    }
    ASSERT_EQ(cache->usedBytes(), lengths.size() * kSlot + uses.size() * kPage);
    ASSERT_LE(cache->usedBytes(), cache->budgetBytes());
  }
  while (!lengths.empty()) {
    EXPECT_FALSE(cache->release(lengths.begin()->first));
    lengths.erase(lengths.begin());
  }
  EXPECT_EQ(cache->usedBytes(), 0u);
}

} // namespace
