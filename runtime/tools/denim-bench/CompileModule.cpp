//===- CompileModule.cpp - from the text of a model to a module -----------===//

#include "runtime/tools/denim-bench/CompileModule.h"
#include "runtime/abi/Module.h"

#include <cerrno>
#include <cstdio>
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

Status ModuleCompiler::create(std::string target, std::string folder, ModuleCompiler &out) {
  out.target = std::move(target);
  if (Status status = findTool("denim-compile", out.compiler))
    return status;
  std::error_code fault;
  if (!folder.empty()) {
    fs::create_directories(folder, fault);
    if (fault)
      return error(DENIM_STATUS_INVALID_ARGUMENT, "cannot make the folder '", folder, "': ", fault.message());
    out.folder = std::move(folder);
    return {};
  }
  std::string pattern = (fs::temp_directory_path(fault) / "denim-bench-XXXXXX").string();
  if (fault || !mkdtemp(pattern.data()))
    return error(DENIM_STATUS_RESOURCE_EXHAUSTED, "cannot make a folder '", pattern, "': ", std::strerror(errno));
  out.folder = pattern;
  out.isTemporary = true;
  return {};
}

void ModuleCompiler::openFolder(std::string folder, ModuleCompiler &out) {
  out.folder = std::move(folder);
}

ModuleCompiler::~ModuleCompiler() {
  std::error_code fault;
  if (isTemporary)
    fs::remove_all(folder, fault);
}

Status ModuleCompiler::compileText(const std::string &text, std::string &outPath) {
  std::string &module = modules[text];
  if (module.empty()) {
    char name[17];
    std::snprintf(name, sizeof name, "%016llx",
                  static_cast<unsigned long long>(denim_module_checksum(text.data(), text.size())));
    std::string stem = folder + "/" + name;
    if (compiler.empty()) {
      module = stem + ".denim";
      outPath = module;
      return find(module);
    }
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
  return compiler.empty() ? find(outPath) : run(path, outPath);
}

Status ModuleCompiler::find(const std::string &path) const {
  if (access(path.c_str(), R_OK) != 0)
    return error(DENIM_STATUS_NOT_FOUND, "expected a module '", path, "', but got none; --write-modules makes them");
  return {};
}

Status ModuleCompiler::run(const std::string &input, const std::string &output) {
  std::string targetOption = "--target=" + target;
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
