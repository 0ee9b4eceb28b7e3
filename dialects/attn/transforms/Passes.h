#ifndef DIALECTS_ATTN_TRANSFORMS_PASSES_H
#define DIALECTS_ATTN_TRANSFORMS_PASSES_H

#include "dialects/attn/ir/Attn.h"
#include "mlir/Pass/Pass.h"

namespace denim::attn {
#define GEN_PASS_DECL
#include "dialects/attn/transforms/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "dialects/attn/transforms/Passes.h.inc"
} // namespace denim::attn

#endif // DIALECTS_ATTN_TRANSFORMS_PASSES_H
