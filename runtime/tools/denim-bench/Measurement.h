//===- Measurement.h - one row of the report ----------------------*- C++ -*-===//

#ifndef DENIM_RUNTIME_TOOLS_DENIM_BENCH_MEASUREMENT_H
#define DENIM_RUNTIME_TOOLS_DENIM_BENCH_MEASUREMENT_H

#include "runtime/tools/denim-bench/Cases.h"
#include "runtime/tools/denim-bench/CompileModule.h"
#include "runtime/tools/denim-bench/MachineLimits.h"

#include <algorithm>

namespace denim::bench {

/// Seconds of one application of an operator, over the repetitions.
struct Times {
  double median = 0, least = 0, most = 0;
  int64_t repetitions = 0;

  /// Of |seconds|, which it sorts; at least one.
  static Times of(std::vector<double> &seconds);
};

struct Row {
  std::string name;
  Times times;
  double tokens = 0, flops = 0, bytes = 0; ///< of one application
  double fma = 0;                          ///< operations per second at most, around the time of the row
  std::string limit;                ///< "read", "update" or the word of operations: what would take longest; or ""
  double limitSeconds = 0;          ///< what one application would take at that limit
  std::vector<std::string> kernels; ///< that were timed; empty where the clock of the host was
  double replaySeconds = 0;         ///< of one application when graphs of it follow each other; 0: not measured
};

/// What the module of a case is made from under a tuning table; empty: none.
inline Source sourceOf(const Case &which, std::string table) {
  return {which.model, std::move(table), which.pages};
}

/// What all rows of a run share.
struct Bench {
  std::shared_ptr<Device> device;
  int threads; ///< of the CPU; 0 on a GPU
  MachineLimits &limits;
  ModuleCompiler &compiler;
  double seconds; ///< of repetitions for one row
};

/// The longer of operations at `row.fma` and bytes at the rate of memory under |footprint| bytes.
void setLimit(MachineLimits &limits, Traffic traffic, double footprint, Row &row);

/// Repeats |once|, which returns seconds or a fault, for about |budget| seconds; warm runs come first.
template <typename Once> Status repeat(double budget, const Once &once, Times &out);

/// Repeats |once| and measures the rate of multiply-adds before and after it, of which the higher one counts.
template <typename Once> Status timeRow(Bench &bench, double budget, const Once &once, Row &row) {
  double before = bench.limits.operationRate();
  Status status = repeat(budget, once, row.times);
  row.fma = std::max(before, bench.limits.operationRate());
  return status;
}

Status measureCase(Bench &bench, const Case &which, Row &out);

/// Whether a kernel of that name is a product or a copy into a cache, which no row of a mixer times.
bool isAroundMixer(const std::string &kernel);

/// A kernel that does nothing, or moves a state, on a GPU.
Status measureBareKernel(Bench &bench, const Case &which, Row &out);

/// A copy of more bytes than a GPU's cache holds, so that a kernel finds it without what it read the time before.
class CacheSweep {
public:
  Status create(Device &device);
  void operator()();

private:
  static constexpr size_t kBytes = size_t(128) << 20; // twice the largest there is
  Device *device = nullptr;
  DeviceMemory memory;
};

/// What libraries report for a step of one token: a graph of the call, again and again, its operands in the cache if
/// they fit there, and no events between kernels. |once| takes how often to replay it and returns seconds of one time.
template <typename Once> Status timeReplays(const Case &which, const Once &once, Row &row);

/// Prefill of |prompt| tokens and decode steps behind them of a model (`.mlir` or `.denim`); with a checkpoint also the
/// start of `denim-run generate` to its first token.
Status measureModel(Bench &bench, const std::string &file, const std::string &weights, int64_t prompt,
                    std::vector<Row> &out);

/// SGEMM at M=512, K=N=2048 by the libraries that are installed, each loaded at run time; none is no fault.
std::vector<Row> measureLibraries(Bench &bench);

//===----------------------------------------------------------------------===//

template <typename Once> Status timeReplays(const Case &which, const Once &once, Row &row) {
  int64_t times = std::clamp<int64_t>(static_cast<int64_t>(0.01 / row.times.median), 10, 200);
  std::vector<double> replays(5);
  for (double &one : replays)
    if (Status status = once(times, one))
      return status;
  row.replaySeconds = Times::of(replays).median / static_cast<double>(which.applications);
  return {};
}

template <typename Once> Status repeat(double budget, const Once &once, Times &out) {
  constexpr int64_t kLeast = 5, kMost = 5000;
  std::vector<double> seconds;
  double warm = 0, spent = 0;
  for (int n = 0; n < 3 && (n == 0 || warm < budget / 4); ++n) {
    double one = 0;
    if (Status status = once(one))
      return status;
    warm += one;
  }
  for (int64_t n = 0; n < kMost && (spent < budget || n < kLeast); ++n) {
    double one = 0;
    if (Status status = once(one))
      return status;
    seconds.push_back(one);
    spent += one;
    if (spent > 4 * budget && n >= 2)
      break;
  }
  out = Times::of(seconds);
  return {};
}

} // namespace denim::bench

#endif
