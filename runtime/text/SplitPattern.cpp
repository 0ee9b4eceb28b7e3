//===- SplitPattern.cpp - text into the pieces that BPE works on ----------===//

#include "runtime/text/SplitPattern.h"
#include "runtime/text/UnicodeClass.h"

namespace denim {

namespace {

constexpr std::string_view kGpt2 = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr std::string_view kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kQwen2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

/// A place in the text; at the end it is of no class.
struct Cursor {
  std::string_view text;
  size_t at;

  bool ended() const { return at >= text.size(); }
  bool is(UnicodeClass c) const { return !ended() && classOf(decodeUtf8(text, at).value) == c; }
  bool isLineEnd() const { return !ended() && (text[at] == '\r' || text[at] == '\n'); }
  Cursor next() const { return {text, at + decodeUtf8(text, at).bytes}; }
  /// After the run of |c| from here, of at most |most|.
  Cursor after(UnicodeClass c, size_t most = SIZE_MAX) const {
    Cursor cursor = *this;
    for (; most && cursor.is(c); --most)
      cursor = cursor.next();
    return cursor;
  }
};

/// The length of a contraction ('s, 'LL), 0 if there is none.
size_t contraction(std::string_view text, size_t at, bool anyCase) {
  for (std::string_view ending : {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"}) {
    bool equal = at + ending.size() <= text.size();
    for (size_t i = 0; equal && i < ending.size(); ++i) {
      char c = text[at + i];
      if (anyCase && c >= 'A' && c <= 'Z')
        c = static_cast<char>(c - 'A' + 'a');
      equal = c == ending[i];
    }
    if (equal)
      return ending.size();
  }
  return 0;
}

/// \s+(?!\S)|\s+: all of the spaces at the end of the text, else all but the last, which goes with the word behind.
size_t spacesEnd(Cursor begin) {
  Cursor cursor = begin;
  size_t last = begin.at;
  while (cursor.is(UnicodeClass::Space)) {
    last = cursor.at;
    cursor = cursor.next();
  }
  return cursor.ended() || last == begin.at ? cursor.at : last;
}

size_t gpt2End(Cursor begin) {
  if (size_t length = contraction(begin.text, begin.at, false))
    return begin.at + length;
  Cursor word = begin.text[begin.at] == ' ' ? begin.next() : begin;
  for (UnicodeClass c : {UnicodeClass::Letter, UnicodeClass::Number, UnicodeClass::Other})
    if (word.is(c))
      return word.after(c).at;
  return spacesEnd(begin);
}

size_t llama3End(Cursor begin, size_t digits) {
  if (size_t length = contraction(begin.text, begin.at, true))
    return begin.at + length;
  bool number = begin.is(UnicodeClass::Number);
  if (begin.is(UnicodeClass::Letter))
    return begin.after(UnicodeClass::Letter).at;
  if (!number && !begin.isLineEnd() && begin.next().is(UnicodeClass::Letter))
    return begin.next().after(UnicodeClass::Letter).at;
  if (number)
    return begin.after(UnicodeClass::Number, digits).at;
  Cursor marks = begin.text[begin.at] == ' ' ? begin.next() : begin;
  if (marks.is(UnicodeClass::Other)) {
    Cursor end = marks.after(UnicodeClass::Other);
    while (end.isLineEnd())
      end = end.next();
    return end.at;
  }
  // \s*[\r\n]+: up to the last line end of the run.
  size_t lineEnd = 0;
  for (Cursor cursor = begin; cursor.is(UnicodeClass::Space); cursor = cursor.next())
    if (cursor.isLineEnd())
      lineEnd = cursor.next().at;
  return lineEnd ? lineEnd : spacesEnd(begin);
}

} // namespace

std::optional<SplitPattern> splitPatternOf(std::string_view regex) {
  if (regex == kGpt2)
    return SplitPattern::Gpt2;
  if (regex == kLlama3)
    return SplitPattern::Llama3;
  if (regex == kQwen2)
    return SplitPattern::Qwen2;
  return std::nullopt;
}

size_t pieceEnd(SplitPattern pattern, std::string_view text, size_t begin) {
  Cursor cursor{text, begin};
  return pattern == SplitPattern::Gpt2 ? gpt2End(cursor) : llama3End(cursor, pattern == SplitPattern::Qwen2 ? 1 : 3);
}

} // namespace denim
