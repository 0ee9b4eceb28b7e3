// The parts of the textual form that are more than a list of operands. Used by the generated parsers.
#ifndef DIALECTS_MODEL_IR_MODELSYNTAX_H
#define DIALECTS_MODEL_IR_MODELSYNTAX_H

#include "dialects/interfaces/NumberSyntax.h"
#include "dialects/interfaces/ValueSyntax.h"
#include "dialects/model/ir/Model.h"

namespace denim::model {
/// `2 x (3 x @linear, 1 x @full)`
mlir::ParseResult parseSchedule(mlir::OpAsmParser &parser, RepeatAttr &schedule);
void printSchedule(mlir::OpAsmPrinter &printer, mlir::Operation *op, RepeatAttr schedule);
/// `1x64, 3x64` or `16, 48`; no heads is 0
mlir::ParseResult parseParts(mlir::OpAsmParser &parser, mlir::DenseI64ArrayAttr &heads,
                             mlir::DenseI64ArrayAttr &widths);
void printParts(mlir::OpAsmPrinter &printer, mlir::Operation *op, mlir::DenseI64ArrayAttr heads,
                mlir::DenseI64ArrayAttr widths);
} // namespace denim::model

#endif // DIALECTS_MODEL_IR_MODELSYNTAX_H
