//===- MachineLimits.h - how fast this machine can be at all ------*- C++ -*-===//
//
// A share of a limit means something on any machine, a time does not. Limits are measured in the run that uses them:
// on a shared host they drift. Rates of memory are measured once, those of arithmetic around each row.
//
// Bandwidth depends on where data lies, so it is asked for by footprint: the bytes that one step walks. A state of
// 1 MiB that stays in a cache is judged by that cache, a ring of states of 512 MiB by memory.
//
//===----------------------------------------------------------------------===//

#ifndef DENIM_RUNTIME_TOOLS_DENIM_BENCH_MACHINELIMITS_H
#define DENIM_RUNTIME_TOOLS_DENIM_BENCH_MACHINELIMITS_H

#include "runtime/base/ThreadPool.h"

#include <map>
#include <string>

namespace denim::bench {

class MachineLimits {
public:
  /// Of all threads of |pool| together, which must outlive this.
  explicit MachineLimits(ThreadPool &pool) : pool(pool) {}

  /// f32 operations per second (a multiply-add is two) with the widest vectors there are; the best of several runs,
  /// made now: clocks of a shared host change within seconds.
  double fmaRate() const;
  /// Bytes per second when |footprint| bytes are read over and over.
  double readRate(size_t footprint) { return rate(reads, false, footprint); }
  /// Bytes per second, read and written both counted, when |footprint| bytes are updated in place over and over.
  double updateRate(size_t footprint) { return rate(updates, true, footprint); }

  /// A footprint that no cache holds.
  static constexpr size_t kMemory = size_t(1) << 30;

private:
  double rate(std::map<size_t, double> &known, bool update, size_t footprint);

  ThreadPool &pool;
  std::map<size_t, double> reads, updates;
};

/// "Intel(R) Xeon(R) Processor, AVX-512"; what /proc/cpuinfo says.
std::string machineName();

} // namespace denim::bench

#endif
