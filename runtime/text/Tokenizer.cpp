//===- Tokenizer.cpp - text to tokens and back ----------------------------===//

#include "runtime/text/Tokenizer.h"
#include "formats/file/MappedFile.h"
#include "runtime/text/BytePairTokenizer.h"

#include <array>
#include <unistd.h>

namespace denim {

namespace {

/// Token n is byte n.
class ByteTokenizer final : public Tokenizer {
public:
  ByteTokenizer() {
    for (size_t i = 0; i < all.size(); ++i)
      all[i] = static_cast<char>(i);
  }
  Status encode(std::string_view text, std::vector<int32_t> &out) const override {
    for (unsigned char byte : text)
      out.push_back(byte);
    return {};
  }
  std::string_view bytes(int32_t token) const override {
    return token >= 0 && token < 256 ? std::string_view(&all[token], 1) : std::string_view();
  }

private:
  std::array<char, 256> all;
};

} // namespace

Status Tokenizer::open(const std::string &checkpoint, int32_t vocabulary, std::unique_ptr<Tokenizer> &out) {
  std::string path = checkpoint + "/tokenizer.json";
  if (access(path.c_str(), F_OK) == 0) {
    formats::MappedFile file;
    if (formats::Error fault = formats::MappedFile::open(path, file))
      return error(DENIM_STATUS_NOT_FOUND, fault.message());
    std::string_view text(reinterpret_cast<const char *>(file.data()), file.size());
    if (Status status = BytePairTokenizer::create(text, vocabulary, out))
      return error(status.code(), "'", path, "': ", status.message());
    return {};
  }
  if (vocabulary == 256) {
    out = std::make_unique<ByteTokenizer>();
    return {};
  }
  return error(DENIM_STATUS_NOT_FOUND, "'", checkpoint, "': expected tokenizer.json for a vocabulary of ", vocabulary,
               ", but got none");
}

} // namespace denim
