//===- CompileModule.cpp - from the text of a model to a module -----------===//

#include "runtime/tools/denim-bench/CompileModule.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

namespace denim::bench {

namespace fs = std::filesystem;

Status findTool(const std::string &name, std::string &out) {
  std::error_code fault;
  fs::path self = fs::read_symlink("/proc/self/exe", fault);
  fs::path tool = self.parent_path() / name;
  if (fault || access(tool.c_str(), X_OK) != 0)
    return error(DENIM_STATUS_NOT_FOUND, "expected the program '", tool.string(),
                 "' beside this one, but got none (build it, or install both in one folder)");
  out = tool.string();
  return {};
}

Status ModuleCompiler::create(std::string target, ModuleCompiler &out) {
  out.target = std::move(target);
  if (Status status = findTool("denim-compile", out.compiler))
    return status;
  std::error_code fault;
  std::string pattern = (fs::temp_directory_path(fault) / "denim-bench-XXXXXX").string();
  if (fault || !mkdtemp(pattern.data()))
    return error(DENIM_STATUS_RESOURCE_EXHAUSTED, "cannot make a folder '", pattern, "': ", std::strerror(errno));
  out.folder = pattern;
  return {};
}

ModuleCompiler::~ModuleCompiler() {
  std::error_code fault;
  if (!folder.empty())
    fs::remove_all(folder, fault);
}

Status ModuleCompiler::compileText(const std::string &text, std::string &outPath) {
  std::string &module = modules[text];
  if (module.empty()) {
    std::string stem = folder + "/" + std::to_string(modules.size());
    std::ofstream file(stem + ".mlir");
    file << text;
    file.close();
    if (!file)
      return error(DENIM_STATUS_RESOURCE_EXHAUSTED, "cannot write '", stem, ".mlir'");
    if (Status status = run(stem + ".mlir", stem + ".denim"))
      return status;
    module = stem + ".denim";
  }
  outPath = module;
  return {};
}

Status ModuleCompiler::compileFile(const std::string &path, std::string &outPath) {
  if (fs::path(path).extension() == ".denim") {
    outPath = path;
    return {};
  }
  outPath = folder + "/" + fs::path(path).stem().string() + ".denim";
  return run(path, outPath);
}

Status ModuleCompiler::run(const std::string &input, const std::string &output) {
  std::string targetOption = "--target=cpu," + target;
  const char *words[] = {compiler.c_str(), input.c_str(), targetOption.c_str(), "-o", output.c_str(), nullptr};
  pid_t child;
  if (int fault = posix_spawn(&child, compiler.c_str(), nullptr, nullptr, const_cast<char **>(words), environ))
    return error(DENIM_STATUS_NOT_FOUND, "cannot run '", compiler, "': ", std::strerror(fault));
  int state = 0;
  while (waitpid(child, &state, 0) < 0)
    if (errno != EINTR)
      return error(DENIM_STATUS_INTERNAL, "cannot wait for '", compiler, "': ", std::strerror(errno));
  if (!WIFEXITED(state) || WEXITSTATUS(state) != 0)
    return error(DENIM_STATUS_INCOMPATIBLE, "denim-compile did not take '", input, "' (its reason is above)");
  return {};
}

} // namespace denim::bench
