#include "dialects/model/reference/Router.h"

#include "test/dialects/attn/reference/GoldenFile.h"

#include <map>

using namespace denim::model::reference;
using denim::test::GoldenFile;

namespace {

Router of(Router::Kind kind, bool renormalise, double scale = 1) {
  Router router;
  router.kind = kind;
  router.count = 4;
  router.renormalise = renormalise;
  router.scale = scale;
  return router;
}

void expectGolden(const char *name, const Router &router) {
  SCOPED_TRACE(name);
  GoldenFile golden("router");
  Routing got = route(golden.whole("in.logits"), router);
  Tensor experts = golden.whole(std::string("out.") + name + ".indices");
  Tensor weights = golden.whole(std::string("out.") + name + ".weights");
  for (int64_t t = 0; t < experts.dim(0); ++t) {
    std::map<int64_t, double> chosen; // the golden lists experts by index, the reference by score
    for (size_t n = 0; n < 4; ++n)
      chosen[got.experts[static_cast<size_t>(t)][n]] = got.weights[static_cast<size_t>(t)][n];
    int64_t n = 0;
    for (auto [expert, weight] : chosen) {
      EXPECT_EQ(static_cast<double>(expert), experts(t, n));
      EXPECT_NEAR(weight, weights(t, n), 1e-13);
      ++n;
    }
  }
}

} // namespace

TEST(RouterGolden, AllKinds) {
  using Kind = Router::Kind;
  expectGolden("softmax_topk_norm", of(Kind::Softmax, true));
  expectGolden("softmax_topk_raw", of(Kind::Softmax, false));
  expectGolden("softmax_of_topk", of(Kind::SoftmaxOfTopK, false));

  Router grouped = of(Kind::Softmax, false, 2);
  grouped.groups = 4;
  grouped.keptGroups = 2;
  expectGolden("softmax_group_max", grouped);

  Router biased = of(Kind::Sigmoid, true, 2.5);
  biased.bias = GoldenFile("router").whole("in.bias");
  expectGolden("sigmoid_bias", biased);
  biased.groups = 4;
  biased.keptGroups = 2;
  expectGolden("sigmoid_bias_group2", biased);
}

TEST(Router, TiesTakeTheLowestIndexFirst) {
  Router router;
  router.count = 2;
  EXPECT_EQ(route(Tensor({1, 4}, {1, 3, 3, 3}), router).experts[0], (std::vector<int64_t>{1, 2}));
}

TEST(Router, TheBiasChoosesAndDoesNotWeigh) {
  Router router;
  router.kind = Router::Kind::Sigmoid;
  router.bias = Tensor({2}, {0, 10});
  Routing got = route(Tensor({1, 2}, {5, 0}), router);
  EXPECT_EQ(got.experts[0], std::vector<int64_t>{1});
  EXPECT_DOUBLE_EQ(got.weights[0][0], 0.5);
}

TEST(Router, AGroupIsJudgedByItsBestOrByItsTwoBest) {
  // Group 0 has the best expert, group 1 the two best together.
  Tensor logits({1, 4}, {3, -9, 2, 2});
  Router router;
  router.groups = 2;
  EXPECT_EQ(route(logits, router).experts[0], std::vector<int64_t>{0});
  router.kind = Router::Kind::Sigmoid;
  EXPECT_EQ(route(logits, router).experts[0], std::vector<int64_t>{2});
}

TEST(RouterDeathTest, RefusesMoreExpertsThanThereAre) {
  Router router;
  router.count = 5;
  EXPECT_DEATH(route(Tensor({1, 4}), router), "expected at most 4 experts per token");
}
