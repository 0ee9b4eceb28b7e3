#include "dialects/model/reference/MixtureOfExperts.h"

#include "dialects/model/reference/GatedLinearUnit.h"
#include "test/dialects/attn/reference/GoldenFile.h"
#include "test/dialects/attn/reference/RandomTensor.h"

using namespace denim::model::reference;
using denim::attn::reference::scaled;
using denim::test::expectNear;
using denim::test::RandomTensors;

TEST(MixtureOfExperts, ByHand) {
  // Expert e multiplies by e + 1: token 0 takes 0.5 * 1 + 0.25 * 3, token 1 takes 1 * 3.
  Routing routing{{{0, 2}, {2}}, {{0.5, 0.25}, {1}}};
  std::vector<int64_t> calls;
  Expert expert = [&](int64_t e, const Tensor &rows) {
    calls.push_back(e);
    EXPECT_EQ(rows.dim(0), e == 2 ? 2 : 1);
    return scaled(rows, static_cast<double>(e + 1));
  };
  Tensor x({2, 2}, {4, 8, 1, 2});
  expectNear(mixtureOfExperts(x, routing, expert), Tensor({2, 2}, {5, 10, 3, 6}));
  EXPECT_EQ(calls, (std::vector<int64_t>{0, 2})); // expert 1 has no token and is not called
}

TEST(MixtureOfExperts, OneExpertOfWeightOneIsTheMlp) {
  RandomTensors random;
  Tensor gate = random.uniform({1, 5, 3}), up = random.uniform({1, 5, 3}), down = random.uniform({1, 3, 5});
  Tensor x = random.uniform({7, 3});
  Routing routing = route(Tensor({7, 1}), {});
  Tensor mlp = linear(swiglu(linear(x, gate.reshaped({5, 3})), linear(x, up.reshaped({5, 3}))), down.reshaped({3, 5}));
  expectNear(mixtureOfExperts(x, routing, swigluExperts(gate, up, down)), mlp);
}

TEST(MixtureOfExperts, TheSharedExpertIsGatedPerToken) {
  Tensor x({2, 1}, {0, 1000}), routed({2, 1}, {1, 1}), shared({2, 1}, {8, 8});
  expectNear(withSharedExpert(x, routed, shared), Tensor({2, 1}, {9, 9}));
  expectNear(withSharedExpert(x, routed, shared, Tensor({1, 1}, {1})), Tensor({2, 1}, {5, 9})); // sigmoid: 1/2, 1
}

TEST(MixtureOfExperts, NoTokensCallNobody) {
  Expert nobody = [](int64_t, const Tensor &rows) {
    ADD_FAILURE();
    return rows;
  };
  EXPECT_EQ(mixtureOfExperts(Tensor({0, 3}), {}, nobody).shape(), (Tensor::Shape{0, 3}));
}

TEST(Linear, ByHand) {
  expectNear(linear(Tensor({1, 2}, {1, 2}), Tensor({3, 2}, {1, 0, 0, 1, 1, 1}), Tensor({3}, {0, 10, 0})),
             Tensor({1, 3}, {1, 12, 3}));
}
