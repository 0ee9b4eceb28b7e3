#include "compiler/driver/Compilation.h"
#include "codegen/cpu/Compile.h"
#include "codegen/nvptx/Compile.h"
#include "compiler/driver/KernelRemarks.h"
#include "compiler/driver/PlanOfModule.h"
#include "compiler/tuning/Choices.h"
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
    if (llvm::Error error = checkMachines())
      return error;
    if (llvm::Error error = checkTables())
      return error;
    if (llvm::Error error = checkInput())
      return error;
    for (Phase phase : {Phase::Import, Phase::Mix}) {
      if (isToRun(phase))
        if (llvm::Error error = runPhase(module, phase, options.pipeline, ""))
          return error;
      if (phase == Phase::Import)
        modelText = textOf(module);
      if (stopsBehind(phase))
        return textOf(module);
    }
    std::string text;
    std::vector<codegen::MachineCode> machines;
    for (const MachineTargets &machine : options.machines) {
      // All machines start from what the phase mix left.
      OwningOpRef<ModuleOp> own(cast<ModuleOp>(module->clone()));
      llvm::Expected<std::optional<std::string>> stopped = runMachine(*own, machine);
      if (!stopped)
        return stopped.takeError();
      if (*stopped)
        return **stopped;
      llvm::Expected<codegen::MachineCode> code = emitCode(*own, machine, text);
      if (!code)
        return code.takeError();
      machines.push_back(std::move(*code));
    }
    if (options.emit != Emit::Module || options.to == Phase::Kernel)
      return text;
    std::string bytes = codegen::writeModule(machines, modelText);
    if (llvm::Error error = dump(Phase::Package, "denim", bytes))
      return error;
    return bytes;
  }

private:
  bool isToRun(Phase phase) const { return !options.from || phase > *options.from; }

  bool stopsBehind(Phase phase) const {
    return options.to == phase || (options.emit == Emit::Model && phase == Phase::Import) ||
           (options.emit == Emit::Attn && phase == Phase::Mix) ||
           (options.emit == Emit::Plan && phase == Phase::Plan) ||
           ((options.emit == Emit::Tile || options.emit == Emit::Choices) && phase == Phase::Tile);
  }

  /// From the phase plan on every machine has a text of its own, and there is room for one.
  llvm::Error checkMachines() const {
    if (options.machines.size() > 1) {
      if (options.from >= Phase::Plan)
        return makeError("expected one machine for what the phase " + phaseName(*options.from) +
                         " left, but got several; choose one with --target");
      bool isShared = stopsBehind(Phase::Import) || stopsBehind(Phase::Mix);
      if (!isShared && (options.emit != Emit::Module || (options.to && *options.to < Phase::Package)))
        return makeError("expected one machine for a text behind the phase mix, but got several; choose one with "
                         "--target");
    }
    // What a GPU keeps follows from the precision of its products.
    StringRef kept = options.exact ? "f32" : "bf16", asked = options.pipeline.pages;
    for (const MachineTargets &machine : options.machines)
      if (machine.machine == Machine::Cuda && !asked.empty() && asked != kept)
        return makeError("expected pages of " + kept + " for nvptx" + (options.exact ? " with --exact" : "") +
                         ", but got " + asked + "; compile the page for cpu alone");
    if (!asked.empty() && options.from >= Phase::Plan)
      return makeError("expected --pages where the phase plan runs, but got what the phase " +
                       phaseName(*options.from) + " left, whose pages have a type");
    if (!asked.empty() && !llvm::is_contained({"f32", "bf16", "f16"}, asked))
      return makeError("expected pages of f32, bf16 or f16, but got " + asked);
    Machine first = options.machines.front().machine;
    if (options.emit == Emit::Ptx && first != Machine::Cuda)
      return makeError("expected a target nvptx for PTX, but got cpu");
    if ((options.emit == Emit::Llvm || options.emit == Emit::Assembly) && first != Machine::Cpu)
      return makeError("expected a target cpu for LLVM IR and assembly, but got nvptx, which has --emit=ptx");
    return llvm::Error::success();
  }

  /// A table that no plan asks is a mistake.
  llvm::Error checkTables() const {
    std::string planned;
    llvm::StringMap<int> tables;
    for (const MachineTargets &machine : options.machines) {
      llvm::Expected<std::string> name = targetName(machine);
      if (!name)
        return name.takeError();
      planned += (planned.empty() ? "" : " or ") + *name;
      tables[*name] = 0;
    }
    for (const tuning::Table &table : options.tables) {
      if (!tables.contains(table.target))
        return makeError("expected a table for " + planned + ", but got one for " + table.target);
      if (tables[table.target]++)
        return makeError("expected one table for " + table.target + ", but got several");
    }
    return llvm::Error::success();
  }

  /// A text to compile on from is verified like one that the phase has just left.
  llvm::Error checkInput() {
    if (!options.from)
      return llvm::Error::success();
    PassManager passes(module->getContext());
    addVerifyPhase(passes, *options.from);
    if (failed(passes.run(module)))
      return makeError("expected a text that the phase " + phaseName(*options.from) + " has left");
    return llvm::Error::success();
  }

  /// The phases plan and tile of one machine; a text if the compilation ends there.
  llvm::Expected<std::optional<std::string>> runMachine(ModuleOp own, const MachineTargets &machine) {
    PipelineOptions pipeline = options.pipeline;
    pipeline.machine = machine.machine;
    pipeline.exact = options.exact;
    // A plan is for all targets of its machine; choices are made for the first.
    pipeline.target = machine.targets.front();
    if (llvm::Error error = attachOverrides(own, machine))
      return error;
    for (Phase phase : {Phase::Plan, Phase::Tile}) {
      if (isToRun(phase))
        if (llvm::Error error = runPhase(own, phase, pipeline, nameInFiles(machine.machine)))
          return error;
      if (phase == Phase::Tile)
        for (const std::string &choice : tuning::unusedForced(own))
          if (++unused[choice] == options.machines.size()) // for none of them
            return makeError("expected a kernel that can have " + choice + ", but got none; --emit=choices lists them");
      if (stopsBehind(phase))
        return options.emit == Emit::Choices ? tuning::choicesAsTable(own) : textOf(own);
    }
    return std::nullopt;
  }

  /// What the command line overrides, written on the module where it is not in the text already.
  llvm::Error attachOverrides(ModuleOp own, const MachineTargets &machine) {
    const tuning::Table *measured = nullptr;
    llvm::Expected<std::string> target = targetName(machine);
    if (!target)
      return target.takeError();
    for (const tuning::Table &table : options.tables)
      if (table.target == *target)
        measured = &table;
    tuning::attachOverrides(own, options.forced, measured);
    return llvm::Error::success();
  }

  /// The target that choices are made for, by the name that tables have.
  static llvm::Expected<std::string> targetName(const MachineTargets &machine) {
    if (machine.machine == Machine::Cuda) {
      llvm::Expected<codegen::GpuTarget> target = codegen::findGpuTarget(machine.targets.front());
      if (!target)
        return target.takeError();
      return target->name;
    }
    llvm::Expected<codegen::Target> target = codegen::findTarget(machine.targets.front());
    if (!target)
      return target.takeError();
    return target->name;
  }

  /// What stands in the names of dumped files when there is more than one machine.
  std::string nameInFiles(Machine machine) const {
    return options.machines.size() > 1 ? machineName(machine).str() + "." : "";
  }

  llvm::Error runPhase(ModuleOp own, Phase phase, const PipelineOptions &pipeline, const Twine &prefix) {
    PassManager passes(own->getContext());
    buildPhase(passes, phase, pipeline);
    if (failed(passes.run(own)))
      return makeError("the phase " + phaseName(phase) + " failed");
    return dump(phase, prefix + "mlir", textOf(own));
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
  OwningOpRef<ModuleOp> kernelsOnly(ModuleOp own) {
    OwningOpRef<ModuleOp> kernels(ModuleOp::create(own.getLoc()));
    for (auto kernel : own.getOps<tile::KernelOp>())
      kernels->getBody()->push_back(kernel->clone());
    return kernels;
  }

  struct TargetResult {
    std::string text;
    codegen::TargetCode code;
  };

  llvm::Expected<TargetResult> compileTarget(StringRef kernelText, const codegen::ModulePlan &plan, Machine machine,
                                             StringRef name) {
    DialectRegistry registry;
    registerDialects(registry);
    MLIRContext context(registry, MLIRContext::Threading::DISABLED);
    OwningOpRef<ModuleOp> kernels = parseSourceString<ModuleOp>(kernelText, &context);
    if (!kernels)
      return makeError("expected the tile programs to be read back");
    return machine == Machine::Cpu ? compileCpuTarget(*kernels, plan, name) : compileCudaTarget(*kernels, plan, name);
  }

  llvm::Expected<TargetResult> compileCpuTarget(ModuleOp kernels, const codegen::ModulePlan &plan, StringRef name) {
    llvm::Expected<codegen::Target> target = codegen::findTarget(name);
    if (!target)
      return target.takeError();
    TargetResult result;
    codegen::CpuOptions cpu;
    cpu.bf16Products = options.bf16Products;
    if (options.emit == Emit::Llvm || options.emit == Emit::Assembly || !options.dumpDirectory.empty()) {
      bool assembly = options.emit == Emit::Assembly;
      auto printed =
          codegen::printForCpu(kernels, *target, assembly ? codegen::CpuText::assembly : codegen::CpuText::llvm, cpu);
      if (!printed)
        return printed.takeError();
      if (llvm::Error error = dump(Phase::Kernel, target->name + (assembly ? ".s" : ".ll"), *printed))
        return error;
      result.text = std::move(*printed);
    }
    if (options.emit != Emit::Module)
      return result;
    llvm::Expected<codegen::CpuCode> code = codegen::compileForCpu(kernels, *target, cpu);
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

  llvm::Expected<TargetResult> compileCudaTarget(ModuleOp kernels, const codegen::ModulePlan &plan, StringRef name) {
    llvm::Expected<codegen::GpuTarget> target = codegen::findGpuTarget(name);
    if (!target)
      return target.takeError();
    codegen::NvptxOptions nvptx;
    nvptx.exact = options.exact, nvptx.assembler = options.assembler;
    llvm::Expected<codegen::NvptxCode> code = codegen::compileForNvptx(kernels, *target, nvptx);
    if (!code)
      return code.takeError();
    for (const std::string &warning : code->warnings)
      emitWarning(UnknownLoc::get(kernels.getContext())) << warning;
    if (llvm::Error error = dump(Phase::Kernel, target->name + ".ptx", code->ptx))
      return error;
    llvm::StringMap<codegen::KernelCode> made;
    for (const codegen::NvptxKernel &kernel : code->kernels)
      made[kernel.name] = {0,
                           kernel.threads,
                           kernel.sharedBytes,
                           kernel.registers,
                           kernel.spillBytes,
                           kernel.overlaps,
                           kernel.tensorMaps};
    TargetResult result;
    result.text = code->ptx;
    result.code = {target->name, {target->name}, {}, std::move(code->cubin), std::move(code->ptx)};
    for (const codegen::KernelItems &kernel : plan.kernels) {
      if (!made.contains(kernel.name))
        return makeError("expected code for the kernel " + kernel.name + ", but got none");
      result.code.kernels.push_back(made.lookup(kernel.name));
    }
    return result;
  }

  /// Code for all targets of a machine; what is emitted as text is added to `text`.
  llvm::Expected<codegen::MachineCode> emitCode(ModuleOp own, const MachineTargets &machine, std::string &text) {
    OwningOpRef<ModuleOp> kernels = kernelsOnly(own);
    FailureOr<codegen::ModulePlan> plan = planOfModule(own);
    if (failed(plan))
      return makeError("the phase package failed");
    plan->machine = machineName(machine.machine).str();
    plan->source = options.source;
    // Targets are independent of each other: each is compiled by a thread of its own, in a context of its own, since
    // loading the dialects of the way down is not for many threads.
    std::string kernelText = textOf(*kernels);
    std::vector<std::future<llvm::Expected<TargetResult>>> results;
    for (const std::string &name : machine.targets)
      results.push_back(
          std::async(std::launch::async, [&] { return compileTarget(kernelText, *plan, machine.machine, name); }));
    codegen::MachineCode result;
    llvm::Error failed = llvm::Error::success();
    for (auto &future : results) {
      llvm::Expected<TargetResult> made = future.get();
      if (!made) {
        failed = llvm::joinErrors(std::move(failed), made.takeError());
        continue;
      }
      text += made->text;
      if (options.remarks && options.emit == Emit::Module)
        remarkKernels(own, *plan, made->code);
      result.targets.push_back(std::move(made->code));
    }
    if (failed)
      return failed;
    result.plan = std::move(*plan);
    return result;
  }

  ModuleOp module;
  const CompileOptions &options;
  std::string modelText;
  llvm::StringMap<size_t> unused; ///< machines without a kernel that can have what the user forces
};

} // namespace

llvm::Expected<std::string> denim::compile(ModuleOp module, const CompileOptions &options) {
  return Compilation(module, options).run();
}

llvm::Expected<std::vector<MachineTargets>> denim::parseTargets(StringRef text) {
  SmallVector<StringRef> words;
  text.split(words, ',');
  std::vector<MachineTargets> machines;
  for (StringRef word : words) {
    if (word == "cpu" || word == "nvptx") {
      Machine machine = word == "cpu" ? Machine::Cpu : Machine::Cuda;
      if (llvm::any_of(machines, [&](const MachineTargets &known) { return known.machine == machine; }))
        return makeError("expected the target " + word + " once, but got \"" + text + "\"");
      machines.push_back({machine, {}});
      continue;
    }
    if (machines.empty())
      return makeError("expected a target cpu or nvptx, but got \"" + text + "\"");
    MachineTargets &machine = machines.back();
    if (machine.machine == Machine::Cuda) {
      if (!word.starts_with("sm_"))
        return makeError("expected a name like sm_90a behind nvptx, but got \"" + word + "\"");
      machine.targets.push_back(word.str());
      continue;
    }
    StringRef name = llvm::StringSwitch<StringRef>(word)
                         .Case("native", "native")
                         .Case("amx", "x86-64-v4-amx")
                         .Case("avx512", "x86-64-v4")
                         .Case("avx2", "x86-64-v3")
                         .Case("baseline", "x86-64-v2")
                         .Default("");
    if (name.empty())
      return makeError("expected native, amx, avx512, avx2 or baseline behind cpu, but got \"" + word + "\"");
    machine.targets.push_back(name.str());
  }
  for (MachineTargets &machine : machines)
    if (machine.targets.empty())
      machine.targets = machine.machine == Machine::Cpu
                            ? std::vector<std::string>{"x86-64-v4-amx", "x86-64-v4", "x86-64-v3", "x86-64-v2"}
                            : std::vector<std::string>{"sm_90a"};
  // The order of a module, whatever the order of the words.
  llvm::sort(machines, [](const MachineTargets &a, const MachineTargets &b) { return a.machine < b.machine; });
  return machines;
}
