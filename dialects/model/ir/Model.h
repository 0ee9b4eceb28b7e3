// The model language: a network as text. See ModelDialect.td.
#ifndef DIALECTS_MODEL_IR_MODEL_H
#define DIALECTS_MODEL_IR_MODEL_H

#include "dialects/interfaces/Interfaces.h"
#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "dialects/model/ir/ModelDialect.h.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/model/ir/ModelTypes.h.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/model/ir/ModelAttrs.h.inc"
#define GET_OP_CLASSES
#include "dialects/model/ir/ModelOps.h.inc"

namespace denim::model {

/// The type of elements in blocks of the format: `!model.q8_0`.
mlir::Type blockType(mlir::MLIRContext *context, formats::BlockFormat format);

/// Whether the value is used as the weight of a `linear`, the one use that elements in blocks have.
bool isWeightOfLinear(mlir::OpOperand &use);

} // namespace denim::model

#endif // DIALECTS_MODEL_IR_MODEL_H
