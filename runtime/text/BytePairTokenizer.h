//===- BytePairTokenizer.h - byte-level BPE from tokenizer.json ---*- C++ -*-===//
//
// Reads the part of tokenizer.json that published decoder models use and refuses the rest in words:
//
//   added tokens   found in the text first, longest first at each place
//   normalizer     none, or NFC, which is not done: text is taken as it comes (almost all text is NFC)
//   pre-tokenizer  ByteLevel, or Split by a known pattern and ByteLevel
//   model          BPE, merges as "a b" or ["a", "b"], ignore_merges
//   post-processor ByteLevel, or TemplateProcessing: its special tokens around one sequence
//
// Merging: of all neighbours in a piece the pair that stands first in the list of merges becomes one, the leftmost
// of equals, until none is left.
//
//===----------------------------------------------------------------------===//

#ifndef DENIM_RUNTIME_TEXT_BYTEPAIRTOKENIZER_H
#define DENIM_RUNTIME_TEXT_BYTEPAIRTOKENIZER_H

#include "runtime/text/SplitPattern.h"
#include "runtime/text/Tokenizer.h"

#include <array>
#include <unordered_map>

namespace denim {

class BytePairTokenizer final : public Tokenizer {
public:
  /// |text| is the JSON; ids must be below |vocabulary|.
  static Status create(std::string_view text, int32_t vocabulary, std::unique_ptr<Tokenizer> &out);

  Status encode(std::string_view text, std::vector<int32_t> &out) const override;
  std::string_view bytes(int32_t token) const override;

private:
  friend class TokenizerReader;
  struct Merge {
    int32_t rank, result;
  };
  struct AddedToken {
    std::string content;
    int32_t id;
  };

  void encodePiece(std::string_view piece, std::vector<int32_t> &out) const;
  const Merge *mergeOf(int32_t left, int32_t right) const;

  SplitPattern pattern = SplitPattern::Gpt2;
  bool prefixSpace = false; // a space before text that does not begin with one
  bool wholePieces = false; // a piece that is a token needs no merges
  std::array<int32_t, 256> byteTokens{};
  std::unordered_map<std::string, int32_t> tokens; // by their bytes
  std::unordered_map<uint64_t, Merge> merges;      // by left << 32 | right
  std::vector<AddedToken> added;                   // longest first
  std::vector<int32_t> before, after;              // special tokens around a text
  std::vector<std::string> bytesOf;                // "" for special tokens
};

} // namespace denim

#endif
