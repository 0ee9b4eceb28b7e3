//===- Cases.h - operators and shapes to time ---------------------*- C++ -*-===//
//
// Each case is the text of a small model whose layers hold the operator. Its kernels are timed through the session's
// profile, those that follow each other as one; what makes their inputs is not:
//
//   residual stream of 16 channels -> rms_norm -> linear -> q, k, v, gates -> attn.delta_rule -> linear -> add
//                                                                             ^ timed
//
// The stream is that narrow so that the products around the operator are cheap and their weights few: a model of 512
// layers then walks states and little else. Weights are random; norms keep keys below unit length, and gates come
// from sigmoid and softplus.
//
// `ring=R` is R layers: their states, keys or weights are R times as many bytes, walked once per step. On a GPU the
// replayed graph of such a row holds R launches, so that its time is what a layer costs inside a step; that of one
// launch includes what lies between two graphs.
//
// `empty kernel` rows have no model: a kernel that returns at once, measured as all others are. They are the part of
// a row that is no work of its kernel. `state alone` rows read and write what a recurrence of one sequence keeps, and
// do nothing with it: no kernel of such a recurrence takes less.
//
// Operations and bytes are counted the same way whatever the algorithm does; test/perf/README.md lists the counts.
//
//===----------------------------------------------------------------------===//

#ifndef DENIM_RUNTIME_TOOLS_DENIM_BENCH_CASES_H
#define DENIM_RUNTIME_TOOLS_DENIM_BENCH_CASES_H

#include <cstdint>
#include <sstream>
#include <string>
#include <vector>

namespace denim::bench {

/// The parts one behind the other, as `<<` writes them.
template <typename... Parts> std::string text(const Parts &...parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

/// The network around |blocks| of |width| channels, its tables of elements |weights|. The head is never run: no logits
/// are asked for.
std::string network(int64_t width, const std::string &schedule, const std::string &blocks,
                    const std::string &weights = "f32");

/// What moves the bytes that a case counts.
enum class Traffic : uint8_t { Read, Update };

struct Case {
  std::string name;
  std::string model;           ///< text of the network
  std::string tuning;          ///< table that it is compiled under, as JSON; empty: what the compiler has
  std::string pages;           ///< element type of cached keys and values; empty: what the compiler takes
  std::string kernels;         ///< "linear,one_row": how names of timed kernels begin; of those that layers launch
  bool whole = false;          ///< and with them whatever else stands between products and the last of them
  int64_t tokens = 1;          ///< new tokens of each sequence of a step
  int64_t sequences = 1;       ///< of a step
  int64_t past = 0;            ///< tokens of each sequence before the step
  int64_t applications = 1;    ///< of the operator in a step
  int64_t bareBlocks = 0;      ///< of a kernel that moves `bytes` and computes nothing; 0: there is a model
  double flops = 0, bytes = 0; ///< of one application
  Traffic traffic = Traffic::Read;

  /// Whether a kernel's name begins as one of `kernels`.
  bool names(const std::string &kernel) const {
    std::istringstream all(kernels);
    for (std::string begin; std::getline(all, begin, ',');)
      if (kernel.rfind(begin, 0) == 0)
        return true;
    return false;
  }
};

/// All cases of a CPU, and of a GPU, in the order of the report.
std::vector<Case> allCases();
std::vector<Case> cudaCases();

} // namespace denim::bench

#endif
