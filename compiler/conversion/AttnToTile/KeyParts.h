// What parts of split keys are made of on a CPU: known to the pass that chooses how many, and to the kernels.
#ifndef COMPILER_CONVERSION_ATTNTOTILE_KEYPARTS_H
#define COMPILER_CONVERSION_ATTNTOTILE_KEYPARTS_H

#include <cstdint>

namespace denim {

/// Pages below which splitting costs more than it brings.
inline constexpr int64_t kLeastPages = 4;
/// Query heads of one tile over latents: a slab of the matrix units, and an accumulator of 16 x 576 still fits.
inline constexpr int64_t kLatentHeads = 16;

} // namespace denim

#endif // COMPILER_CONVERSION_ATTNTOTILE_KEYPARTS_H
