// Reads a checkpoint's config.json and the headers of its safetensors files, writes the network as a page of text.
#include "formats/file/OutputFile.h"
#include "frontends/hf/architectures/Architecture.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/Support/CommandLine.h"

using namespace denim::frontends;
using denim::formats::OutputFile;
namespace cl = llvm::cl;

static cl::OptionCategory category("denim-import");
static cl::opt<std::string> directory(cl::Positional, cl::desc("<checkpoint directory>"), cl::cat(category));
static cl::opt<std::string> output("o", cl::init("-"), cl::value_desc("file"),
                                   cl::desc("where the network goes; standard output if not given"), cl::cat(category));

static cl::opt<std::string> weights("weights", cl::value_desc("q8_0|q4_0"),
                                    cl::desc("weights of linear in blocks of this format, for --weights-dir"),
                                    cl::cat(category));
static cl::opt<std::string> weightsDirectory("weights-dir", cl::value_desc("directory"),
                                             cl::desc("where the checkpoint with these weights goes"),
                                             cl::cat(category));

static int fail(const std::string &message) {
  llvm::errs() << "denim-import: " << message << '\n';
  return 1;
}

int main(int argc, char **argv) {
  cl::HideUnrelatedOptions(category);
  cl::ParseCommandLineOptions(argc, argv, "a checkpoint as a page of the model language\n");
  mlir::MLIRContext context;
  Page page(context);
  std::optional<BlockWeights> blocks;
  if (weights.getNumOccurrences() || weightsDirectory.getNumOccurrences()) {
    auto format = denim::formats::blockFormatOf(weights);
    if (!format)
      return fail("expected --weights q8_0 or q4_0, but got \"" + weights + '"');
    if (weightsDirectory.empty())
      return fail("expected --weights-dir with --weights, the folder for the checkpoint in " + weights +
                  ", but got none");
    blocks = BlockWeights{*format, weightsDirectory};
  }
  if (directory.empty())
    return fail("expected a checkpoint directory, but got none");
  OutputFile file;
  if (output != "-")
    if (Error error = file.open(output))
      return fail(error.message());
  if (Error error = importCheckpoint(directory, page, blocks))
    return fail(error.message());
  if (output == "-") {
    page.print(llvm::outs());
    return 0;
  }
  std::string text;
  llvm::raw_string_ostream os(text);
  page.print(os);
  if (Error error = file.keep(text))
    return fail(error.message());
  return 0;
}
