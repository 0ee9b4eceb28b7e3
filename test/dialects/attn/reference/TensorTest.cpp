#include "dialects/attn/reference/Tensor.h"

#include "dialects/attn/reference/Activation.h"
#include "test/dialects/attn/reference/GoldenFile.h"

using namespace denim::attn::reference;
using denim::test::expectNear;

TEST(Tensor, IndicesAreRowMajor) {
  Tensor x({2, 3}, {0, 1, 2, 10, 11, 12});
  EXPECT_EQ(x(1, 2), 12);
  EXPECT_EQ(x.row(1)[0], 10);
  EXPECT_EQ(x.slice(1, 2).shape(), (Tensor::Shape{1, 3}));
  expectNear(x.columns(1, 3), Tensor({2, 2}, {1, 2, 11, 12}));
  expectNear(transposed(x), Tensor({3, 2}, {0, 10, 1, 11, 2, 12}));
  expectNear(concatenate(x.slice(0, 1), x.slice(1, 2)), x);
}

TEST(Tensor, HeadsRepeatInterleaved) {
  expectNear(repeatHeads(Tensor({1, 2, 1}, {5, 9}), 6), Tensor({1, 6, 1}, {5, 5, 5, 9, 9, 9}));
}

TEST(Tensor, PresentIsAboutTheOperandNotItsSize) {
  EXPECT_FALSE(Tensor().present());
  EXPECT_TRUE(Tensor({0, 4}).present());
}

TEST(TensorDeathTest, RefusesWithBothSides) {
  EXPECT_DEATH(Tensor({2, 2}, {1, 2, 3}), "expected 4 values for shape \\[2, 2\\], but got 3");
  EXPECT_DEATH(requireShape("x", Tensor({2}), {-1, 3}), "expected x of shape \\[\\?, 3\\], but got \\[2\\]");
  EXPECT_DEATH(repeatHeads(Tensor({1, 3, 1}), 4), "expected a number of heads that divides 4, but got 3");
}

TEST(Activation, KeepsItsTails) {
  EXPECT_EQ(softplus(1000), 1000);
  EXPECT_NEAR(softplus(-40) / std::exp(-40), 1, 1e-15);
  EXPECT_DOUBLE_EQ(softplus(0), std::log(2));
  EXPECT_DOUBLE_EQ(logSigmoid(-1000), -1000);
  EXPECT_EQ(sigmoid(-1000), 0);
  EXPECT_EQ(silu(1000), 1000);
  EXPECT_DOUBLE_EQ(eluPlusOne(-1), std::exp(-1));
  EXPECT_EQ(eluPlusOne(2), 3);
}
