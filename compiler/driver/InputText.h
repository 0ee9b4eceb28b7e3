// A file of text that a tool compiles or checks, parsed.
#ifndef COMPILER_DRIVER_INPUTTEXT_H
#define COMPILER_DRIVER_INPUTTEXT_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/Support/SourceMgr.h"
#include <memory>

namespace mlir {
class SourceMgrDiagnosticHandler;
}

namespace denim {

/// Diagnostics, also those of later passes, are printed to stderr with the line of the text they are about.
class InputText {
public:
  /// Reads a file, or stdin for `-`, in the languages of all phases. Null when it cannot be read or parsed; `tool` has
  /// said why then, on stderr.
  static std::unique_ptr<InputText> read(llvm::StringRef path, llvm::StringRef tool);
  ~InputText();

  mlir::ModuleOp module() { return *parsed; }

private:
  explicit InputText(const mlir::DialectRegistry &registry) : context(registry) {}

  llvm::SourceMgr sources;
  mlir::MLIRContext context;
  std::unique_ptr<mlir::SourceMgrDiagnosticHandler> diagnostics;
  mlir::OwningOpRef<mlir::ModuleOp> parsed;
};

} // namespace denim

#endif // COMPILER_DRIVER_INPUTTEXT_H
