#include "dialects/model/reference/Norm.h"

#include "test/dialects/attn/reference/GoldenFile.h"

using namespace denim::model::reference;
using denim::attn::reference::map;
using denim::test::expectNear;
using denim::test::GoldenFile;

TEST(NormGolden, AllKinds) {
  GoldenFile golden("norms");
  Tensor x = golden.sequence("in.x"), z = golden.sequence("in.z"), w = golden.whole("in.w");
  Tensor bias({32}, std::vector<double>(z.row(0), z.row(1)));
  Tensor centred = map(w, [](double value) { return value - 1; });
  expectNear(rmsNorm(x, w, 1e-5), golden.sequence("out.rms"));
  expectNear(zeroCentredRmsNorm(x, centred, 1e-6), golden.sequence("out.rms_zero_centered"));
  expectNear(l2Norm(x, 1e-6), golden.sequence("out.l2"));
  expectNear(layerNorm(x, w, bias, 1e-6), golden.sequence("out.layer_norm"));
  expectNear(normThenSiluGate(x, w, z, 1e-6), golden.sequence("out.norm_then_silu_gate"));
  expectNear(normThenSigmoidGate(x, w, z, 1e-5), golden.sequence("out.norm_then_sigmoid_gate"));
  expectNear(siluGateThenNorm(x, w, z, 1e-5), golden.sequence("out.silu_gate_then_norm"));
  expectNear(siluGateThenNorm(x, w, z, 1e-5, 4), golden.sequence("out.silu_gate_then_group_norm"));
}

TEST(Norm, ByHand) {
  Tensor x({1, 2}, {3, 4});
  expectNear(l2Norm(x, 0), Tensor({1, 2}, {0.6, 0.8}));
  expectNear(l2Norm(x, 75), Tensor({1, 2}, {0.3, 0.4})); // eps inside the root: sqrt(25 + 75)
  expectNear(rmsNorm(Tensor({1, 2}, {1, 7}), Tensor({2}, {10, 20}), 0), Tensor({1, 2}, {2, 28})); // mean square 25
  expectNear(zeroCentredRmsNorm(Tensor({1, 2}, {1, 7}), Tensor({2}, {9, 19}), 0), Tensor({1, 2}, {2, 28}));
  expectNear(layerNorm(Tensor({1, 2}, {2, 6}), Tensor({2}, {1, 1}), Tensor({2}, {0, 5}), 0), Tensor({1, 2}, {-1, 6}));
}

TEST(Norm, GroupsAreNormalisedEachByItself) {
  expectNear(groupRmsNorm(Tensor({1, 4}, {1, 7, 0, 2}), {}, 0, 2), Tensor({1, 4}, {0.2, 1.4, 0, std::sqrt(2.0)}));
}

TEST(Norm, ARowOfZerosStaysZero) {
  expectNear(rmsNorm(Tensor({1, 3}), {}, 1e-6), Tensor({1, 3}));
  expectNear(l2Norm(Tensor({1, 3})), Tensor({1, 3}));
}

TEST(NormDeathTest, RefusesAWeightOfAnotherWidth) {
  EXPECT_DEATH(rmsNorm(Tensor({1, 3}), Tensor({4}), 0), "expected weight of shape \\[3\\], but got \\[4\\]");
}
