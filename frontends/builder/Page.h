// A network as a page of text: model IR with the names, paragraphs and comments that a person would give it.
//
// MLIR keeps no comments and, by default, no names. A `Page` owns the module while it is written and remembers beside
// it what stands above each op; `BodyWriter` puts the name of a value in the op's location. `print` asks MLIR for the
// text of every op and adds the rest: names, blank lines, comments, and columns of parameters that line up.
#ifndef FRONTENDS_BUILDER_PAGE_H
#define FRONTENDS_BUILDER_PAGE_H

#include "dialects/model/ir/Model.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/ADT/DenseMap.h"

namespace denim::frontends {

class Page {
public:
  /// Loads the dialects of a network into `context`, which must outlive the page.
  explicit Page(mlir::MLIRContext &context);

  mlir::MLIRContext &context() { return *module->getContext(); }
  mlir::ModuleOp getModule() { return *module; }

  /// The first line of the page.
  void setTitle(llvm::StringRef text) { title = text.str(); }

  /// Begins what stands above `op`: a blank line, and the comment if it is not empty.
  void begin(mlir::Operation *op, llvm::StringRef comment) { above[op] = comment.str(); }

  void print(llvm::raw_ostream &out);

private:
  mlir::OwningOpRef<mlir::ModuleOp> module;
  std::string title;
  llvm::DenseMap<mlir::Operation *, std::string> above;
};

} // namespace denim::frontends

#endif // FRONTENDS_BUILDER_PAGE_H
