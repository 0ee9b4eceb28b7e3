// Runs a module through the C API in every way in which the tokens of a sequence may arrive.
//
// Neither LLVM nor MLIR here: what is checked is what a program that serves the module would see.
#ifndef COMPILER_TOOLS_DENIM_CHECK_FORMS_H
#define COMPILER_TOOLS_DENIM_CHECK_FORMS_H

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace denim::check {

/// A sequence, and the logits that each of its tokens is to give.
struct Expected {
  std::vector<int32_t> tokens;
  std::vector<double> logits; ///< [tokens, vocabulary]
  std::vector<double> limits; ///< [modules, tokens]: what logits of a token may be off, of each module that is checked
};

/// New tokens of each sequence in one step; numbers, not positions.
using Step = std::vector<int64_t>;

/// One way to feed sequences: sequence i is the first tokens of `Expected` i.
struct Form {
  std::string name;
  std::vector<Step> steps;

  /// All that sequence `i` is fed.
  int64_t tokensOf(size_t i) const;
};

/// Whole; in chunks of each size; one by one, if `single`; cut to each length; three sequences of different lengths
/// side by side.
std::vector<Form> formsOf(int64_t tokens, const std::vector<int64_t> &chunks, const std::vector<int64_t> &lengths,
                          bool single);
/// How many sequences some form feeds at once.
inline constexpr int64_t kSequences = 3;

/// The logit that comes closest to its limit, or is farthest beyond it.
struct Worst {
  double difference = 0, limit = 0;
  int64_t sequence = 0, token = 0, logit = 0;
};

class Runner {
public:
  ~Runner();
  /// Steps of up to `mostTokens` tokens are one pass. On failure a line for people, that says what was expected and
  /// what was found.
  std::optional<std::string> open(const std::string &module, const std::string &weights, const std::string &device,
                                  int64_t mostTokens);
  /// Feeds new sequences and compares with the limits of a module, by its number. A difference that is no number is
  /// infinite.
  std::optional<std::string> run(const Form &form, const std::vector<Expected> &expected, int64_t module, Worst &worst);

private:
  struct Handles;
  Handles *handles = nullptr;
};

} // namespace denim::check

#endif // COMPILER_TOOLS_DENIM_CHECK_FORMS_H
