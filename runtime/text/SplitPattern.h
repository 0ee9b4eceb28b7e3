//===- SplitPattern.h - text into the pieces that BPE works on ----*- C++ -*-===//
//
// Tokenizers cut text with a regular expression before merging pairs. Three expressions cover the byte-level BPE
// tokenizers of published models; each is known here by its text and done by hand, with the meaning of \p{L}, \p{N}
// and \s from the Unicode tables.
//
//===----------------------------------------------------------------------===//

#ifndef DENIM_RUNTIME_TEXT_SPLITPATTERN_H
#define DENIM_RUNTIME_TEXT_SPLITPATTERN_H

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace denim {

enum class SplitPattern : uint8_t {
  Gpt2,   ///< words with the space before them, runs of digits, runs of punctuation
  Llama3, ///< contractions in any case, at most three digits, line ends with the punctuation before
  Qwen2   ///< the same with single digits
};

/// The pattern whose regular expression is |regex|.
std::optional<SplitPattern> splitPatternOf(std::string_view regex);

/// The end of the piece that begins at |begin|, which is within |text|; after it.
size_t pieceEnd(SplitPattern pattern, std::string_view text, size_t begin);

} // namespace denim

#endif
