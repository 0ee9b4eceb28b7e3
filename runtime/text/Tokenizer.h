//===- Tokenizer.h - text to tokens and back ----------------------*- C++ -*-===//

#ifndef DENIM_RUNTIME_TEXT_TOKENIZER_H
#define DENIM_RUNTIME_TEXT_TOKENIZER_H

#include "runtime/base/Status.h"

#include <memory>
#include <string_view>
#include <vector>

namespace denim {

/// Immutable once made; any number of threads may use it.
class Tokenizer {
public:
  virtual ~Tokenizer() = default;

  /// The tokenizer of a checkpoint directory: its tokenizer.json if there is one, else bytes if the vocabulary has
  /// 256 tokens.
  static Status open(const std::string &checkpoint, int32_t vocabulary, std::unique_ptr<Tokenizer> &out);

  virtual Status encode(std::string_view text, std::vector<int32_t> &out) const = 0;
  /// The bytes of one token; a character may be spread over several. "" for an id that has none.
  virtual std::string_view bytes(int32_t token) const = 0;
};

} // namespace denim

#endif
