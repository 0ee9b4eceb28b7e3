// Integers that the threads of a block compute from their number alone, without running anything.
#ifndef CODEGEN_NVPTX_VERIFY_THREADVALUES_H
#define CODEGEN_NVPTX_VERIFY_THREADVALUES_H

#include "mlir/IR/Operation.h"
#include "llvm/ADT/DenseMap.h"
#include <optional>

namespace denim::codegen::nvptx {

/// One number for each thread, or one for all of them.
class PerThread {
public:
  PerThread(int64_t all) : numbers{all} {}
  explicit PerThread(llvm::SmallVector<int64_t, 0> each) : numbers(std::move(each)) {}
  bool isUniform() const { return numbers.size() == 1; }
  int64_t operator[](int64_t thread) const { return isUniform() ? numbers[0] : numbers[thread]; }

private:
  llvm::SmallVector<int64_t, 0> numbers;
};

/// What is known of SSA values where a walk through a kernel stands. Addresses of shared memory are offsets from its
/// start. Whatever comes from memory, or from the parameters of the kernel, is not known.
class ThreadValues {
public:
  explicit ThreadValues(int64_t threads) : threads(threads) {}

  /// The results of `op` from its operands.
  void evaluate(mlir::Operation *op);
  /// The value is not known when null.
  const PerThread *lookup(mlir::Value value) const;
  std::optional<int64_t> uniform(mlir::Value value) const;
  void set(mlir::Value value, std::optional<PerThread> numbers);

private:
  std::optional<PerThread> compute(mlir::Operation *op) const;
  std::optional<PerThread> each(llvm::ArrayRef<mlir::Value> operands,
                                llvm::function_ref<std::optional<int64_t>(llvm::ArrayRef<int64_t>)> of) const;

  int64_t threads;
  llvm::DenseMap<mlir::Value, PerThread> known;
};

} // namespace denim::codegen::nvptx

#endif // CODEGEN_NVPTX_VERIFY_THREADVALUES_H
