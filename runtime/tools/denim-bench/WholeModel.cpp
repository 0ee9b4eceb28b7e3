//===- WholeModel.cpp - rows for a model as a whole -----------------------===//

#include "runtime/session/Session.h"
#include "runtime/tools/Commands.h"
#include "runtime/tools/denim-bench/Measurement.h"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

namespace denim::bench {

namespace {

constexpr int64_t kDecode = 512;

/// From starting the program to the first byte that it writes.
Status timeToFirstToken(const std::string &tool, const std::string &module, const std::string &weights,
                        const Bench &bench, double &seconds) {
  std::string threadCount = std::to_string(std::max(bench.threads, 1)), device(bench.device->name());
  const char *words[] = {tool.c_str(),
                         "generate",
                         module.c_str(),
                         "--weights",
                         weights.c_str(),
                         "--prompt-tokens",
                         "1,2,3,4,5,6,7,8",
                         "--output",
                         "tokens",
                         "--threads",
                         threadCount.c_str(),
                         "--device",
                         device.c_str(),
                         "--max-new-tokens",
                         "1",
                         nullptr};
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0)
    return error(DENIM_STATUS_RESOURCE_EXHAUSTED, "cannot make a pipe: ", std::strerror(errno));
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  pid_t child;
  Stopwatch watch;
  int fault = posix_spawn(&child, tool.c_str(), &actions, nullptr, const_cast<char **>(words), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  char byte;
  bool wrote = fault == 0 && read(ends[0], &byte, 1) == 1;
  seconds = watch.seconds();
  close(ends[0]);
  int state = 0;
  if (fault == 0)
    while (waitpid(child, &state, 0) < 0 && errno == EINTR)
      ;
  // The pipe closes behind the first byte, so a program that goes on writing ends by that signal.
  bool ended = (WIFEXITED(state) && WEXITSTATUS(state) == 0) || (WIFSIGNALED(state) && WTERMSIG(state) == SIGPIPE);
  if (!wrote || !ended)
    return error(DENIM_STATUS_INCOMPATIBLE, "expected a token of '", tool, " generate ", module, " --weights ", weights,
                 "', but got none");
  return {};
}

} // namespace

Status measureModel(Bench &bench, const std::string &file, const std::string &weightsPath, int64_t prompt,
                    std::vector<Row> &out) {
  std::string path;
  if (Status status = bench.compiler.compileFile(file, path))
    return status;
  std::shared_ptr<const Module> module;
  if (Status status = Module::open(path, module))
    return status;
  const Plan *found = nullptr;
  if (Status status = module->plan(bench.device->machine(), found))
    return status;
  const Plan &plan = *found;
  bool random = weightsPath == "random";
  Weights weights;
  if (Status status = random ? Weights::random(plan, 1, *bench.device, weights)
                             : Weights::map(weightsPath, plan, *bench.device, weights))
    return status;
  SessionOptions options;
  options.maxStepTokens = static_cast<int32_t>(prompt);
  options.cacheBytes = 2 * plan.slotBytes() + plan.pageBytes() * ((prompt + kDecode) / DENIM_PAGE_TOKENS + 2);
  std::unique_ptr<Session> session;
  if (Status status = Session::create(bench.device, module, std::move(weights), options, session))
    return status;

  std::vector<int32_t> tokens(prompt + kDecode);
  for (size_t t = 0; t < tokens.size(); ++t)
    tokens[t] = static_cast<int32_t>((t * 7919 + 17) % static_cast<size_t>(plan.vocabulary));
  std::vector<float> logits(plan.vocabulary);
  StepEntry entry{0, tokens.data(), prompt, Logits::Last};
  int64_t decoded = kDecode;
  auto prefill = [&](double &seconds) -> Status {
    if (entry.sequence)
      if (Status status = session->release(entry.sequence))
        return status;
    if (Status status = session->createSequence(entry.sequence))
      return status;
    entry.tokens = tokens.data();
    entry.count = prompt;
    decoded = 0;
    Stopwatch watch;
    Status status = session->step(&entry, 1, logits.data(), 1);
    seconds = watch.seconds();
    return status;
  };
  auto decode = [&](double &seconds) -> Status {
    if (decoded == kDecode) {
      double ignored;
      if (Status status = prefill(ignored))
        return status;
    }
    entry.tokens = tokens.data() + prompt + decoded++;
    entry.count = 1;
    Stopwatch watch;
    Status status = session->step(&entry, 1, logits.data(), 1);
    seconds = watch.seconds();
    return status;
  };

  // Weights once, states and tails read and written, pages of the tokens before read.
  double cacheBytes = 2.0 * static_cast<double>(plan.slotBytes()) +
                      static_cast<double>(plan.pageBytes()) / DENIM_PAGE_TOKENS * (prompt + kDecode / 2);
  Row row;
  row.name = plan.name + " prefill T=" + std::to_string(prompt);
  row.tokens = prompt;
  if (Status status = repeat(bench.seconds, prefill, row.times))
    return status;
  out.push_back(row);
  row = Row();
  row.name = plan.name + " decode past=" + std::to_string(prompt) + ".." + std::to_string(prompt + kDecode);
  row.tokens = 1;
  row.bytes = static_cast<double>(plan.parameterBytes()) + cacheBytes;
  if (Status status = repeat(bench.seconds, decode, row.times))
    return status;
  setLimit(bench.limits, Traffic::Read, row.bytes, row);
  out.push_back(row);
  // The same against memory, for models whose weights a cache holds.
  row.name += " (limit: memory)";
  setLimit(bench.limits, Traffic::Read, static_cast<double>(MachineLimits::kMemory), row);
  out.push_back(row);
  if (random)
    return {};
  std::string tool;
  if (Status status = findTool("denim-run", tool))
    return status;
  row = Row();
  row.name = plan.name + " start to first token";
  row.tokens = 1;
  auto start = [&](double &seconds) { return timeToFirstToken(tool, path, weightsPath, bench, seconds); };
  if (Status status = repeat(bench.seconds, start, row.times))
    return status;
  out.push_back(row);
  return {};
}

} // namespace denim::bench
