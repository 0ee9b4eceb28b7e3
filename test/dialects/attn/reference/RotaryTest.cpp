#include "dialects/attn/reference/Rotary.h"

#include "test/dialects/attn/reference/GoldenFile.h"
#include "test/dialects/attn/reference/RandomTensor.h"

using namespace denim::attn::reference;
using denim::test::expectNear;
using denim::test::GoldenFile;
using denim::test::RandomTensors;

namespace {

std::vector<int64_t> positionsOf(const GoldenFile &golden) {
  Tensor stored = golden.whole("in.position");
  return {stored.values().begin(), stored.values().end()};
}

Tensor asTensor(const std::vector<double> &values) {
  return Tensor({static_cast<int64_t>(values.size())}, values);
}

} // namespace

TEST(RotaryGolden, LayoutsAndPartialRotation) {
  GoldenFile golden("rope");
  Tensor x = golden.sequence("in.x");
  std::vector<int64_t> positions = positionsOf(golden);
  expectNear(rotate(x, positions, rotaryTable(16, 10000), RotaryLayout::Half), golden.sequence("out.half"));
  expectNear(rotate(x, positions, rotaryTable(8, 10000), RotaryLayout::Half), golden.sequence("out.half_partial8"));
  expectNear(rotate(x, positions, rotaryTable(16, 10000), RotaryLayout::Interleaved),
             golden.sequence("out.interleaved"));
}

TEST(RotaryGolden, YarnAsDeepSeekHasIt) {
  GoldenFile golden("rope");
  Yarn yarn;
  yarn.factor = 4;
  yarn.originalLength = 32;
  yarn.mscale = 1;
  yarn.mscaleAllDim = 0.707;
  RotaryTable table = yarnTable(16, 10000, yarn);
  EXPECT_NEAR(table.factor, 1.036992729910394, 1e-15);
  expectNear(asTensor(table.frequency), golden.whole("out.inv_freq_yarn_a"));
  expectNear(rotate(golden.sequence("in.x"), positionsOf(golden), table, RotaryLayout::Half),
             golden.sequence("out.half_yarn_a"));
}

TEST(RotaryGolden, YarnAsGptOssHasIt) {
  GoldenFile golden("rope");
  Yarn yarn;
  yarn.factor = 8;
  yarn.originalLength = 64;
  yarn.truncate = false;
  RotaryTable table = yarnTable(16, 150000, yarn);
  EXPECT_NEAR(table.factor, 1.2079441541679836, 1e-15);
  expectNear(asTensor(table.frequency), golden.whole("out.inv_freq_yarn_b"));
  expectNear(rotate(golden.sequence("in.x"), positionsOf(golden), table, RotaryLayout::Half),
             golden.sequence("out.half_yarn_b"));
}

TEST(Rotary, YarnScalesScoresOnlyWithAllDim) {
  Yarn yarn;
  yarn.factor = 40;
  yarn.originalLength = 4096;
  EXPECT_EQ(yarnScoreScale(yarn), 1);
  yarn.mscale = yarn.mscaleAllDim = 1; // DeepSeek-V3
  EXPECT_NEAR(yarnScoreScale(yarn), 1.3689 * 1.3689, 1e-3);
  EXPECT_EQ(yarnTable(64, 10000, yarn).factor, 1);
}

TEST(Rotary, ByHand) {
  // Two pairs. A quarter turn takes (a, b) to (-b, a); the second pair stands still.
  RotaryTable table;
  table.frequency = {std::acos(0.0), 0};
  Tensor x({1, 1, 5}, {1, 2, 3, 4, 5});
  expectNear(rotate(x, {1}, table, RotaryLayout::Half), Tensor({1, 1, 5}, {-3, 2, 1, 4, 5}));
  expectNear(rotate(x, {1}, table, RotaryLayout::Interleaved), Tensor({1, 1, 5}, {-2, 1, 3, 4, 5}));
}

TEST(Rotary, ProductsDependOnTheDistanceOnly) {
  RandomTensors random;
  Tensor q = random.uniform({1, 1, 8}), k = random.uniform({1, 1, 8});
  RotaryTable table = rotaryTable(8, 10000);
  for (RotaryLayout layout : {RotaryLayout::Half, RotaryLayout::Interleaved}) {
    auto product = [&](int64_t p, int64_t j) {
      return dot(rotate(q, {p}, table, layout).row(), rotate(k, {j}, table, layout).row(), 8);
    };
    EXPECT_NEAR(product(7, 3), product(104, 100), 1e-12);
  }
}

TEST(Rotary, LlamaScalingKeepsFastStretchesSlow) {
  LlamaScaling scaling; // factor 8, kept below a wavelength of 2048, stretched above 8192
  RotaryTable plain = rotaryTable(128, 500000), scaledTable = llamaTable(128, 500000, scaling);
  for (size_t m = 0; m < plain.frequency.size(); ++m) {
    double wavelength = 2 * std::acos(-1.0) / plain.frequency[m];
    double ratio = scaledTable.frequency[m] / plain.frequency[m];
    if (wavelength < 2048)
      EXPECT_EQ(ratio, 1);
    else if (wavelength > 8192)
      EXPECT_DOUBLE_EQ(ratio, 0.125);
    else
      EXPECT_TRUE(ratio > 0.125 && ratio < 1) << ratio;
  }
  // Half way between: 2.5 turns over the original length, so the mean of 1 and 1/8.
  RotaryTable one = llamaTable(2, 1, {8, 1, 4, 2.5 * 2 * std::acos(-1.0)});
  EXPECT_NEAR(one.frequency[0], (1 + 0.125) / 2, 1e-12);
}
