//===- ThreadPool.cpp - persistent threads, fixed shares ------------------===//

#include "runtime/base/ThreadPool.h"

namespace denim {

namespace {
// About 20 microseconds: longer than the gap between two launches, shorter than a person or another program notices.
constexpr int kSpins = 1000;

inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}
} // namespace

ThreadPool::ThreadPool(int threads) {
  for (int t = 1; t < threads; ++t)
    workers.emplace_back([this, t] { workerMain(t); });
}

ThreadPool::~ThreadPool() {
  {
    std::lock_guard<std::mutex> lock(mutex);
    stopping = true;
    round.fetch_add(1);
  }
  wake.notify_all();
  for (std::thread &worker : workers)
    worker.join();
}

void ThreadPool::share(int thread) const {
  int64_t n = threads(), begin = job.items * thread / n, end = job.items * (thread + 1) / n;
  if (begin < end)
    job.call(job.work, thread, begin, end);
}

void ThreadPool::runOnAll(Job next) {
  job = next;
  running.store(static_cast<int>(workers.size()));
  round.fetch_add(1);
  // A worker counts itself a sleeper before it looks at `round` a last time. Either it sees the new round, or it is
  // counted here; and as it holds the mutex from counting to sleeping, taking the mutex means that it sleeps.
  if (sleepers.load() > 0) {
    { std::lock_guard<std::mutex> lock(mutex); }
    wake.notify_all();
  }
  share(0);
  for (int spin = 0; running.load() > 0; ++spin) {
    if (spin < kSpins) {
      pause();
      continue;
    }
    std::unique_lock<std::mutex> lock(mutex);
    callerWaits.store(true);
    done.wait(lock, [this] { return running.load() == 0; });
    callerWaits.store(false);
  }
}

void ThreadPool::workerMain(int thread) {
  uint64_t seen = 0;
  while (true) {
    for (int spin = 0; round.load() == seen; ++spin) {
      if (spin < kSpins) {
        pause();
        continue;
      }
      std::unique_lock<std::mutex> lock(mutex);
      sleepers.fetch_add(1);
      wake.wait(lock, [&] { return round.load() != seen; });
      sleepers.fetch_sub(1);
    }
    ++seen;
    if (stopping) // ordered by `round`
      return;
    share(thread);
    if (running.fetch_sub(1) == 1 && callerWaits.load()) {
      { std::lock_guard<std::mutex> lock(mutex); }
      done.notify_one();
    }
  }
}

} // namespace denim
