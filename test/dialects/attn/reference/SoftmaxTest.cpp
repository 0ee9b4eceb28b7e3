#include "dialects/attn/reference/Softmax.h"

#include "dialects/attn/reference/Rotary.h"
#include "dialects/model/reference/Norm.h"
#include "test/dialects/attn/reference/GoldenFile.h"
#include "test/dialects/attn/reference/RandomTensor.h"

#include <numeric>

using namespace denim::attn::reference;
using denim::test::expectNear;
using denim::test::GoldenFile;
using denim::test::RandomTensors;

namespace {

SoftmaxAttention operandsOf(const GoldenFile &golden) {
  SoftmaxAttention attention;
  attention.q = golden.sequence("in.q");
  attention.k = golden.sequence("in.k");
  attention.v = golden.sequence("in.v");
  return attention;
}

/// The definition, and partial results over blocks of every kind of length.
void expectBothForms(const SoftmaxAttention &attention, const Tensor &want) {
  expectNear(softmaxAttention(attention), want);
  for (int64_t block : {1, 16, 50, 200})
    expectNear(softmaxAttentionBlocked(attention, block), want);
}

SoftmaxAttention randomAttention(int64_t tokens) {
  RandomTensors random;
  SoftmaxAttention attention;
  attention.q = random.uniform({tokens, 4, 6}, -3, 3);
  attention.k = random.uniform({tokens, 2, 6}, -3, 3);
  attention.v = random.uniform({tokens, 2, 5});
  attention.sinks = random.uniform({4});
  return attention;
}

} // namespace

TEST(SoftmaxGolden, MultiHeadGroupedAndMultiQuery) {
  for (const char *op : {"softmax_mha", "softmax_gqa", "softmax_mqa"}) {
    SCOPED_TRACE(op);
    GoldenFile golden(op);
    expectBothForms(operandsOf(golden), golden.sequence("out.o"));
  }
}

TEST(SoftmaxGolden, DecodeStartsAtAnOffset) {
  GoldenFile golden("softmax_decode");
  SoftmaxAttention attention = operandsOf(golden);
  attention.offset = 74;
  expectBothForms(attention, golden.sequence("out.o"));
}

TEST(SoftmaxGolden, SlidingWindow) {
  GoldenFile golden("softmax_sliding_window");
  SoftmaxAttention attention = operandsOf(golden);
  attention.visible = slidingWindow(17);
  expectBothForms(attention, golden.sequence("out.o"));
}

TEST(SoftmaxGolden, Sinks) {
  GoldenFile golden("softmax_sinks");
  SoftmaxAttention attention = operandsOf(golden);
  attention.sinks = golden.whole("in.sinks");
  expectBothForms(attention, golden.sequence("out.o_full"));
  attention.visible = slidingWindow(17);
  expectBothForms(attention, golden.sequence("out.o_window"));
}

TEST(SoftmaxGolden, Softcap) {
  GoldenFile golden("softmax_softcap");
  SoftmaxAttention attention = operandsOf(golden);
  attention.softcap = 3;
  expectBothForms(attention, golden.sequence("out.o"));
}

TEST(SoftmaxGolden, Gate) {
  GoldenFile golden("softmax_gated");
  SoftmaxAttention attention = operandsOf(golden);
  attention.gate = golden.sequence("in.gate");
  expectBothForms(attention, golden.sequence("out.o"));
}

TEST(SoftmaxGolden, BlockSparse) {
  GoldenFile golden("softmax_block_sparse");
  SoftmaxAttention attention = operandsOf(golden);
  attention.visible = blockSparse(16, 2, 5);
  expectBothForms(attention, golden.sequence("out.o"));
}

TEST(SoftmaxGolden, NormedAndRotatedQueriesAndKeys) {
  GoldenFile golden("softmax_qknorm_rope");
  SoftmaxAttention attention = operandsOf(golden);
  std::vector<int64_t> positions(77);
  std::iota(positions.begin(), positions.end(), 0);
  auto prepare = [&](const Tensor &x, const char *weight) {
    Tensor normed = denim::model::reference::rmsNorm(x, golden.whole(weight), 1e-6);
    return rotate(normed, positions, rotaryTable(8, 10000), RotaryLayout::Half);
  };
  attention.q = prepare(attention.q, "in.q_norm");
  attention.k = prepare(attention.k, "in.k_norm");
  expectBothForms(attention, golden.sequence("out.o"));
}

TEST(Softmax, ByHand) {
  // Scores ln 3 and 0: weights 3/4 and 1/4. The first query sees one key only.
  SoftmaxAttention attention;
  attention.q = Tensor({2, 1, 1}, {1, 1});
  attention.k = Tensor({2, 1, 1}, {std::log(3.0), 0});
  attention.v = Tensor({2, 1, 1}, {8, 4});
  expectBothForms(attention, Tensor({2, 1, 1}, {8, 7}));
  // A sink of ln 4 halves the weights of the second row: 3/8 and 1/8; of the first row 3/7 is left.
  attention.sinks = Tensor({1}, {std::log(4.0)});
  expectBothForms(attention, Tensor({2, 1, 1}, {24.0 / 7, 3.5}));
}

TEST(Softmax, HeadsShareKeysInNeighbours) {
  // One visible key: the output is its value. Of 4 query heads on 2 key heads, 0 and 1 use key head 0.
  SoftmaxAttention attention;
  attention.q = Tensor({1, 4, 1}, {1, 2, 3, 4});
  attention.k = Tensor({1, 2, 1}, {1, 1});
  attention.v = Tensor({1, 2, 1}, {5, 9});
  expectBothForms(attention, Tensor({1, 4, 1}, {5, 5, 9, 9}));
}

TEST(Softmax, TwoHalvesEqualTheWhole) {
  for (int64_t tokens : {1, 37, 63, 64, 65, 150}) {
    SoftmaxAttention whole = randomAttention(tokens), first = whole, second = whole;
    whole.visible = first.visible = second.visible = slidingWindow(20);
    int64_t cut = tokens / 2;
    first.q = whole.q.slice(0, cut);
    second.q = whole.q.slice(cut, tokens);
    second.offset = cut;
    expectNear(concatenate(softmaxAttention(first), softmaxAttention(second)), softmaxAttention(whole));
  }
}

TEST(Softmax, NoTokensGiveNoOutput) {
  EXPECT_EQ(softmaxAttention(randomAttention(0)).shape(), (Tensor::Shape{0, 4, 5}));
}

TEST(Softmax, AWindowAsLongAsTheSequenceChangesNothing) {
  SoftmaxAttention all = randomAttention(65), windowed = all;
  windowed.visible = slidingWindow(65);
  expectNear(softmaxAttention(windowed), softmaxAttention(all));
  windowed.visible = blockSparse(8, 9, 0);
  expectNear(softmaxAttention(windowed), softmaxAttention(all));
}

TEST(Softmax, LargeScoresDoNotOverflow) {
  SoftmaxAttention attention = randomAttention(9);
  attention.scale = 1e4;
  attention.sinks = {};
  Tensor output = softmaxAttention(attention);
  expectNear(softmaxAttentionBlocked(attention, 4), output);
}

TEST(Softmax, AQueryThatSeesNothingGivesZeros) {
  SoftmaxAttention attention = randomAttention(3);
  attention.visible = [](int64_t, int64_t) { return false; };
  expectNear(softmaxAttention(attention), Tensor({3, 4, 5})); // with sinks
  attention.sinks = {};
  expectNear(softmaxAttention(attention), Tensor({3, 4, 5}));
  expectNear(softmaxAttentionBlocked(attention, 2), Tensor({3, 4, 5}));
}

TEST(SoftmaxDeathTest, RefusesOperandsThatDoNotFit) {
  SoftmaxAttention attention = randomAttention(3);
  attention.k = Tensor({3, 2, 7});
  EXPECT_DEATH(softmaxAttention(attention), "expected k of shape \\[\\?, \\?, 6\\], but got \\[3, 2, 7\\]");
  attention = randomAttention(3);
  attention.offset = 1;
  EXPECT_DEATH(softmaxAttention(attention), "expected a key for each query");
}
