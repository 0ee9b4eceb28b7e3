#include "dialects/attn/reference/SparseIndex.h"

#include "dialects/attn/reference/Softmax.h"
#include "test/dialects/attn/reference/GoldenFile.h"

using namespace denim::attn::reference;
using denim::test::expectNear;
using denim::test::GoldenFile;

TEST(SparseIndexGolden, ScoresSelectionAndAttention) {
  GoldenFile golden("dsa");
  SparseIndex index{golden.sequence("in.q_index"), golden.sequence("in.k_index"), golden.sequence("in.w_index")};
  Tensor scores = indexScores(index), mask = selectKeys(scores, 24);
  Tensor want = golden.sequence("out.index_score"), selectedWant = golden.sequence("out.selected");
  for (int64_t t = 0; t < 77; ++t)
    for (int64_t j = 0; j <= t; ++j) { // what stands above the diagonal is nobody's business
      EXPECT_NEAR(scores(t, j), want(t, j), 1e-12);
      EXPECT_EQ(mask(t, j), selectedWant(t, j)) << t << ", " << j;
    }

  SoftmaxAttention attention;
  attention.q = golden.sequence("in.q");
  attention.k = golden.sequence("in.k");
  attention.v = golden.sequence("in.v");
  attention.visible = selected(mask);
  expectNear(softmaxAttention(attention), golden.sequence("out.o"));
}

TEST(SparseIndex, TiesTakeTheLowestIndexFirst) {
  Tensor scores({1, 5}, {0, 2, 0, 0, 2});
  EXPECT_EQ(selectedKeys(selectKeys(scores, 3, 4)), (std::vector<std::vector<int64_t>>{{0, 1, 4}}));
  EXPECT_EQ(selectedKeys(selectKeys(scores, 1, 4)), (std::vector<std::vector<int64_t>>{{1}}));
}

TEST(SparseIndex, FewerVisibleKeysThanWantedAreAllTaken) {
  Tensor scores({2, 4}, {1, 2, 3, 4, 4, 3, 2, 1});
  EXPECT_EQ(selectedKeys(selectKeys(scores, 3)), (std::vector<std::vector<int64_t>>{{0}, {0, 1}}));
}

TEST(SparseIndex, AKeyThatEveryHeadRejectsScoresZero) {
  SparseIndex index{Tensor({1, 1, 1}, {-1}), Tensor({1, 1}, {3}), Tensor({1, 1}, {5})};
  EXPECT_EQ(indexScores(index)(0, 0), 0);
}
