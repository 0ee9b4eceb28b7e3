#include "dialects/model/reference/GatedLinearUnit.h"

#include "test/dialects/attn/reference/GoldenFile.h"

using namespace denim::model::reference;
using denim::test::expectNear;
using denim::test::GoldenFile;

TEST(GatedLinearUnitGolden, AllKinds) {
  GoldenFile golden("glu");
  Tensor x = golden.sequence("in.gate_up");
  GateAndUp halves = splitHalves(x), interleaved = splitInterleaved(x);
  expectNear(swiglu(halves.gate, halves.up), golden.sequence("out.swiglu"));
  expectNear(clampedSwiglu(interleaved.gate, interleaved.up), golden.sequence("out.gpt_oss"));
  expectNear(squaredRelu(x), golden.sequence("out.relu2"));
}

TEST(GatedLinearUnit, ByHand) {
  Tensor x({1, 4}, {0, 1, 2, 3});
  GateAndUp halves = splitHalves(x), interleaved = splitInterleaved(x);
  expectNear(halves.gate, Tensor({1, 2}, {0, 1}));
  expectNear(halves.up, Tensor({1, 2}, {2, 3}));
  expectNear(interleaved.gate, Tensor({1, 2}, {0, 2}));
  expectNear(interleaved.up, Tensor({1, 2}, {1, 3}));
  expectNear(squaredRelu(Tensor({2}, {-3, 3})), Tensor({2}, {0, 9}));
}

TEST(GatedLinearUnit, TheClampCutsTheGateFromAboveOnly) {
  double seven = 7 * sigmoid(1.702 * 7), low = -100 * sigmoid(-170.2);
  expectNear(clampedSwiglu(Tensor({3}, {100, 7, -100}), Tensor({3}, {100, -100, 0})),
             Tensor({3}, {8 * seven, -6 * seven, low}));
}
