// The phases of a compilation, in order. Each is one enum value here, one function in Pipelines.cpp, one `verify-phase`
// at its end and one numbered file of a dump.
#ifndef COMPILER_PIPELINES_PHASES_H
#define COMPILER_PIPELINES_PHASES_H

#include "llvm/ADT/StringRef.h"
#include <optional>

namespace denim {

enum class Phase {
  Import,  ///< the network as written: model and attn, no decision taken
  Mix,     ///< caches threaded, the form of every mixer chosen
  Plan,    ///< kernels formed; programs of launches, a slot for every activation
  Tile,    ///< every kernel a tile program
  Kernel,  ///< machine code
  Package, ///< one module file
};
inline constexpr Phase allPhases[] = {Phase::Import, Phase::Mix,    Phase::Plan,
                                      Phase::Tile,   Phase::Kernel, Phase::Package};

/// `import`, `mix`, ...
llvm::StringRef phaseName(Phase phase);
std::optional<Phase> findPhase(llvm::StringRef name);

} // namespace denim

#endif // COMPILER_PIPELINES_PHASES_H
