//===- Measurement.cpp - one row of the report ----------------------------===//

#include "runtime/tools/denim-bench/Measurement.h"
#include "formats/numbers/ShortFloat.h"
#include "runtime/session/Session.h"

#include <algorithm>
#include <cstring>
#include <numeric>

namespace denim::bench {

Times Times::of(std::vector<double> &seconds) {
  std::sort(seconds.begin(), seconds.end());
  return {seconds[seconds.size() / 2], seconds.front(), seconds.back(), static_cast<int64_t>(seconds.size())};
}

void setLimit(MachineLimits &limits, Traffic traffic, double footprint, Row &row) {
  auto bytes = static_cast<size_t>(footprint);
  double compute = row.fma > 0 ? row.flops / row.fma : 0;
  double memory = row.bytes / (traffic == Traffic::Update ? limits.updateRate(bytes) : limits.readRate(bytes));
  row.limitSeconds = std::max(compute, memory);
  row.limit = compute > memory ? limits.operationsWord() : traffic == Traffic::Update ? "update" : "read";
}

bool isAroundMixer(const std::string &kernel) {
  for (const char *prefix : {"linear", "dequantize", "one_row", "cache"})
    if (kernel.rfind(prefix, 0) == 0)
      return true;
  return false;
}

namespace {

/// Kernels that layers launch and whose names begin with `kernels` of the case. A mixer as a whole may be several,
/// under names that the compiler chooses: all up to the last of them in the layer but products and copies into caches.
std::vector<uint32_t> timedKernels(const Session &session, const Case &which) {
  std::vector<uint32_t> kernels;
  auto begins = [&](const PlanLaunch &launch) { return which.names(session.target().kernels[launch.kernel].name); };
  for (const PlanStep &step : session.plan().steps) {
    if (step.layer < 0)
      continue;
    const std::vector<PlanLaunch> &launches = session.plan().programs[step.program].launches;
    size_t end = launches.size();
    while (end > 0 && !begins(launches[end - 1]))
      --end;
    for (size_t i = 0; i < end; ++i) {
      bool around = launches[i].product || isAroundMixer(session.target().kernels[launches[i].kernel].name);
      if (which.whole ? !around : begins(launches[i]))
        kernels.push_back(launches[i].kernel);
    }
  }
  std::sort(kernels.begin(), kernels.end());
  kernels.erase(std::unique(kernels.begin(), kernels.end()), kernels.end());
  return kernels;
}

/// |value| in the type of a page.
void putNumber(char *to, PlanType type, float value) {
  if (type == PlanType::F32) {
    std::memcpy(to, &value, sizeof value);
    return;
  }
  uint16_t bits = type == PlanType::F16 ? formats::toHalf(value) : formats::toBrain(value);
  std::memcpy(to, &bits, sizeof bits);
}

/// Finite values of the size of activations in the pages that `Session::extend` gave out unwritten.
Status fillPages(Device &device, const Session &session, int64_t pages) {
  const Plan &plan = session.plan();
  for (size_t c = 0; c < plan.caches.size(); ++c) {
    if (plan.caches[c].kind != CacheKind::Paged)
      continue;
    auto *base = static_cast<char *>(session.hybridCache().pageBase(c));
    size_t element = bytes(plan.caches[c].type);
    std::vector<char> page(plan.caches[c].bytes);
    int64_t i = 0;
    for (char *to = page.data(); to < page.data() + page.size(); to += element, ++i)
      putNumber(to, plan.caches[c].type, 0.01f * static_cast<float>((i * 2654435761u >> 16) % 17 - 8));
    if (Status status = device.write(base, page.data(), page.size()))
      return status;
    // All pages alike, twice as many with each copy.
    size_t whole = page.size() * static_cast<size_t>(pages);
    for (size_t done = page.size(); done < whole; done *= 2)
      device.copy(base + done, base, std::min(done, whole - done));
  }
  return device.synchronize();
}

} // namespace

Status CacheSweep::create(Device &device) {
  this->device = &device;
  return device.machine() == Machine::Cpu ? Status() : device.allocate(2 * kBytes, memory);
}

void CacheSweep::operator()() {
  if (memory.data())
    device->copy(memory.data(), memory.data() + kBytes, kBytes);
}

Status measureCase(Bench &bench, const Case &which, Row &out) {
  if (which.bareBlocks)
    return measureBareKernel(bench, which, out);
  std::string path;
  if (Status status = bench.compiler.compileText(sourceOf(which, which.tuning), path))
    return status;
  std::shared_ptr<const Module> module;
  if (Status status = Module::open(path, module))
    return status;
  const Plan *found = nullptr;
  if (Status status = module->plan(bench.device->machine(), found))
    return status;
  const Plan &plan = *found;
  Weights weights;
  if (Status status = Weights::random(plan, 1, *bench.device, weights))
    return status;
  SessionOptions options;
  int64_t pages = ((which.past + which.tokens) / DENIM_PAGE_TOKENS + 2) * which.sequences;
  options.cacheBytes = plan.slotBytes() * static_cast<size_t>(which.sequences) +
                       plan.pageBytes() * static_cast<size_t>(pages) + (1 << 20);
  options.maxStepTokens = static_cast<int32_t>(which.tokens * which.sequences);
  std::unique_ptr<Session> session;
  if (Status status = Session::create(bench.device, module, std::move(weights), options, session))
    return status;

  std::vector<uint32_t> kernels = timedKernels(*session, which);
  if (kernels.empty())
    return error(DENIM_STATUS_INTERNAL, "'", which.name, "': expected a kernel '", which.kernels,
                 "...' in the layers, but got none");
  LaunchTimes times{std::vector<double>(session->target().kernels.size()), {}};
  session->profile(&times);
  std::vector<int32_t> tokens(which.tokens);
  for (size_t t = 0; t < tokens.size(); ++t)
    tokens[t] = static_cast<int32_t>(t * 7919 % static_cast<size_t>(plan.vocabulary));
  std::vector<StepEntry> entries(which.sequences, StepEntry{0, tokens.data(), which.tokens, Logits::None});
  bool begun = false;
  CacheSweep sweep;
  if (Status status = sweep.create(*bench.device))
    return status;
  // One step. A prompt begins a sequence; a decode step of a state continues one; a decode step of a paged cache
  // stands behind `past` tokens each time.
  bool continues = which.tokens == 1 && which.past == 0;
  auto once = [&](double &one) -> Status {
    if (!begun || !continues) {
      for (StepEntry &entry : entries) {
        if (begun)
          if (Status status = session->release(entry.sequence))
            return status;
        if (Status status = session->createSequence(entry.sequence))
          return status;
        if (which.past > 0)
          if (Status status = session->extend(entry.sequence, which.past))
            return status;
      }
      // Which pages they got is not asked: the first so many are all that there are.
      int64_t pagesHeld = which.sequences * ((which.past + DENIM_PAGE_TOKENS - 1) / DENIM_PAGE_TOKENS);
      if (which.past > 0 && !begun)
        if (Status status = fillPages(*bench.device, *session, pagesHeld))
          return status;
      begun = true;
    }
    std::fill(times.seconds.begin(), times.seconds.end(), 0.0);
    sweep();
    if (Status status = session->step(entries.data(), entries.size(), nullptr, 0))
      return status;
    one = 0;
    for (uint32_t kernel : kernels)
      one += times.seconds[kernel];
    one /= static_cast<double>(which.applications);
    return {};
  };
  // The first step times each launch by itself, which says which forms of the mixer this step has.
  double first = 0;
  if (Status status = once(first))
    return status;
  times.together.resize(times.seconds.size());
  for (uint32_t kernel : kernels) {
    times.together[kernel] = true;
    if (times.seconds[kernel] > 0)
      out.kernels.push_back(session->target().kernels[kernel].name);
  }
  out.name = which.name;
  out.tokens = static_cast<double>(which.tokens * which.sequences);
  out.flops = which.flops;
  out.bytes = which.bytes;
  if (Status status = timeRow(bench, bench.seconds / static_cast<double>(which.applications), once, out))
    return status;
  if (bench.device->machine() == Machine::Cuda && which.tokens == 1) {
    auto replay = [&](int64_t times, double &one) { return session->replay(kernels, times, one); };
    if (Status status = timeReplays(which, replay, out))
      return status;
  }
  setLimit(bench.limits, which.traffic, which.bytes * static_cast<double>(which.applications), out);
  return {};
}

} // namespace denim::bench
