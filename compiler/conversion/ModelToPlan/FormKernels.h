// Which ops of a block become one kernel.
//
// A value is *materialised* when it is written to memory: it is a root. Every root has one kernel that computes it from
// materialised values, parameters and caches. Cheap ops (norms, gates, rotations, cuts) are computed again in every
// kernel that needs them. Expensive ops are anchors, and a kernel has one kind of anchor at most. An anchor lives in
// the kernel of the root that its result reaches through cheap ops only (its epilogue); where the way branches, what
// was computed up to there is a root.
//
//   %h = rms_norm %x       root: the product below reads whole rows of it, many times
//   %p = linear %h, %w     anchor; its way to %z is `silu`, `add`: it lives in the kernel of %z
//   %s = silu %p
//   %z = add %x, %s        root: the block's result
//   ==> kernels {rms_norm}, {linear, silu, add}
#ifndef COMPILER_CONVERSION_MODELTOPLAN_FORMKERNELS_H
#define COMPILER_CONVERSION_MODELTOPLAN_FORMKERNELS_H

#include "mlir/IR/Operation.h"
#include "llvm/ADT/SetVector.h"
#include <optional>
#include <vector>

namespace denim {

/// One kernel to be: the ops of its body in program order, what it reads, what it makes.
struct KernelGroup {
  llvm::SmallVector<mlir::Operation *> ops;
  llvm::SetVector<mlir::Value> inputs;    ///< materialised values, parameters, caches
  llvm::SmallVector<mlir::Value> results; ///< roots; empty when the kernel writes a cache only
  llvm::StringRef kind;                   ///< "rows", "linear", "recurrence", "softmax", "latent", "experts", ...
};

/// The kernels of a body of `model` and `attn` ops between `inputs` (materialised already) and `outputs` (to be
/// materialised), in an order in which they may run. `parts`: the machine does value columns of a recurrence in parts,
/// so what follows it, which may need whole heads, is a kernel of its own.
llvm::SmallVector<KernelGroup> formKernels(llvm::ArrayRef<mlir::Operation *> body, llvm::ArrayRef<mlir::Value> inputs,
                                           llvm::ArrayRef<mlir::Value> outputs, bool parts);

/// A kernel of products with what is computed on their results, as kernels of one product each (with the value that is
/// added to it, if nothing else follows), and one of the rest behind them: products that a library can do. Empty when
/// the kernel is such a product already, or has none.
std::vector<KernelGroup> splitProducts(const KernelGroup &group);

/// What a step of one row does by one kernel: all products of one value, and what leads to that value if nothing else
/// needs it. Reading weights is what such a step costs; more rows do it by the kernels that this one stands for.
struct OneRowKernel {
  KernelGroup fused;
  llvm::SmallVector<unsigned> products; ///< the kernels of products, in order
  std::optional<unsigned> prologue;     ///< the kernel of the value that they take
};

/// A kernel for each group of products. `output` is needed behind all kernels.
std::vector<OneRowKernel> formOneRowKernels(llvm::ArrayRef<KernelGroup> groups, mlir::Value output);

} // namespace denim

#endif // COMPILER_CONVERSION_MODELTOPLAN_FORMKERNELS_H
