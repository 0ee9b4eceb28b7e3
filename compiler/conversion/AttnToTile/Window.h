// Which part of a value a tile is.
//
// A value [T, N] or [T, H, D] is seen as rows of N or H*D channels. A tile of it is some rows and some channels next to
// each other. The first channel is `base + offset`: the offset may be known only in the kernel (it depends on the head
// of the item), but it moves the window within [base, base + extent) only, and that is what lets a window of a
// concatenation be traced to one of its inputs when compiling.
#ifndef COMPILER_CONVERSION_ATTNTOTILE_WINDOW_H
#define COMPILER_CONVERSION_ATTNTOTILE_WINDOW_H

#include "compiler/conversion/Reshapes.h"
#include "dialects/model/ir/Model.h"
#include "mlir/IR/Builders.h"

namespace denim {

/// Rows [row, row + count); those outside [lo, hi) are zero. Without bounds all of them may be read.
struct Rows {
  mlir::Value row;
  int64_t count = 1;
  mlir::Value lo, hi;
  bool inside = false; ///< All of them are known to lie in [lo, hi).
};

/// Channels [base + offset, base + offset + columns), within [base, base + extent).
struct Window {
  int64_t base = 0;
  mlir::Value offset; ///< index, or null for 0
  int64_t extent = 0;
  int64_t columns = 0;

  /// All channels.
  static Window whole(int64_t channels) { return {0, {}, channels, channels}; }
  /// The same channels counted from elsewhere.
  Window shifted(int64_t by) const { return {base + by, offset, extent, columns}; }
  bool lies(int64_t begin, int64_t end) const { return base >= begin && base + extent <= end; }
};

/// Channels of one token of an activation or of a parameter.
int64_t channelsOf(mlir::Value value);

/// A width of at most `limit` that cuts `columns` without a rest where one of at least half of that does, `limit` less
/// a multiple of `unit`.
int64_t panelWidth(int64_t columns, int64_t limit, int64_t unit = 8);

/// The first channel as an index value.
mlir::Value firstChannel(mlir::OpBuilder &b, mlir::Location loc, const Window &window);

/// The window of part `part` of a split, seen in the input of the split.
mlir::FailureOr<Window> throughSplit(mlir::OpBuilder &b, mlir::Location loc, model::SplitOp split, unsigned part,
                                     const Window &window);

/// The input of a concatenation in which the window lies, and the window there.
mlir::FailureOr<std::pair<mlir::Value, Window>> throughConcat(model::ConcatOp concat, const Window &window);

/// Ranges of channels that no concatenation or split cuts: (first, width, count) with `count` ranges side by side.
struct Piece {
  int64_t first, width, count;
};
llvm::SmallVector<Piece> piecesOf(mlir::Value value);

} // namespace denim

#endif // COMPILER_CONVERSION_ATTNTOTILE_WINDOW_H
