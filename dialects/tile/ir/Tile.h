// The tile language: one kernel. See TileDialect.td.
#ifndef DIALECTS_TILE_IR_TILE_H
#define DIALECTS_TILE_IR_TILE_H

#include "dialects/interfaces/Interfaces.h"
#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "dialects/tile/ir/TileDialect.h.inc"
#include "dialects/tile/ir/TileEnums.h.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/tile/ir/TileTypes.h.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/tile/ir/TileAttrs.h.inc"
#define GET_OP_CLASSES
#include "dialects/tile/ir/TileOps.h.inc"

namespace denim::tile {
/// The memory that an op writes; null if it writes none.
mlir::Value writtenMemory(mlir::Operation *op);
} // namespace denim::tile

#endif // DIALECTS_TILE_IR_TILE_H
