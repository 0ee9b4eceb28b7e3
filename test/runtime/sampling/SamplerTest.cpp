//===- SamplerTest.cpp - choices are repeatable and within bounds ---------===//

#include "runtime/sampling/Sampler.h"

#include <cmath>
#include <gtest/gtest.h>

using namespace denim;

namespace {

std::vector<int32_t> draws(const SamplingOptions &options, const std::vector<float> &logits, int count) {
  Sampler sampler;
  Status status = Sampler::create(options, sampler);
  EXPECT_FALSE(status) << status.message();
  std::vector<int32_t> tokens;
  for (int i = 0; i < count; ++i)
    tokens.push_back(sampler.sample(logits.data(), static_cast<int32_t>(logits.size())));
  return tokens;
}

TEST(Sampler, GreedyTakesTheLowestOfEquals) {
  EXPECT_EQ(draws({}, {1, 3, 2, 3}, 1), std::vector<int32_t>{1});
  EXPECT_EQ(draws({}, {0, 0, 0}, 1), std::vector<int32_t>{0});
}

TEST(Sampler, NanIsNotChosen) {
  float nan = NAN, inf = INFINITY;
  EXPECT_EQ(draws({}, {nan, -1, nan, 2}, 1), std::vector<int32_t>{3});
  EXPECT_EQ(draws({}, {nan, -inf}, 1), std::vector<int32_t>{1});
  for (int32_t token : draws({1.0, 1.0, 5}, {nan, -1, nan, 2}, 50))
    EXPECT_TRUE(token == 1 || token == 3);
  EXPECT_EQ(draws({1.0, 1.0, 5}, {0, inf, 0}, 1), std::vector<int32_t>{1});
}

TEST(Sampler, TheSeedDecides) {
  std::vector<float> logits(100, 0);
  EXPECT_EQ(draws({1.0, 1.0, 7}, logits, 20), draws({1.0, 1.0, 7}, logits, 20));
  EXPECT_NE(draws({1.0, 1.0, 7}, logits, 20), draws({1.0, 1.0, 8}, logits, 20));
}

TEST(Sampler, FrequenciesFollowTheProbabilities) {
  int count[3] = {};
  for (int32_t token : draws({1.0, 1.0, 3}, {std::log(0.5f), std::log(0.3f), std::log(0.2f)}, 20000))
    ++count[token];
  EXPECT_NEAR(count[0] / 20000.0, 0.5, 0.02);
  EXPECT_NEAR(count[1] / 20000.0, 0.3, 0.02);
}

TEST(Sampler, TopPKeepsTheLikeliest) {
  std::vector<float> logits = {std::log(0.2f), std::log(0.5f), std::log(0.3f)};
  for (int32_t token : draws({1.0, 0.4, 1}, logits, 100))
    EXPECT_EQ(token, 1);
  for (int32_t token : draws({1.0, 0.7, 1}, logits, 100))
    EXPECT_NE(token, 0);
}

TEST(Sampler, RefusesOtherOptions) {
  Sampler sampler;
  EXPECT_EQ(Sampler::create({-1, 1, 0}, sampler).message(), "expected a temperature of 0 or more, but got -1");
  EXPECT_EQ(Sampler::create({NAN, 1, 0}, sampler).code(), DENIM_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(Sampler::create({1, 0, 0}, sampler).message(), "expected top-p above 0 and at most 1, but got 0");
  EXPECT_EQ(Sampler::create({1, 1.5, 0}, sampler).message(), "expected top-p above 0 and at most 1, but got 1.5");
}

} // namespace
