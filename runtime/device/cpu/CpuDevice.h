//===- CpuDevice.h - this processor -------------------------------*- C++ -*-===//
//
// Code is an ELF shared object, loaded from memory by the dynamic linker: it can be debugged and profiled like any
// other. It runs with the rights of the process; loading a module means trusting who made it.
//
//===----------------------------------------------------------------------===//

#ifndef DENIM_RUNTIME_DEVICE_CPU_CPUDEVICE_H
#define DENIM_RUNTIME_DEVICE_CPU_CPUDEVICE_H

#include "runtime/base/ThreadPool.h"
#include "runtime/device/Device.h"

#include <set>
#include <string>

namespace denim {

/// What /proc/cpuinfo lists as flags of the first processor.
std::set<std::string, std::less<>> hostCpuFeatures();

class CpuDevice : public Device {
public:
  /// |threads| 0: one for each core this process may use. |features| is what targets are chosen by; tests give less
  /// than there is.
  explicit CpuDevice(int threads, std::set<std::string, std::less<>> features = hostCpuFeatures());

  int threads() const { return pool.threads(); }
  /// For work on the host that wants the same threads.
  ThreadPool &threadPool() { return pool; }

  std::string_view name() const override { return "cpu"; }
  bool hasFeature(std::string_view feature) const override { return features.count(feature) > 0; }
  Status load(std::string_view code, const std::vector<KernelInfo> &kernels,
              std::shared_ptr<const Executable> &out) override;
  Status launch(const Executable &executable, size_t kernel, const denim_batch_t &batch, void *const *args,
                int64_t items) override;
  Status reserve(size_t bytes, DeviceMemory &out) override;
  void zero(void *to, size_t bytes) override;
  void copy(void *to, const void *from, size_t bytes) override;
  void read(void *host, const void *from, size_t bytes) override;
  Status share(const void *host, size_t bytes, size_t alignment, DeviceMemory &storage, const void *&out) override;

protected:
  Status commitRange(char *base, size_t reserved, size_t from, size_t &to) override;
  void free(void *base, size_t reserved) override;

private:
  std::set<std::string, std::less<>> features;
  ThreadPool pool;
};

} // namespace denim

#endif
