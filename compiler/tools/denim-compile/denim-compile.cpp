// A model as text in, one module file out.
#include "compiler/driver/Compilation.h"
#include "compiler/driver/InputText.h"
#include "formats/file/OutputFile.h"
#include "mlir/Support/FileUtilities.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/Process.h"

using namespace denim;
namespace cl = llvm::cl;

static cl::OptionCategory category("denim-compile options");
static cl::opt<std::string> input(cl::Positional, cl::desc("<model.mlir>"), cl::init("-"), cl::cat(category));
static cl::opt<std::string> output("o", cl::desc("file to write; standard output if not given"), cl::value_desc("file"),
                                   cl::init("-"), cl::cat(category));
static cl::opt<std::string>
    target("target", cl::desc("cpu[,native|amx|avx512|avx2|baseline]...,nvptx[,sm_90a]... or one of them"),
           cl::init("cpu"), cl::cat(category));
static cl::opt<Emit> emitKind("emit", cl::desc("what to write"), cl::init(Emit::Module), cl::cat(category),
                              cl::values(clEnumValN(Emit::Model, "model", "the network, as the compiler reads it"),
                                         clEnumValN(Emit::Attn, "attn", "with caches and chosen forms"),
                                         clEnumValN(Emit::Plan, "plan", "programs of launches"),
                                         clEnumValN(Emit::Tile, "tile", "tile programs"),
                                         clEnumValN(Emit::Choices, "choices", "what was chosen, as a tuning table"),
                                         clEnumValN(Emit::Llvm, "llvm", "optimised LLVM IR"),
                                         clEnumValN(Emit::Assembly, "asm", "assembly"),
                                         clEnumValN(Emit::Ptx, "ptx", "PTX of nvptx targets"),
                                         clEnumValN(Emit::Module, "module", "one module file")));
static cl::opt<std::string> compileTo("compile-to", cl::desc("stop behind this phase and write what it left"),
                                      cl::value_desc("import|mix|plan|tile|kernel|package"), cl::cat(category));
static cl::opt<std::string> compileFrom("compile-from", cl::desc("the input is what this phase left"),
                                        cl::value_desc("import|mix|plan|tile"), cl::cat(category));
static cl::opt<std::string> dumpPhases("dump-phases-to", cl::desc("folder for one numbered file per phase"),
                                       cl::value_desc("DIR"), cl::cat(category));
static cl::opt<bool> exact("exact", cl::desc("products on a GPU with errors near those of f32 (slower)"),
                           cl::cat(category));
static cl::opt<std::string> assembler("assembler",
                                      cl::desc("of kernels for NVIDIA GPUs; ptxas where it is found. -: none, "
                                               "the module holds PTX and the driver assembles it"),
                                      cl::value_desc("path"), cl::cat(category));
static cl::opt<bool> bf16Products("bf16-products",
                                  cl::desc("operands of products rounded to bf16 on a CPU with a matrix unit (faster)"),
                                  cl::cat(category));
static cl::opt<std::string> pages("pages",
                                  cl::desc("element type of cached keys, values and latents on a CPU, f32 unless "
                                           "given; a GPU keeps bf16, or f32 with --exact"),
                                  cl::value_desc("f32|bf16|f16"), cl::cat(category));
static cl::opt<int64_t> chunk("chunk", cl::desc("tokens per chunk of a linear recurrence"), cl::init(64),
                              cl::cat(category));

static cl::list<std::string> tuningFiles("tuning", cl::desc("table of measured choices, over the one in the compiler"),
                                         cl::value_desc("FILE"), cl::cat(category));
static cl::list<std::string> forced("choose", cl::desc("make a choice, over all tables; --emit=choices lists them"),
                                    cl::value_desc("KIND.CHOICE=VALUE"), cl::cat(category));
static cl::opt<bool> remarks("remarks", cl::desc("say what each kernel takes of its machine"), cl::cat(category));

static int fail(const llvm::Twine &message) {
  llvm::errs() << "denim-compile: " << message << '\n';
  return 1;
}

/// The phase an option names, or nothing when the option is not given.
static llvm::Expected<std::optional<Phase>> phaseOf(const cl::opt<std::string> &option) {
  if (option.empty())
    return std::nullopt;
  if (auto phase = findPhase(option))
    return phase;
  return llvm::createStringError(llvm::inconvertibleErrorCode(),
                                 "expected --" + option.ArgStr +
                                     " to name a phase import, mix, plan, tile, kernel or package, but got \"" +
                                     option + "\"");
}

/// The phase that leaves what is emitted; nothing for what is made of machine code.
static std::optional<Phase> phaseOf(Emit emit) {
  switch (emit) {
  case Emit::Model:
    return Phase::Import;
  case Emit::Attn:
    return Phase::Mix;
  case Emit::Plan:
    return Phase::Plan;
  case Emit::Tile:
  case Emit::Choices:
    return Phase::Tile;
  case Emit::Llvm:
  case Emit::Assembly:
  case Emit::Ptx:
  case Emit::Module:
    return std::nullopt;
  }
  llvm_unreachable("all kinds are named");
}

int main(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  cl::HideUnrelatedOptions(category);
  cl::ParseCommandLineOptions(argc, argv, "compiles a model graph to one module file\n");

  CompileOptions options;
  auto targets = parseTargets(target);
  if (!targets)
    return fail(llvm::toString(targets.takeError()));
  auto to = phaseOf(compileTo), from = phaseOf(compileFrom);
  if (!to)
    return fail(llvm::toString(to.takeError()));
  if (!from)
    return fail(llvm::toString(from.takeError()));
  if (*from && **from >= Phase::Kernel)
    return fail("expected --compile-from to name a phase that leaves text (import, mix, plan or tile), but got \"" +
                compileFrom + "\"");
  if (*from && *to && **to < **from)
    return fail("expected --compile-to to name the phase " + compileFrom + " or one behind it, but got \"" + compileTo +
                "\"");
  if (auto emitted = phaseOf(emitKind); *from && emitted && *emitted < **from)
    return fail("expected --emit to name what the phase " + compileFrom + " or one behind it leaves, but got \"" +
                emitKind.getParser().getOption(static_cast<unsigned>(emitKind.getValue())) + "\"");
  options.machines = *targets;
  options.to = *to;
  options.from = *from;
  bool isCuda = options.machines.front().machine == Machine::Cuda;
  options.emit = *to == Phase::Kernel && emitKind == Emit::Module ? (isCuda ? Emit::Ptx : Emit::Llvm) : emitKind;
  options.dumpDirectory = dumpPhases;
  options.source = input;
  options.pipeline.chunk = chunk;
  options.pipeline.pages = pages;
  options.exact = exact;
  options.remarks = remarks;
  options.assembler = assembler;
  options.bf16Products = bf16Products;

  std::string message;
  for (const std::string &path : tuningFiles) {
    std::unique_ptr<llvm::MemoryBuffer> file = mlir::openInputFile(path, &message);
    if (!file)
      return fail(message);
    llvm::Expected<tuning::Table> table = tuning::parseTable(file->getBuffer(), path);
    if (!table)
      return fail(llvm::toString(table.takeError()));
    options.tables.push_back(std::move(*table));
  }
  for (const std::string &text : forced) {
    llvm::Expected<tuning::Entry> entry = tuning::parseForced(text);
    if (!entry)
      return fail("--choose: " + llvm::toString(entry.takeError()));
    options.forced.push_back(std::move(*entry));
  }
  formats::OutputFile file;
  if (output != "-")
    if (formats::Error error = file.open(output))
      return fail(error.message());
  bool isModule = options.emit == Emit::Module && options.to.value_or(Phase::Package) == Phase::Package;
  if (output == "-" && isModule && llvm::sys::Process::StandardOutIsDisplayed())
    return fail("expected -o FILE for a module, but got a terminal to write it to");
  std::unique_ptr<InputText> text = InputText::read(input, "denim-compile");
  if (!text)
    return 1;
  llvm::Expected<std::string> result = compile(text->module(), options);
  if (!result)
    return fail(llvm::toString(result.takeError()));
  if (output == "-") {
    llvm::outs() << *result;
    return 0;
  }
  if (formats::Error error = file.keep(*result))
    return fail(error.message());
  return 0;
}
