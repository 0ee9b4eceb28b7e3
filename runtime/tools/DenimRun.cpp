//===- DenimRun.cpp - run a compiled model --------------------------------===//

#include "runtime/tools/Commands.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <exception>
#include <new>
#include <unistd.h>

namespace denim {

std::vector<std::string> withModelOptions(std::vector<std::string> options) {
  for (const char *option : {"--weights", "--device", "--threads", "--max-step-tokens", "--cache-mib"})
    options.push_back(option);
  return options;
}

Status openModel(const Arguments &arguments, Model &out) {
  int64_t threads = 0, maxStepTokens = 512;
  out.cacheMib = 1024;
  if (Status status = arguments.integer("--threads", 1, 4096, threads))
    return status;
  if (Status status = arguments.integer("--cache-mib", 1, 1 << 24, out.cacheMib))
    return status;
  if (Status status = arguments.integer("--max-step-tokens", 1, 1 << 24, maxStepTokens))
    return status;
  if (Status status = arguments.required("--weights", out.weightsPath))
    return status;
  std::shared_ptr<const Module> module;
  if (Status status = Module::open(arguments.file(), module))
    return status;
  if (Status status = createDevice(arguments.text("--device", "cpu"), static_cast<int>(threads), out.device))
    return error(status.code(), "--device: ", status.message());
  const Plan *plan = nullptr;
  if (Status status = module->plan(out.device->machine(), plan))
    return status;
  Weights weights;
  if (Status status = out.weightsPath == "random" ? Weights::random(*plan, 1, *out.device, weights)
                                                  : Weights::map(out.weightsPath, *plan, *out.device, weights))
    return status;
  SessionOptions options;
  options.cacheBytes = static_cast<size_t>(out.cacheMib) << 20;
  options.maxStepTokens = static_cast<int32_t>(maxStepTokens);
  return Session::create(out.device, module, std::move(weights), options, out.session);
}

Status checkRoom(const Model &model, int64_t tokens) {
  const Plan &plan = model.session->plan();
  size_t pages = (static_cast<size_t>(tokens) + DENIM_PAGE_TOKENS - 1) / DENIM_PAGE_TOKENS;
  size_t mib = (plan.slotBytes() + pages * plan.pageBytes() + (1 << 20) - 1) >> 20;
  if (mib > static_cast<size_t>(model.cacheMib))
    return error(DENIM_STATUS_RESOURCE_EXHAUSTED, "--cache-mib: expected at least ", mib, " for ", tokens,
                 " tokens, but got ", model.cacheMib);
  return {};
}

Progress::Progress(std::string what, int64_t total)
    : what(std::move(what)), total(total), terminal(isatty(STDERR_FILENO)) {}

Progress::~Progress() {
  if (shown)
    std::fprintf(stderr, "\r\x1b[K");
}

void Progress::at(int64_t done) {
  if (!terminal || watch.seconds() < 0.5)
    return;
  constexpr int64_t kWidth = 30;
  int filled = static_cast<int>(done * kWidth / std::max<int64_t>(total, 1));
  std::fprintf(stderr, "\r%s [%.*s%*s] %lld/%lld", what.c_str(), filled, "##############################",
               static_cast<int>(kWidth) - filled, "", static_cast<long long>(done), static_cast<long long>(total));
  shown = true;
}

} // namespace denim

namespace {

const char *const kUsage = R"(usage: denim-run COMMAND MODULE.denim [options]

  generate  --weights CHECKPOINT (--prompt TEXT | --prompt-tokens 1,2,3) [--max-new-tokens N]
            [--temperature T] [--top-p P] [--seed S] [--output text|tokens]
  score     --weights CHECKPOINT --tokens (1,2,3 | FILE.safetensors:NAME) --logits OUT.safetensors
            [--chunk N] [--decode N]      f32 logits [T, V]; the last N tokens one by one, the rest in chunks
  bench     --weights CHECKPOINT|random [--prefill T] [--decode N] [--batch B] [--json FILE]
            [--profile none|prefill|decode]    time by kernel
  inspect   [--text PHASE]                parameters, caches, kernels, targets; or what it was compiled from

all that run: [--device cpu|cuda|cuda:N] [--threads N] [--max-step-tokens N] [--cache-mib N]
)";

denim::Status dispatch(int argc, char **argv) {
  using namespace denim;
  std::string command = argc > 1 ? argv[1] : "";
  if (command == "generate")
    return runGenerate(argc - 2, argv + 2);
  if (command == "score")
    return runScore(argc - 2, argv + 2);
  if (command == "bench")
    return runBench(argc - 2, argv + 2);
  if (command == "inspect")
    return runInspect(argc - 2, argv + 2);
  return invalidArgument("expected generate, score, bench or inspect, but got '", command, "' (see --help)");
}

} // namespace

int main(int argc, char **argv) {
  // Alone, or behind a command: a text to continue may be called --help.
  for (int i = 1; i < std::min(argc, 3); ++i)
    if (!std::strcmp(argv[i], "--help") || !std::strcmp(argv[i], "-h")) {
      std::fputs(kUsage, stdout);
      return 0;
    }
  std::string message;
  try {
    message = dispatch(argc, argv).message();
  } catch (const std::bad_alloc &) {
    message = "out of memory";
  } catch (const std::exception &exception) {
    message = exception.what(); // no call does this knowingly
  }
  if (message.empty() && std::fflush(stdout) != 0)
    message = "cannot write to the output";
  if (message.empty())
    return 0;
  std::fprintf(stderr, "denim-run: %s\n", message.c_str());
  return 1;
}
