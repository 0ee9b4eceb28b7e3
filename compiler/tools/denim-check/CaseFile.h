// A check that is carried to a machine without a compiler: a folder with the module (m.denim), the module with products
// near f32 (exact.denim) where the first one rounds, random weights (w.safetensors), and this file (case.safetensors),
// which `run-check-case` reads.
//
//   form     i64 [2]       tokens of the sequences, and 1 if they are also fed one by one
//   chunks   i64 [n]       sizes of chunks
//   lengths  i64 [n]       lengths to cut to
//   tokens.I i32 [T]       sequence I
//   logits.I f64 [T, V]    what the page says of it, in double precision
//   limits.I f64 [M, T]    what logits of each token may be off, of each of the one or two modules
#ifndef COMPILER_TOOLS_DENIM_CHECK_CASEFILE_H
#define COMPILER_TOOLS_DENIM_CHECK_CASEFILE_H

#include "compiler/tools/denim-check/Forms.h"

namespace denim::check {

struct Case {
  int64_t tokens = 0;
  bool single = true;
  std::vector<int64_t> chunks, lengths;
  int64_t modules = 1;
  std::vector<Expected> expected; ///< kSequences of them
};

/// On failure a line for people, that says what was expected and what was found.
std::optional<std::string> writeCase(const Case &one, const std::string &folder);
std::optional<std::string> readCase(const std::string &folder, Case &out);

/// Feeds all forms and prints a line for each: the difference that is largest for its limit among those of |module|,
/// and where it is if it is above it. Clears |isRight| if one is.
std::optional<std::string> runForms(Runner &runner, const Case &one, int64_t module, bool &isRight);

} // namespace denim::check

#endif
