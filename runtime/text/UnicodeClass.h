//===- UnicodeClass.h - letters, numbers, spaces ------------------*- C++ -*-===//

#ifndef DENIM_RUNTIME_TEXT_UNICODECLASS_H
#define DENIM_RUNTIME_TEXT_UNICODECLASS_H

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace denim {

/// What the split patterns of tokenizers tell apart: \p{L}, \p{N}, \s and the rest.
enum class UnicodeClass : uint8_t { Letter, Number, Space, Other };
UnicodeClass classOf(uint32_t codePoint);

/// In place of a code point where the bytes are not UTF-8; of class Other.
constexpr uint32_t kNoCharacter = 0xffffffff;

struct CodePoint {
  uint32_t value;
  size_t bytes; ///< 1 where the bytes are not UTF-8
};
/// The one that begins at |at|, which is within |text|.
CodePoint decodeUtf8(std::string_view text, size_t at);
void appendUtf8(std::string &text, uint32_t codePoint);

} // namespace denim

#endif
