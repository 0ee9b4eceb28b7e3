#include "dialects/attn/reference/DeltaRule.h"

#include "dialects/attn/reference/Activation.h"
#include "dialects/attn/reference/ChunkedDeltaRule.h"
#include "dialects/attn/reference/ChunkedNormalForm.h"
#include "dialects/attn/reference/L2Norm.h"
#include "dialects/model/reference/Norm.h"
#include "test/dialects/attn/reference/GoldenFile.h"
#include "test/dialects/attn/reference/RandomTensor.h"

using namespace denim::attn::reference;
using denim::test::expectNear;
using denim::test::GoldenFile;
using denim::test::RandomTensors;

namespace {

void expectSame(const LinearResult &got, const LinearResult &want) {
  expectNear(got.output, want.output);
  expectNear(got.state, want.state);
}

/// The rule as its papers write it, without the normal form: decay, predict, correct, read.
LinearResult inPlainWords(const DeltaRule &unprepared, const Tensor &state) {
  DeltaRule rule = unprepared.prepared();
  NormalForm decay;
  decay.logDecay = rule.logDecay;
  int64_t dk = rule.k.dim(2), dv = rule.v.dim(2);
  LinearResult result{Tensor(rule.v.shape()), state};
  for (int64_t t = 0; t < rule.v.dim(0); ++t)
    for (int64_t h = 0; h < rule.v.dim(1); ++h)
      for (int64_t e = 0; e < dv; ++e) {
        auto S = [&](int64_t c) -> double & { return result.state(h, c, e); };
        double predicted = 0;
        for (int64_t c = 0; c < dk; ++c) {
          S(c) *= std::exp(decay.logDecayAt(t, h, c));
          predicted += S(c) * rule.k(t, h, c);
        }
        double correction = rule.beta(t, h) * (rule.v(t, h, e) - predicted);
        for (int64_t c = 0; c < dk; ++c) {
          S(c) += rule.k(t, h, c) * correction;
          result.output(t, h, e) += S(c) * rule.q(t, h, c);
        }
      }
  return result;
}

void expectAllForms(const DeltaRule &rule, const Tensor &state, const LinearResult &want) {
  expectSame(deltaRule(rule, state), want);
  for (int64_t chunk : {1, 16, 37, 64, 200}) {
    SCOPED_TRACE("chunks of " + std::to_string(chunk));
    expectSame(evaluateChunked(normalForm(rule), chunk, state), want);
    expectSame(deltaRuleChunked(rule, chunk, state), want);
  }
}

/// 4 value heads on 2 key heads. `decay` is the number of dimensions of the log decay: 0 (none), 2 or 3.
DeltaRule randomRule(int64_t tokens, int decay, RandomTensors &random) {
  DeltaRule rule;
  rule.q = random.uniform({tokens, 2, 6});
  rule.k = random.uniform({tokens, 2, 6});
  rule.v = random.uniform({tokens, 4, 5});
  rule.beta = random.uniform({tokens, 4}, 0, 2);
  if (decay == 2)
    rule.logDecay = random.uniform({tokens, 4}, -2, 0);
  if (decay == 3)
    rule.logDecay = random.uniform({tokens, 4, 6}, -6, 0);
  return rule;
}

} // namespace

TEST(DeltaRuleGolden, PlainGatedAndKimi) {
  for (const char *op : {"delta_rule", "gated_delta_rule", "gated_delta_rule_neg_eig", "kda", "kda_strong_decay"}) {
    SCOPED_TRACE(op);
    GoldenFile golden(op);
    DeltaRule rule;
    rule.q = golden.sequence("in.q");
    rule.k = golden.sequence("in.k");
    rule.v = golden.sequence("in.v");
    rule.beta = golden.sequence("in.beta");
    if (op != std::string("delta_rule"))
      rule.logDecay = golden.sequence("in.g");
    expectAllForms(rule, golden.sequence("in.initial_state"), {golden.sequence("out.o"), golden.sequence("out.state")});
  }
}

TEST(DeltaRuleGolden, GatedDeltaNetFromItsRawGates) {
  GoldenFile golden("gdn_core");
  DeltaRule rule;
  rule.q = golden.sequence("in.q");
  rule.k = golden.sequence("in.k");
  rule.v = golden.sequence("in.v");
  rule.beta = map(golden.sequence("in.b"), sigmoid);
  rule.logDecay = scalarGate(golden.sequence("in.a"), golden.whole("in.A_log"), golden.whole("in.dt_bias"));
  expectNear(rule.logDecay, golden.sequence("out.g"));
  LinearResult want{golden.sequence("out.o_core"), golden.sequence("out.state")};
  expectAllForms(rule, zeroState(normalForm(rule)), want);
  expectNear(denim::model::reference::normThenSiluGate(deltaRule(rule).output, golden.whole("in.norm"),
                                                       golden.sequence("in.z"), 1e-6),
             golden.sequence("out.o"));
}

TEST(DeltaRuleGolden, KimiFromItsRawGates) {
  GoldenFile golden("kda_core");
  DeltaRule rule;
  rule.q = golden.sequence("in.q");
  rule.k = golden.sequence("in.k");
  rule.v = golden.sequence("in.v");
  rule.beta = map(golden.sequence("in.b"), sigmoid);
  Tensor f = golden.sequence("in.f"), aLog = golden.whole("in.A_log"), dtBias = golden.whole("in.dt_bias");
  rule.logDecay = channelGate(f, aLog, dtBias);
  expectNear(rule.logDecay, golden.sequence("out.g"));
  LinearResult want{golden.sequence("out.o_core"), golden.sequence("out.state")};
  expectAllForms(rule, zeroState(normalForm(rule)), want);
  expectNear(denim::model::reference::normThenSigmoidGate(deltaRule(rule).output, golden.whole("in.norm"),
                                                          golden.sequence("in.z"), 1e-5),
             golden.sequence("out.o"));

  rule.logDecay = boundedChannelGate(f, aLog, dtBias, -5);
  expectNear(rule.logDecay, golden.sequence("out.g_lower_bound"));
  expectNear(deltaRule(rule).output, golden.sequence("out.o_core_lower_bound"));
  expectNear(deltaRuleChunked(rule, 64).output, golden.sequence("out.o_core_lower_bound"));
}

TEST(DeltaRuleGolden, GatedDeltaProduct) {
  GoldenFile golden("gated_delta_product");
  DeltaRule rule;
  rule.q = golden.sequence("in.q");
  rule.k = golden.sequence("in.k");
  rule.v = golden.sequence("in.v");
  rule.beta = golden.sequence("in.beta");
  rule.logDecay = golden.sequence("in.g");
  Tensor state = golden.sequence("in.initial_state");
  LinearResult got = deltaProduct(rule, 2, state);
  expectSame(got, {golden.sequence("out.o"), golden.sequence("out.state")});
  expectNear(deltaRuleChunked(expandDeltaProduct(rule, 2), 64, state).state, golden.sequence("out.state"));
}

TEST(DeltaRule, EveryFormIsThePapersRecurrence) {
  RandomTensors random;
  for (int decay : {0, 2, 3})
    for (int64_t tokens : {0, 1, 37, 63, 64, 65, 150}) {
      SCOPED_TRACE(std::to_string(tokens) + " tokens, decay of rank " + std::to_string(decay));
      DeltaRule rule = randomRule(tokens, decay, random);
      Tensor state = random.uniform({4, 6, 5});
      expectAllForms(rule, state, inPlainWords(rule, state));
    }
}

TEST(DeltaRule, AUnitKeyReadsBackItsValue) {
  // beta = 1 replaces what the key had: reading with the key gives the value, whatever the state was.
  RandomTensors random;
  DeltaRule rule = randomRule(40, 2, random);
  rule.k = l2Norm(rule.k, 0);
  rule.q = rule.k;
  rule.l2Norm = false;
  rule.scale = 1;
  rule.beta = Tensor({40, 4}, std::vector<double>(160, 1));
  Tensor state = random.uniform({4, 6, 5});
  expectNear(deltaRule(rule, state).output, rule.v);
  expectNear(deltaRuleChunked(rule, 16, state).output, rule.v);
}

TEST(DeltaRule, BetaOfZeroOnlyDecays) {
  RandomTensors random;
  DeltaRule rule = randomRule(5, 2, random);
  rule.beta = Tensor({5, 4});
  rule.logDecay = Tensor({5, 4}, std::vector<double>(20, std::log(0.5)));
  Tensor state = random.uniform({4, 6, 5});
  expectNear(deltaRule(rule, state).state, scaled(state, 1.0 / 32));
}

TEST(DeltaRule, ByHand) {
  // The example of ChunkedDeltaRule.h: the state goes 3, 5, 7.
  DeltaRule rule;
  rule.q = rule.k = Tensor({2, 1, 1}, {1, 1});
  rule.v = Tensor({2, 1, 1}, {5, 7});
  rule.beta = Tensor({2, 1}, {1, 1});
  rule.l2Norm = false;
  LinearResult want{Tensor({2, 1, 1}, {5, 7}), Tensor({1, 1, 1}, {7})};
  expectAllForms(rule, Tensor({1, 1, 1}, {3}), want);
  // beta = 2 reflects: 3 becomes 2 * 5 - 3 = 7, and that 2 * 7 - 7 = 7.
  rule.beta = Tensor({2, 1}, {2, 2});
  expectAllForms(rule, Tensor({1, 1, 1}, {3}), {Tensor({2, 1, 1}, {7, 7}), Tensor({1, 1, 1}, {7})});
}

TEST(DeltaRule, TwoHalvesEqualTheWhole) {
  RandomTensors random;
  DeltaRule rule = randomRule(65, 3, random), first = rule, second = rule;
  for (Tensor DeltaRule::*part :
       {&DeltaRule::q, &DeltaRule::k, &DeltaRule::v, &DeltaRule::beta, &DeltaRule::logDecay}) {
    first.*part = (rule.*part).slice(0, 37);
    second.*part = (rule.*part).slice(37, 65);
  }
  LinearResult one = deltaRuleChunked(first, 64), two = deltaRuleChunked(second, 64, one.state);
  expectSame({concatenate(one.output, two.output), two.state}, deltaRule(rule));
}

TEST(DeltaRule, AProductOfOneStepIsTheRule) {
  RandomTensors random;
  DeltaRule rule = randomRule(37, 2, random);
  expectSame(deltaProduct(rule, 1), deltaRule(rule));
}

TEST(UnitLowerInverse, IsTheInverseForAnyBlock) {
  RandomTensors random;
  for (int64_t n : {1, 15, 16, 17, 64, 65}) {
    Tensor L = random.uniform({n, n}, -0.2, 0.2), want({n, n});
    for (int64_t i = 0; i < n; ++i)
      want(i, i) = 1;
    for (int64_t block : {1, 16, 100}) {
      Tensor X = unitLowerInverse(L, block), got({n, n}); // what L holds above its diagonal is ignored
      for (int64_t i = 0; i < n; ++i)
        for (int64_t j = 0; j < n; ++j) {
          got(i, j) = X(i, j);
          for (int64_t m = 0; m < i; ++m)
            got(i, j) += L(i, m) * X(m, j);
        }
      expectNear(got, want);
    }
  }
}

TEST(UnitLowerInverse, ByHand) {
  Tensor L({3, 3}, {0, 0, 0, 2, 0, 0, 3, 4, 0});
  expectNear(unitLowerInverse(L), Tensor({3, 3}, {1, 0, 0, -2, 1, 0, 5, -4, 1}));
}
