// What a page means: a network run over one sequence in double precision, op after op, as the ops' descriptions say.
//
// No cache, no chunk, no kernel, no fusion: whatever the phases behind `import` derive is judged by this. Mixers are
// functions of dialects/attn/reference; the region of `attn.recurrence` is run token by token as it is written, without
// its normal form.
#ifndef COMPILER_EVALUATOR_EVALUATOR_H
#define COMPILER_EVALUATOR_EVALUATOR_H

#include "compiler/evaluator/Parameters.h"
#include "dialects/attn/reference/Tensor.h"
#include "mlir/IR/BuiltinOps.h"

namespace denim {

/// Logits `[T, vocabulary]` of the one network of the module for T token ids. `parameters` holds all that
/// `parametersOf` lists. Fails with a diagnostic at an op that has no meaning here, such as what later phases write.
mlir::FailureOr<attn::reference::Tensor> evaluateNetwork(mlir::ModuleOp module, const Parameters &parameters,
                                                         llvm::ArrayRef<int32_t> tokens);

} // namespace denim

#endif // COMPILER_EVALUATOR_EVALUATOR_H
