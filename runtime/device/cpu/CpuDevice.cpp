//===- CpuDevice.cpp - this processor -------------------------------------===//

#include "runtime/device/cpu/CpuDevice.h"
#include "runtime/device/cpu/SharedObject.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace denim {

namespace {

// Memory becomes usable in steps of this size: few system calls, and little that is never touched.
constexpr size_t kCommitBytes = 1 << 20;

struct CpuExecutable final : Executable {
  SharedObject object;
  std::vector<denim_kernel_fn> kernels;
  DeviceMemory scratch;
  size_t scratchBytes = 0; // of one thread
};

/// Numbers below 1.2e-38 count as zero while a kernel runs. Products of many decays pass through them on their way to
/// zero, and a core takes a hundred times as long for an operation on one. Infinities and NaNs are left alone.
class FlushDenormals {
#if defined(__SSE2__)
public:
  FlushDenormals() : before(__builtin_ia32_stmxcsr()) {
    __builtin_ia32_ldmxcsr(before | kFlush);
  }
  ~FlushDenormals() {
    __builtin_ia32_ldmxcsr(before);
  }

private:
  static constexpr unsigned kFlush = 0x8040; // FTZ for results, DAZ for operands
  unsigned before;
#endif
};

/// Kernels read the arena where the host wrote it, and a launch is over when it returns.
class CpuPassRunner final : public PassRunner {
public:
  CpuPassRunner(CpuDevice &device, std::shared_ptr<const Executable> executable, DeviceMemory arena)
      : device(device), executable(std::move(executable)), arena(std::move(arena)) {}

  Status reserve(size_t bytes) override { return device.commit(arena, bytes); }
  Status begin(char *&host) override {
    host = arena.data();
    return {};
  }
  char *address() const override { return arena.data(); }

  Status run(const PassKey &, size_t, const LaunchList &list, LaunchTimes *times) override {
    const auto &batch = *reinterpret_cast<const denim_batch_t *>(arena.data());
    using Clock = std::chrono::steady_clock;
    const std::vector<Launch> &launches = list();
    size_t first = 0; // of those that are timed as one
    for (size_t i = 0; i < launches.size(); ++i) {
      auto start = times ? Clock::now() : Clock::time_point();
      device.launch(*executable, batch, launches[i]);
      if (!times)
        continue;
      if (!times->isJoined(launches, i))
        first = i;
      times->seconds[launches[first].kernel] += std::chrono::duration<double>(Clock::now() - start).count();
    }
    return {};
  }

private:
  CpuDevice &device;
  std::shared_ptr<const Executable> executable;
  DeviceMemory arena;
};

int usableCores() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0)
    return std::max(1, CPU_COUNT(&set));
  return std::max(1u, std::thread::hardware_concurrency());
}

/// Linux gives a process the tile registers (8 KiB for each thread that switches) when it asks for them. Without them
/// an AMX instruction ends the process, whatever the processor has.
bool mayUseTileRegisters() {
#if defined(__x86_64__)
  constexpr int kRequestPermission = 0x1023; // ARCH_REQ_XCOMP_PERM
  constexpr int kTileData = 18;              // XFEATURE_XTILEDATA
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

} // namespace

std::set<std::string, std::less<>> hostCpuFeatures() {
  std::set<std::string, std::less<>> features;
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("flags", 0) != 0 && line.rfind("Features", 0) != 0)
      continue;
    std::istringstream words(line.substr(line.find(':') + 1));
    for (std::string word; words >> word;)
      features.insert(word);
    break;
  }
  if (features.count("amx_tile") && !mayUseTileRegisters())
    for (const char *feature : {"amx_tile", "amx_bf16", "amx_int8"})
      features.erase(feature);
  return features;
}

CpuDevice::CpuDevice(int threads, std::set<std::string, std::less<>> features)
    : features(std::move(features)), pool(threads > 0 ? threads : usableCores()) {}

Status CpuDevice::load(const Code &code, const std::vector<KernelInfo> &kernels,
                       std::shared_ptr<const Executable> &out) {
  auto executable = std::make_shared<CpuExecutable>();
  if (Status status = executable->object.load(code.object))
    return status;
  for (const KernelInfo &kernel : kernels) {
    void *function = executable->object.find(kernel.name);
    if (!function)
      return error(DENIM_STATUS_DATA_LOSS, "code of the module: expected a kernel '", kernel.name, "', but got none");
    executable->kernels.push_back(reinterpret_cast<denim_kernel_fn>(function));
    executable->scratchBytes = std::max<size_t>(executable->scratchBytes, kernel.scratchBytes);
  }
  // A page of distance keeps the scratch of two threads out of each other's prefetches.
  executable->scratchBytes = (executable->scratchBytes + 4095) / 4096 * 4096;
  if (Status status = allocate(executable->scratchBytes * threads(), executable->scratch))
    return status;
  out = std::move(executable);
  return {};
}

void CpuDevice::launch(const Executable &executable, const denim_batch_t &batch, const Launch &launch) {
  auto &loaded = static_cast<const CpuExecutable &>(executable);
  denim_kernel_fn function = loaded.kernels[launch.kernel];
  pool.run(launch.items, [&](int thread, int64_t begin, int64_t end) {
    [[maybe_unused]] FlushDenormals flush;
    function(&batch, launch.args, begin, end, loaded.scratch.data() + loaded.scratchBytes * thread);
  });
}

Status CpuDevice::createRunner(std::shared_ptr<const Executable> executable, size_t mostBytes,
                               std::unique_ptr<PassRunner> &out) {
  DeviceMemory arena;
  if (Status status = reserve(mostBytes, arena))
    return status;
  out = std::make_unique<CpuPassRunner>(*this, std::move(executable), std::move(arena));
  return {};
}

Status CpuDevice::reserve(size_t bytes, DeviceMemory &out) {
  if (bytes == 0) { // no mapping of no bytes
    out = DeviceMemory();
    return {};
  }
  void *base = mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED)
    return exhausted("cannot reserve ", bytes, " bytes of addresses: ", std::strerror(errno));
  // States and pages lie far apart; with small pages a good part of the time goes to address translation. A kernel
  // that knows no huge pages ignores the request.
  madvise(base, bytes, MADV_HUGEPAGE);
  out = DeviceMemory(*this, base, bytes);
  return {};
}

Status CpuDevice::commitRange(char *base, size_t reserved, size_t from, size_t &to) {
  to = std::min(reserved, (to + kCommitBytes - 1) / kCommitBytes * kCommitBytes);
  if (mprotect(base + from, to - from, PROT_READ | PROT_WRITE) != 0)
    return exhausted("cannot get ", to - from, " bytes of memory: ", std::strerror(errno));
  return {};
}

void CpuDevice::free(void *base, size_t reserved, size_t) {
  munmap(base, reserved);
}

void CpuDevice::zero(void *to, size_t bytes) {
  std::memset(to, 0, bytes);
}

void CpuDevice::copy(void *to, const void *from, size_t bytes) {
  std::memcpy(to, from, bytes);
}

Status CpuDevice::write(void *to, const void *from, size_t bytes) {
  std::memcpy(to, from, bytes);
  return {};
}

Status CpuDevice::read(void *to, const void *from, size_t bytes) {
  std::memcpy(to, from, bytes);
  return {};
}

} // namespace denim
