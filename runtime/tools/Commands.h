//===- Commands.h - the commands of denim-run ---------------------*- C++ -*-===//

#ifndef DENIM_RUNTIME_TOOLS_COMMANDS_H
#define DENIM_RUNTIME_TOOLS_COMMANDS_H

#include "runtime/session/Session.h"
#include "runtime/tools/Arguments.h"

#include <chrono>

namespace denim {

Status runGenerate(int count, char **words);
Status runScore(int count, char **words);
Status runBench(int count, char **words);
Status runInspect(int count, char **words);

/// What every command that runs a model begins with.
struct Model {
  std::string weightsPath;
  int64_t cacheMib;
  std::shared_ptr<Device> device;
  std::unique_ptr<Session> session;
};
/// The options that `openModel` reads.
std::vector<std::string> withModelOptions(std::vector<std::string> options);
Status openModel(const Arguments &arguments, Model &out);
/// Refuses a sequence of so many tokens that the cache cannot hold, before any of them is computed.
Status checkRoom(const Model &model, int64_t tokens);

class Stopwatch {
public:
  double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(); }

private:
  std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
};

/// A line on stderr that is rewritten as work goes on; nothing when stderr is no terminal or the work is short.
class Progress {
public:
  Progress(std::string what, int64_t total);
  ~Progress();
  void at(int64_t done);

private:
  std::string what;
  int64_t total;
  bool shown = false, terminal;
  Stopwatch watch;
};

} // namespace denim

#endif
