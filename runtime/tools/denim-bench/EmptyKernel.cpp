//===- EmptyKernel.cpp - what a launch costs ------------------------------===//
//
// The clock of a row begins and ends outside of its kernel: an event, the launch, an event; or a graph, again and
// again. A kernel that returns at once, launched by the same runner in the same ways, says how much of a short row that
// is. It waits for the kernel before it and lets the next one begin, as generated kernels do.
//
//===----------------------------------------------------------------------===//

#include "runtime/abi/Kernel.h"
#include "runtime/tools/denim-bench/Measurement.h"

#include <cstring>

namespace denim::bench {

namespace {

constexpr uint32_t kThreads = 128;

constexpr char kText[] = R"(.version 8.0
.target sm_90
.address_size 64
.visible .entry empty(.param .u64 batch, .param .u64 items)
.maxntid 128
{
	griddepcontrol.launch_dependents;
	griddepcontrol.wait;
	ret;
}
)";

} // namespace

Status measureEmptyKernel(Bench &bench, const Case &which, Row &out) {
  Device &device = *bench.device;
  if (device.machine() != Machine::Cuda)
    return error(DENIM_STATUS_INVALID_ARGUMENT, "expected a CUDA device, but got ", device.name());
  Code code{"sm_90", {}, kText};
  std::shared_ptr<const Executable> executable;
  if (Status status = device.load(code, {{"empty", 0, kThreads, 0, /*overlaps=*/true}}, executable))
    return status;
  std::unique_ptr<PassRunner> runner;
  if (Status status = device.createRunner(std::move(executable), sizeof(denim_batch_t), runner))
    return status;
  if (Status status = runner->reserve(sizeof(denim_batch_t)))
    return status;
  CacheSweep sweep;
  if (Status status = sweep.create(device))
    return status;

  std::vector<Launch> launches(static_cast<size_t>(which.applications),
                               Launch{0, which.emptyBlocks, nullptr, 0, nullptr});
  auto list = [&]() -> const std::vector<Launch> & { return launches; };
  auto once = [&](double &one) -> Status {
    char *host = nullptr;
    if (Status status = runner->begin(host))
      return status;
    std::memset(host, 0, sizeof(denim_batch_t));
    sweep();
    LaunchTimes times{{0.0}, {}};
    if (Status status = runner->run({0}, sizeof(denim_batch_t), list, &times))
      return status;
    one = times.seconds[0] / static_cast<double>(which.applications);
    return {};
  };
  out.name = which.name;
  out.kernels = {"empty"};
  if (Status status = timeRow(bench, bench.seconds / static_cast<double>(which.applications), once, out))
    return status;
  auto replay = [&](int64_t times, double &one) { return runner->replay(launches, times, one); };
  return timeReplays(which, replay, out);
}

} // namespace denim::bench
