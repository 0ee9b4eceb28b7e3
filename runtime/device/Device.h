//===- Device.h - a machine that runs kernels ---------------------*- C++ -*-===//
//
// What the rest of the runtime asks of a machine: memory, copies, loading the code of a module, launching a kernel.
// The cache and the session are written against this class only.
//
// Owner: shared; whoever holds memory or an executable of a device holds the device too. Threads: one at a time,
// unless a function says otherwise.
//
//===----------------------------------------------------------------------===//

#ifndef DENIM_RUNTIME_DEVICE_DEVICE_H
#define DENIM_RUNTIME_DEVICE_DEVICE_H

#include "runtime/abi/Kernel.h"
#include "runtime/base/Status.h"

#include <memory>
#include <string_view>
#include <vector>

namespace denim {

class Device;

/// A range of addresses on a device, of which the first `committed` bytes are usable memory. Owns it; the device must
/// outlive it. The base never moves.
class DeviceMemory {
public:
  DeviceMemory() = default;
  DeviceMemory(Device &device, void *base, size_t reserved) : device(&device), base(base), reserved(reserved) {}
  DeviceMemory(DeviceMemory &&other) noexcept { swap(other); }
  DeviceMemory &operator=(DeviceMemory &&other) noexcept {
    swap(other);
    return *this;
  }
  ~DeviceMemory();

  char *data() const { return static_cast<char *>(base); }
  size_t reservedBytes() const { return reserved; }
  size_t committedBytes() const { return committed; }

private:
  friend class Device;
  void swap(DeviceMemory &other) noexcept;

  Device *device = nullptr;
  void *base = nullptr;
  size_t reserved = 0, committed = 0;
};

/// Kernels of one module, loaded.
class Executable {
public:
  virtual ~Executable() = default;
};

/// One kernel as the plan names it.
struct KernelInfo {
  std::string name;
  uint64_t scratchBytes; ///< private to each thread of a launch
};

class Device {
public:
  virtual ~Device() = default;

  /// "cpu".
  virtual std::string_view name() const = 0;
  /// Whether the machine has what a target of a module needs, by the name the plan uses.
  virtual bool hasFeature(std::string_view feature) const = 0;

  /// Loads an object of code and finds its kernels. |code| is borrowed for the call.
  virtual Status load(std::string_view code, const std::vector<KernelInfo> &kernels,
                      std::shared_ptr<const Executable> &out) = 0;
  /// Does all |items| of a kernel; what was launched before is seen by it. |batch| and |args| are borrowed for the
  /// call.
  virtual Status launch(const Executable &executable, size_t kernel, const denim_batch_t &batch, void *const *args,
                        int64_t items) = 0;

  /// An address range of |bytes| aligned to DENIM_BUFFER_ALIGNMENT, nothing of it usable yet.
  virtual Status reserve(size_t bytes, DeviceMemory &out) = 0;
  /// Makes the first |bytes| usable (at least); what is new is zero.
  Status commit(DeviceMemory &memory, size_t bytes);
  /// Reserves and commits.
  Status allocate(size_t bytes, DeviceMemory &out);

  virtual void zero(void *to, size_t bytes) = 0;
  virtual void copy(void *to, const void *from, size_t bytes) = 0;
  /// From the device to the host.
  virtual void read(void *host, const void *from, size_t bytes) = 0;
  /// Where kernels find |bytes| of host memory that stay unchanged as long as the device lives or the host keeps
  /// them: the same place, or a copy in |storage| if the device needs one or they are not at a multiple of
  /// |alignment|.
  virtual Status share(const void *host, size_t bytes, size_t alignment, DeviceMemory &storage, const void *&out) = 0;

protected:
  friend class DeviceMemory;
  /// Makes bytes [from, to) of a range of |reserved| bytes usable; may move |to| up to |reserved|.
  virtual Status commitRange(char *base, size_t reserved, size_t from, size_t &to) = 0;
  virtual void free(void *base, size_t reserved) = 0;
};

} // namespace denim

#endif
