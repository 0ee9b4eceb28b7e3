// Passes on tile programs that no single machine owns.
#ifndef DIALECTS_TILE_TRANSFORMS_PASSES_H
#define DIALECTS_TILE_TRANSFORMS_PASSES_H

#include "dialects/tile/ir/Tile.h"
#include "mlir/Pass/Pass.h"

namespace denim::tile {
#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "dialects/tile/transforms/Passes.h.inc"
} // namespace denim::tile

#endif // DIALECTS_TILE_TRANSFORMS_PASSES_H
