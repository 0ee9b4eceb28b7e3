#include "compiler/pipelines/Pipelines.h"
#include "compiler/conversion/Passes.h"
#include "compiler/passes/Passes.h"
#include "dialects/attn/transforms/Passes.h"
#include "dialects/model/ir/Model.h"
#include "dialects/plan/ir/Plan.h"
#include "dialects/tile/ir/Tile.h"
#include "dialects/tile/transforms/Passes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;

namespace denim {

StringRef phaseName(Phase phase) {
  switch (phase) {
  case Phase::Import:
    return "import";
  case Phase::Mix:
    return "mix";
  case Phase::Plan:
    return "plan";
  case Phase::Tile:
    return "tile";
  case Phase::Kernel:
    return "kernel";
  case Phase::Package:
    return "package";
  }
  llvm_unreachable("all phases are named");
}

StringRef machineName(Machine machine) {
  return machine == Machine::Cpu ? "cpu" : "cuda";
}

std::optional<Phase> findPhase(StringRef name) {
  for (Phase phase : allPhases)
    if (phaseName(phase) == name)
      return phase;
  return std::nullopt;
}

/// model, attn. What the author wrote; nothing is decided.
static void buildImport(OpPassManager &passes) {
  // Lines that nothing uses cost nothing later.
  passes.addPass(createCSEPass());
}

/// model, attn with caches. The sequence becomes a step over any mix of sequences.
static void buildMix(OpPassManager &passes, const PipelineOptions &options) {
  attn::ChooseChunkPassOptions chunk;
  chunk.length = options.chunk;
  passes.addPass(attn::createChooseChunkPass(chunk));
  // Behind the choice of form: softmax is replaced here, recurrences only get their state.
  passes.addPass(attn::createThreadCachesPass());
  passes.addPass(createSelectOutputsPass());
}

/// plan; model and attn inside kernels. Where values live and what runs in which order.
static void buildPlan(OpPassManager &passes, const PipelineOptions &options) {
  AttachTargetPassOptions target;
  target.machine = machineName(options.machine).str();
  target.target = options.target;
  passes.addPass(createAttachTargetPass(target));
  if (options.machine == Machine::Cpu && !options.pages.empty()) {
    SetPageTypePassOptions pages;
    pages.type = options.pages;
    passes.addPass(createSetPageTypePass(pages));
  }
  // Choices ask the target, and how many bytes a key has.
  passes.addPass(createChooseKeySplitsPass());
  passes.addPass(attn::createSplitKeysPass());
  ConvertModelToPlanPassOptions plan;
  plan.machine = machineName(options.machine).str();
  plan.exact = options.exact;
  passes.addPass(createConvertModelToPlanPass(plan));
  SplitFormsPassOptions forms;
  forms.exact = options.exact;
  passes.addPass(createSplitFormsPass(forms));
  passes.addPass(createDequantizeWeightsPass());
  // Needs the final launches: a slot is free again behind the last launch that reads it.
  passes.addPass(createAssignSlotsPass());
}

/// plan, tile, scf, arith, math. Every kernel is a program over tiles.
static void buildTile(OpPassManager &passes) {
  passes.addPass(createConvertAttnToTilePass());
  // A tile is written once for every use; the copies are merged here, and what is left over is dropped.
  passes.addPass(createCSEPass());
  passes.addPass(createCanonicalizerPass());
  passes.addPass(createJoinLaunchesPass());
  passes.addPass(createOverlapLaunchesPass());
}

void buildPhase(OpPassManager &passes, Phase phase, const PipelineOptions &options) {
  switch (phase) {
  case Phase::Import:
    buildImport(passes);
    break;
  case Phase::Mix:
    buildMix(passes, options);
    break;
  case Phase::Plan:
    buildPlan(passes, options);
    break;
  case Phase::Tile:
    buildTile(passes);
    break;
  case Phase::Kernel:
  case Phase::Package:
    return;
  }
  addVerifyPhase(passes, phase);
}

void addVerifyPhase(OpPassManager &passes, Phase phase) {
  VerifyPhasePassOptions verify;
  verify.phase = phaseName(phase).str();
  passes.addPass(createVerifyPhasePass(verify));
}

void registerDialects(DialectRegistry &registry) {
  registry.insert<model::ModelDialect, attn::AttnDialect, plan::PlanDialect, tile::TileDialect, arith::ArithDialect,
                  math::MathDialect, scf::SCFDialect>();
}

void registerPasses() {
  attn::registerAttnPasses();
  tile::registerTilePasses();
  registerConversionPasses();
  registerCompilerPasses();
  static PassPipelineRegistration<> import("denim-import", "the phase import",
                                           [](OpPassManager &p) { buildPhase(p, Phase::Import, {}); });
  static PassPipelineRegistration<> mix("denim-mix", "the phase mix",
                                        [](OpPassManager &p) { buildPhase(p, Phase::Mix, {}); });
  static PassPipelineRegistration<> plan("denim-plan", "the phase plan",
                                         [](OpPassManager &p) { buildPhase(p, Phase::Plan, {}); });
  static PassPipelineRegistration<> tile("denim-tile", "the phase tile",
                                         [](OpPassManager &p) { buildPhase(p, Phase::Tile, {}); });
}

} // namespace denim
