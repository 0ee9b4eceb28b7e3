//===- CudaPassRunner.h - passes on an NVIDIA GPU -----------------*- C++ -*-===//
//
// A pass is one copy of its arena, then its launches. A pass whose key was seen before becomes a graph, recorded from
// the same calls; from then on the host gives two orders per pass, however many layers there are.
//
// Why only the second time: recording and instantiating takes as long as some passes, and prompts come in all
// lengths, most of them once. Decoding has the same key in every step, so it has its graph after two.
//
// The graphs of the most recent keys are kept.
//
//===----------------------------------------------------------------------===//

#ifndef DENIM_RUNTIME_DEVICE_CUDA_CUDAPASSRUNNER_H
#define DENIM_RUNTIME_DEVICE_CUDA_CUDAPASSRUNNER_H

#include "runtime/device/cuda/CudaDevice.h"

#include <list>
#include <map>

namespace denim {

class CudaPassRunner final : public PassRunner {
public:
  /// Keys that are remembered, with a graph or as seen once: decode batches of every size up to some, and prompts.
  static constexpr size_t kMostKeys = 128;

  static Status create(CudaDevice &device, std::shared_ptr<const Executable> executable, size_t mostBytes,
                       std::unique_ptr<PassRunner> &out);
  ~CudaPassRunner() override;

  Status reserve(size_t bytes) override;
  Status begin(char *&host) override;
  char *address() const override { return arena.data(); }
  Status run(const PassKey &key, size_t bytes, const LaunchList &list, LaunchTimes *times) override;
  Status replay(const std::vector<Launch> &launches, int64_t times, double &outSeconds) override;

  /// Passes that were run as a graph.
  int64_t graphLaunches() const { return replays; }

private:
  struct Known {
    PassKey key;
    cuda::GraphExec graph = nullptr; // none yet: seen once
  };

  CudaPassRunner(CudaDevice &device, std::shared_ptr<const Executable> executable)
      : device(device), executable(std::move(executable)) {}
  Status runDirectly(const LaunchList &list);
  Status runTimed(const LaunchList &list, LaunchTimes &times);
  Status record(const LaunchList &list, cuda::GraphExec &out);
  Status createTimers(size_t count);
  Known &remember(const PassKey &key, bool &outIsNew);

  CudaDevice &device;
  std::shared_ptr<const Executable> executable;
  DeviceMemory arena;
  char *host = nullptr; // pinned
  size_t hostBytes = 0;
  cuda::Event copied = nullptr; // the arena of the pass before
  std::vector<cuda::Event> timers;
  std::list<Known> known; // most recent first
  std::map<PassKey, std::list<Known>::iterator> byKey;
  int64_t replays = 0;
};

} // namespace denim

#endif
