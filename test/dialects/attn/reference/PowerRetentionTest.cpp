#include "dialects/attn/reference/PowerRetention.h"

#include "dialects/attn/reference/ChunkedNormalForm.h"
#include "dialects/attn/reference/LinearAttention.h"
#include "test/dialects/attn/reference/GoldenFile.h"
#include "test/dialects/attn/reference/RandomTensor.h"

using namespace denim::attn::reference;
using denim::test::expectNear;
using denim::test::GoldenFile;
using denim::test::RandomTensors;

TEST(PowerRetentionGolden, AttentionRecurrentAndChunked) {
  GoldenFile golden("power_retention");
  PowerRetention retention{golden.sequence("in.q"), golden.sequence("in.k"), golden.sequence("in.v"),
                           golden.sequence("in.log_gate"), 0.25};
  Tensor want = golden.sequence("out.o");
  expectNear(powerRetentionAttention(retention), want);
  expectNear(powerRetention(retention).output, want);
  for (int64_t chunk : {16, 64, 200})
    expectNear(divideByLast(evaluateChunked(normalForm(retention), chunk).output, 0), want);
}

TEST(PowerRetention, TheFeatureMapSquaresProducts) {
  RandomTensors random;
  Tensor x = random.uniform({7}), y = random.uniform({7});
  Tensor fx = symmetricPower(x), fy = symmetricPower(y);
  ASSERT_EQ(fx.size(), 28);
  double product = dot(x.row(), y.row(), 7);
  EXPECT_NEAR(dot(fx.row(), fy.row(), 28), product * product, 1e-12);
}

TEST(PowerRetention, ByHand) {
  // Scores 2 and 1, a gate of 1/2 on the second token: weights 4/2 and 1, so (2 * 9 + 1 * 3) / 3.
  PowerRetention retention{Tensor({2, 1, 1}, {1, 1}), Tensor({2, 1, 1}, {2, 1}), Tensor({2, 1, 1}, {9, 3}),
                           Tensor({2, 1}, {0, std::log(0.5)}), 1.0};
  expectNear(powerRetentionAttention(retention), Tensor({2, 1, 1}, {9, 7}));
  expectNear(powerRetention(retention).output, Tensor({2, 1, 1}, {9, 7}));
}

TEST(PowerRetention, AHigherDegreeIsSharper) {
  // Weights 2^4 and 1: (16 * 9 + 3) / 17.
  PowerRetention retention{Tensor({2, 1, 1}, {1, 1}), Tensor({2, 1, 1}, {2, 1}), Tensor({2, 1, 1}, {9, 3}),
                           Tensor({2, 1}), 1.0};
  expectNear(powerRetentionAttention(retention, 4), Tensor({2, 1, 1}, {9, 147.0 / 17}));
}
