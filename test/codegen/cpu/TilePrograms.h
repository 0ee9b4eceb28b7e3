// Whole kernels as tile text, for tests and for tile-bench.
#ifndef TEST_CODEGEN_CPU_TILEPROGRAMS_H
#define TEST_CODEGEN_CPU_TILEPROGRAMS_H

#include <string>

namespace denim::test {

/// Softmax attention of `queries` rows over `keys` rows, by blocks of `block` keys, with a running maximum and sum.
/// Arguments: queries, keys, values, output, each of `width` columns. `stored`: rows of the output that are written, all
/// unless given.
std::string attention(const std::string &name, int queries, int keys, int block, int width, int stored = 0);

/// Gated delta rule over `tokens` tokens by chunks; item h does head h of `heads`. Arguments: queries, keys
/// [tokens, heads * keyWidth], values [tokens, heads * valueWidth], log decay and beta [tokens, heads], output, and
/// the state after the last token [heads * keyWidth, valueWidth]. Rows from `tokens` on are not read.
std::string deltaRule(const std::string &name, int chunk, int keyWidth, int valueWidth, int tokens, int heads);

} // namespace denim::test

#endif // TEST_CODEGEN_CPU_TILEPROGRAMS_H
