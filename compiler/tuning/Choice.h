// What may be chosen, and one question about it. Plain data, without MLIR.
#ifndef COMPILER_TUNING_CHOICE_H
#define COMPILER_TUNING_CHOICE_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <functional>
#include <string>

namespace denim::tuning {

/// A number that a kind of kernel leaves open.
struct ChoiceKind {
  llvm::StringLiteral name;    ///< "linear.panel_columns": kind (and form) of the kernel, and what is chosen
  llvm::StringLiteral meaning; ///< for people, in the words of a table's reader
};

/// All there are, by name.
llvm::ArrayRef<ChoiceKind> choiceKinds();
/// Fails for a name that is none, with those that come near or all of them.
llvm::Error checkChoice(llvm::StringRef name);

/// "inner=2048 columns=512": what tables compare. Fields are in the order of the call.
std::string shapeText(llvm::ArrayRef<std::pair<llvm::StringRef, int64_t>> fields);

/// One choice of one kernel.
struct Question {
  llvm::StringRef choice; ///< a name of `choiceKinds`
  std::string shape;
  llvm::SmallVector<int64_t> candidates;  ///< ascending, at least one; each gives a right kernel
  std::function<double(int64_t)> predict; ///< microseconds
};

/// What a model thinks of each candidate, and which of them is best: the smallest of those with the least time.
struct Prediction {
  llvm::SmallVector<double> microseconds;
  int64_t best;
};
Prediction predict(const Question &question);

/// The divisors of `whole` that are multiples of `unit`, from `least` to `most`, ascending.
llvm::SmallVector<int64_t> divisors(int64_t whole, int64_t unit, int64_t least, int64_t most);

} // namespace denim::tuning

#endif // COMPILER_TUNING_CHOICE_H
