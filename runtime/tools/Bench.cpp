//===- Bench.cpp - denim-run bench ----------------------------------------===//
//
// Times a prefill and decode steps, and sets decoding against the memory bandwidth measured in the same run.
//
// Bytes of a decode step: each parameter once, each state and tail read and written, the pages of all past tokens
// read. That is more than is touched where a step gathers (embedding rows, chosen experts), so the share of the limit
// is an upper bound for such models.
//
//===----------------------------------------------------------------------===//

#include "formats/file/OutputFile.h"
#include "runtime/tools/Bandwidth.h"
#include "runtime/tools/Commands.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <numeric>

namespace denim {

namespace {

struct Options {
  int64_t prefill = 512, decode = 64, batch = 1;
  std::string profile; ///< none, prefill or decode: timing every launch costs a little, so only when asked for
};

Status readOptions(const Arguments &arguments, Options &out) {
  if (Status status = arguments.integer("--prefill", 0, 1 << 24, out.prefill))
    return status;
  if (Status status = arguments.integer("--decode", 0, 1 << 24, out.decode))
    return status;
  if (Status status = arguments.integer("--batch", 1, 1 << 20, out.batch))
    return status;
  out.profile = arguments.text("--profile", "none");
  if (out.profile != "none" && out.profile != "prefill" && out.profile != "decode")
    return invalidArgument("--profile: expected none, prefill or decode, but got '", out.profile, "'");
  return {};
}

/// The sequences of a batch, all with the same tokens, and what their steps took.
class TimedBatch {
public:
  TimedBatch(Session &session, const Options &options, bool isCpu)
      : times{std::vector<double>(session.target().kernels.size()), {}}, session(session), options(options),
        isCpu(isCpu), tokens(std::max<int64_t>(options.prefill, 1) + options.decode),
        logits(static_cast<size_t>(options.batch) * session.plan().vocabulary), entries(options.batch) {
    for (size_t t = 0; t < tokens.size(); ++t)
      tokens[t] = static_cast<int32_t>((t * 7919 + 17) % session.plan().vocabulary);
  }

  /// Some to bring weights and code into memory, then the one that counts. A GPU chooses algorithms for a shape when it
  /// first sees it, and records a graph when it sees it again.
  Status prefill() {
    const int rounds = isCpu ? 2 : 4;
    for (int round = 0; round < rounds; ++round) {
      bool counts = round + 1 == rounds;
      if (round)
        if (Status status = end())
          return status;
      if (Status status = begin(counts || !isCpu ? options.prefill : std::min<int64_t>(options.prefill, 64)))
        return status;
      session.profile(counts && options.profile == "prefill" ? &times : nullptr);
      Stopwatch watch;
      if (Status status = step())
        return status;
      prefillSeconds = watch.seconds();
    }
    return {};
  }

  Status decode() {
    session.profile(options.profile == "decode" ? &times : nullptr);
    Progress progress("decode", options.decode);
    for (int64_t n = 0; n < options.decode; ++n) {
      for (StepEntry &entry : entries) {
        entry.tokens = tokens.data() + options.prefill + n;
        entry.count = 1;
      }
      Stopwatch watch;
      if (Status status = step())
        return status;
      stepSeconds.push_back(watch.seconds());
      progress.at(n);
    }
    return {};
  }

  double prefillSeconds = 0;
  std::vector<double> stepSeconds; ///< of each decode step
  LaunchTimes times;               ///< of what is profiled

private:
  Status begin(int64_t length) {
    for (StepEntry &entry : entries) {
      if (Status status = session.createSequence(entry.sequence))
        return status;
      entry.tokens = tokens.data();
      entry.count = length;
      entry.logits = Logits::Last;
    }
    return {};
  }
  Status step() {
    return session.step(entries.data(), entries.size(), logits.data(), entries[0].count ? options.batch : 0);
  }
  Status end() {
    for (StepEntry &entry : entries)
      if (Status status = session.release(entry.sequence))
        return status;
    return {};
  }

  Session &session;
  const Options &options;
  bool isCpu;
  std::vector<int32_t> tokens;
  std::vector<float> logits;
  std::vector<StepEntry> entries;
};

/// What was measured, and what follows from it.
struct Figures {
  Figures(const Plan &plan, const Options &options, const TimedBatch &timed, const MemoryRate &memory)
      : memory(memory), prefillSeconds(timed.prefillSeconds) {
    std::vector<double> sorted = timed.stepSeconds;
    for (double seconds : sorted)
      decodeSeconds += seconds;
    mean = options.decode ? decodeSeconds / static_cast<double>(options.decode) : 0;
    std::sort(sorted.begin(), sorted.end());
    median = options.decode ? sorted[sorted.size() / 2] : 0;
    double meanLength = static_cast<double>(options.prefill) + static_cast<double>(options.decode) / 2;
    weightBytes = static_cast<double>(plan.parameterBytes());
    sequenceBytes = 2.0 * static_cast<double>(plan.slotBytes()) +
                    static_cast<double>(plan.pageBytes()) / DENIM_PAGE_TOKENS * meanLength;
    stepBytes = weightBytes + sequenceBytes * static_cast<double>(options.batch);
    achieved = median > 0 ? stepBytes / median : 0;
    auto prompts = static_cast<double>(options.prefill * options.batch);
    prefillRate = options.prefill ? prompts / prefillSeconds : 0;
    decodeRate = mean > 0 ? static_cast<double>(options.batch) / mean : 0;
  }

  MemoryRate memory;
  double prefillSeconds, decodeSeconds = 0, mean, median; ///< decodeSeconds in all; mean and median of its steps
  double weightBytes, sequenceBytes, stepBytes;           ///< a step reads weights, and the cache of each sequence
  double achieved, prefillRate, decodeRate;               ///< bytes and tokens per second
};

void print(const Options &options, const Figures &figures) {
  if (options.prefill)
    std::printf("prefill %lld tokens: %.3f ms, %.1f tokens/s\n", static_cast<long long>(options.prefill),
                figures.prefillSeconds * 1e3, figures.prefillRate);
  if (!options.decode)
    return;
  std::printf("decode %lld steps: %.3f ms (median %.3f), %.1f tokens/s\n", static_cast<long long>(options.decode),
              figures.mean * 1e3, figures.median * 1e3, figures.decodeRate);
  std::printf("  %.0f bytes a step, %.0f of them weights; %.2f GB/s of %.2f (one core: %.2f), %.1f %%\n",
              figures.stepBytes, figures.weightBytes, figures.achieved / 1e9, figures.memory.rate / 1e9,
              figures.memory.coreRate / 1e9, 100 * figures.achieved / figures.memory.rate);
}

std::string asJson(const Model &model, const Options &options, const Figures &figures) {
  const Plan &plan = model.session->plan();
  nlohmann::ordered_json json = {{"module", plan.name},
                                 {"target", model.session->target().name},
                                 {"device", std::string(model.device->name())},
                                 {"threads", figures.memory.threads},
                                 {"batch", options.batch},
                                 {"prefill_tokens", options.prefill},
                                 {"prefill_ms", figures.prefillSeconds * 1e3},
                                 {"prefill_tokens_per_s", figures.prefillRate},
                                 {"decode_steps", options.decode},
                                 {"decode_ms_mean", figures.mean * 1e3},
                                 {"decode_ms_median", figures.median * 1e3},
                                 {"decode_tokens_per_s", figures.decodeRate},
                                 {"parameter_bytes", plan.parameterBytes()},
                                 {"cache_bytes_per_sequence_step", figures.sequenceBytes},
                                 {"decode_bytes_per_step", figures.stepBytes},
                                 {"decode_bytes_per_token", figures.stepBytes / static_cast<double>(options.batch)},
                                 {"decode_gb_per_s", figures.achieved / 1e9},
                                 {"read_bandwidth_gb_per_s", figures.memory.rate / 1e9},
                                 {"read_bandwidth_one_core_gb_per_s", figures.memory.coreRate / 1e9},
                                 {"share_of_bandwidth", figures.achieved / figures.memory.rate}};
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

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
  Options options;
  if (Status status = readOptions(arguments, options))
    return status;
  formats::OutputFile file;
  if (arguments.has("--json"))
    if (formats::Error fault = file.open(arguments.text("--json", "")))
      return error(DENIM_STATUS_INVALID_ARGUMENT, "--json: ", fault.message());
  Model model;
  if (Status status = openModel(arguments, model))
    return status;
  Session &session = *model.session;

  TimedBatch timed(session, options, model.device->machine() == Machine::Cpu);
  if (Status status = timed.prefill())
    return status;
  if (Status status = timed.decode())
    return status;
  MemoryRate memory;
  if (Status status = measureMemory(*model.device, memory))
    return status;
  Figures figures(session.plan(), options, timed, memory);

  std::string where = std::string(model.device->name());
  if (memory.threads)
    where = std::to_string(memory.threads) + " threads";
  std::printf("%s on %s, %s, batch %lld\n", session.plan().name.c_str(), session.target().name.c_str(), where.c_str(),
              static_cast<long long>(options.batch));
  print(options, figures);
  if (options.profile != "none")
    printProfile(session, timed.times.seconds,
                 options.profile == "prefill" ? figures.prefillSeconds : figures.decodeSeconds);
  if (!arguments.has("--json"))
    return {};
  if (formats::Error fault = file.keep(asJson(model, options, figures)))
    return error(DENIM_STATUS_INVALID_ARGUMENT, fault.message());
  return {};
}

} // namespace denim
