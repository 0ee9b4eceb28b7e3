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

/// What /proc/cpuinfo lists as flags of the first processor, less what this process may not use. Asks the system for
/// what has to be asked for (tile registers).
std::set<std::string, std::less<>> hostCpuFeatures();

class CpuDevice : public Device {
public:
  /// |threads| 0: one for each core this process may use. |features| is what targets are chosen by; tests give less
  /// than there is.
  explicit CpuDevice(int threads, std::set<std::string, std::less<>> features = hostCpuFeatures());

  int threads() const { return pool.threads(); }
  /// For work on the host that wants the same threads.
  ThreadPool &threadPool() { return pool; }

  Machine machine() const override { return Machine::Cpu; }
  std::string_view name() const override { return "cpu"; }
  bool hasFeature(std::string_view feature) const override { return features.count(feature) > 0; }
  Status load(const Code &code, const std::vector<KernelInfo> &kernels,
              std::shared_ptr<const Executable> &out) override;
  Status createRunner(std::shared_ptr<const Executable> executable, size_t mostBytes,
                      std::unique_ptr<PassRunner> &out) override;
  Status reserve(size_t bytes, DeviceMemory &out) override;
  bool readsHost() const override { return true; }
  void zero(void *to, size_t bytes) override;
  void copy(void *to, const void *from, size_t bytes) override;
  Status write(void *to, const void *from, size_t bytes) override;
  Status read(void *to, const void *from, size_t bytes) override;
  Status synchronize() override { return {}; }

  /// Does all |items| of a kernel.
  virtual void launch(const Executable &executable, const denim_batch_t &batch, const Launch &launch);

protected:
  Status commitRange(char *base, size_t reserved, size_t from, size_t &to) override;
  void free(void *base, size_t reserved, size_t committed) override;

private:
  std::set<std::string, std::less<>> features;
  ThreadPool pool;
};

} // namespace denim

#endif
