// The pipeline from tile to LLVM, LLVM's own, and the emission of an object.
#include "codegen/cpu/Compile.h"
#include "codegen/cpu/Link.h"
#include "codegen/math/ExpandMath.h"
#include "dialects/tile/transforms/Passes.h"
#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "mlir/Transforms/Passes.h"
#include "llvm/Bitcode/BitcodeReader.h"
#include "llvm/Bitcode/BitcodeWriter.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/IR/Verifier.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Support/ThreadPool.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/TargetParser/Triple.h"
#include "llvm/Transforms/Utils/Cloning.h"
#include <mutex>

using namespace mlir;
using namespace denim::codegen;
using namespace denim;

void denim::codegen::buildCpuPipeline(OpPassManager &passes, const Target &target, bool bf16Products) {
  // Before lowering: what is dead or said twice in a kernel would be written out as loops.
  passes.addPass(createCanonicalizerPass());
  passes.addPass(createCSEPass());
  passes.addPass(tile::createFuseMapsPass());
  passes.addPass(tile::createHoistBroadcastsPass());
  passes.addPass(createCSEPass());
  passes.addPass(createConvertTileToCpuPass(target, bf16Products));
  passes.addPass(createExpandMathPass({target.fusedMultiplyAdd, /*scale16=*/target.lanes == 16}));
  // Constants and addresses repeat in every register tile; fewer ops make all that follows cheaper.
  passes.addPass(createCSEPass());
  passes.addPass(createSCFToControlFlowPass());
  passes.addPass(createConvertVectorToLLVMPass());
  passes.addPass(createConvertMathToLLVMPass());
  passes.addPass(createArithToLLVMConversionPass());
  passes.addPass(createConvertControlFlowToLLVMPass());
  passes.addPass(createUBToLLVMConversionPass());
  passes.addPass(createReconcileUnrealizedCastsPass());
}

namespace {

struct TileToCpuOptions : PassPipelineOptions<TileToCpuOptions> {
  Option<std::string> target{*this, "target",
                             llvm::cl::desc("x86-64-v4-amx, x86-64-v4, x86-64-v3, x86-64-v2 or native"),
                             llvm::cl::init("native")};
  Option<bool> bf16Products{*this, "bf16-products",
                            llvm::cl::desc("round operands of products by a matrix unit to bf16 once"),
                            llvm::cl::init(false)};
};

/// Machine code of one module on its way.
struct Emission {
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> module;
  std::unique_ptr<llvm::TargetMachine> machine;
  std::vector<std::pair<std::string, int64_t>> scratch;
};

} // namespace

void denim::codegen::registerCpuPasses() {
  registerPass([] { return createConvertTileToCpuPass(); });
  PassPipelineRegistration<TileToCpuOptions>("tile-to-cpu", "tile kernels to the LLVM dialect",
                                             [](OpPassManager &passes, const TileToCpuOptions &options) {
                                               llvm::Expected<Target> target = findTarget(options.target);
                                               if (target)
                                                 buildCpuPipeline(passes, *target, options.bf16Products);
                                               else
                                                 llvm::report_fatal_error(target.takeError(), /*gen_crash_diag=*/false);
                                             });
}

/// Errors of passes are diagnostics; this makes one llvm::Error of them.
static llvm::Error lower(ModuleOp module, const Target &target, bool bf16Products) {
  MLIRContext *context = module.getContext();
  std::string messages;
  ScopedDiagnosticHandler handler(context, [&](Diagnostic &diagnostic) {
    if (diagnostic.getSeverity() == DiagnosticSeverity::Error) {
      if (!messages.empty())
        messages += "\n";
      messages += diagnostic.str();
    }
    return success();
  });
  PassManager passes(context);
  buildCpuPipeline(passes, target, bf16Products);
  if (succeeded(passes.run(module)))
    return llvm::Error::success();
  return llvm::createStringError(messages.empty() ? "the passes of convert-tile-to-cpu failed" : messages);
}

static llvm::Expected<std::unique_ptr<llvm::TargetMachine>> makeMachine(const Target &target, int optimization) {
  static std::once_flag once;
  std::call_once(once, [] {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
  });
  llvm::Triple triple("x86_64-unknown-linux-gnu");
  std::string message;
  const llvm::Target *found = llvm::TargetRegistry::lookupTarget(triple, message);
  if (!found)
    return llvm::createStringError(message);
  llvm::TargetOptions options;
  // Products are written as fused operations already; what is not must keep its two roundings.
  options.AllowFPOpFusion = llvm::FPOpFusion::Standard;
  auto level = llvm::CodeGenOpt::getLevel(optimization).value_or(llvm::CodeGenOptLevel::Aggressive);
  return std::unique_ptr<llvm::TargetMachine>(
      found->createTargetMachine(triple, target.cpu, target.features, options, llvm::Reloc::PIC_, std::nullopt, level));
}

/// The loops are vectors already: of LLVM's pipeline only the scalar cleaning and loop work is wanted, and the
/// vectorisers would only look for what is not there.
static llvm::Error optimize(Emission &emission, const Target &target, int level) {
  auto made = makeMachine(target, level);
  if (!made)
    return made.takeError();
  emission.machine = std::move(*made);
  llvm::Module &module = *emission.module;
  llvm::TargetMachine &machine = *emission.machine;
  module.setTargetTriple(machine.getTargetTriple());
  module.setDataLayout(machine.createDataLayout());
  for (llvm::Function &function : module) {
    if (function.isDeclaration())
      continue;
    function.addFnAttr("target-cpu", machine.getTargetCPU());
    function.addFnAttr("target-features", machine.getTargetFeatureString());
    function.addFnAttr("prefer-vector-width", std::to_string(target.vectorBits));
    function.addFnAttr(llvm::Attribute::NoUnwind);
    function.addFnAttr("no-builtins"); // or copying loops become calls of memcpy, in a library we do not have
  }
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager graphs;
  llvm::ModuleAnalysisManager modules;
  llvm::PipelineTuningOptions tuning;
  tuning.LoopVectorization = tuning.SLPVectorization = false;
  llvm::PassBuilder builder(&machine, tuning);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(graphs);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, graphs, modules);
  const llvm::OptimizationLevel levels[] = {llvm::OptimizationLevel::O0, llvm::OptimizationLevel::O1,
                                            llvm::OptimizationLevel::O2, llvm::OptimizationLevel::O3};
  builder.buildPerModuleDefaultPipeline(levels[std::clamp(level, 0, 3)]).run(module, modules);
  return llvm::Error::success();
}

/// Kernels as LLVM IR that nothing has optimised yet.
static llvm::Error translate(ModuleOp tileModule, const Target &target, const CpuOptions &options, Emission &emission) {
  OwningOpRef<ModuleOp> module(tileModule.clone());
  MLIRContext *context = module->getContext();
  DialectRegistry registry;
  registerBuiltinDialectTranslation(registry);
  registerLLVMDialectTranslation(registry);
  context->appendDialectRegistry(registry);
  if (llvm::Error error = lower(*module, target, options.bf16Products))
    return error;
  for (auto function : module->getOps<LLVM::LLVMFuncOp>())
    if (auto bytes = function->getAttrOfType<IntegerAttr>("tile.scratch_bytes"))
      emission.scratch.push_back({function.getName().str(), bytes.getInt()});
  emission.module = translateModuleToLLVMIR(*module, emission.context);
  if (!emission.module)
    return llvm::createStringError("expected the lowered kernels to translate to LLVM IR, but they did not");
  return llvm::Error::success();
}

static llvm::Error emitFile(Emission &emission, llvm::CodeGenFileType type, llvm::SmallVectorImpl<char> &bytes) {
  llvm::raw_svector_ostream stream(bytes);
  llvm::legacy::PassManager passes;
  if (emission.machine->addPassesToEmitFile(passes, stream, nullptr, type))
    return llvm::createStringError("expected the target to emit files of this kind, but it does not");
  passes.run(*emission.module);
  return llvm::Error::success();
}

/// One kernel of the module, as bitcode: what another context can read.
static llvm::SmallVector<char, 0> extract(const llvm::Module &module, const llvm::Function &kernel) {
  llvm::ValueToValueMapTy values;
  std::unique_ptr<llvm::Module> own = llvm::CloneModule(
      module, values, [&](const llvm::GlobalValue *value) { return value == &kernel || !isa<llvm::Function>(value); });
  llvm::SmallVector<char, 0> bitcode;
  llvm::raw_svector_ostream stream(bitcode);
  llvm::WriteBitcodeToFile(*own, stream);
  return bitcode;
}

static llvm::Expected<ObjectFile> compileKernel(llvm::ArrayRef<char> bitcode, const Target &target, int level) {
  Emission emission;
  auto read = llvm::parseBitcodeFile({{bitcode.data(), bitcode.size()}, "kernel"}, emission.context);
  if (!read)
    return read.takeError();
  emission.module = std::move(*read);
  if (llvm::Error error = optimize(emission, target, level))
    return error;
  ObjectFile object;
  if (llvm::Error error = emitFile(emission, llvm::CodeGenFileType::ObjectFile, object))
    return error;
  return object;
}

llvm::Expected<CpuCode> denim::codegen::compileForCpu(ModuleOp tileModule, const Target &target,
                                                      const CpuOptions &options) {
  Emission emission;
  if (llvm::Error error = translate(tileModule, target, options, emission))
    return error;
  // Four fifths of the time is LLVM's, and kernels are independent of each other: each is an object of its own, on any
  // number of threads.
  llvm::SmallVector<const llvm::Function *> kernels;
  for (const llvm::Function &function : *emission.module)
    if (!function.isDeclaration())
      kernels.push_back(&function);
  std::vector<std::optional<llvm::Expected<ObjectFile>>> made(kernels.size());
  {
    llvm::DefaultThreadPool threads;
    for (size_t k = 0; k < kernels.size(); ++k)
      threads.async([&, k, bitcode = extract(*emission.module, *kernels[k])] {
        made[k].emplace(compileKernel(bitcode, target, options.optimization));
      });
  }
  std::vector<ObjectFile> objects;
  llvm::Error failed = llvm::Error::success();
  for (std::optional<llvm::Expected<ObjectFile>> &object : made)
    if (*object)
      objects.push_back(std::move(**object));
    else
      failed = llvm::joinErrors(std::move(failed), object->takeError());
  if (failed)
    return failed;
  auto shared = linkSharedObject(objects, options.linker);
  if (!shared)
    return shared.takeError();
  return CpuCode{std::move(*shared), std::move(emission.scratch)};
}

llvm::Expected<std::string> denim::codegen::printForCpu(ModuleOp tileModule, const Target &target, CpuText text,
                                                        const CpuOptions &options) {
  Emission emission;
  if (llvm::Error error = translate(tileModule, target, options, emission))
    return error;
  if (llvm::Error error = optimize(emission, target, options.optimization))
    return error;
  std::string result;
  if (text == CpuText::llvm) {
    llvm::raw_string_ostream stream(result);
    emission.module->print(stream, nullptr);
    return result;
  }
  llvm::SmallVector<char, 0> assembly;
  if (llvm::Error error = emitFile(emission, llvm::CodeGenFileType::AssemblyFile, assembly))
    return error;
  return std::string(assembly.data(), assembly.size());
}
