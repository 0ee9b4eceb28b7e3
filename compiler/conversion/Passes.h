#ifndef COMPILER_CONVERSION_PASSES_H
#define COMPILER_CONVERSION_PASSES_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace denim {
#define GEN_PASS_DECL
#include "compiler/conversion/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "compiler/conversion/Passes.h.inc"
} // namespace denim

#endif // COMPILER_CONVERSION_PASSES_H
