// What each phase runs, on one page.
#ifndef COMPILER_PIPELINES_PIPELINES_H
#define COMPILER_PIPELINES_PIPELINES_H

#include "compiler/pipelines/Phases.h"
#include "mlir/IR/Dialect.h"
#include "mlir/Pass/PassManager.h"

namespace denim {

/// What a plan is made for: kernels, fusion and types of activations may differ from the phase plan on.
enum class Machine { Cpu, Cuda };
/// `cpu`, `cuda`: as in a module (runtime/abi/Module.h).
llvm::StringRef machineName(Machine machine);

struct PipelineOptions {
  int64_t chunk = 64;             ///< tokens per chunk of a linear recurrence
  Machine machine = Machine::Cpu; ///< ignored up to the phase mix, which all machines share
  std::string target;             ///< of the machine, for which choices are made; empty: its best
  bool exact = false;             ///< activations and pages of a CUDA device in f32
  std::string pages;              ///< element type of the pages of a CPU: f32, bf16 or f16; empty: f32
};

/// The passes of one phase up to `Tile`; later phases are no passes.
void buildPhase(mlir::OpPassManager &passes, Phase phase, const PipelineOptions &options);

/// The pass at the end of a phase that leaves text: it refuses what should be gone.
void addVerifyPhase(mlir::OpPassManager &passes, Phase phase);

/// Every dialect a phase may hold.
void registerDialects(mlir::DialectRegistry &registry);
/// Every pass of the compiler, and the phases as pipelines `denim-import`, `denim-mix`, `denim-plan`, `denim-tile`.
void registerPasses();

} // namespace denim

#endif // COMPILER_PIPELINES_PIPELINES_H
