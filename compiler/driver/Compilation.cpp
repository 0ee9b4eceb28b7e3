#include "compiler/driver/Compilation.h"
#include "codegen/cpu/Compile.h"
#include "compiler/driver/PlanOfModule.h"
#include "dialects/model/ir/Model.h"
#include "dialects/tile/ir/Tile.h"
#include "mlir/IR/AsmState.h"
#include "mlir/Parser/Parser.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"
#include <future>

using namespace mlir;
using namespace denim;

namespace {

llvm::Error makeError(const Twine &what) {
  return llvm::createStringError(llvm::inconvertibleErrorCode(), what);
}

std::string textOf(ModuleOp module) {
  std::string text;
  llvm::raw_string_ostream os(text);
  module->print(os, OpPrintingFlags().printNameLocAsPrefix());
  os << '\n';
  return text;
}

class Compilation {
public:
  Compilation(ModuleOp module, const CompileOptions &options) : module(module), options(options) {}

  llvm::Expected<std::string> run() {
    if (!options.from || *options.from < Phase::Plan)
      if (auto networks = module.getOps<model::NetworkOp>(); !llvm::hasSingleElement(networks))
        return makeError("expected one model.network, but got " +
                         Twine(std::distance(networks.begin(), networks.end())));
    for (Phase phase : {Phase::Import, Phase::Mix, Phase::Plan, Phase::Tile}) {
      if (!options.from || phase > *options.from)
        if (llvm::Error error = runPhase(phase))
          return error;
      if (phase == Phase::Import)
        modelText = textOf(module);
      if (stopsBehind(phase))
        return textOf(module);
    }
    return emitCode();
  }

private:
  bool stopsBehind(Phase phase) const {
    return options.to == phase || (options.emit == Emit::Model && phase == Phase::Import) ||
           (options.emit == Emit::Attn && phase == Phase::Mix) ||
           (options.emit == Emit::Plan && phase == Phase::Plan) || (options.emit == Emit::Tile && phase == Phase::Tile);
  }

  llvm::Error runPhase(Phase phase) {
    PassManager passes(module->getContext());
    buildPhase(passes, phase, options.pipeline);
    if (failed(passes.run(module)))
      return makeError("the phase " + phaseName(phase) + " failed");
    return dump(phase, "mlir", textOf(module));
  }

  /// `DIR/3.plan.mlir`; several files of a phase carry their target in front of the ending.
  llvm::Error dump(Phase phase, const Twine &ending, StringRef content) {
    if (options.dumpDirectory.empty())
      return llvm::Error::success();
    if (std::error_code code = llvm::sys::fs::create_directories(options.dumpDirectory))
      return makeError("cannot make the folder " + options.dumpDirectory + ": " + code.message());
    SmallString<128> path(options.dumpDirectory);
    llvm::sys::path::append(path, Twine(static_cast<int>(phase) + 1) + "." + phaseName(phase) + "." + ending);
    std::error_code code;
    llvm::raw_fd_ostream file(path, code);
    if (code)
      return makeError("cannot write " + path + ": " + code.message());
    file << content;
    return llvm::Error::success();
  }

  /// The tile kernels alone: what code generation takes.
  OwningOpRef<ModuleOp> kernelsOnly() {
    OwningOpRef<ModuleOp> kernels(ModuleOp::create(module.getLoc()));
    for (auto kernel : module.getOps<tile::KernelOp>())
      kernels->getBody()->push_back(kernel->clone());
    return kernels;
  }

  struct TargetResult {
    std::string text;
    codegen::TargetCode code;
  };

  llvm::Expected<TargetResult> compileTarget(StringRef kernelText, const codegen::ModulePlan &plan, StringRef name) {
    DialectRegistry registry;
    registerDialects(registry);
    MLIRContext context(registry, MLIRContext::Threading::DISABLED);
    OwningOpRef<ModuleOp> kernels = parseSourceString<ModuleOp>(kernelText, &context);
    if (!kernels)
      return makeError("expected the tile programs to be read back");
    llvm::Expected<codegen::Target> target = codegen::findTarget(name);
    if (!target)
      return target.takeError();
    TargetResult result;
    if (options.emit == Emit::Llvm || options.emit == Emit::Assembly || !options.dumpDirectory.empty()) {
      bool assembly = options.emit == Emit::Assembly;
      auto printed =
          codegen::printForCpu(*kernels, *target, assembly ? codegen::CpuText::assembly : codegen::CpuText::llvm);
      if (!printed)
        return printed.takeError();
      if (llvm::Error error = dump(Phase::Kernel, target->name + (assembly ? ".s" : ".ll"), *printed))
        return error;
      result.text = std::move(*printed);
    }
    if (options.emit != Emit::Module)
      return result;
    llvm::Expected<codegen::CpuCode> code = codegen::compileForCpu(*kernels, *target);
    if (!code)
      return code.takeError();
    llvm::StringMap<int64_t> scratch;
    for (auto &[kernel, bytes] : code->kernelScratch)
      scratch[kernel] = bytes;
    result.code = {target->name, target->requiredFlags, {}, std::move(code->sharedObject), ""};
    for (const codegen::KernelItems &kernel : plan.kernels)
      result.code.kernels.push_back({scratch.lookup(kernel.name)});
    return result;
  }

  llvm::Expected<std::string> emitCode() {
    OwningOpRef<ModuleOp> kernels = kernelsOnly();
    std::vector<codegen::TargetCode> codes;
    FailureOr<codegen::ModulePlan> plan = planOfModule(module);
    if (failed(plan))
      return makeError("the phase package failed");
    plan->source = options.source;
    // Targets are independent of each other: each is compiled by a thread of its own, in a context of its own, since
    // loading the dialects of the way down is not for many threads.
    std::string kernelText = textOf(*kernels);
    std::vector<std::future<llvm::Expected<TargetResult>>> results;
    for (const std::string &name : options.targets)
      results.push_back(std::async(std::launch::async, [&] { return compileTarget(kernelText, *plan, name); }));
    std::string text;
    llvm::Error failed = llvm::Error::success();
    for (auto &future : results) {
      llvm::Expected<TargetResult> result = future.get();
      if (!result) {
        failed = llvm::joinErrors(std::move(failed), result.takeError());
        continue;
      }
      text += result->text;
      codes.push_back(std::move(result->code));
    }
    if (failed)
      return failed;
    if (options.emit != Emit::Module || options.to == Phase::Kernel)
      return text;
    std::string bytes = codegen::writeModule({{*plan, std::move(codes)}}, modelText);
    if (llvm::Error error = dump(Phase::Package, "denim", bytes))
      return error;
    return bytes;
  }

  ModuleOp module;
  const CompileOptions &options;
  std::string modelText;
};

} // namespace

llvm::Expected<std::string> denim::compile(ModuleOp module, const CompileOptions &options) {
  return Compilation(module, options).run();
}

llvm::Expected<std::vector<std::string>> denim::parseTargets(StringRef text) {
  SmallVector<StringRef> words;
  text.split(words, ',');
  if (words.front() != "cpu")
    return makeError("expected a target cpu, but got \"" + text + "\"");
  std::vector<std::string> targets;
  for (StringRef word : ArrayRef(words).drop_front()) {
    StringRef name = llvm::StringSwitch<StringRef>(word)
                         .Case("native", "native")
                         .Case("avx512", "x86-64-v4")
                         .Case("avx2", "x86-64-v3")
                         .Case("baseline", "x86-64-v2")
                         .Default("");
    if (name.empty())
      return makeError("expected native, avx512, avx2 or baseline behind cpu, but got \"" + word + "\"");
    targets.push_back(name.str());
  }
  if (targets.empty())
    targets = CompileOptions().targets;
  return targets;
}
