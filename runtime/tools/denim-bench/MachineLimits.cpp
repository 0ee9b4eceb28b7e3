//===- MachineLimits.cpp - how fast this machine can be at all ------------===//

#include "runtime/tools/denim-bench/MachineLimits.h"
#include "runtime/tools/Commands.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <sys/mman.h>

namespace denim::bench {

namespace {

// Values the compiler cannot know, so that nothing below is folded away.
volatile float opaqueOne = 1.0f, opaqueZero = 0.0f;

/// Register work: independent chains, more than two pipes of latency 4 hold and few enough for 16
/// registers. Returns operations.
template <typename Vector> [[gnu::always_inline]] inline double multiplyAdd(int64_t rounds, float *sink) {
  constexpr int kChains = 12;
  Vector factor = Vector{} + opaqueOne, term = Vector{} + opaqueZero, chains[kChains];
#pragma clang loop unroll(full)
  for (int i = 0; i < kChains; ++i)
    chains[i] = term + static_cast<float>(i);
  for (int64_t r = 0; r < rounds; ++r)
#pragma clang loop unroll(full)
    for (int i = 0; i < kChains; ++i)
      chains[i] = chains[i] * factor + term;
  Vector sum = chains[0];
#pragma clang loop unroll(full)
  for (int i = 1; i < kChains; ++i)
    sum = sum + chains[i];
  sink[0] = sum[0];
  return 2.0 * kChains * (sizeof(Vector) / sizeof(float)) * static_cast<double>(rounds);
}

/// Four streams at once: a core's prefetcher follows several, and one alone does not fill its queue.
template <typename Vector, bool kUpdate>
[[gnu::always_inline]] inline void walk(float *data, int64_t count, float *sink) {
  constexpr int64_t kStreams = 4, kLanes = sizeof(Vector) / sizeof(float), kRun = 4;
  Vector factor = Vector{} + opaqueOne, sums[kStreams] = {};
  int64_t stride = count / kStreams;
  for (int64_t i = 0; i + kRun * kLanes <= stride; i += kRun * kLanes)
#pragma clang loop unroll(full)
    for (int64_t s = 0; s < kStreams; ++s)
#pragma clang loop unroll(full)
      for (int64_t j = 0; j < kRun; ++j) {
        auto *place = reinterpret_cast<Vector *>(data + s * stride + i + j * kLanes);
        if (kUpdate)
          *place = *place * factor;
        else
          sums[s] += *place;
      }
  Vector sum = sums[0] + sums[1] + sums[2] + sums[3];
  sink[0] = sum[0];
}

using Vector128 = float __attribute__((vector_size(16), aligned(16)));
using Vector256 = float __attribute__((vector_size(32), aligned(32)));
using Vector512 = float __attribute__((vector_size(64), aligned(64)));

double multiplyAdd128(int64_t rounds, float *sink) {
  return multiplyAdd<Vector128>(rounds, sink);
}
void read128(float *data, int64_t count, float *sink) {
  walk<Vector128, false>(data, count, sink);
}
void update128(float *data, int64_t count, float *sink) {
  walk<Vector128, true>(data, count, sink);
}
#ifdef __x86_64__
__attribute__((target("avx2,fma"))) double multiplyAdd256(int64_t rounds, float *sink) {
  return multiplyAdd<Vector256>(rounds, sink);
}
__attribute__((target("avx2,fma"))) void read256(float *data, int64_t count, float *sink) {
  walk<Vector256, false>(data, count, sink);
}
__attribute__((target("avx2,fma"))) void update256(float *data, int64_t count, float *sink) {
  walk<Vector256, true>(data, count, sink);
}
__attribute__((target("avx512f"))) double multiplyAdd512(int64_t rounds, float *sink) {
  return multiplyAdd<Vector512>(rounds, sink);
}
__attribute__((target("avx512f"))) void read512(float *data, int64_t count, float *sink) {
  walk<Vector512, false>(data, count, sink);
}
__attribute__((target("avx512f"))) void update512(float *data, int64_t count, float *sink) {
  walk<Vector512, true>(data, count, sink);
}
#endif

struct Probes {
  double (*multiplyAdd)(int64_t rounds, float *sink) = multiplyAdd128;
  void (*read)(float *data, int64_t count, float *sink) = read128;
  void (*update)(float *data, int64_t count, float *sink) = update128;
  const char *name = "128-bit vectors";
};

Probes widestProbes() {
#ifdef __x86_64__
  if (__builtin_cpu_supports("avx512f"))
    return {multiplyAdd512, read512, update512, "AVX-512"};
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    return {multiplyAdd256, read256, update256, "AVX2"};
#endif
  return {};
}

/// Memory that begins at a page; of the pages that the runtime gets, not of huge ones.
class Buffer {
public:
  explicit Buffer(size_t bytes) : bytes(bytes) {
    base = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED)
      throw std::bad_alloc();
  }
  ~Buffer() { munmap(base, bytes); }
  Buffer(const Buffer &) = delete;
  float *data() const { return static_cast<float *>(base); }

private:
  void *base;
  size_t bytes;
};

} // namespace

double CpuLimits::operationRate() {
  Probes probes = widestProbes();
  constexpr int64_t kRounds = 1000000;
  double fma = 0;
  for (int pass = 0; pass < 12; ++pass) {
    std::vector<double> operations(pool.threads());
    Stopwatch watch;
    pool.run(pool.threads(), [&](int thread, int64_t, int64_t) {
      float sink;
      operations[thread] = probes.multiplyAdd(kRounds, &sink);
    });
    double seconds = watch.seconds(), total = 0;
    for (double one : operations)
      total += one;
    fma = std::max(fma, total / seconds);
  }
  return fma;
}

double CpuLimits::rate(std::map<size_t, double> &known, bool update, size_t footprint) {
  // Rates change slowly with size: powers of two are near enough, and are measured once each.
  constexpr size_t kLeast = 16 << 10;
  size_t bytes = kLeast;
  while (bytes < footprint && bytes < kMemory)
    bytes *= 2;
  double &best = known[bytes];
  if (best > 0)
    return best;
  Probes probes = widestProbes();
  auto probe = update ? probes.update : probes.read;
  int64_t each = static_cast<int64_t>(bytes / sizeof(float)) / pool.threads() / 1024 * 1024;
  Buffer buffer(bytes);
  pool.run(pool.threads(), [&](int thread, int64_t, int64_t) {
    // Written by the thread that walks it: memory lies near it, and is not the one page of zeros.
    std::fill_n(buffer.data() + thread * each, each, 1.0f);
  });
  double moved = static_cast<double>(each) * sizeof(float) * pool.threads();
  auto repeats = std::max<int64_t>(1, static_cast<int64_t>(64e6 / moved));
  for (int pass = 0; pass < 8; ++pass) {
    Stopwatch watch;
    pool.run(pool.threads(), [&](int thread, int64_t, int64_t) {
      float sink;
      for (int64_t n = 0; n < repeats; ++n)
        probe(buffer.data() + thread * each, each, &sink);
    });
    best = std::max(best, moved * static_cast<double>(repeats) * (update ? 2 : 1) / watch.seconds());
  }
  return best;
}

std::string CpuLimits::name() const {
  std::string name = "unknown processor";
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);)
    if (line.rfind("model name", 0) == 0) {
      name = line.substr(line.find(':') + 2);
      break;
    }
  return name + ", " + widestProbes().name + ", " + std::to_string(pool.threads()) + " threads";
}

} // namespace denim::bench
