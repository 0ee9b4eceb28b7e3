// Token mixers on tensors. See AttnDialect.td.
#ifndef DIALECTS_ATTN_IR_ATTN_H
#define DIALECTS_ATTN_IR_ATTN_H

#include "dialects/attn/ir/VisibleKeys.h"
#include "dialects/interfaces/Interfaces.h"
#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "dialects/attn/ir/AttnDialect.h.inc"
#include "dialects/attn/ir/AttnEnums.h.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/attn/ir/AttnTypes.h.inc"
#define GET_OP_CLASSES
#include "dialects/attn/ir/AttnOps.h.inc"

#endif // DIALECTS_ATTN_IR_ATTN_H
