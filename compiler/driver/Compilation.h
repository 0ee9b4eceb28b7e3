// One compilation: phases in order, dumps, emission, the module file.
#ifndef COMPILER_DRIVER_COMPILATION_H
#define COMPILER_DRIVER_COMPILATION_H

#include "compiler/pipelines/Pipelines.h"
#include "compiler/tuning/Table.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/Error.h"
#include <string>
#include <vector>

namespace denim {

/// What is written.
enum class Emit { Model, Attn, Plan, Tile, Choices, Llvm, Assembly, Ptx, Module };

/// A machine and the targets of codegen/target there, best first.
struct MachineTargets {
  Machine machine = Machine::Cpu;
  std::vector<std::string> targets;
};

struct CompileOptions {
  std::vector<MachineTargets> machines; ///< each machine once, at least one; `parseTargets` makes them
  Emit emit = Emit::Module;
  std::optional<Phase> from; ///< the input is what this phase left
  std::optional<Phase> to;   ///< stop behind this phase
  std::string dumpDirectory; ///< one numbered file per phase; empty: none
  std::string source;        ///< what the module is compiled from, for people
  /// Products on a GPU with errors near those of f32, at a third of the speed, and activations in f32.
  bool exact = false;
  /// Of kernels for NVIDIA GPUs; empty: ptxas where it is found. "-": none, the module holds PTX alone.
  std::string assembler;
  std::vector<tuning::Table> tables; ///< of the user, at most one for each target that is planned for
  std::vector<tuning::Entry> forced; ///< choices that the user makes
  /// What each kernel takes of the machine, as a remark where the kernel comes from; a warning where registers spill.
  bool remarks = false;
  PipelineOptions pipeline;
};

/// Compiles the module in place and gives the bytes or the text that is asked for. Diagnostics of passes go to the
/// context's handlers; the error then says which phase failed.
llvm::Expected<std::string> compile(mlir::ModuleOp module, const CompileOptions &options);

/// `cpu`, `cpu,native`, `cpu,avx512,baseline`, `nvptx`, `nvptx,sm_90a`, `cpu,avx2,nvptx`: each machine, behind it the
/// names of its targets; without names all of them.
llvm::Expected<std::vector<MachineTargets>> parseTargets(llvm::StringRef text);

} // namespace denim

#endif // COMPILER_DRIVER_COMPILATION_H
