//===- CompileModule.h - from the text of a model to a module -----*- C++ -*-===//
//
// The runtime does not contain the compiler, so the program `denim-compile` that stands beside this one is run.
//
// Owner: the run of the benchmark; the folder of modules goes with it. Threads: one.
//
//===----------------------------------------------------------------------===//

#ifndef DENIM_RUNTIME_TOOLS_DENIM_BENCH_COMPILEMODULE_H
#define DENIM_RUNTIME_TOOLS_DENIM_BENCH_COMPILEMODULE_H

#include "runtime/module/ModuleReader.h"

#include <map>

namespace denim::bench {

class ModuleCompiler {
public:
  /// |target| as `denim-compile --target` takes it behind `cpu,`.
  static Status create(std::string target, ModuleCompiler &out);
  ModuleCompiler() = default;
  ModuleCompiler(const ModuleCompiler &) = delete;
  ~ModuleCompiler();

  /// Compiles |text| and keeps the module's path for the next that asks for the same text.
  Status compileText(const std::string &text, std::string &outPath);
  /// A `.denim` file as it is; a model's text compiled.
  Status compileFile(const std::string &path, std::string &outPath);

private:
  Status run(const std::string &input, const std::string &output);

  std::string target, compiler, folder;
  std::map<std::string, std::string> modules; // path by text
};

/// The program |name| in the folder of this program.
Status findTool(const std::string &name, std::string &out);

} // namespace denim::bench

#endif
