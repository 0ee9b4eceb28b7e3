// What a kernel knows of the step it runs in: fields of denim_batch_t. The offsets come from the struct itself, so the
// header is the only place that knows its layout. `Code` is the ArithBuilder of a machine, with `load` of a scalar and
// `advance` of a pointer.
#ifndef CODEGEN_BUILDER_STEPFIELDS_H
#define CODEGEN_BUILDER_STEPFIELDS_H

#include "dialects/tile/ir/Tile.h"
#include "runtime/abi/Kernel.h"
#include <cstddef>

namespace denim::codegen {

static_assert(DENIM_KERNEL_ABI_VERSION == 1, "expected the lowering to be looked through for the new version");

template <typename Code> class StepFields {
public:
  /// `batch` points to the step's denim_batch_t; the pointers in it are of the type.
  StepFields(Code &code, mlir::Value batch, mlir::Type pointerType)
      : code(code), batch(batch), pointerType(pointerType) {}

  mlir::Value field(size_t offset, mlir::Type type) {
    return code.load(type, code.advance(batch, code.constant(int64_t(offset)), code.builder.getI8Type()));
  }
  mlir::Value list(size_t offset) { return field(offset, pointerType); }
  mlir::Value list(tile::RowList rows) {
    return list(rows == tile::RowList::tokens      ? offsetof(denim_batch_t, tokens)
                : rows == tile::RowList::positions ? offsetof(denim_batch_t, positions)
                                                   : offsetof(denim_batch_t, outputs));
  }
  /// Entry of a list of i32, as i64.
  mlir::Value entry(mlir::Value list, mlir::Value index) {
    return code.toI64(code.load(code.i32(), code.advance(list, index, code.i32())));
  }
  /// Entry of a table of pointers.
  mlir::Value pointer(mlir::Value table, mlir::Value index) {
    return code.load(pointerType, code.advance(table, index, code.i64()));
  }

  mlir::Value count(tile::CountKind kind) {
    switch (kind) {
    case tile::CountKind::once:
      return code.constant(1);
    case tile::CountKind::tokens:
      return field(offsetof(denim_batch_t, token_count), code.i64());
    case tile::CountKind::outputs:
      return field(offsetof(denim_batch_t, output_count), code.i64());
    case tile::CountKind::sequences:
      return field(offsetof(denim_batch_t, sequence_count), code.i64());
    }
    llvm_unreachable("all kinds are handled");
  }

  /// First row of a sequence, the one behind its last, and its tokens of earlier steps.
  struct Bounds {
    mlir::Value begin, end, past;
  };
  Bounds bounds(mlir::Value sequence) {
    mlir::Value rowBegin = list(offsetof(denim_batch_t, row_begin)), past = list(offsetof(denim_batch_t, past));
    mlir::Value begin = entry(rowBegin, sequence), end = entry(rowBegin, code.add(sequence, 1));
    return {begin, end, entry(past, sequence)};
  }

  /// Number of page `page` of a sequence among all pages.
  mlir::Value pageNumber(mlir::Value sequence, mlir::Value page) {
    mlir::Value table = list(offsetof(denim_batch_t, pages)), begin = list(offsetof(denim_batch_t, page_begin));
    return entry(table, code.add(entry(begin, sequence), page));
  }
  /// Elements in front of a head of a page or block.
  mlir::Value blockOffset(tile::PagesType type, mlir::Value number, mlir::Value head) {
    int64_t size = type.getTokens() * type.getColumns();
    return code.add(code.mul(number, type.getHeads() * size), code.mul(head, size));
  }

private:
  Code &code;
  mlir::Value batch;
  mlir::Type pointerType;
};

} // namespace denim::codegen

#endif // CODEGEN_BUILDER_STEPFIELDS_H
