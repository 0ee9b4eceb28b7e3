//===- DenimBench.cpp - time operators against the limits of the machine --===//

#include "formats/file/OutputFile.h"
#include "runtime/device/cpu/CpuDevice.h"
#include "runtime/tools/Commands.h"
#include "runtime/tools/denim-bench/Measurement.h"
#include "runtime/tools/denim-bench/Tune.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <exception>
#include <nlohmann/json.hpp>

namespace denim::bench {

namespace {

const char *const kUsage = R"(usage: denim-bench [FILTER] [options]

Times operators at the sizes of language models, without what is around them, and sets them against what this machine can do.
FILTER: only rows whose name contains one of these words, separated by commas.
On a GPU `median ms` and `min ms` are between two events around the kernels of a row, behind a copy of more bytes than the
caches hold; `replay ms` of rows of one token is that of a graph of the same launches, again and again. Rows with `ring=8` have
eight layers in that graph: what one of them costs inside a step. `empty kernel` is what of either time is no kernel's
work, `state alone` what there is beside when a kernel only reads a recurrence's state and writes it.

  --list                names only
  --threads N           1 unless given
  --seconds S           of repetitions per row; 0.5 unless given
  --target T            as denim-compile --target=cpu,T or --target=nvptx,T; native or sm_90a unless given
  --model FILE          also rows for a model, text (.mlir) or compiled (.denim); its rows alone without FILTER
  --weights CHECKPOINT  of that model; random unless given
  --prompt N            tokens of that model's prefill; 512 unless given
  --json FILE           the rows as JSON
  --device cpu|cuda|cuda:N
  --cases cpu|cuda      rows of that machine; those of the device unless given
  --write-modules DIR   compiles the modules of all rows to DIR and times nothing
  --modules DIR         takes them from there, on a machine that has no compiler
  --tune                measures, in the kernels of the rows, what the compiler could choose instead of what it
                        chooses, and writes what is faster to a tuning table; with --write-modules: compiles all that
  --table FILE          that table; tuning.json unless given. Extended when it is there
  --choices NAME,...    only these choices; see denim-compile --emit=choices
)";

class Report {
public:
  explicit Report(Bench &bench) : bench(bench) {}

  void begin() {
    MachineLimits &limits = bench.limits;
    std::printf("%s: %s %.1f GFLOP/s; memory read %.2f GB/s, updated in place %.2f GB/s\n", limits.name().c_str(),
                limits.operations().c_str(), limits.operationRate() / 1e9,
                limits.readRate(MachineLimits::kMemory) / 1e9, limits.updateRate(MachineLimits::kMemory) / 1e9);
    std::printf("%-46s %6s %10s %10s %11s %9s %8s %-6s %9s %7s %7s%s\n", "case", "reps", "median ms", "min ms",
                "tokens/s", "GFLOP/s", "GB/s", "limit", "ms", "median", "best",
                bench.device->machine() == Machine::Cuda ? "  replay ms     GB/s" : "");
  }

  void add(const Row &row) {
    const Times &t = row.times;
    std::printf("%-46s %6lld %10.4f %10.4f %11.1f", row.name.c_str(), static_cast<long long>(t.repetitions),
                t.median * 1e3, t.least * 1e3, row.tokens / t.median);
    number(row.flops / t.median / 1e9, 9);
    number(row.bytes / t.median / 1e9, 8);
    if (row.limitSeconds > 0)
      std::printf(" %-6s %9.4f %5.1f %% %5.1f %%", row.limit.c_str(), row.limitSeconds * 1e3,
                  100 * row.limitSeconds / t.median, 100 * row.limitSeconds / t.least);
    else if (row.replaySeconds > 0)
      std::printf("%33s", "");
    if (row.replaySeconds > 0) {
      std::printf(" %10.4f", row.replaySeconds * 1e3);
      number(row.bytes / row.replaySeconds / 1e9, 8);
    }
    std::printf("\n");
    std::fflush(stdout);
    json.push_back({{"case", row.name},
                    {"kernels", row.kernels},
                    {"repetitions", t.repetitions},
                    {"median_ms", t.median * 1e3},
                    {"min_ms", t.least * 1e3},
                    {"max_ms", t.most * 1e3},
                    {"tokens_per_s", row.tokens / t.median},
                    {"gflop_per_s", row.flops / t.median / 1e9},
                    {"gb_per_s", row.bytes / t.median / 1e9},
                    {"operations_gflop_per_s", row.fma / 1e9},
                    {"limit", row.limit},
                    {"limit_ms", row.limitSeconds * 1e3},
                    {"share_median", row.limitSeconds / t.median},
                    {"share_best", row.limitSeconds / t.least}});
    if (row.replaySeconds > 0)
      json.back()["replay_ms"] = row.replaySeconds * 1e3;
  }

  Status write(formats::OutputFile &file) const {
    MachineLimits &limits = bench.limits;
    nlohmann::ordered_json all = {{"machine", limits.name()},
                                  {"device", std::string(bench.device->name())},
                                  {"threads", bench.threads},
                                  {"operations", limits.operations()},
                                  {"operations_gflop_per_s", limits.operationRate() / 1e9},
                                  {"memory_read_gb_per_s", limits.readRate(MachineLimits::kMemory) / 1e9},
                                  {"memory_update_gb_per_s", limits.updateRate(MachineLimits::kMemory) / 1e9},
                                  {"rows", json}};
    if (formats::Error fault = file.keep(all.dump(2) + "\n"))
      return error(DENIM_STATUS_INVALID_ARGUMENT, fault.message());
    return {};
  }

private:
  static void number(double value, int width) {
    if (value > 0)
      std::printf(" %*.2f", width, value);
    else
      std::printf(" %*s", width, "-");
  }

  Bench &bench;
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
};

bool matches(const std::string &name, const std::string &filter) {
  if (filter.empty())
    return true;
  for (size_t begin = 0; begin <= filter.size();) {
    size_t end = std::min(filter.find(',', begin), filter.size());
    if (end > begin && name.find(filter.substr(begin, end - begin)) != std::string::npos)
      return true;
    begin = end + 1;
  }
  return false;
}

/// The words of a list with commas.
std::vector<std::string> wordsOf(const std::string &list) {
  std::vector<std::string> words;
  std::istringstream in(list);
  for (std::string word; std::getline(in, word, ',');)
    words.push_back(word);
  return words;
}

Status writeModules(const std::vector<Case> &cases, const Arguments &arguments, ModuleCompiler &compiler) {
  std::string path;
  int64_t refused = 0;
  for (const Case &one : cases) {
    if (Status status = compiler.compileText(sourceOf(one, one.tuning), path)) {
      std::fprintf(stderr, "denim-bench: %s: %s\n", one.name.c_str(), status.message().c_str());
      ++refused;
    }
  }
  if (arguments.has("--model"))
    if (Status status = compiler.compileFile(arguments.text("--model", ""), path))
      return status;
  if (refused)
    return error(DENIM_STATUS_INCOMPATIBLE, refused, " of ", cases.size(), " cases gave no module");
  return {};
}

/// The command line: options with values, those without, and the filter, which may be missing.
struct CommandLine {
  Arguments arguments;
  bool list = false, tunes = false, hasFilter = false;

  std::string filter() const { return hasFilter ? arguments.file() : ""; }
  std::string device() const { return arguments.text("--device", "cpu"); }
  bool isCpu() const { return device() == "cpu"; }
  /// The machine whose rows are wanted.
  std::string rows() const { return arguments.text("--cases", device().rfind("cuda", 0) == 0 ? "cuda" : "cpu"); }
  bool modelOnly() const { return arguments.has("--model") && !hasFilter; }
};

Status parse(int count, char **words, CommandLine &out) {
  std::vector<char *> rest;
  for (int i = 0; i < count; ++i) {
    if (!std::strcmp(words[i], "--list")) {
      out.list = true;
      continue;
    }
    if (!std::strcmp(words[i], "--tune")) {
      out.tunes = true;
      continue;
    }
    bool isOption = !std::strncmp(words[i], "--", 2);
    out.hasFilter |= !isOption;
    rest.push_back(words[i]);
    if (isOption && !std::strchr(words[i], '=') && i + 1 < count)
      rest.push_back(words[++i]);
  }
  std::string none = ","; // the parser wants a file
  if (!out.hasFilter)
    rest.push_back(none.data());
  if (Status status =
          Arguments::parse(static_cast<int>(rest.size()), rest.data(),
                           {"--threads", "--seconds", "--target", "--model", "--weights", "--json", "--device",
                            "--modules", "--write-modules", "--prompt", "--cases", "--table", "--choices"},
                           out.arguments))
    return status;
  if (!out.tunes)
    for (const char *option : {"--table", "--choices"})
      if (out.arguments.has(option))
        return invalidArgument("expected ", option, " with --tune, but got it alone");
  return {};
}

Status selectCases(const CommandLine &line, std::vector<Case> &out) {
  std::string rows = line.rows(), filter = line.filter();
  if (rows != "cpu" && rows != "cuda")
    return invalidArgument("--cases: expected cpu or cuda, but got '", rows, "'");
  for (Case &one : rows == "cpu" ? allCases() : cudaCases())
    if (!line.modelOnly() && matches(one.name, filter))
      out.push_back(std::move(one));
  // Rows without a model are of GPUs alone, and there is nothing to compile for them or to choose.
  if (!line.list && (line.isCpu() || line.tunes || line.arguments.has("--write-modules")))
    out.erase(std::remove_if(out.begin(), out.end(), [](const Case &one) { return one.bareBlocks > 0; }), out.end());
  if (out.empty() && !line.arguments.has("--model") && !matches("sgemm", filter))
    return invalidArgument("expected a filter that some case contains, but got '", filter, "' (see --list)");
  return {};
}

/// Rows of all cases, of libraries beside them, and of a model; into a file when that is open.
Status measureAll(Bench &bench, const CommandLine &line, const std::vector<Case> &cases, int64_t prompt,
                  formats::OutputFile &json) {
  const Arguments &arguments = line.arguments;
  Report report(bench);
  report.begin();
  int64_t refused = 0;
  for (const Case &one : cases) {
    Row row;
    if (Status status = measureCase(bench, one, row)) {
      // The others are worth having.
      std::fprintf(stderr, "denim-bench: %s: %s\n", one.name.c_str(), status.message().c_str());
      ++refused;
      continue;
    }
    report.add(row);
  }
  if (line.rows() == "cpu" && line.isCpu() && !line.modelOnly() && matches("sgemm OpenBLAS oneDNN", line.filter()))
    for (const Row &row : measureLibraries(bench))
      report.add(row);
  Status ofModel;
  if (arguments.has("--model")) {
    std::vector<Row> rows;
    ofModel = measureModel(bench, arguments.text("--model", ""), arguments.text("--weights", "random"), prompt, rows);
    for (const Row &row : rows)
      report.add(row);
  }
  if (arguments.has("--json"))
    if (Status status = report.write(json))
      return status;
  if (ofModel)
    return ofModel;
  if (refused)
    return error(DENIM_STATUS_INCOMPATIBLE, refused, " of ", cases.size(), " cases gave no row");
  return {};
}

Status run(int count, char **words) {
  CommandLine line;
  if (Status status = parse(count, words, line))
    return status;
  const Arguments &arguments = line.arguments;
  std::vector<Case> cases;
  if (Status status = selectCases(line, cases))
    return status;
  if (line.list) {
    for (const Case &one : cases)
      std::printf("%s\n", one.name.c_str());
    return {};
  }

  int64_t threads = 1, prompt = 512;
  double seconds = 0.5;
  if (Status status = arguments.integer("--prompt", 1, 1 << 20, prompt))
    return status;
  if (Status status = arguments.integer("--threads", 1, 4096, threads))
    return status;
  if (Status status = arguments.number("--seconds", seconds))
    return status;
  if (!(seconds >= 0 && seconds <= 3600))
    return invalidArgument("--seconds: expected a number from 0 to 3600, but got '", arguments.text("--seconds", ""),
                           "'");
  formats::OutputFile json;
  if (arguments.has("--json"))
    if (formats::Error fault = json.open(arguments.text("--json", "")))
      return error(DENIM_STATUS_INVALID_ARGUMENT, "--json: ", fault.message());
  std::string target =
      line.isCpu() ? "cpu," + arguments.text("--target", "native") : "nvptx," + arguments.text("--target", "sm_90a");
  ModuleCompiler compiler;
  if (arguments.has("--modules"))
    ModuleCompiler::openFolder(arguments.text("--modules", ""), compiler);
  else if (Status status = ModuleCompiler::create(target, arguments.text("--write-modules", ""), compiler))
    return status;
  TuneOptions tuning{arguments.text("--table", "tuning.json"), wordsOf(arguments.text("--choices", ""))};
  if (arguments.has("--write-modules"))
    return line.tunes ? writeCandidates(compiler, cases, tuning) : writeModules(cases, arguments, compiler);
  std::shared_ptr<Device> device;
  if (Status status = createDevice(line.device(), static_cast<int>(threads), device))
    return error(status.code(), "--device: ", status.message());
  std::unique_ptr<MachineLimits> limits;
  if (device->machine() == Machine::Cpu)
    limits = std::make_unique<CpuLimits>(static_cast<CpuDevice &>(*device).threadPool());
  else if (Status status = CudaLimits::create(std::static_pointer_cast<CudaDevice>(device), limits))
    return status;
  Bench bench{device, line.isCpu() ? static_cast<int>(threads) : 0, *limits, compiler, seconds};
  return line.tunes ? tune(bench, cases, tuning) : measureAll(bench, line, cases, prompt, json);
}

} // namespace

} // namespace denim::bench

int main(int argc, char **argv) {
  if (argc > 1 && (!std::strcmp(argv[1], "--help") || !std::strcmp(argv[1], "-h"))) {
    std::fputs(denim::bench::kUsage, stdout);
    return 0;
  }
  std::string message;
  try {
    message = denim::bench::run(argc - 1, argv + 1).message();
  } catch (const std::bad_alloc &) {
    message = "out of memory";
  } catch (const std::exception &exception) {
    message = exception.what(); // no call does this knowingly
  }
  if (message.empty() && std::fflush(stdout) != 0)
    message = "cannot write to the output";
  if (message.empty())
    return 0;
  std::fprintf(stderr, "denim-bench: %s\n", message.c_str());
  return 1;
}
