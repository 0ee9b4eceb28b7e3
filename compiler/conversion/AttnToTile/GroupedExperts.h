// The chosen experts of a step by several kernels: which, and what they hand to each other. GroupedExperts.cpp has the
// story.
#ifndef COMPILER_CONVERSION_ATTNTOTILE_GROUPEDEXPERTS_H
#define COMPILER_CONVERSION_ATTNTOTILE_GROUPEDEXPERTS_H

#include "dialects/model/ir/Model.h"
#include "dialects/plan/ir/Plan.h"
#include "dialects/tile/ir/Tile.h"
#include <optional>

namespace denim {

/// An *entry* is a row of the step together with one of its experts: number `row * top + j`. Its *position* is its
/// place among all entries in the order of their experts.
class ExpertKernels {
public:
  /// What one kernel writes and a later one reads.
  enum Scratch : uint8_t {
    order,    ///< i32, see `Order`
    gathered, ///< [position, hidden]: the input's row of each position
    inner,    ///< [position, inner]; of few rows [entry, inner]
    results,  ///< [position, hidden]: what the expert makes of it
  };
  /// One kernel, in the order in which they run.
  struct Form {
    llvm::StringRef name;
    bool few; ///< for passes of up to `fewRows()` rows
    llvm::SmallVector<Scratch, 2> takes;
    std::optional<Scratch> makes; ///< none: the result
  };
  static llvm::ArrayRef<Form> forms(bool isCuda);
  /// The form of this name; null if there is none.
  static const Form *find(llvm::StringRef name, bool isCuda);

  /// Asks the cost model, and records its answers on the kernel. An error is reported.
  static mlir::FailureOr<ExpertKernels> of(plan::KernelOp kernel);

  int64_t fewRows() const { return few; }
  int64_t groupRows() const { return group; } ///< rows of a group: entries of one expert that are multiplied together
  int64_t panelColumns() const { return panel; } ///< of the weights that an item multiplies with, all together
  int64_t stepChannels() const { return step; }  ///< of the contraction
  int64_t hidden() const { return hiddenDim; }
  int64_t innerDim() const { return innerChannels; }
  int64_t top() const { return chosen; }
  int64_t count() const { return experts; }
  bool isCuda() const { return multiprocessors > 0; }
  /// Of the GPU; 0 on a CPU.
  int64_t processors() const { return multiprocessors; }

  /// As an activation, with a row for each of the step's; and as the kernels see it.
  mlir::RankedTensorType tensorOf(Scratch scratch) const;
  tile::MemoryType seenAs(Scratch scratch) const;

private:
  ExpertKernels() = default;

  mlir::Type element;
  int64_t few = 0, group = 0, panel = 0, step = 0, hiddenDim = 0, innerChannels = 0, chosen = 0, experts = 0,
          multiprocessors = 0;
};

/// The one op of a kernel of this kind.
model::ExpertsOp expertsOf(plan::KernelOp kernel);

} // namespace denim

#endif // COMPILER_CONVERSION_ATTNTOTILE_GROUPEDEXPERTS_H
