//===- ThreadPoolTest.cpp - every item once, always by the same thread ----===//

#include "runtime/base/ThreadPool.h"

#include <chrono>
#include <gtest/gtest.h>

using namespace denim;

namespace {

TEST(ThreadPool, DoesEveryItemOnce) {
  for (int threads : {1, 2, 3, 7}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.threads(), threads);
    for (int64_t items : {0, 1, 2, 3, 7, 8, 1000}) {
      std::vector<std::atomic<int>> done(items);
      pool.run(items, [&](int, int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i)
          ++done[i];
      });
      for (int64_t i = 0; i < items; ++i)
        ASSERT_EQ(done[i], 1);
    }
  }
}

TEST(ThreadPool, TheSharesAreFixed) {
  ThreadPool pool(3);
  for (int round = 0; round < 100; ++round) {
    int owner[10];
    pool.run(10, [&](int thread, int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        owner[i] = thread;
    });
    const int expected[10] = {0, 0, 0, 1, 1, 1, 2, 2, 2, 2};
    for (int i = 0; i < 10; ++i)
      ASSERT_EQ(owner[i], expected[i]);
  }
}

TEST(ThreadPool, ManyShortJobs) {
  ThreadPool pool(3);
  int64_t sum[3] = {};
  for (int64_t job = 0; job < 20000; ++job)
    pool.run(3, [&](int thread, int64_t begin, int64_t end) { sum[thread] += (end - begin) * job; });
  EXPECT_EQ(sum[0], int64_t(20000) * 19999 / 2);
  EXPECT_EQ(sum[1], sum[0]);
  EXPECT_EQ(sum[2], sum[0]);
}

TEST(ThreadPool, WakesSleepers) {
  ThreadPool pool(2);
  for (int round = 0; round < 5; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5)); // longer than they spin
    std::atomic<int> done{0};
    pool.run(2, [&](int, int64_t begin, int64_t end) { done += static_cast<int>(end - begin); });
    EXPECT_EQ(done, 2);
  }
}

} // namespace
