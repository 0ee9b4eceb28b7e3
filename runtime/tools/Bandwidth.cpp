//===- Bandwidth.cpp - how fast this machine reads memory -----------------===//

#include "runtime/tools/Bandwidth.h"
#include "runtime/device/cpu/CpuDevice.h"

#include <algorithm>
#include <chrono>
#include <memory>

namespace denim {

namespace {

constexpr int64_t kBytes = int64_t(1) << 30; // several times the largest cache of one socket
constexpr int64_t kBlock = 4096;             // a multiple of the runs below
constexpr int kPasses = 5;

#if defined(__x86_64__) && defined(__clang__) && !__has_feature(address_sanitizer)
__attribute__((target_clones("avx512f", "avx2", "default")))
#endif
uint64_t
sumOf(const uint64_t *values, int64_t count) {
  // Four places at once: a core's prefetcher follows several streams, and one alone does not fill its queue.
  constexpr int64_t kStreams = 4, kRun = 64;
  int64_t stride = count / kStreams;
  uint64_t sum = 0;
  for (int64_t i = 0; i < stride; i += kRun)
    for (int64_t s = 0; s < kStreams; ++s)
      for (int64_t j = 0; j < kRun; ++j)
        sum += values[s * stride + i + j];
  return sum;
}

} // namespace

double measureReadBandwidth(ThreadPool &pool) {
  constexpr int64_t kWords = kBlock / 8, kBlocks = kBytes / kBlock;
  std::unique_ptr<uint64_t[]> buffer(new uint64_t[kBytes / 8]);
  std::atomic<uint64_t> sink{0};
  // Written by the threads that read it: memory lies near them.
  pool.run(kBlocks, [&](int, int64_t begin, int64_t end) {
    std::fill(buffer.get() + begin * kWords, buffer.get() + end * kWords, 1);
  });
  double best = 0;
  for (int pass = 0; pass < kPasses; ++pass) {
    auto start = std::chrono::steady_clock::now();
    pool.run(kBlocks, [&](int, int64_t begin, int64_t end) {
      sink += sumOf(buffer.get() + begin * kWords, (end - begin) * kWords);
    });
    std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    best = std::max(best, static_cast<double>(kBytes) / seconds.count());
  }
  return best;
}

Status measureMemory(Device &device, MemoryRate &out) {
  if (device.machine() == Machine::Cpu) {
    auto &cpu = static_cast<CpuDevice &>(device);
    out.threads = cpu.threads();
    out.rate = measureReadBandwidth(cpu.threadPool());
    ThreadPool single(1);
    out.coreRate = out.threads == 1 ? out.rate : measureReadBandwidth(single);
    return {};
  }
  DeviceMemory from, to;
  if (Status status = device.allocate(kBytes, from))
    return status;
  if (Status status = device.allocate(kBytes, to))
    return status;
  constexpr int kCopies = 10; // waiting once for several keeps its time out
  for (int pass = 0; pass < kPasses; ++pass) {
    if (Status status = device.synchronize())
      return status;
    auto start = std::chrono::steady_clock::now();
    for (int n = 0; n < kCopies; ++n)
      device.copy(to.data(), from.data(), kBytes);
    if (Status status = device.synchronize())
      return status;
    std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    out.rate = std::max(out.rate, 2.0 * kCopies * static_cast<double>(kBytes) / seconds.count());
  }
  out.coreRate = out.rate;
  return {};
}

} // namespace denim
