//===- BareKernel.cpp - what a launch costs, and a state ------------------===//
//
// The clock of a row begins and ends outside of its kernel: an event, the launch, an event; or a graph, again and
// again. A kernel that returns at once, launched by the same runner in the same ways, says how much of a short row that
// is. It waits for the kernel before it and lets the next one begin, as generated kernels do, but in the other order.
//
// Another one reads a state and writes it, as a step of a recurrence must, with an instruction for each word between
// them: the address from a slot, then 16 bytes an access, all asked for before the first is stored. What a recurrence
// takes longer is what it computes and what else it waits for.
//
//===----------------------------------------------------------------------===//

#include "runtime/abi/Kernel.h"
#include "runtime/tools/denim-bench/Measurement.h"

#include <cstring>

namespace denim::bench {

namespace {

constexpr uint32_t kThreads = 128;
/// Of a thread, and what a block has with them.
constexpr int kAccesses = 8;
constexpr size_t kBlockBytes = size_t(16) * kThreads * kAccesses;

constexpr char kEmpty[] = R"(.version 8.0
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

/// Adds one to every word of the state that `slot` points to. Nothing is moved over the barrier.
std::string stateText() {
  std::ostringstream out;
  out << R"(.version 8.0
.target sm_90
.address_size 64
.visible .entry state(.param .u64 batch, .param .u64 items, .param .u64 slot)
.maxntid 128
{
	.reg .b32 %thread, %block, %w<)"
      << 4 * kAccesses << R"(>;
	.reg .b64 %at, %offset;
	griddepcontrol.launch_dependents;
	ld.param.u64 %at, [slot];
	ld.global.u64 %at, [%at];
	mov.u32 %thread, %tid.x;
	mov.u32 %block, %ctaid.x;
	mul.wide.u32 %offset, %block, )"
      << kBlockBytes << R"(;
	add.s64 %at, %at, %offset;
	mul.wide.u32 %offset, %thread, 16;
	add.s64 %at, %at, %offset;
	griddepcontrol.wait;
)";
  auto access = [&](int n) {
    int w = 4 * n;
    return text("{%w", w, ", %w", w + 1, ", %w", w + 2, ", %w", w + 3, "}");
  };
  auto place = [&](int n) { return text("[%at+", n * 16 * static_cast<int>(kThreads), "]"); };
  for (int n = 0; n < kAccesses; ++n)
    out << "\tld.global.v4.b32 " << access(n) << ", " << place(n) << ";\n";
  out << "\tbar.sync 0;\n";
  for (int w = 0; w < 4 * kAccesses; ++w)
    out << "\tadd.s32 %w" << w << ", %w" << w << ", 1;\n";
  for (int n = 0; n < kAccesses; ++n)
    out << "\tst.global.v4.b32 " << place(n) << ", " << access(n) << ";\n";
  out << "\tret;\n}\n";
  return out.str();
}

/// States one behind the other, and a slot that points to each.
struct States {
  DeviceMemory states, slots;
  std::vector<void *> args; ///< of each launch: its slot

  Status create(Device &device, size_t count, size_t bytes) {
    if (Status status = device.allocate(count * bytes, states))
      return status;
    if (Status status = device.allocate(count * sizeof(void *), slots))
      return status;
    std::vector<char *> pointers(count);
    for (size_t i = 0; i < count; ++i) {
      pointers[i] = states.data() + i * bytes;
      args.push_back(slots.data() + i * sizeof(void *));
    }
    return device.write(slots.data(), pointers.data(), count * sizeof(void *));
  }

  /// Every launch has added one to every word of its state.
  Status check(Device &device, size_t bytes) const {
    std::vector<uint32_t> words(args.size() * bytes / sizeof(uint32_t));
    if (Status status = device.read(words.data(), states.data(), args.size() * bytes))
      return status;
    for (size_t i = 0; i < words.size(); ++i)
      if (words[i] != words[0] || words[i] == 0)
        return error(DENIM_STATUS_INTERNAL, "state alone: expected every word to be counted as often as the first, ",
                     words[0], " times and at least once, but got ", words[i], " of word ", i);
    return {};
  }
};

} // namespace

Status measureBareKernel(Bench &bench, const Case &which, Row &out) {
  Device &device = *bench.device;
  if (device.machine() != Machine::Cuda)
    return error(DENIM_STATUS_INVALID_ARGUMENT, "expected a CUDA device, but got ", device.name());
  auto count = static_cast<size_t>(which.applications), blocks = static_cast<size_t>(which.bareBlocks);
  bool moves = which.bytes > 0;
  std::string assembly = moves ? stateText() : kEmpty;
  Code code{"sm_90", {}, assembly};
  std::shared_ptr<const Executable> executable;
  if (Status status = device.load(code, {{moves ? "state" : "empty", 0, kThreads, 0, /*overlaps=*/true}}, executable))
    return status;
  States states;
  if (moves)
    if (Status status = states.create(device, count, blocks * kBlockBytes))
      return status;
  std::unique_ptr<PassRunner> runner;
  if (Status status = device.createRunner(std::move(executable), sizeof(denim_batch_t), runner))
    return status;
  if (Status status = runner->reserve(sizeof(denim_batch_t)))
    return status;
  CacheSweep sweep;
  if (Status status = sweep.create(device))
    return status;

  std::vector<Launch> launches(count, Launch{0, which.bareBlocks, nullptr, 0, nullptr});
  for (size_t i = 0; i < states.args.size(); ++i)
    launches[i].args = &states.args[i], launches[i].argCount = 1;
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
  out.kernels = {moves ? "state" : "empty"};
  out.bytes = which.bytes;
  if (Status status = timeRow(bench, bench.seconds / static_cast<double>(which.applications), once, out))
    return status;
  auto replay = [&](int64_t times, double &one) { return runner->replay(launches, times, one); };
  if (Status status = timeReplays(which, replay, out))
    return status;
  if (!moves)
    return {};
  setLimit(bench.limits, which.traffic, which.bytes * static_cast<double>(which.applications), out);
  return states.check(device, blocks * kBlockBytes);
}

} // namespace denim::bench
