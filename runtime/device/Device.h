//===- Device.h - a machine that runs kernels ---------------------*- C++ -*-===//
//
// What the rest of the runtime asks of a machine: memory, copies, loading the code of a module, running a pass. The
// cache and the session are written against this class only.
//
// A device does what it is asked in order: a copy, a zeroing or a pass sees what came before it. It may return before
// the work is done. Work that fails then is remembered, and the next call that returns a Status says so; `synchronize`
// and `read` wait, so nothing that failed is behind them.
//
// Owner: shared; whoever holds memory, an executable or a runner of a device holds the device too. Threads: one at a
// time, unless a function says otherwise.
//
//===----------------------------------------------------------------------===//

#ifndef DENIM_RUNTIME_DEVICE_DEVICE_H
#define DENIM_RUNTIME_DEVICE_DEVICE_H

#include "runtime/abi/Kernel.h"
#include "runtime/base/Machine.h"
#include "runtime/base/Status.h"
#include "runtime/base/TensorMap.h"

#include <functional>
#include <memory>
#include <string_view>
#include <vector>

namespace denim {

class Device;

/// A range of addresses on a device, of which the first `committed` bytes are usable memory. Owns it; the device must
/// outlive it. The base never moves. On devices with memory of their own the host must not touch it.
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

/// The code of one target of a module, borrowed. Which of the two a machine needs: runtime/abi/Module.h.
struct Code {
  std::string_view target, object, ptx;
};

/// One kernel as the plan names it.
struct KernelInfo {
  std::string name;
  uint64_t scratchBytes;                      ///< CPU: private to each thread of a launch
  uint32_t threads, sharedBytes;              ///< CUDA: of each block
  bool overlaps = false;                      ///< CUDA: waits itself for the kernel before, and may begin earlier
  std::vector<TensorMapInfo> tensorMaps = {}; ///< CUDA: parameters behind the arguments
};

/// out[rows, columns] = x[rows, inner] * weight[columns, inner]^T (+ residual[rows, columns]), sums in f32.
struct Product {
  enum Type : uint8_t { F32, BF16 };
  Type inputs, output;               ///< of x and weight; of out and residual
  const void *x, *weight, *residual; ///< residual: null for none; may be out
  void *out;
  int64_t rows, inner, columns;
};

/// All items of one kernel. Borrows everything that it points to.
struct Launch {
  uint32_t kernel;
  int64_t items; ///< at least 1
  void *const *args;
  uint32_t argCount;
  const Product *product; ///< what the launch computes, if a library may do it instead; else null
};

/// What determines the launches of a pass: equal keys given to one runner mean equal launches.
using PassKey = std::vector<int64_t>;
/// Makes the launches of the pass, in order. They stay valid until the next pass is run.
using LaunchList = std::function<const std::vector<Launch> &()>;

/// What launches took.
struct LaunchTimes {
  std::vector<double> seconds; ///< by kernel; each pass adds to it
  /// By kernel. Launches of such kernels that follow each other are timed as one, from the begin of the first to the
  /// end of the last, at the place of the first one's kernel: what lies between them counts, and they may overlap as
  /// they do without a clock. Empty: each launch is timed by itself.
  std::vector<bool> together;

  /// Whether launch |i| is timed with the one before it.
  bool isJoined(const std::vector<Launch> &launches, size_t i) const {
    return i > 0 && isTogether(launches[i - 1].kernel) && isTogether(launches[i].kernel);
  }
  bool isTogether(uint32_t kernel) const { return kernel < together.size() && together[kernel]; }
};

/// Runs the passes of one session. The host writes the arrays of a pass (`denim_batch_t` first) into an arena that
/// kernels see at an address that never changes.
///
///   reserve(most) once;  then for each pass: begin() -> write -> run()
///
/// Owner: the session; holds its executable, must not outlive the device.
class PassRunner {
public:
  virtual ~PassRunner() = default;

  /// Room for |bytes| in the arena; what the host wrote there is lost.
  virtual Status reserve(size_t bytes) = 0;
  /// Where the host writes; waits until an earlier pass does not need it any more.
  virtual Status begin(char *&host) = 0;
  /// Where kernels find it.
  virtual char *address() const = 0;
  /// Runs the pass whose arrays are the first |bytes| of the arena. |list| is called only if the runner did not keep
  /// the launches of an earlier pass with this key. With |times| the launches are timed, which takes longer.
  virtual Status run(const PassKey &key, size_t bytes, const LaunchList &list, LaunchTimes *times) = 0;
  /// Repeats |launches| of the pass that was run last: |times| times as a session would run them, in order and without
  /// a pause, and out the seconds of one time. What they update is updated as often.
  virtual Status replay(const std::vector<Launch> &launches, int64_t times, double &outSeconds) {
    (void)launches, (void)times, (void)outSeconds;
    return error(DENIM_STATUS_INVALID_ARGUMENT, "expected a device with graphs of launches, but got another");
  }
};

class Device {
public:
  virtual ~Device() = default;

  virtual Machine machine() const = 0;
  /// "cpu", "cuda:0".
  virtual std::string_view name() const = 0;
  /// Whether the machine has what a target of a module needs, by the name the plan uses.
  virtual bool hasFeature(std::string_view feature) const = 0;

  /// Loads code and finds its kernels. |code| is borrowed for the call.
  virtual Status load(const Code &code, const std::vector<KernelInfo> &kernels,
                      std::shared_ptr<const Executable> &out) = 0;
  /// A runner whose arena can grow to |mostBytes|.
  virtual Status createRunner(std::shared_ptr<const Executable> executable, size_t mostBytes,
                              std::unique_ptr<PassRunner> &out) = 0;

  /// An address range of at least |bytes|, aligned for kernels, nothing of it usable yet.
  virtual Status reserve(size_t bytes, DeviceMemory &out) = 0;
  /// Makes the first |bytes| usable (at least); what is new is zero.
  Status commit(DeviceMemory &memory, size_t bytes);
  /// Reserves and commits.
  Status allocate(size_t bytes, DeviceMemory &out);

  /// Whether kernels read memory of the host where it lies.
  virtual bool readsHost() const = 0;
  /// On the device.
  virtual void zero(void *to, size_t bytes) = 0;
  virtual void copy(void *to, const void *from, size_t bytes) = 0;
  /// From the host, which may change |from| afterwards; and to the host.
  virtual Status write(void *to, const void *from, size_t bytes) = 0;
  virtual Status read(void *to, const void *from, size_t bytes) = 0;
  /// Waits for all that was asked.
  virtual Status synchronize() = 0;

protected:
  friend class DeviceMemory;
  /// Makes bytes [from, to) of a range of |reserved| bytes usable; may move |to| up to |reserved|.
  virtual Status commitRange(char *base, size_t reserved, size_t from, size_t &to) = 0;
  /// Ends a range of which |committed| bytes are usable.
  virtual void free(void *base, size_t reserved, size_t committed) = 0;
};

/// The device of a name: "cpu", "cuda" (the first) or "cuda:1". |threads| counts for the CPU; 0: one for each core.
Status createDevice(std::string_view name, int threads, std::shared_ptr<Device> &out);

} // namespace denim

#endif
