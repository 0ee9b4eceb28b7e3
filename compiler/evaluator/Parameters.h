// The parameters of a network: what a page asks of a checkpoint, and values for it.
#ifndef COMPILER_EVALUATOR_PARAMETERS_H
#define COMPILER_EVALUATOR_PARAMETERS_H

#include "dialects/attn/reference/Tensor.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/BuiltinTypes.h"
#include "llvm/Support/Error.h"
#include <map>
#include <string>

namespace denim {

using ParameterTypes = std::map<std::string, mlir::RankedTensorType>;
/// Values by the checkpoint's name.
using Parameters = std::map<std::string, attn::reference::Tensor>;

/// Names, as a checkpoint has them, and types of all parameters of the network and its layers. A stack (`{e}` in its
/// name) is one entry for each of its tensors.
mlir::FailureOr<ParameterTypes> parametersOf(mlir::ModuleOp module);

/// Random values that keep a network's activations near 1: matrices are normal with a deviation of one over the root of
/// their last extent, vectors normal around 1 (they are weights of norms more often than not) with a deviation of 0.3;
/// rounded to the type of the parameter.
Parameters randomParameters(const ParameterTypes &types, uint64_t seed);

/// Reads them from a checkpoint (directory or safetensors file). Types and shapes must be those of the page.
llvm::Expected<Parameters> readParameters(const ParameterTypes &types, const std::string &path);

/// Writes them as a safetensors file.
llvm::Error writeParameters(const ParameterTypes &types, const Parameters &parameters, const std::string &path);

} // namespace denim

#endif // COMPILER_EVALUATOR_PARAMETERS_H
