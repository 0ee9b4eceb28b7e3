// What is chosen for the kernels of a linear recurrence (compiler/tuning).
#ifndef COMPILER_CONVERSION_ATTNTOTILE_RECURRENCECHOICES_H
#define COMPILER_CONVERSION_ATTNTOTILE_RECURRENCECHOICES_H

#include "dialects/interfaces/Interfaces.h"
#include "dialects/plan/ir/Plan.h"

namespace denim {

/// Tokens that a CPU takes as one chunk where the decay per channel allows it, otherwise in chunks of `length`.
mlir::FailureOr<int64_t> chooseJoinedTokens(plan::KernelOp kernel, const NormalForm &form, int64_t length);

/// Value columns that an item of the form `few` (or `wide`) has of a head, whose columns may be done apart, and the
/// blocks that a multiprocessor should hold of it.
mlir::FailureOr<int64_t> chooseTokenColumns(plan::KernelOp kernel, const NormalForm &form, bool wide);
mlir::FailureOr<int64_t> chooseTokenBlocks(plan::KernelOp kernel, const NormalForm &form, int64_t columns, bool wide);
/// Whether the kernel has the form `wide`.
bool isWideForm(plan::KernelOp kernel);
/// Sequences of a step from which on it takes that form; 0 where there is none: both would have as many columns, or it
/// would be slower in steps of up to 64 sequences.
mlir::FailureOr<int64_t> chooseWideSequences(plan::KernelOp kernel, const NormalForm &form);

/// Of the form `many`, whose chunks nothing is prepared for: value columns that an item has of a head, and tokens that
/// it takes at once of each chunk of `length`; those by which what its products read fits shared memory, where there
/// are such.
mlir::FailureOr<int64_t> chooseManyColumns(plan::KernelOp kernel, const NormalForm &form, int64_t length);
mlir::FailureOr<int64_t> chooseManyTokens(plan::KernelOp kernel, const NormalForm &form, int64_t length,
                                          int64_t columns);

/// Value heads that an item of `prepare` takes of those with the same keys and queries.
mlir::FailureOr<int64_t> choosePrepareHeads(plan::KernelOp kernel, const NormalForm &form);

/// Value columns that an item of a scan has, whose columns may be done apart.
mlir::FailureOr<int64_t> chooseScanColumns(plan::KernelOp kernel, const NormalForm &form);
/// Segments that a step of one long sequence is cut into, where items have as many value columns as `scanParts` says.
mlir::FailureOr<int64_t> chooseScanSegments(plan::KernelOp kernel, const NormalForm &form);
/// Blocks with so many of them that a multiprocessor should hold.
mlir::FailureOr<int64_t> chooseScanBlocks(plan::KernelOp kernel, const NormalForm &form, int64_t columns);

} // namespace denim

#endif // COMPILER_CONVERSION_ATTNTOTILE_RECURRENCECHOICES_H
