// Reads a checkpoint's config.json and the headers of its safetensors files, writes the network as a page of text.
#include "frontends/hf/architectures/Architecture.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Support/FileUtilities.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/ToolOutputFile.h"

using namespace denim::frontends;
namespace cl = llvm::cl;

static cl::OptionCategory category("denim-import");
static cl::opt<std::string> directory(cl::Positional, cl::Required, cl::desc("<checkpoint directory>"),
                                      cl::cat(category));
static cl::opt<std::string> output("o", cl::init("-"), cl::value_desc("file"),
                                   cl::desc("where the network goes; standard output if not given"), cl::cat(category));

static int fail(const std::string &message) {
  llvm::errs() << "denim-import: " << message << '\n';
  return 1;
}

int main(int argc, char **argv) {
  cl::HideUnrelatedOptions(category);
  cl::ParseCommandLineOptions(argc, argv, "a checkpoint as a page of the model language\n");
  mlir::MLIRContext context;
  Page page(context);
  if (Error error = importCheckpoint(directory, page))
    return fail(error.message());
  std::string message;
  auto file = mlir::openOutputFile(output, &message);
  if (!file)
    return fail(message);
  page.print(file->os());
  file->keep();
  return 0;
}
