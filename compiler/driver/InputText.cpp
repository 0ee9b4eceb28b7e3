#include "compiler/driver/InputText.h"
#include "compiler/pipelines/Pipelines.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Support/FileUtilities.h"

using namespace mlir;
using namespace denim;

InputText::~InputText() = default;

std::unique_ptr<InputText> InputText::read(StringRef path, StringRef tool) {
  std::string message;
  std::unique_ptr<llvm::MemoryBuffer> buffer = openInputFile(path, &message);
  if (!buffer) {
    llvm::errs() << tool << ": " << message << '\n';
    return nullptr;
  }
  DialectRegistry registry;
  registerDialects(registry);
  std::unique_ptr<InputText> text(new InputText(registry));
  text->sources.AddNewSourceBuffer(std::move(buffer), llvm::SMLoc());
  text->context.printOpOnDiagnostic(false); // the line of the input says more
  text->diagnostics = std::make_unique<SourceMgrDiagnosticHandler>(text->sources, &text->context);
  text->parsed = parseSourceFile<ModuleOp>(text->sources, &text->context);
  return text->parsed ? std::move(text) : nullptr;
}
