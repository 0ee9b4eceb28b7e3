// The attn dialect for the evaluator: what mixes tokens, and what carries their positions.
#ifndef COMPILER_EVALUATOR_EVALUATEMIXERS_H
#define COMPILER_EVALUATOR_EVALUATEMIXERS_H

#include "dialects/attn/reference/Tensor.h"
#include "mlir/IR/Operation.h"

namespace denim {

/// The result of an op of the attn dialect on one whole sequence. `in` gives the tensors of its operands. Fails with a
/// diagnostic at any other op, and at ops that work on caches: they belong to later phases.
mlir::FailureOr<attn::reference::Tensor>
evaluateMixer(mlir::Operation &op, llvm::function_ref<const attn::reference::Tensor &(mlir::Value)> in);

} // namespace denim

#endif // COMPILER_EVALUATOR_EVALUATEMIXERS_H
