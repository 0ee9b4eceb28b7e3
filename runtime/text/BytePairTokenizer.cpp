//===- BytePairTokenizer.cpp - byte-level BPE from tokenizer.json ---------===//

#include "runtime/text/BytePairTokenizer.h"
#include "runtime/text/UnicodeClass.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <queue>

namespace denim {

using nlohmann::json;

namespace {

/// GPT-2 writes byte strings as text: printable bytes stand for themselves, the others for U+0100 and on, in order.
std::array<uint32_t, 256> byteAlphabet() {
  std::array<uint32_t, 256> alphabet;
  uint32_t next = 0x100;
  for (uint32_t b = 0; b < 256; ++b) {
    bool printable = (b >= '!' && b <= '~') || (b >= 0xa1 && b <= 0xac) || b >= 0xae;
    alphabet[b] = printable ? b : next++;
  }
  return alphabet;
}

uint64_t pairKey(int32_t left, int32_t right) {
  return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
}

Status damaged(std::string_view where, std::string_view expected, std::string_view found) {
  return error(DENIM_STATUS_DATA_LOSS, where, ": expected ", expected, ", but got ", found);
}

const json &memberOf(const json &object, const char *key) {
  static const json none;
  auto it = object.is_object() ? object.find(key) : object.end();
  return object.is_object() && it != object.end() ? *it : none;
}

bool isText(const json &value, std::string_view text) {
  return value.is_string() && value.get_ref<const std::string &>() == text;
}

bool isTrue(const json &value) {
  return value.is_boolean() && value.get<bool>();
}

std::string shown(const json &value) {
  return value.is_null() ? "none" : value.dump(-1, ' ', true, json::error_handler_t::replace).substr(0, 200);
}

} // namespace

/// Fills a tokenizer from its JSON, section by section.
class TokenizerReader {
public:
  TokenizerReader(const json &root, int32_t vocabulary, BytePairTokenizer &out)
      : root(root), vocabulary(vocabulary), out(out) {
    std::array<uint32_t, 256> alphabet = byteAlphabet();
    for (int b = 0; b < 256; ++b)
      byteOf[alphabet[b]] = static_cast<char>(b);
  }

  Status read() {
    for (Status (TokenizerReader::*section)() :
         {&TokenizerReader::readNormalizer, &TokenizerReader::readPreTokenizer, &TokenizerReader::readVocabulary,
          &TokenizerReader::readMerges, &TokenizerReader::readAddedTokens, &TokenizerReader::readPostProcessor})
      if (Status status = (this->*section)())
        return status;
    return {};
  }

private:
  Status readNormalizer() {
    const json &normalizer = memberOf(root, "normalizer");
    if (normalizer.is_null() || isText(memberOf(normalizer, "type"), "NFC"))
      return {};
    return damaged("normalizer", "none or NFC", shown(normalizer));
  }

  Status readPreTokenizer() {
    const json &outer = memberOf(root, "pre_tokenizer");
    bool sequence = isText(memberOf(outer, "type"), "Sequence");
    const json &list = memberOf(outer, "pretokenizers");
    bool byteLevel = false, split = false;
    if (sequence && !list.is_array())
      return damaged("pre_tokenizer.pretokenizers", "a list", list.type_name());
    for (size_t i = 0; i < (sequence ? list.size() : 1); ++i) {
      const json &part = sequence ? list[i] : outer;
      if (isText(memberOf(part, "type"), "ByteLevel") && !byteLevel) {
        byteLevel = true;
        out.prefixSpace = isTrue(memberOf(part, "add_prefix_space"));
        const json &regex = memberOf(part, "use_regex");
        if (split == (regex.is_null() || isTrue(regex)))
          return damaged("pre_tokenizer", "one way to split", shown(outer));
        continue;
      }
      const json &regex = memberOf(memberOf(part, "pattern"), "Regex");
      if (!isText(memberOf(part, "type"), "Split") || split || byteLevel ||
          !isText(memberOf(part, "behavior"), "Isolated") || isTrue(memberOf(part, "invert")) || !regex.is_string())
        return damaged("pre_tokenizer", "Split (isolated) and ByteLevel", shown(part));
      std::optional<SplitPattern> pattern = splitPatternOf(regex.get_ref<const std::string &>());
      if (!pattern)
        return damaged("pre_tokenizer", "the split pattern of GPT-2, Llama 3 or Qwen 2", shown(regex));
      out.pattern = *pattern;
      split = true;
    }
    return byteLevel ? Status() : damaged("pre_tokenizer", "ByteLevel", shown(outer));
  }

  /// The bytes that a token's text stands for.
  bool toBytes(const std::string &text, std::string &bytes) const {
    bytes.clear();
    for (size_t at = 0; at < text.size();) {
      CodePoint c = decodeUtf8(text, at);
      auto it = byteOf.find(c.value);
      if (it == byteOf.end())
        return false;
      bytes += it->second;
      at += c.bytes;
    }
    return true;
  }

  bool readId(const json &value, int32_t &id) const {
    if (!value.is_number_unsigned() || value.get<uint64_t>() >= static_cast<uint64_t>(vocabulary))
      return false;
    id = static_cast<int32_t>(value.get<uint64_t>());
    return true;
  }

  Status readVocabulary() {
    const json &model = memberOf(root, "model");
    if (!isText(memberOf(model, "type"), "BPE"))
      return damaged("model", "type BPE", shown(memberOf(model, "type")));
    const json &suffix = memberOf(model, "end_of_word_suffix"), &prefix = memberOf(model, "continuing_subword_prefix");
    if (isTrue(memberOf(model, "byte_fallback")) || !(suffix.is_null() || isText(suffix, "")) ||
        !(prefix.is_null() || isText(prefix, "")))
      return damaged("model", "no byte_fallback, suffix or prefix", "one");
    out.wholePieces = isTrue(memberOf(model, "ignore_merges"));
    const json &entries = memberOf(model, "vocab");
    if (!entries.is_object())
      return damaged("model.vocab", "an object", entries.type_name());
    out.bytesOf.resize(vocabulary);
    for (auto &[text, value] : entries.items()) {
      int32_t id;
      if (!readId(value, id))
        return damaged("model.vocab['" + text + "']", "an id below " + std::to_string(vocabulary), shown(value));
      std::string bytes;
      if (!toBytes(text, bytes) || bytes.empty())
        continue; // an added token, listed here too
      out.bytesOf[id] = bytes;
      out.tokens[std::move(bytes)] = id;
    }
    for (int b = 0; b < 256; ++b) {
      auto it = out.tokens.find(std::string(1, static_cast<char>(b)));
      if (it == out.tokens.end())
        return damaged("model.vocab", "a token for every byte", "none for byte " + std::to_string(b));
      out.byteTokens[b] = it->second;
    }
    return {};
  }

  Status readMerges() {
    const json &list = memberOf(memberOf(root, "model"), "merges");
    if (!list.is_array())
      return damaged("model.merges", "a list", list.type_name());
    for (size_t i = 0; i < list.size(); ++i) {
      std::string left, right;
      const json &entry = list[i];
      if (entry.is_string()) {
        const std::string &text = entry.get_ref<const std::string &>();
        size_t space = text.find(' ');
        left = text.substr(0, space);
        right = space == std::string::npos ? "" : text.substr(space + 1);
      } else if (entry.is_array() && entry.size() == 2 && entry[0].is_string() && entry[1].is_string()) {
        left = entry[0].get<std::string>();
        right = entry[1].get<std::string>();
      }
      std::string leftBytes, rightBytes;
      bool known = toBytes(left, leftBytes) && toBytes(right, rightBytes);
      auto l = out.tokens.find(leftBytes), r = out.tokens.find(rightBytes),
           both = out.tokens.find(leftBytes + rightBytes);
      if (!known || l == out.tokens.end() || r == out.tokens.end() || both == out.tokens.end())
        return damaged("model.merges[" + std::to_string(i) + "]", "two tokens that make a third", shown(entry));
      out.merges.emplace(pairKey(l->second, r->second),
                         BytePairTokenizer::Merge{static_cast<int32_t>(i), both->second});
    }
    return {};
  }

  Status readAddedTokens() {
    const json &list = memberOf(root, "added_tokens");
    if (list.is_null())
      return {};
    if (!list.is_array())
      return damaged("added_tokens", "a list", list.type_name());
    for (size_t i = 0; i < list.size(); ++i) {
      const json &entry = list[i], &content = memberOf(entry, "content");
      std::string where = "added_tokens[" + std::to_string(i) + "]";
      int32_t id;
      if (!content.is_string() || content.get_ref<const std::string &>().empty())
        return damaged(where, "content", shown(content));
      if (!readId(memberOf(entry, "id"), id))
        return damaged(where, "an id below " + std::to_string(vocabulary), shown(memberOf(entry, "id")));
      for (const char *flag : {"lstrip", "rstrip", "single_word"})
        if (isTrue(memberOf(entry, flag)))
          return damaged(where, std::string("no ") + flag, "true");
      out.added.push_back({content.get<std::string>(), id});
      out.bytesOf[id] = isTrue(memberOf(entry, "special")) ? "" : content.get<std::string>();
    }
    std::sort(out.added.begin(), out.added.end(), [](auto &a, auto &b) {
      return a.content.size() != b.content.size() ? a.content.size() > b.content.size() : a.id < b.id;
    });
    return {};
  }

  Status readPostProcessor() {
    const json &outer = memberOf(root, "post_processor");
    bool sequence = isText(memberOf(outer, "type"), "Sequence");
    const json &list = memberOf(outer, "processors");
    if (sequence && !list.is_array())
      return damaged("post_processor.processors", "a list", list.type_name());
    for (size_t i = 0; i < (sequence ? list.size() : !outer.is_null()); ++i) {
      const json &part = sequence ? list[i] : outer;
      if (isText(memberOf(part, "type"), "ByteLevel"))
        continue; // about offsets in the text, which nobody asks for here
      const json &single = memberOf(part, "single");
      if (!isText(memberOf(part, "type"), "TemplateProcessing") || !single.is_array())
        return damaged("post_processor", "ByteLevel or TemplateProcessing", shown(part));
      bool behind = false;
      for (const json &piece : single) {
        if (!memberOf(piece, "Sequence").is_null()) {
          behind = true;
          continue;
        }
        const json &id = memberOf(memberOf(piece, "SpecialToken"), "id");
        auto token = std::find_if(out.added.begin(), out.added.end(), [&](auto &a) { return isText(id, a.content); });
        if (token == out.added.end())
          return damaged("post_processor.single", "an added token", shown(piece));
        (behind ? out.after : out.before).push_back(token->id);
      }
    }
    return {};
  }

  const json &root;
  int32_t vocabulary;
  BytePairTokenizer &out;
  std::unordered_map<uint32_t, char> byteOf;
};

Status BytePairTokenizer::create(std::string_view text, int32_t vocabulary, std::unique_ptr<Tokenizer> &out) {
  json root = json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
  if (!root.is_object())
    return error(DENIM_STATUS_DATA_LOSS, "expected a JSON object, but got ",
                 root.is_discarded() ? "text that is no JSON" : root.type_name());
  auto tokenizer = std::make_unique<BytePairTokenizer>();
  if (Status status = TokenizerReader(root, vocabulary, *tokenizer).read())
    return status;
  out = std::move(tokenizer);
  return {};
}

std::string_view BytePairTokenizer::bytes(int32_t token) const {
  return token >= 0 && static_cast<size_t>(token) < bytesOf.size() ? std::string_view(bytesOf[token])
                                                                   : std::string_view();
}

const BytePairTokenizer::Merge *BytePairTokenizer::mergeOf(int32_t left, int32_t right) const {
  auto it = merges.find(pairKey(left, right));
  return it == merges.end() ? nullptr : &it->second;
}

void BytePairTokenizer::encodePiece(std::string_view piece, std::vector<int32_t> &out) const {
  if (wholePieces) {
    auto it = tokens.find(std::string(piece));
    if (it != tokens.end()) {
      out.push_back(it->second);
      return;
    }
  }
  // A list of symbols linked by position, and a heap of possible merges, of which the outdated are skipped: a piece
  // may be long (a line of dashes), and looking for the best pair again after every merge would be quadratic.
  struct Symbol {
    int32_t token, previous, next;
  };
  struct Candidate {
    int32_t rank, at, left, right;
    bool operator<(const Candidate &other) const { // the heap gives the greatest
      return rank != other.rank ? rank > other.rank : at > other.at;
    }
  };
  auto size = static_cast<int32_t>(piece.size());
  std::vector<Symbol> symbols;
  symbols.reserve(piece.size());
  for (int32_t i = 0; i < size; ++i)
    symbols.push_back({byteTokens[static_cast<unsigned char>(piece[i])], i - 1, i + 1 < size ? i + 1 : -1});
  std::priority_queue<Candidate> queue;
  auto consider = [&](int32_t at) {
    if (at < 0 || symbols[at].next < 0)
      return;
    int32_t left = symbols[at].token, right = symbols[symbols[at].next].token;
    if (const Merge *merge = mergeOf(left, right))
      queue.push({merge->rank, at, left, right});
  };
  for (int32_t i = 0; i < size; ++i)
    consider(i);
  while (!queue.empty()) {
    Candidate best = queue.top();
    queue.pop();
    Symbol &left = symbols[best.at];
    if (left.token != best.left || left.next < 0 || symbols[left.next].token != best.right)
      continue;
    Symbol &right = symbols[left.next];
    left.token = mergeOf(best.left, best.right)->result;
    right.token = -1;
    left.next = right.next;
    if (left.next >= 0)
      symbols[left.next].previous = best.at;
    consider(left.previous);
    consider(best.at);
  }
  for (int32_t i = 0; i >= 0; i = symbols[i].next)
    out.push_back(symbols[i].token);
}

Status BytePairTokenizer::encode(std::string_view text, std::vector<int32_t> &out) const {
  if (text.size() > INT32_MAX)
    return invalidArgument("expected a text of at most ", INT32_MAX, " bytes, but got ", text.size());
  out.insert(out.end(), before.begin(), before.end());
  auto plain = [&](std::string_view part) {
    std::string spaced;
    if (prefixSpace && !part.empty() && part[0] != ' ') {
      spaced = " " + std::string(part);
      part = spaced;
    }
    for (size_t begin = 0; begin < part.size();) {
      size_t end = pieceEnd(pattern, part, begin);
      encodePiece(part.substr(begin, end - begin), out);
      begin = end;
    }
  };
  size_t plainBegin = 0;
  for (size_t at = 0; at < text.size();) {
    auto token = std::find_if(added.begin(), added.end(),
                              [&](const AddedToken &a) { return text.compare(at, a.content.size(), a.content) == 0; });
    if (token == added.end()) {
      ++at;
      continue;
    }
    plain(text.substr(plainBegin, at - plainBegin));
    out.push_back(token->id);
    at += token->content.size();
    plainBegin = at;
  }
  plain(text.substr(plainBegin));
  out.insert(out.end(), after.begin(), after.end());
  return {};
}

} // namespace denim
