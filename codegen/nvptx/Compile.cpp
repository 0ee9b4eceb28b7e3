// The pipeline from tile to LLVM, and LLVM's own to PTX.
#include "codegen/nvptx/Compile.h"
#include "codegen/math/ExpandMath.h"
#include "dialects/tile/transforms/Passes.h"
#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/NVVM/NVVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "mlir/Transforms/Passes.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/TargetParser/Triple.h"
#include <mutex>

using namespace mlir;
using namespace denim::codegen;
using namespace denim;

void denim::codegen::buildNvptxPipeline(OpPassManager &passes, const GpuTarget &target, bool exact) {
  passes.addPass(createCanonicalizerPass());
  passes.addPass(createCSEPass());
  passes.addPass(tile::createSinkWindowsPass());
  passes.addPass(createCSEPass());
  passes.addPass(tile::createFuseMapsPass());
  passes.addPass(createCSEPass());
  passes.addPass(createConvertTileToNvptxPass(target, exact));
  passes.addPass(createVerifySynchronizationPass());
  passes.addPass(createExpandMathPass({}));
  passes.addPass(createNvptxDivisionPass());
  // Rows, columns and addresses are asked for again for every register.
  passes.addPass(createCSEPass());
  passes.addPass(createSCFToControlFlowPass());
  passes.addPass(createConvertMathToLLVMPass());
  passes.addPass(createArithToLLVMConversionPass());
  passes.addPass(createConvertControlFlowToLLVMPass());
  passes.addPass(createConvertNVVMToLLVMPass());
  passes.addPass(createUBToLLVMConversionPass());
  passes.addPass(createReconcileUnrealizedCastsPass());
}

namespace {

struct TileToNvptxOptions : PassPipelineOptions<TileToNvptxOptions> {
  Option<std::string> target{*this, "target", llvm::cl::desc("sm_90a or sm_80"), llvm::cl::init("sm_90a")};
  Option<bool> exact{*this, "exact", llvm::cl::desc("products with errors near those of f32"), llvm::cl::init(false)};
};

} // namespace

void denim::codegen::registerNvptxPasses() {
  registerPass([] { return createConvertTileToNvptxPass(); });
  registerPass([] { return createNvptxDivisionPass(); });
  registerPass([] { return createVerifySynchronizationPass(); });
  PassPipelineRegistration<TileToNvptxOptions>("tile-to-nvptx", "tile kernels to the LLVM dialect for a GPU",
                                               [](OpPassManager &passes, const TileToNvptxOptions &options) {
                                                 llvm::Expected<GpuTarget> target = findGpuTarget(options.target);
                                                 if (target)
                                                   buildNvptxPipeline(passes, *target, options.exact);
                                                 else
                                                   llvm::report_fatal_error(target.takeError(),
                                                                            /*gen_crash_diag=*/false);
                                               });
}

/// Errors of passes are diagnostics; this makes one llvm::Error of them.
static llvm::Error lower(ModuleOp module, const GpuTarget &target, bool exact) {
  std::string messages;
  ScopedDiagnosticHandler handler(module.getContext(), [&](Diagnostic &diagnostic) {
    if (diagnostic.getSeverity() == DiagnosticSeverity::Error) {
      if (!messages.empty())
        messages += "\n";
      messages += diagnostic.str();
    }
    return success();
  });
  PassManager passes(module.getContext());
  buildNvptxPipeline(passes, target, exact);
  if (succeeded(passes.run(module)))
    return llvm::Error::success();
  return llvm::createStringError(messages.empty() ? "the passes of tile-to-nvptx failed" : messages);
}

static llvm::Expected<std::unique_ptr<llvm::TargetMachine>> makeMachine(const GpuTarget &target) {
  static std::once_flag once;
  std::call_once(once, [] {
    LLVMInitializeNVPTXTargetInfo();
    LLVMInitializeNVPTXTarget();
    LLVMInitializeNVPTXTargetMC();
    LLVMInitializeNVPTXAsmPrinter();
  });
  llvm::Triple triple("nvptx64-nvidia-cuda");
  std::string message;
  const llvm::Target *found = llvm::TargetRegistry::lookupTarget(triple, message);
  if (!found)
    return llvm::createStringError(message);
  llvm::TargetOptions options;
  options.AllowFPOpFusion = llvm::FPOpFusion::Fast;
  return std::unique_ptr<llvm::TargetMachine>(found->createTargetMachine(
      triple, target.name, target.features, options, std::nullopt, std::nullopt, llvm::CodeGenOptLevel::Aggressive));
}

/// Registers are assigned by the assembler, which does not compute an address again once it is there. So nothing is
/// hoisted out of loops or kept for later blocks here: hundreds of offsets of fragments would live all through a kernel
/// and push its tiles to local memory (1160 bytes of a delta rule's preparation against none).
static llvm::Error optimize(llvm::Module &module, llvm::TargetMachine &machine) {
  module.setTargetTriple(machine.getTargetTriple());
  module.setDataLayout(machine.createDataLayout());
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager graphs;
  llvm::ModuleAnalysisManager modules;
  llvm::PassBuilder builder(&machine);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(graphs);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, graphs, modules);
  llvm::ModulePassManager passes;
  if (llvm::Error error = builder.parsePassPipeline(
          passes, "function(sroa,instcombine<no-verify-fixpoint>,early-cse,simplifycfg,reassociate,early-cse,adce)"))
    return error;
  passes.run(module, modules);
  return llvm::Error::success();
}

static std::vector<TensorMap> tensorMapsOf(LLVM::LLVMFuncOp function) {
  std::vector<TensorMap> maps;
  if (auto all = function->getAttrOfType<ArrayAttr>("tile.tensor_maps"))
    for (auto map : all.getAsRange<DictionaryAttr>()) {
      auto number = [&](StringRef name) { return map.getAs<IntegerAttr>(name).getInt(); };
      maps.push_back({number("memory"), number("columns"), number("box_rows"), number("box_columns")});
    }
  return maps;
}

llvm::Expected<NvptxCode> denim::codegen::compileForNvptx(ModuleOp tileModule, const GpuTarget &target,
                                                          const NvptxOptions &options) {
  OwningOpRef<ModuleOp> module(tileModule.clone());
  DialectRegistry registry;
  registerBuiltinDialectTranslation(registry);
  registerLLVMDialectTranslation(registry);
  registerNVVMDialectTranslation(registry);
  module->getContext()->appendDialectRegistry(registry);
  if (llvm::Error error = lower(*module, target, options.exact))
    return error;
  NvptxCode code;
  for (auto function : module->getOps<LLVM::LLVMFuncOp>())
    if (auto threads = function->getAttrOfType<IntegerAttr>("tile.threads"))
      code.kernels.push_back({function.getName().str(), threads.getInt(),
                              function->getAttrOfType<IntegerAttr>("tile.shared_bytes").getInt(), -1, -1,
                              target.launchOverlap, tensorMapsOf(function)});
  auto machine = makeMachine(target);
  if (!machine)
    return machine.takeError();
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> translated = translateModuleToLLVMIR(*module, context);
  if (!translated)
    return llvm::createStringError("expected the lowered kernels to translate to LLVM IR, but they did not");
  if (llvm::Error error = optimize(*translated, **machine))
    return error;
  llvm::SmallVector<char, 0> text;
  llvm::raw_svector_ostream stream(text);
  llvm::legacy::PassManager passes;
  if ((*machine)->addPassesToEmitFile(passes, stream, nullptr, llvm::CodeGenFileType::AssemblyFile))
    return llvm::createStringError("expected the target to emit PTX, but it does not");
  passes.run(*translated);
  code.ptx.assign(text.data(), text.size());
  if (llvm::Error error = assemble(code, target, options.assembler))
    return error;
  return code;
}
