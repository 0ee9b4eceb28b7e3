//===- CompileModule.h - from the text of a model to a module -----*- C++ -*-===//
//
// The runtime does not contain the compiler, so the program `denim-compile` that stands beside this one is run.
//
// A machine without a compiler takes modules from a folder that another one wrote: the name of a module there is the
// checksum of its text and tuning table, so a module of another text is not found rather than timed.
//
// Owner: the run of the benchmark; a folder that it made goes with it. Threads: one.
//
//===----------------------------------------------------------------------===//

#ifndef DENIM_RUNTIME_TOOLS_DENIM_BENCH_COMPILEMODULE_H
#define DENIM_RUNTIME_TOOLS_DENIM_BENCH_COMPILEMODULE_H

#include "runtime/module/ModuleReader.h"

#include <map>

namespace denim::bench {

/// What a module is made from.
struct Source {
  std::string text;  ///< of the model
  std::string table; ///< tuning table that it is compiled under (README.md of compiler/tuning); empty: none
  std::string pages; ///< as denim-compile --pages; empty: not given
};

class ModuleCompiler {
public:
  /// |target| as `denim-compile --target` takes it. Modules are written to |folder|; empty: one that is made and
  /// removed.
  static Status create(std::string target, std::string folder, ModuleCompiler &out);
  /// Takes modules from |folder| and compiles nothing.
  static void openFolder(std::string folder, ModuleCompiler &out);
  ModuleCompiler() = default;
  ModuleCompiler(const ModuleCompiler &) = delete;
  ~ModuleCompiler();

  /// Whether there is a compiler.
  bool compiles() const { return !compiler.empty(); }
  /// Compiles |source| and keeps the module's path for the next that asks for the same.
  Status compileText(const Source &source, std::string &outPath);
  /// What is chosen for the kernels of |source| without its table, as the compiler lists it.
  Status listChoices(const Source &source, std::string &outJson);
  /// A `.denim` file as it is; a model's text compiled.
  Status compileFile(const std::string &path, std::string &outPath);

private:
  /// The file of |source| in the folder, without its ending; with a compiler its text and table are written there.
  Status write(const Source &source, std::string &outStem);
  Status run(const std::string &input, const std::string &output, const std::vector<std::string> &options = {});
  Status find(const std::string &path) const;

  std::string target, compiler, folder;
  bool isTemporary = false;                   // the folder
  std::map<std::string, std::string> modules; // path by stem
};

/// The program |name| in the folder of this program.
Status findTool(const std::string &name, std::string &out);

} // namespace denim::bench

#endif
