//===- MachineLimits.h - how fast this machine can be at all ------*- C++ -*-===//
//
// A share of a limit means something on any machine, a time does not. Limits are measured in the run that uses them:
// on a shared host they drift. Rates of memory are measured once, those of arithmetic around each row.
//
// Bandwidth depends on where data lies, so it is asked for by footprint: the bytes that one step walks. A state of
// 1 MiB that stays in a cache is judged by that cache, a ring of states of 512 MiB by memory.
//
// Owner: the run of the benchmark. Threads: one.
//
//===----------------------------------------------------------------------===//

#ifndef DENIM_RUNTIME_TOOLS_DENIM_BENCH_MACHINELIMITS_H
#define DENIM_RUNTIME_TOOLS_DENIM_BENCH_MACHINELIMITS_H

#include "runtime/base/ThreadPool.h"
#include "runtime/device/cuda/CudaDevice.h"

#include <map>
#include <string>

namespace denim::bench {

class MachineLimits {
public:
  virtual ~MachineLimits() = default;

  /// "Intel(R) Xeon(R) Processor, AVX-512, 2 threads".
  virtual std::string name() const = 0;
  /// What the rate of operations is of: in full, and as a word of the report.
  virtual std::string operations() const = 0;
  virtual std::string operationsWord() const = 0;
  /// Operations per second.
  virtual double operationRate() = 0;
  /// Bytes per second when |footprint| bytes are read over and over.
  virtual double readRate(size_t footprint) = 0;
  /// Bytes per second, read and written both counted, when |footprint| bytes are updated in place over and over.
  virtual double updateRate(size_t footprint) = 0;

  /// A footprint that no cache holds.
  static constexpr size_t kMemory = size_t(1) << 30;
};

class CpuLimits final : public MachineLimits {
public:
  /// Of all threads of |pool| together, which must outlive this.
  explicit CpuLimits(ThreadPool &pool) : pool(pool) {}

  std::string name() const override;
  std::string operations() const override { return "f32 multiply-add"; }
  std::string operationsWord() const override { return "fma"; }
  /// f32 operations (a multiply-add is two) with the widest vectors there are; the best of several runs, made now:
  /// clocks of a shared host change within seconds.
  double operationRate() override;
  double readRate(size_t footprint) override { return rate(reads, false, footprint); }
  double updateRate(size_t footprint) override { return rate(updates, true, footprint); }

private:
  double rate(std::map<size_t, double> &known, bool update, size_t footprint);

  ThreadPool &pool;
  std::map<size_t, double> reads, updates;
};

/// Of a GPU: a bf16 product of 8192 x 8192 x 8192 by cuBLASLt, and a copy from memory to memory, both measured once.
/// Caches do not count: rows are measured behind a walk over more bytes than they hold.
class CudaLimits final : public MachineLimits {
public:
  static Status create(std::shared_ptr<CudaDevice> device, std::unique_ptr<MachineLimits> &out);

  std::string name() const override { return device->productName() + " (" + std::string(device->name()) + ")"; }
  std::string operations() const override { return "bf16 product of 8192"; }
  std::string operationsWord() const override { return "prod"; }
  /// 0 without the library.
  double operationRate() override { return products; }
  double readRate(size_t) override { return copies; }
  double updateRate(size_t) override { return copies; }

private:
  explicit CudaLimits(std::shared_ptr<CudaDevice> device) : device(std::move(device)) {}
  Status measureProducts();

  std::shared_ptr<CudaDevice> device;
  double products = 0, copies = 0;
};

} // namespace denim::bench

#endif
