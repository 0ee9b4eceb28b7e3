//===- ThreadPool.h - persistent threads, fixed shares ------------*- C++ -*-===//
//
// A launch of a kernel takes microseconds to milliseconds and follows the one before at once, so the threads stay
// and wait: first spinning, for the next launch is usually there within microseconds, then asleep.
//
// Thread t of n always gets items [items * t / n, items * (t + 1) / n). Which thread does an item therefore depends
// on nothing but the counts, which keeps runs repeatable and memory near the core that used it last.
//
// The calling thread is thread 0. With one thread nothing is started and nothing is synchronised. One `run` at a
// time; the pool must outlive it.
//
//===----------------------------------------------------------------------===//

#ifndef DENIM_RUNTIME_BASE_THREADPOOL_H
#define DENIM_RUNTIME_BASE_THREADPOOL_H

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

namespace denim {

class ThreadPool {
public:
  /// Of |threads| threads, this one among them; at least 1.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool &) = delete;
  ThreadPool &operator=(const ThreadPool &) = delete;

  int threads() const { return static_cast<int>(workers.size()) + 1; }

  /// Calls work(thread, begin, end) on every thread whose share is not empty; returns when all are done. |work| must
  /// not throw.
  template <typename Work> void run(int64_t items, const Work &work) {
    auto call = [](const void *work, int thread, int64_t begin, int64_t end) {
      (*static_cast<const Work *>(work))(thread, begin, end);
    };
    if (workers.empty() || items <= 1) {
      if (items > 0)
        work(0, 0, items);
      return;
    }
    runOnAll({call, &work, items});
  }

private:
  struct Job {
    void (*call)(const void *work, int thread, int64_t begin, int64_t end) = nullptr;
    const void *work = nullptr;
    int64_t items = 0;
  };

  void runOnAll(Job next);
  void share(int thread) const;
  void workerMain(int thread);

  Job job;                        // written by the caller before `round`, read by workers after it
  std::atomic<uint64_t> round{0}; // counts jobs
  std::atomic<int> running{0};    // workers that have not finished the job
  std::atomic<int> sleepers{0};   // workers that wait for `wake`
  std::atomic<bool> callerWaits{false};
  bool stopping = false;
  std::mutex mutex;
  std::condition_variable wake, done;
  std::vector<std::thread> workers;
};

} // namespace denim

#endif
