//===- CudaPassRunner.cpp - passes on an NVIDIA GPU -----------------------===//

#include "runtime/device/cuda/CudaPassRunner.h"

#include <algorithm>

namespace denim {

using cuda::Address;

Status CudaPassRunner::create(CudaDevice &device, std::shared_ptr<const Executable> executable, size_t mostBytes,
                              std::unique_ptr<PassRunner> &out) {
  std::unique_ptr<CudaPassRunner> runner(new CudaPassRunner(device, std::move(executable)));
  if (Status status = device.reserve(mostBytes, runner->arena))
    return status;
  if (Status status = device.check(device.driver().eventCreate(&runner->copied, cuda::kDisableTiming), "cuEventCreate"))
    return status;
  out = std::move(runner);
  return {};
}

CudaPassRunner::~CudaPassRunner() {
  device.settle();
  const cuda::Driver &f = device.driver();
  for (const Known &entry : known)
    if (entry.graph)
      f.graphExecDestroy(entry.graph);
  for (cuda::Event event : timers)
    f.eventDestroy(event);
  if (copied)
    f.eventDestroy(copied);
  if (host)
    f.memFreeHost(host);
}

Status CudaPassRunner::reserve(size_t bytes) {
  if (bytes > hostBytes) {
    if (Status status = device.synchronize())
      return status;
    bytes = std::max(bytes, 2 * hostBytes); // page tables grow with every token
    void *memory = nullptr;
    if (Status status =
            device.check(device.driver().memHostAlloc(&memory, bytes, 0), "cuMemHostAlloc of ", bytes, " bytes"))
      return status;
    if (host)
      device.driver().memFreeHost(host);
    host = static_cast<char *>(memory);
    hostBytes = bytes;
  }
  return device.commit(arena, std::min(bytes, arena.reservedBytes()));
}

Status CudaPassRunner::begin(char *&out) {
  if (Status status = device.enter())
    return status;
  out = host;
  return device.check(device.driver().eventSynchronize(copied), "copy of an earlier pass");
}

CudaPassRunner::Known &CudaPassRunner::remember(const PassKey &key, bool &outIsNew) {
  auto it = byKey.find(key);
  outIsNew = it == byKey.end();
  if (!outIsNew) {
    known.splice(known.begin(), known, it->second);
    return known.front();
  }
  if (known.size() >= kMostKeys) {
    if (known.back().graph) {
      // It may still run. An error stays with the stream, so whoever waits next hears of it.
      device.driver().streamSynchronize(device.stream());
      device.driver().graphExecDestroy(known.back().graph);
    }
    byKey.erase(known.back().key);
    known.pop_back();
  }
  known.push_front({key, nullptr});
  byKey[key] = known.begin();
  return known.front();
}

Status CudaPassRunner::run(const PassKey &key, size_t bytes, const LaunchList &list, LaunchTimes *times) {
  if (Status status = device.enter())
    return status;
  const cuda::Driver &f = device.driver();
  cuda::Stream stream = device.stream();
  if (Status status = device.check(f.memcpyHtoDAsync(reinterpret_cast<Address>(arena.data()), host, bytes, stream),
                                   "cuMemcpyHtoDAsync of ", bytes, " bytes"))
    return status;
  if (Status status = device.check(f.eventRecord(copied, stream), "cuEventRecord"))
    return status;
  if (times)
    return runTimed(list, *times);
  bool isNew = false;
  Known &entry = remember(key, isNew);
  if (isNew)
    return runDirectly(list);
  if (!entry.graph)
    if (Status status = record(list, entry.graph))
      return status;
  ++replays;
  return device.check(f.graphLaunch(entry.graph, stream), "cuGraphLaunch");
}

Status CudaPassRunner::runDirectly(const LaunchList &list) {
  auto batch = reinterpret_cast<Address>(arena.data());
  for (const Launch &launch : list())
    if (Status status = device.launch(*executable, batch, launch))
      return status;
  return {};
}

Status CudaPassRunner::createTimers(size_t count) {
  while (timers.size() < count) {
    cuda::Event event = nullptr;
    if (Status status = device.check(device.driver().eventCreate(&event, 0), "cuEventCreate"))
      return status;
    timers.push_back(event);
  }
  return {};
}

/// An event on each side of what is timed as one; they say what the device took, not the host.
Status CudaPassRunner::runTimed(const LaunchList &list, LaunchTimes &times) {
  const cuda::Driver &f = device.driver();
  const std::vector<Launch> &launches = list();
  if (Status status = createTimers(2 * launches.size()))
    return status;
  auto mark = [&](size_t timer) {
    return device.check(f.eventRecord(timers[timer], device.stream()), "cuEventRecord");
  };
  auto batch = reinterpret_cast<Address>(arena.data());
  std::vector<uint32_t> timed; // the first kernel between each two events
  for (size_t i = 0; i < launches.size(); ++i) {
    if (!times.isJoined(launches, i)) {
      if (Status status = mark(2 * timed.size()))
        return status;
      timed.push_back(launches[i].kernel);
    }
    if (Status status = device.launch(*executable, batch, launches[i]))
      return status;
    if (i + 1 == launches.size() || !times.isJoined(launches, i + 1))
      if (Status status = mark(2 * timed.size() - 1))
        return status;
  }
  if (Status status = device.synchronize())
    return status;
  for (size_t i = 0; i < timed.size(); ++i) {
    float milliseconds = 0;
    if (Status status =
            device.check(f.eventElapsedTime(&milliseconds, timers[2 * i], timers[2 * i + 1]), "cuEventElapsedTime"))
      return status;
    times.seconds[timed[i]] += static_cast<double>(milliseconds) * 1e-3;
  }
  return {};
}

Status CudaPassRunner::replay(const std::vector<Launch> &launches, int64_t times, double &outSeconds) {
  if (Status status = device.enter())
    return status;
  if (Status status = createTimers(2))
    return status;
  const cuda::Driver &f = device.driver();
  cuda::GraphExec graph = nullptr;
  if (Status status = record([&]() -> const std::vector<Launch> & { return launches; }, graph))
    return status;
  // One more time in front: the first launch of a graph also brings it to the device.
  Status status = device.check(f.graphLaunch(graph, device.stream()), "cuGraphLaunch");
  if (!status)
    status = device.check(f.eventRecord(timers[0], device.stream()), "cuEventRecord");
  for (int64_t n = 0; n < times && !status; ++n)
    status = device.check(f.graphLaunch(graph, device.stream()), "cuGraphLaunch");
  if (!status)
    status = device.check(f.eventRecord(timers[1], device.stream()), "cuEventRecord");
  Status done = device.synchronize();
  f.graphExecDestroy(graph);
  if (status)
    return status;
  if (done)
    return done;
  float milliseconds = 0;
  if (Status failed = device.check(f.eventElapsedTime(&milliseconds, timers[0], timers[1]), "cuEventElapsedTime"))
    return failed;
  outSeconds = static_cast<double>(milliseconds) * 1e-3 / static_cast<double>(times);
  return {};
}

Status CudaPassRunner::record(const LaunchList &list, cuda::GraphExec &out) {
  const cuda::Driver &f = device.driver();
  if (Status status = device.measureProducts(list()))
    return status;
  if (Status status =
          device.check(f.streamBeginCapture(device.stream(), cuda::kCaptureRelaxed), "cuStreamBeginCapture"))
    return status;
  Status status = runDirectly(list);
  cuda::Graph graph = nullptr;
  // Ends the recording whatever happened, or nothing could run on the stream any more.
  cuda::Result ended = f.streamEndCapture(device.stream(), &graph);
  if (!status)
    status = device.check(ended, "cuStreamEndCapture");
  if (!status)
    status = device.check(f.graphInstantiate(&out, graph, 0), "cuGraphInstantiateWithFlags");
  if (graph)
    f.graphDestroy(graph);
  return status;
}

} // namespace denim
