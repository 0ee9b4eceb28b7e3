// One kernel of the plan as several tile kernels, each for the passes it is best in.
//
// A family adds its variants in the order in which they are to run; every launch of the plan kernel becomes a launch
// of each, under the variant's condition, into the same slots, and `plan.merge` makes one value of their results. Two
// kinds of condition (runtime/abi/Module.h):
//
//   rows       on the number of rows of the pass: exactly one variant should run, so ranges are disjoint and cover all.
//              A launch that has a condition on rows already (the plan chose) keeps only the variants that meet it.
//   sequence   on the numbers of new tokens of the sequences: in a pass with both kinds of sequence both variants run,
//              and each must pass over the sequences that are the other's.
//
//     variants.push_back({fewKernel, extras, whenSequence(b, 1, 16)});
//     variants.push_back({manyKernel, extras, whenSequence(b, 17)});
#ifndef COMPILER_CONVERSION_VARIANTS_H
#define COMPILER_CONVERSION_VARIANTS_H

#include "dialects/plan/ir/Plan.h"
#include "dialects/tile/ir/Tile.h"
#include <limits>

namespace denim {

/// Rows up to which a product is bound by reading its weights.
inline constexpr int64_t kSmallPassRows = 16;
/// No upper bound; numbers of rows fit.
inline constexpr int64_t kAnyNumber = std::numeric_limits<int32_t>::max();

struct Variant {
  tile::KernelOp kernel;
  /// Operands of the launch that the kernel takes a second time, behind the others, as positions in those.
  llvm::SmallVector<unsigned> extraOperands;
  mlir::DictionaryAttr when;    ///< null: in every pass
  mlir::DictionaryAttr product; ///< null: no product that a library could do
};
using Variants = llvm::SmallVector<Variant, 2>;

mlir::DictionaryAttr whenRows(mlir::MLIRContext *context, int64_t least, int64_t most = kAnyNumber);
mlir::DictionaryAttr whenSequence(mlir::MLIRContext *context, int64_t least, int64_t most = kAnyNumber);
/// The same in passes of so many new tokens and more.
mlir::DictionaryAttr whenTokens(mlir::DictionaryAttr when, int64_t tokens);
/// The same in passes with at least so many of these sequences, or with fewer than so many. One of the two is 0.
mlir::DictionaryAttr whenSequences(mlir::DictionaryAttr when, int64_t least, int64_t fewer);
/// Of these sequences one with more blocks of keys than one for each `stride` of its new tokens.
mlir::DictionaryAttr whenSequenceBeyond(mlir::MLIRContext *context, int64_t least, int64_t block, int64_t stride);

/// The condition, of passes with at least `even` sequences whose lengths are about the same, at most `longest`
/// (runtime/abi/Module.h), or of all passes but those with `uneven`. One of the two is 0.
mlir::DictionaryAttr whenEven(mlir::DictionaryAttr when, int64_t even, int64_t uneven, int64_t longest);

/// The passes in which both conditions hold (null: all passes); failure if there are none.
mlir::FailureOr<mlir::DictionaryAttr> bothHold(mlir::DictionaryAttr a, mlir::DictionaryAttr b);

} // namespace denim

#endif // COMPILER_CONVERSION_VARIANTS_H
