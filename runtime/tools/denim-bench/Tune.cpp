//===- Tune.cpp - measure the candidates of choices -----------------------===//

#include "runtime/tools/denim-bench/Tune.h"
#include "formats/file/OutputFile.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

namespace denim::bench {

namespace {

using Json = nlohmann::ordered_json;

/// A choice for a shape, and the cases whose kernels have it.
struct Choice {
  std::string name, shape;
  int64_t value = 0;               ///< the compiler's own
  std::vector<int64_t> candidates; ///< the others that are worth measuring
  std::vector<size_t> cases;
  std::vector<std::string> kernels; ///< that have it, of all cases
};

/// Candidates that a prediction thinks this many times slower than the best are not measured.
constexpr double kHopeless = 4;
/// Differences below this are nobody's.
constexpr double kLeastGain = 0.02;

bool isWanted(const std::string &name, const TuneOptions &options) {
  return options.only.empty() || std::find(options.only.begin(), options.only.end(), name) != options.only.end();
}

/// Whether |which| may time a kernel of that name: the products and copies around a mixer it never does.
bool mayTime(const Case &which, const std::string &kernel) {
  return which.names(kernel) || (which.whole && !isAroundMixer(kernel));
}

/// Adds the choices that the compiler lists for |which|, case |number|.
Status addChoices(const std::string &list, const Case &which, size_t number, const TuneOptions &options,
                  std::string &outTarget, std::vector<Choice> &choices) {
  Json table = Json::parse(list, nullptr, /*allow_exceptions=*/false);
  if (!table.is_object() || !table.contains("entries"))
    return error(DENIM_STATUS_INTERNAL, "expected a list of choices, but got '", list.substr(0, 40), "'");
  outTarget = table.value("target", "");
  for (const Json &entry : table["entries"]) {
    std::string name = entry.value("choice", ""), shape = entry.value("shape", "");
    std::vector<std::string> kernels;
    for (const Json &kernel : entry["kernels"])
      if (mayTime(which, kernel.get<std::string>()))
        kernels.push_back(kernel.get<std::string>());
    if (kernels.empty() || !isWanted(name, options))
      continue;
    auto it = std::find_if(choices.begin(), choices.end(),
                           [&](const Choice &known) { return known.name == name && known.shape == shape; });
    if (it == choices.end()) {
      Choice choice{name, shape, entry.value("value", int64_t(0)), {}, {}, {}};
      double best = 0;
      for (const auto &[candidate, time] : entry["predicted_us"].items())
        best = best == 0 ? time.get<double>() : std::min(best, time.get<double>());
      for (const auto &[candidate, time] : entry["predicted_us"].items())
        if (int64_t value = std::strtoll(candidate.c_str(), nullptr, 10);
            value != choice.value && time.get<double>() <= kHopeless * best)
          choice.candidates.push_back(value);
      it = choices.insert(choices.end(), std::move(choice));
    }
    if (it->cases.empty() || it->cases.back() != number)
      it->cases.push_back(number);
    it->kernels.insert(it->kernels.end(), kernels.begin(), kernels.end());
  }
  return {};
}

Json entryOf(const Choice &choice, int64_t value) {
  return {{"choice", choice.name}, {"shape", choice.shape}, {"value", value}};
}

/// The table in which |choice| is |value|, and all else as in |entries|.
std::string tableWith(const std::string &target, Json entries, const Choice &choice, int64_t value) {
  entries.push_back(entryOf(choice, value));
  return Json{{"target", target}, {"entries", std::move(entries)}}.dump();
}

class Tuner {
public:
  Tuner(Bench &bench, const std::vector<Case> &cases, const TuneOptions &options)
      : bench(bench), cases(cases), options(options) {}

  Status run() {
    Json known;
    if (Status status = readTable(known))
      return status;
    formats::OutputFile table;
    if (formats::Error fault = table.open(options.table))
      return error(DENIM_STATUS_INVALID_ARGUMENT, "--table: ", fault.message());
    std::vector<Choice> choices;
    for (size_t i = 0; i < cases.size(); ++i) {
      std::string list;
      if (Status status = bench.compiler.listChoices(sourceOf(cases[i], ""), list))
        return status;
      if (Status status = addChoices(list, cases[i], i, options, target, choices))
        return status;
    }
    if (choices.empty())
      return error(DENIM_STATUS_INVALID_ARGUMENT, "expected choices in the kernels of these rows, but got none");
    for (const Choice &choice : choices)
      if (Status status = measure(choice))
        return status;
    return writeTable(known, table);
  }

private:
  /// The table that is extended, if there is one.
  Status readTable(Json &out) {
    std::ifstream file(options.table);
    if (!file)
      return {};
    out = Json::parse(file, nullptr, /*allow_exceptions=*/false);
    if (!out.is_object() || !out.contains("entries") || !out["entries"].is_array())
      return invalidArgument("--table: expected '", options.table, "' to be a table, but got something else");
    return {};
  }

  Status time(const Case &which, const std::string &table, Row &out) {
    Case own = which;
    own.tuning = table;
    return measureCase(bench, own, out);
  }

  /// Times all candidates of a choice in all cases whose timed kernels have it.
  Status measure(const Choice &choice) {
    if (choice.candidates.empty())
      return {};
    std::string base = won.empty() ? "" : Json{{"target", target}, {"entries", won}}.dump();
    std::map<int64_t, double> logRatios;
    std::map<int64_t, int64_t> measured;
    Json times;
    double noise = 0;
    int64_t timed = 0;
    std::printf("%s of %s: %lld unless another is faster\n", choice.name.c_str(), choice.shape.c_str(),
                static_cast<long long>(choice.value));
    for (size_t number : choice.cases) {
      const Case &which = cases[number];
      Row before;
      if (Status status = time(which, base, before))
        return status;
      // A form that this case does not launch is not timed by it.
      auto has = [&](const std::string &kernel) {
        return std::find(choice.kernels.begin(), choice.kernels.end(), kernel) != choice.kernels.end();
      };
      if (std::none_of(before.kernels.begin(), before.kernels.end(), has))
        continue;
      ++timed;
      Json &own = times[which.name];
      double ownLeast = before.times.median;
      std::printf("  %-44s", which.name.c_str());
      for (int64_t candidate : choice.candidates) {
        Row row, behind;
        if (Status status = time(which, tableWith(target, won, choice, candidate), row)) {
          std::printf("  %lld: none", static_cast<long long>(candidate));
          std::fprintf(stderr, "denim-bench: %s=%lld: %s\n", choice.name.c_str(), static_cast<long long>(candidate),
                       status.message().c_str());
          continue;
        }
        if (Status status = time(which, base, behind))
          return status;
        double first = before.times.median, second = behind.times.median, mean = (first + second) / 2;
        noise = std::max(noise, std::abs(second / first - 1));
        ownLeast = std::min(ownLeast, second);
        logRatios[candidate] += std::log(row.times.median / mean);
        ++measured[candidate];
        own[std::to_string(candidate)] = milliseconds(row.times.median);
        std::printf("  %lld: %.3f", static_cast<long long>(candidate), row.times.median / mean);
        std::fflush(stdout);
        before = behind;
      }
      own[std::to_string(choice.value)] = milliseconds(ownLeast);
      std::printf("  (own %.4f ms)\n", ownLeast * 1e3);
    }
    if (timed == 0) {
      std::printf("  in no kernel that these rows time\n");
      return {};
    }
    int64_t best = choice.value;
    double least = 1 - std::max(noise, kLeastGain);
    for (auto [candidate, sum] : logRatios)
      if (double ratio = std::exp(sum / static_cast<double>(timed)); measured[candidate] == timed && ratio < least) {
        least = ratio;
        best = candidate;
      }
    if (best == choice.value) {
      std::printf("  stays: nothing is faster by more than %.1f %%\n", 100 * std::max(noise, kLeastGain));
      return {};
    }
    std::printf("  %lld: %.3f of the time\n", static_cast<long long>(best), least);
    Json entry = entryOf(choice, best);
    entry["ms"] = times;
    fresh.push_back(entry);
    // On a machine without a compiler every candidate was made beside the compiler's own.
    if (bench.compiler.compiles())
      won.push_back(entryOf(choice, best));
    return {};
  }

  /// Four digits say what was measured.
  static double milliseconds(double seconds) {
    char text[32];
    std::snprintf(text, sizeof text, "%.4g", seconds * 1e3);
    return std::strtod(text, nullptr);
  }

  Status writeTable(const Json &known, formats::OutputFile &table) {
    Json entries = Json::array();
    if (!known.is_null())
      for (const Json &entry : known["entries"])
        if (std::none_of(fresh.begin(), fresh.end(), [&](const Json &own) {
              return own["choice"] == entry.value("choice", "") && own["shape"] == entry.value("shape", "");
            }))
          entries.push_back(entry);
    for (const Json &entry : fresh)
      entries.push_back(entry);
    std::string text = "{\n  \"target\": " + Json(target).dump() +
                       ",\n  \"chip\": " + Json(bench.limits.name()).dump() + ",\n  \"entries\": [";
    const char *comma = "\n    ";
    for (const Json &entry : entries) {
      text += comma + entry.dump();
      comma = ",\n    ";
    }
    text += "\n  ]\n}\n";
    if (formats::Error fault = table.keep(text))
      return error(DENIM_STATUS_INVALID_ARGUMENT, fault.message());
    std::printf("%zu new of %zu entries in %s\n", fresh.size(), entries.size(), options.table.c_str());
    return {};
  }

  Bench &bench;
  const std::vector<Case> &cases;
  const TuneOptions &options;
  std::string target;
  Json won = Json::array();   ///< what later choices are measured with
  Json fresh = Json::array(); ///< entries of this run
};

} // namespace

Status tune(Bench &bench, const std::vector<Case> &cases, const TuneOptions &options) {
  return Tuner(bench, cases, options).run();
}

Status writeCandidates(ModuleCompiler &compiler, const std::vector<Case> &cases, const TuneOptions &options) {
  int64_t refused = 0;
  for (size_t i = 0; i < cases.size(); ++i) {
    std::string list, target, path;
    std::vector<Choice> choices;
    if (Status status = compiler.listChoices(sourceOf(cases[i], ""), list))
      return status;
    if (Status status = addChoices(list, cases[i], i, options, target, choices))
      return status;
    if (Status status = compiler.compileText(sourceOf(cases[i], ""), path))
      return status;
    for (const Choice &choice : choices)
      for (int64_t candidate : choice.candidates)
        if (Status status =
                compiler.compileText(sourceOf(cases[i], tableWith(target, Json::array(), choice, candidate)), path)) {
          // A candidate that gives no kernel is not a fault of the others.
          std::fprintf(stderr, "denim-bench: %s=%lld: %s\n", choice.name.c_str(), static_cast<long long>(candidate),
                       status.message().c_str());
          ++refused;
        }
  }
  if (refused)
    std::fprintf(stderr, "denim-bench: %lld candidates gave no module\n", static_cast<long long>(refused));
  return {};
}

} // namespace denim::bench
