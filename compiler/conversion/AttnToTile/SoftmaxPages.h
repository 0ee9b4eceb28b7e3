// Which pages of keys queries of softmax attention go through, and which keys of a page they see.
//
// Local keys stand behind each other up to the query. Keys of global tokens may stand far in front of them: pages
// between the two are left out, and the others numbered without a gap, so that a loop over numbers, its first turn, its
// last, its parts and what is copied a turn ahead need not know of the gap.
#ifndef COMPILER_CONVERSION_ATTNTOTILE_SOFTMAXPAGES_H
#define COMPILER_CONVERSION_ATTNTOTILE_SOFTMAXPAGES_H

#include "compiler/conversion/AttnToTile/Emitter.h"

namespace denim::softmax {

/// Turns [first, end), each over some keys behind each other.
struct Pages {
  mlir::Value first, end;
  mlir::Value globals; ///< turns with keys of global tokens, or null without such tokens
  mlir::Value skipped; ///< turns behind those that are left out

  /// Where the keys of turn `number` stand, in units of as many keys.
  mlir::Value at(Emitter &e, mlir::Value number) const;
  /// The number of the turn at `place`, which is not left out.
  mlir::Value numberOf(Emitter &e, mlir::Value place) const { return skipped ? e.sub(place, skipped) : place; }
};

/// Position of the first local key of the query at `position`.
mlir::Value oldestKey(Emitter &e, const attn::VisibleKeys &keys, mlir::Value position);

/// What queries from `position` to `last` go through in turns of `step` keys.
Pages visiblePages(Emitter &e, const attn::VisibleKeys &keys, mlir::Value position, mlir::Value last, int64_t step);

/// Whether a query sees the key `back` behind it, at position `key` (asked for only where blocks or global tokens make
/// a difference); i32.
mlir::Value sees(mlir::OpBuilder &b, mlir::Location loc, const attn::VisibleKeys &keys, mlir::Value back,
                 llvm::function_ref<mlir::Value()> key);

} // namespace denim::softmax

#endif // COMPILER_CONVERSION_ATTNTOTILE_SOFTMAXPAGES_H
