// Runs cases that `denim-check --write-case` wrote. Needs no compiler, so that they can be carried to a machine with a
// GPU and nothing else.
//
//   run-check-case [--device cpu|cuda] FOLDER...
#include "compiler/tools/denim-check/CaseFile.h"
#include <cstdio>
#include <cstring>

using namespace denim::check;

static std::optional<std::string> run(const std::string &folder, const std::string &device, bool &isRight) {
  Case one;
  if (auto fault = readCase(folder, one))
    return fault;
  const char *const modules[] = {"m.denim", "exact.denim"};
  bool all = true;
  for (int64_t i = 0; i < one.modules; ++i) {
    std::string module = folder + "/" + modules[i];
    std::printf("%s\n", module.c_str());
    Runner runner;
    if (auto fault = runner.open(module, folder + "/w.safetensors", device, one.tokens))
      return fault;
    if (auto fault = runForms(runner, one, i, all))
      return fault;
  }
  isRight = all;
  return std::nullopt;
}

int main(int count, char **words) {
  std::string device = "cpu";
  std::vector<std::string> folders;
  for (int i = 1; i < count; ++i) {
    bool isDevice = std::strcmp(words[i], "--device") == 0;
    if (isDevice ? i + 1 == count : std::strncmp(words[i], "--", 2) == 0) {
      std::fprintf(stderr, "run-check-case: expected --device NAME and folders, but got '%s'\n", words[i]);
      return 1;
    }
    if (isDevice)
      device = words[++i];
    else
      folders.push_back(words[i]);
  }
  if (folders.empty()) {
    std::fprintf(stderr, "run-check-case: expected a folder of denim-check --write-case, but got none\n");
    return 1;
  }
  int passed = 0, failed = 0;
  for (const std::string &folder : folders) {
    bool isRight = false;
    if (auto fault = run(folder, device, isRight))
      std::printf("%s\n", fault->c_str());
    ++(isRight ? passed : failed);
    std::fflush(stdout);
  }
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed ? 1 : 0;
}
