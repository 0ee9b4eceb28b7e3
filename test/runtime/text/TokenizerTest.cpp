//===- TokenizerTest.cpp - text to tokens and back, and refusals ----------===//

#include "runtime/text/Tokenizer.h"
#include "runtime/text/BytePairTokenizer.h"
#include "runtime/text/SplitPattern.h"
#include "runtime/text/UnicodeClass.h"
#include "test/formats/TemporaryDirectory.h"
#include "test/runtime/Inputs/JsonMutation.h"

#include <chrono>
#include <gtest/gtest.h>

using namespace denim;
using denim::test::TemporaryDirectory;
using nlohmann::json;

namespace {

std::vector<std::string> split(SplitPattern pattern, std::string_view text) {
  std::vector<std::string> pieces;
  for (size_t begin = 0; begin < text.size();) {
    size_t end = pieceEnd(pattern, text, begin);
    pieces.emplace_back(text.substr(begin, end - begin));
    begin = end;
  }
  return pieces;
}

using Pieces = std::vector<std::string>;

// The expected pieces are those of the regular expressions.
TEST(SplitPattern, Gpt2) {
  const SplitPattern p = SplitPattern::Gpt2;
  EXPECT_EQ(split(p, "Hello world, it's  2024!\n\nx"),
            (Pieces{"Hello", " world", ",", " it", "'s", " ", " 2024", "!", "\n", "\n", "x"}));
  EXPECT_EQ(split(p, "I'LL a  "), (Pieces{"I", "'", "LL", " a", "  "}));
  EXPECT_EQ(split(p, "\n\nab"), (Pieces{"\n", "\n", "ab"}));
}

TEST(SplitPattern, Llama3) {
  const SplitPattern p = SplitPattern::Llama3;
  EXPECT_EQ(split(p, "I'LL pay $12345.\r\n\n  ok"),
            (Pieces{"I", "'LL", " pay", " $", "123", "45", ".\r\n\n", " ", " ok"}));
  EXPECT_EQ(split(p, " \n \n  x"), (Pieces{" \n \n", " ", " x"}));
  EXPECT_EQ(split(p, "(abc) \t"), (Pieces{"(abc", ")", " \t"}));
}

TEST(SplitPattern, Qwen2) {
  EXPECT_EQ(split(SplitPattern::Qwen2, "a 12é3"), (Pieces{"a", " ", "1", "2", "é", "3"}));
}

TEST(SplitPattern, LettersAndNumbersOfAllScripts) {
  const SplitPattern p = SplitPattern::Qwen2;
  EXPECT_EQ(split(p, "Привет мир"), (Pieces{"Привет", " мир"}));
  EXPECT_EQ(split(p, "你好。世界"), (Pieces{"你好", "。世界"}));
  EXPECT_EQ(split(p, "١٢½"), (Pieces{"١", "٢", "½"}));
  EXPECT_EQ(split(p, "a\xc2\xa0 b"), (Pieces{"a", "\xc2\xa0", " b"})); // no-break space
}

TEST(SplitPattern, BytesThatAreNoUtf8ArePassedOn) {
  EXPECT_EQ(split(SplitPattern::Qwen2, "\xff\xc3(\xe4\xbd"), (Pieces{"\xff\xc3(\xe4\xbd"}));
}

TEST(SplitPattern, UnknownIsUnknown) {
  EXPECT_FALSE(splitPatternOf(R"(\w+|\s+)"));
}

/// A tokenizer of all bytes and a few words; id of byte b is b.
json small() {
  json vocabulary = json::object();
  uint32_t next = 0x100;
  for (uint32_t b = 0; b < 256; ++b) {
    bool printable = (b >= '!' && b <= '~') || (b >= 0xa1 && b <= 0xac) || b >= 0xae;
    std::string text;
    appendUtf8(text, printable ? b : next++);
    vocabulary[text] = b;
  }
  int id = 256;
  for (const char *word : {"he", "ll", "hell", "hello", "Ġw", "ĠĠ"})
    vocabulary[word] = id++;
  return {
      {"added_tokens",
       {{{"id", 300}, {"content", "<s>"}, {"special", true}}, {{"id", 301}, {"content", "<s>x"}, {"special", false}}}},
      {"normalizer", nullptr},
      {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", true}}},
      {"post_processor", nullptr},
      {"model",
       {{"type", "BPE"},
        {"vocab", vocabulary},
        {"merges", {"h e", "l l", "he ll", json::array({"hell", "o"}), "Ġ w", "Ġ Ġ"}}}}};
}

class TokenizerTest : public ::testing::Test {
protected:
  std::unique_ptr<Tokenizer> open(const json &text) {
    directory.write("tokenizer.json", text.dump());
    std::unique_ptr<Tokenizer> tokenizer;
    Status status = Tokenizer::open(directory.path, 320, tokenizer);
    EXPECT_FALSE(status) << status.message();
    return tokenizer;
  }
  std::string refusal(const json &text) {
    std::string path = directory.write("tokenizer.json", text.is_string() ? text.get<std::string>() : text.dump());
    std::unique_ptr<Tokenizer> tokenizer;
    std::string message = Tokenizer::open(directory.path, 320, tokenizer).message();
    return message.empty() ? message : message.substr(path.size() + 4);
  }
  static std::vector<int32_t> encode(const Tokenizer &tokenizer, std::string_view text) {
    std::vector<int32_t> tokens;
    EXPECT_FALSE(tokenizer.encode(text, tokens));
    return tokens;
  }

  TemporaryDirectory directory;
};

using Tokens = std::vector<int32_t>;

TEST_F(TokenizerTest, BytesAreTokensOfByteModels) {
  std::unique_ptr<Tokenizer> tokenizer;
  ASSERT_FALSE(Tokenizer::open(directory.path, 256, tokenizer));
  EXPECT_EQ(encode(*tokenizer, "A\n\xff"), (Tokens{65, 10, 255}));
  EXPECT_EQ(tokenizer->bytes(255), "\xff");
  EXPECT_EQ(tokenizer->bytes(0).size(), 1u);
  EXPECT_EQ(tokenizer->bytes(256), "");
  EXPECT_EQ(tokenizer->bytes(-1), "");
}

TEST_F(TokenizerTest, OtherModelsNeedAFile) {
  std::unique_ptr<Tokenizer> tokenizer;
  EXPECT_EQ(Tokenizer::open(directory.path, 300, tokenizer).message(),
            "'" + directory.path + "': expected tokenizer.json for a vocabulary of 300, but got none");
}

TEST_F(TokenizerTest, MergesInTheirOrder) {
  std::unique_ptr<Tokenizer> t = open(small());
  EXPECT_EQ(encode(*t, "hello"), (Tokens{259}));
  EXPECT_EQ(encode(*t, "hell"), (Tokens{258}));
  EXPECT_EQ(encode(*t, "lll"), (Tokens{257, 'l'})); // the leftmost of equals
  EXPECT_EQ(encode(*t, "hello w"), (Tokens{259, 260}));
  EXPECT_EQ(encode(*t, ""), (Tokens{}));
  EXPECT_EQ(t->bytes(260), " w");
}

TEST_F(TokenizerTest, AddedTokensComeFirstTheLongestBeforeAll) {
  std::unique_ptr<Tokenizer> t = open(small());
  EXPECT_EQ(encode(*t, "a<s>b<s>xc"), (Tokens{'a', 300, 'b', 301, 'c'}));
  EXPECT_EQ(t->bytes(300), ""); // special
  EXPECT_EQ(t->bytes(301), "<s>x");
}

TEST_F(TokenizerTest, TemplatesAddSpecialTokens) {
  json text = small();
  text["post_processor"] = {{"type", "Sequence"},
                            {"processors",
                             {{{"type", "ByteLevel"}},
                              {{"type", "TemplateProcessing"},
                               {"single",
                                {{{"SpecialToken", {{"id", "<s>"}}}},
                                 {{"Sequence", {{"id", "A"}}}},
                                 {{"SpecialToken", {{"id", "<s>x"}}}}}}}}}};
  EXPECT_EQ(encode(*open(text), "a"), (Tokens{300, 'a', 301}));
}

TEST_F(TokenizerTest, WholePiecesBeforeMerges) {
  json text = small();
  text["model"]["merges"] = json::array();
  EXPECT_EQ(encode(*open(text), "hello"), (Tokens{'h', 'e', 'l', 'l', 'o'}));
  text["model"]["ignore_merges"] = true;
  EXPECT_EQ(encode(*open(text), "hello"), (Tokens{259}));
}

TEST_F(TokenizerTest, RefusesWhatItDoesNotKnow) {
  auto with = [](const char *pointer, const json &value) {
    json text = small();
    text[json::json_pointer(pointer)] = value;
    return text;
  };
  EXPECT_EQ(refusal(json("{")), "expected a JSON object, but got text that is no JSON");
  EXPECT_EQ(refusal(json::array()), "expected a JSON object, but got array");
  EXPECT_EQ(refusal(with("/normalizer", {{"type", "Lowercase"}})),
            R"(normalizer: expected none or NFC, but got {"type":"Lowercase"})");
  EXPECT_EQ(refusal(with("/pre_tokenizer", {{"type", "Whitespace"}})),
            R"(pre_tokenizer: expected Split (isolated) and ByteLevel, but got {"type":"Whitespace"})");
  EXPECT_EQ(
      refusal(with("/pre_tokenizer", {{"type", "Split"}, {"behavior", "Isolated"}, {"pattern", {{"Regex", "\\w+"}}}})),
      R"(pre_tokenizer: expected the split pattern of GPT-2, Llama 3 or Qwen 2, but got "\\w+")");
  EXPECT_EQ(refusal(with("/pre_tokenizer/use_regex", false)).substr(0, 51),
            "pre_tokenizer: expected one way to split, but got {");
  EXPECT_EQ(refusal(with("/pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", json::array()}})).substr(0, 42),
            "pre_tokenizer: expected ByteLevel, but got");
  EXPECT_EQ(refusal(with("/model/type", "WordPiece")), R"(model: expected type BPE, but got "WordPiece")");
  EXPECT_EQ(refusal(with("/model/byte_fallback", true)),
            "model: expected no byte_fallback, suffix or prefix, but got one");
  EXPECT_EQ(refusal(with("/model/vocab", 1)), "model.vocab: expected an object, but got number");
  EXPECT_EQ(refusal(with("/model/vocab/he", 320)), "model.vocab['he']: expected an id below 320, but got 320");
  EXPECT_EQ(refusal(with("/model/vocab/he", -1)), "model.vocab['he']: expected an id below 320, but got -1");
  json text = small();
  text["model"]["vocab"].erase("A");
  EXPECT_EQ(refusal(text), "model.vocab: expected a token for every byte, but got none for byte 65");
  EXPECT_EQ(refusal(with("/model/merges", 1)), "model.merges: expected a list, but got number");
  EXPECT_EQ(refusal(with("/model/merges/0", "x y")),
            R"(model.merges[0]: expected two tokens that make a third, but got "x y")");
  EXPECT_EQ(refusal(with("/model/merges/0", json::array({"x"}))),
            R"(model.merges[0]: expected two tokens that make a third, but got ["x"])");
  EXPECT_EQ(refusal(with("/added_tokens/0/id", 320)), "added_tokens[0]: expected an id below 320, but got 320");
  EXPECT_EQ(refusal(with("/added_tokens/0/content", "")), R"(added_tokens[0]: expected content, but got "")");
  EXPECT_EQ(refusal(with("/added_tokens/0/lstrip", true)), "added_tokens[0]: expected no lstrip, but got true");
  EXPECT_EQ(refusal(with("/post_processor", {{"type", "BertProcessing"}})).substr(0, 66),
            "post_processor: expected ByteLevel or TemplateProcessing, but got ");
  EXPECT_EQ(refusal(with("/post_processor",
                         {{"type", "TemplateProcessing"}, {"single", {{{"SpecialToken", {{"id", "<none>"}}}}}}}))
                .substr(0, 58),
            "post_processor.single: expected an added token, but got {\"");
}

// A bounded run with a fixed seed.
TEST_F(TokenizerTest, DamagedFilesAreRefusedOrHarmless) {
  json text = small();
  text["pre_tokenizer"] = {{"type", "Sequence"}, {"pretokenizers", {{{"type", "ByteLevel"}, {"use_regex", true}}}}};
  text["post_processor"] = {{"type", "TemplateProcessing"}, {"single", {{{"Sequence", {{"id", "A"}}}}}}};
  // The vocabulary is most of the values: left out of most changes, or the rest would hardly be met.
  const std::vector<json> words = {"Sequence", "Split", "ByteLevel", "BPE", "NFC", "a b", "<s>"};
  std::mt19937 random(1);
  int taken = 0, refused = 0;
  auto start = std::chrono::steady_clock::now();
  // For two seconds, and on a slow machine for as long as it takes to have seen enough of both.
  constexpr int leastTaken = 11, leastRefused = 101;
  while (taken + refused < 5000 && (std::chrono::steady_clock::now() - start < std::chrono::seconds(2) ||
                                    taken < leastTaken || refused < leastRefused)) {
    json vocabulary = std::move(text["model"]["vocab"]);
    text["model"]["vocab"] = nullptr;
    json changed = test::mutated(text, random, words);
    if (random() % 8 && changed.is_object() && changed.contains("model") && changed["model"].is_object())
      changed["model"]["vocab"] = vocabulary;
    text["model"]["vocab"] = std::move(vocabulary);
    std::unique_ptr<Tokenizer> tokenizer;
    if (BytePairTokenizer::create(changed.dump(), 320, tokenizer)) {
      ++refused;
      continue;
    }
    ++taken;
    std::vector<int32_t> tokens;
    EXPECT_FALSE(tokenizer->encode("hello <s>x world", tokens));
    for (int32_t token : tokens)
      EXPECT_LT(tokenizer->bytes(token).size(), 64u);
  }
  EXPECT_GE(taken, leastTaken);
  EXPECT_GE(refused, leastRefused);
}

} // namespace
