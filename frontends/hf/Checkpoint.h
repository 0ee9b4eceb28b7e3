// The tensors of a checkpoint, and whether they are those that a network wants.
#ifndef FRONTENDS_HF_CHECKPOINT_H
#define FRONTENDS_HF_CHECKPOINT_H

#include "dialects/model/ir/Model.h"
#include "formats/safetensors/Safetensors.h"
#include "mlir/IR/BuiltinOps.h"

namespace denim::frontends {

using formats::Error;

class Checkpoint {
public:
  /// Opens the safetensors files of `directory`. On error `out` is as it was.
  static Error open(const std::string &directory, Checkpoint &out);

  /// The element type of a tensor of this shape, or of the first of a stack (`{e}` in the name). Rows of blocks
  /// (formats/blocks) are told by their bytes. bf16 if there is no such tensor or its type is none of the language:
  /// `check` has the words for that.
  mlir::Type elementType(mlir::MLIRContext &context, llvm::StringRef tensor, llvm::ArrayRef<int64_t> shape) const;

  /// Every parameter of the network, of every layer, is there in its shape and type; and nothing else is, or the
  /// network would not be the one that was trained. Ignored are tensors that no forward pass reads: rotary
  /// frequencies, layers behind the last (they predict further tokens), and a head that is tied to the embedding.
  Error check(mlir::ModuleOp module) const;

  const formats::Safetensors &files() const { return tensors; }

private:
  formats::Safetensors tensors;
};

} // namespace denim::frontends

#endif // FRONTENDS_HF_CHECKPOINT_H
