//===- Tune.h - measure the candidates of choices -----------------*- C++ -*-===//
//
// The compiler says what it chose in the kernels of a case and between what (`denim-compile --emit=choices`). For one
// choice after the other, in each case that has it, modules with each of the candidates are timed in turn with one that
// has the compiler's own:
//
//   own  candidate 1  own  candidate 2  own ...       ratio = candidate / mean of the own before and behind
//
// A candidate wins when its ratio, over all cases with the same choice for the same shape, is less than that of the
// others and beats the compiler's own by more than two of those differ among themselves. The next choices are measured
// with it. What wins goes into a table with all times, which the compiler takes (`--tuning`), or has in it from its
// next build on.
//
// On a machine without a compiler all candidates come from a folder (`--write-modules DIR --tune`), where each differs
// in one choice from the compiler's own.
//
//===----------------------------------------------------------------------===//

#ifndef DENIM_RUNTIME_TOOLS_DENIM_BENCH_TUNE_H
#define DENIM_RUNTIME_TOOLS_DENIM_BENCH_TUNE_H

#include "runtime/tools/denim-bench/Measurement.h"

namespace denim::bench {

/// What a run of --tune is told.
struct TuneOptions {
  std::string table;             ///< file that is written, or extended when it is there
  std::vector<std::string> only; ///< choices that are measured; empty: all
};

/// Measures and writes the table; says on stdout what came of each candidate.
Status tune(Bench &bench, const std::vector<Case> &cases, const TuneOptions &options);

/// Lists and compiles what `tune` will ask for.
Status writeCandidates(ModuleCompiler &compiler, const std::vector<Case> &cases, const TuneOptions &options);

} // namespace denim::bench

#endif
