#include "frontends/builder/FoldSchedule.h"
#include "frontends/builder/Page.h"
#include "gtest/gtest.h"

using namespace denim;
using model::RepeatAttr;

namespace {

/// `aaab` stands for three layers of block @a and one of @b.
std::vector<std::string> layersOf(const std::string &letters) {
  std::vector<std::string> layers;
  for (char letter : letters)
    layers.emplace_back(1, letter);
  return layers;
}

std::string textOf(mlir::Attribute item) {
  if (auto symbol = llvm::dyn_cast<mlir::FlatSymbolRefAttr>(item))
    return "@" + symbol.getValue().str();
  auto repeat = llvm::cast<RepeatAttr>(item);
  std::string list;
  for (mlir::Attribute part : repeat.getItems())
    list += (list.empty() ? "" : ", ") + textOf(part);
  bool one = repeat.getItems().size() == 1;
  return std::to_string(repeat.getCount()) + " x " + (one ? list : "(" + list + ")");
}

std::string lettersOf(mlir::Attribute item) {
  if (auto symbol = llvm::dyn_cast<mlir::FlatSymbolRefAttr>(item))
    return symbol.getValue().str();
  auto repeat = llvm::cast<RepeatAttr>(item);
  std::string once, all;
  for (mlir::Attribute part : repeat.getItems())
    once += lettersOf(part);
  for (int64_t i = 0; i < repeat.getCount(); ++i)
    all += once;
  return all;
}

class FoldScheduleTest : public testing::Test {
protected:
  RepeatAttr foldLetters(const std::string &letters) { return frontends::foldSchedule(context, layersOf(letters)); }
  /// As printed behind `layers`.
  std::string fold(const std::string &letters) {
    RepeatAttr schedule = foldLetters(letters);
    std::string text = textOf(schedule);
    bool list = schedule.getCount() == 1 && schedule.getItems().size() > 1;
    return list ? text.substr(5, text.size() - 6) : text;
  }

  mlir::MLIRContext context;
  frontends::Page page{context}; // loads the dialects
};

std::string repeated(const std::string &part, int count) {
  std::string all;
  for (int i = 0; i < count; ++i)
    all += part;
  return all;
}

} // namespace

TEST_F(FoldScheduleTest, OneLayer) {
  EXPECT_EQ(fold("a"), "1 x @a");
}
TEST_F(FoldScheduleTest, EqualLayers) {
  EXPECT_EQ(fold(repeated("a", 36)), "36 x @a");
}
TEST_F(FoldScheduleTest, Hybrid) {
  EXPECT_EQ(fold(repeated("aaab", 12)), "12 x (3 x @a, 1 x @b)");
}
TEST_F(FoldScheduleTest, Remainder) {
  EXPECT_EQ(fold("aaabaaabaa"), "2 x (3 x @a, 1 x @b), 2 x @a");
}
TEST_F(FoldScheduleTest, FirstLayerIsOther) {
  EXPECT_EQ(fold("c" + repeated("aab", 9)), "1 x @c, 9 x (2 x @a, 1 x @b)");
}
TEST_F(FoldScheduleTest, Nested) {
  EXPECT_EQ(fold(repeated("ababccc", 3)), "3 x (2 x (1 x @a, 1 x @b), 3 x @c)");
}
TEST_F(FoldScheduleTest, NothingRepeats) {
  EXPECT_EQ(fold("abc"), "1 x @a, 1 x @b, 1 x @c");
}

TEST_F(FoldScheduleTest, ThousandLayers) {
  EXPECT_EQ(fold(repeated("aaab", 256)), "256 x (3 x @a, 1 x @b)");
}

/// All lists of up to ten layers of two kinds: what is written is what was given, and never longer than runs.
TEST_F(FoldScheduleTest, AllShortLists) {
  for (int length = 1; length <= 10; ++length)
    for (int bits = 0; bits < 1 << length; ++bits) {
      std::string letters;
      size_t runs = 0;
      for (int i = 0; i < length; ++i) {
        letters += bits >> i & 1 ? 'b' : 'a';
        runs += i == 0 || letters[i] != letters[i - 1];
      }
      ASSERT_EQ(lettersOf(foldLetters(letters)), letters);
      ASSERT_LE(fold(letters).size(), runs * 8) << letters; // `3 x @a, `, and `10 x @a` once
    }
}
