//===- CompileModule.cpp - from the text of a model to a module -----------===//

#include "runtime/tools/denim-bench/CompileModule.h"
#include "runtime/abi/Module.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <spawn.h>
#include <sstream>
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

namespace {

/// The options of the compiler for |source| without its table.
std::vector<std::string> optionsFor(const Source &source) {
  return source.pages.empty() ? std::vector<std::string>() : std::vector<std::string>{"--pages=" + source.pages};
}

} // namespace

Status ModuleCompiler::write(const Source &source, std::string &outStem) {
  std::string all = source.text;
  for (const std::string &more : {source.table, source.pages})
    if (!more.empty())
      all += '\0' + more;
  char name[17];
  std::snprintf(name, sizeof name, "%016llx",
                static_cast<unsigned long long>(denim_module_checksum(all.data(), all.size())));
  outStem = folder + "/" + name;
  if (compiler.empty())
    return {};
  auto put = [&](const char *ending, const std::string &content) -> Status {
    std::ofstream file(outStem + ending);
    file << content;
    file.close();
    if (!file)
      return error(DENIM_STATUS_RESOURCE_EXHAUSTED, "cannot write '", outStem, ending, "'");
    return {};
  };
  if (Status status = put(".mlir", source.text))
    return status;
  return source.table.empty() ? Status() : put(".tuning.json", source.table);
}

Status ModuleCompiler::compileText(const Source &source, std::string &outPath) {
  std::string stem;
  if (Status status = write(source, stem))
    return status;
  std::string &module = modules[stem];
  if (module.empty()) {
    std::vector<std::string> options = optionsFor(source);
    if (!source.table.empty())
      options.push_back("--tuning=" + stem + ".tuning.json");
    if (Status status = compiler.empty() ? find(stem + ".denim") : run(stem + ".mlir", stem + ".denim", options))
      return status;
    module = stem + ".denim";
  }
  outPath = module;
  return {};
}

Status ModuleCompiler::listChoices(const Source &source, std::string &outJson) {
  std::string stem;
  if (Status status = write({source.text, "", source.pages}, stem))
    return status;
  std::string path = stem + ".choices.json";
  if (!compiler.empty()) {
    std::vector<std::string> options = optionsFor(source);
    options.push_back("--emit=choices");
    if (Status status = run(stem + ".mlir", path, options))
      return status;
  }
  std::ifstream file(path);
  std::ostringstream content;
  content << file.rdbuf();
  if (!file)
    return error(DENIM_STATUS_NOT_FOUND, "expected a list of choices '", path,
                 "', but got none; --write-modules with --tune makes them");
  outJson = content.str();
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

Status ModuleCompiler::run(const std::string &input, const std::string &output,
                           const std::vector<std::string> &options) {
  std::string targetOption = "--target=" + target;
  std::vector<const char *> words = {compiler.c_str(), input.c_str(), targetOption.c_str(), "-o", output.c_str()};
  for (const std::string &option : options)
    words.push_back(option.c_str());
  words.push_back(nullptr);
  pid_t child;
  if (int fault = posix_spawn(&child, compiler.c_str(), nullptr, nullptr, const_cast<char **>(words.data()), environ))
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
