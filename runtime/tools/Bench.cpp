//===- Bench.cpp - denim-run bench ----------------------------------------===//
//
// Times a prefill and decode steps, and sets decoding against the memory bandwidth measured in the same run.
//
// Bytes of a decode step: each parameter once, each state and tail read and written, the pages of all past tokens
// read. That is more than is touched where a step gathers (embedding rows, chosen experts), so the share of the limit
// is an upper bound for such models.
//
//===----------------------------------------------------------------------===//

#include "runtime/tools/Bandwidth.h"
#include "runtime/tools/Commands.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <numeric>

namespace denim {

namespace {

/// Kernels by the time they took, and what was between them.
void printProfile(const Session &session, const std::vector<double> &seconds, double total) {
  std::vector<size_t> order(seconds.size());
  std::iota(order.begin(), order.end(), size_t(0));
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return seconds[a] > seconds[b]; });
  double between = total;
  for (size_t kernel : order) {
    between -= seconds[kernel];
    if (seconds[kernel] > 0)
      std::printf("  %-40s %10.3f ms %5.1f %%\n", session.target().kernels[kernel].name.c_str(), seconds[kernel] * 1e3,
                  100 * seconds[kernel] / total);
  }
  std::printf("  %-40s %10.3f ms %5.1f %%\n", "(between launches)", between * 1e3, 100 * between / total);
}

} // namespace

Status runBench(int count, char **words) {
  Arguments arguments;
  if (Status status = Arguments::parse(
          count, words, withModelOptions({"--prefill", "--decode", "--batch", "--json", "--profile"}), arguments))
    return status;
  int64_t prefill = 512, decode = 64, batch = 1;
  if (Status status = arguments.integer("--prefill", 0, 1 << 24, prefill))
    return status;
  if (Status status = arguments.integer("--decode", 0, 1 << 24, decode))
    return status;
  if (Status status = arguments.integer("--batch", 1, 1 << 20, batch))
    return status;
  // Timing every launch costs a little, so only when asked for.
  std::string profile = arguments.text("--profile", "none");
  if (profile != "none" && profile != "prefill" && profile != "decode")
    return invalidArgument("--profile: expected none, prefill or decode, but got '", profile, "'");
  Model model;
  if (Status status = openModel(arguments, model))
    return status;
  Session &session = *model.session;
  const Plan &plan = session.plan();

  std::vector<int32_t> tokens(std::max<int64_t>(prefill, 1) + decode);
  for (size_t t = 0; t < tokens.size(); ++t)
    tokens[t] = static_cast<int32_t>((t * 7919 + 17) % plan.vocabulary);
  std::vector<float> logits(static_cast<size_t>(batch) * plan.vocabulary);
  std::vector<StepEntry> entries(batch);
  auto begin = [&](int64_t length) -> Status {
    for (StepEntry &entry : entries) {
      if (Status status = session.createSequence(entry.sequence))
        return status;
      entry.tokens = tokens.data();
      entry.count = length;
      entry.logits = Logits::Last;
    }
    return {};
  };
  auto step = [&] { return session.step(entries.data(), entries.size(), logits.data(), entries[0].count ? batch : 0); };
  auto end = [&]() -> Status {
    for (StepEntry &entry : entries)
      if (Status status = session.release(entry.sequence))
        return status;
    return {};
  };

  // Some to bring weights and code into memory, then the one that counts. A GPU chooses algorithms for a shape when it
  // first sees it, and records a graph when it sees it again.
  bool isCpu = model.device->machine() == Machine::Cpu;
  const int rounds = isCpu ? 2 : 4;
  double prefillSeconds = 0;
  LaunchTimes times{std::vector<double>(session.target().kernels.size()), {}};
  for (int round = 0; round < rounds; ++round) {
    bool counts = round + 1 == rounds;
    if (round)
      if (Status status = end())
        return status;
    if (Status status = begin(counts || !isCpu ? prefill : std::min<int64_t>(prefill, 64)))
      return status;
    session.profile(counts && profile == "prefill" ? &times : nullptr);
    Stopwatch watch;
    if (Status status = step())
      return status;
    prefillSeconds = watch.seconds();
  }
  session.profile(profile == "decode" ? &times : nullptr);
  std::vector<double> stepSeconds;
  Progress progress("decode", decode);
  for (int64_t n = 0; n < decode; ++n) {
    for (StepEntry &entry : entries) {
      entry.tokens = tokens.data() + prefill + n;
      entry.count = 1;
    }
    Stopwatch watch;
    if (Status status = step())
      return status;
    stepSeconds.push_back(watch.seconds());
    progress.at(n);
  }
  double decodeSeconds = 0;
  for (double seconds : stepSeconds)
    decodeSeconds += seconds;
  double mean = decode ? decodeSeconds / static_cast<double>(decode) : 0;
  std::sort(stepSeconds.begin(), stepSeconds.end());
  double median = decode ? stepSeconds[stepSeconds.size() / 2] : 0;

  double meanLength = static_cast<double>(prefill) + static_cast<double>(decode) / 2;
  double sequenceBytes = 2.0 * static_cast<double>(plan.slotBytes()) +
                         static_cast<double>(plan.pageBytes()) / DENIM_PAGE_TOKENS * meanLength;
  double stepBytes = static_cast<double>(plan.parameterBytes()) + sequenceBytes * static_cast<double>(batch);
  MemoryRate memory;
  if (Status status = measureMemory(*model.device, memory))
    return status;
  double bandwidth = memory.rate;
  double achieved = median > 0 ? stepBytes / median : 0;
  double prefillRate = prefill ? static_cast<double>(prefill * batch) / prefillSeconds : 0;

  std::string where = std::string(model.device->name());
  if (memory.threads)
    where = std::to_string(memory.threads) + " threads";
  std::printf("%s on %s, %s, batch %lld\n", plan.name.c_str(), session.target().name.c_str(), where.c_str(),
              static_cast<long long>(batch));
  if (prefill)
    std::printf("prefill %lld tokens: %.3f ms, %.1f tokens/s\n", static_cast<long long>(prefill), prefillSeconds * 1e3,
                prefillRate);
  if (decode) {
    std::printf("decode %lld steps: %.3f ms (median %.3f), %.1f tokens/s\n", static_cast<long long>(decode), mean * 1e3,
                median * 1e3, static_cast<double>(batch) / mean);
    std::printf("  %.0f bytes a step, %.0f of them weights; %.2f GB/s of %.2f (one core: %.2f), %.1f %%\n", stepBytes,
                static_cast<double>(plan.parameterBytes()), achieved / 1e9, bandwidth / 1e9, memory.coreRate / 1e9,
                100 * achieved / bandwidth);
  }
  if (profile != "none")
    printProfile(session, times.seconds, profile == "prefill" ? prefillSeconds : decodeSeconds);
  if (!arguments.has("--json"))
    return {};
  nlohmann::ordered_json json = {{"module", plan.name},
                                 {"target", session.target().name},
                                 {"device", std::string(model.device->name())},
                                 {"threads", memory.threads},
                                 {"batch", batch},
                                 {"prefill_tokens", prefill},
                                 {"prefill_ms", prefillSeconds * 1e3},
                                 {"prefill_tokens_per_s", prefillRate},
                                 {"decode_steps", decode},
                                 {"decode_ms_mean", mean * 1e3},
                                 {"decode_ms_median", median * 1e3},
                                 {"decode_tokens_per_s", mean > 0 ? static_cast<double>(batch) / mean : 0},
                                 {"parameter_bytes", plan.parameterBytes()},
                                 {"cache_bytes_per_sequence_step", sequenceBytes},
                                 {"decode_bytes_per_step", stepBytes},
                                 {"decode_bytes_per_token", stepBytes / static_cast<double>(batch)},
                                 {"decode_gb_per_s", achieved / 1e9},
                                 {"read_bandwidth_gb_per_s", bandwidth / 1e9},
                                 {"read_bandwidth_one_core_gb_per_s", memory.coreRate / 1e9},
                                 {"share_of_bandwidth", achieved / bandwidth}};
  std::string path = arguments.text("--json", "");
  std::FILE *file = std::fopen(path.c_str(), "w");
  if (!file)
    return invalidArgument("cannot write '", path, "'");
  std::fprintf(file, "%s\n", json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace).c_str());
  if (std::fclose(file) != 0)
    return invalidArgument("cannot write '", path, "'");
  return {};
}

} // namespace denim
