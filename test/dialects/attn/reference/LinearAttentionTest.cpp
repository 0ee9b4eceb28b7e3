#include "dialects/attn/reference/LinearAttention.h"

#include "dialects/attn/reference/ChunkedNormalForm.h"
#include "test/dialects/attn/reference/GoldenFile.h"
#include "test/dialects/attn/reference/RandomTensor.h"

using namespace denim::attn::reference;
using denim::test::expectNear;
using denim::test::GoldenFile;
using denim::test::RandomTensors;

namespace {

LinearAttention operandsOf(const GoldenFile &golden) {
  LinearAttention attention;
  attention.q = golden.sequence("in.q");
  attention.k = golden.sequence("in.k");
  attention.v = golden.sequence("in.v");
  return attention;
}

void expectSame(const LinearResult &got, const LinearResult &want) {
  expectNear(got.output, want.output);
  expectNear(got.state, want.state);
}

void expectGolden(const LinearAttention &attention, const GoldenFile &golden) {
  Tensor state = golden.sequence("in.initial_state");
  LinearResult want{golden.sequence("out.o"), golden.sequence("out.state")};
  expectSame(linearAttention(attention, state), want);
  for (int64_t chunk : {1, 16, 64, 200})
    expectSame(evaluateChunked(normalForm(attention), chunk, state), want);
}

} // namespace

TEST(LinearAttentionGolden, Plain) {
  GoldenFile golden("linear_attention_plain");
  expectGolden(operandsOf(golden), golden);
}

TEST(LinearAttentionGolden, Lightning) {
  GoldenFile golden("lightning");
  LinearAttention attention = operandsOf(golden);
  Tensor rates = lightningRates(2, 2, 8);
  expectNear(rates, golden.whole("out.slopes"));
  attention.scale = 1;
  attention.logDecay = constantDecay(scaled(rates, -1), 77);
  expectGolden(attention, golden);
  for (int64_t block : {1, 16, 64, 200})
    expectSame(constantDecayBlocked(attention, scaled(rates, -1), block, golden.sequence("in.initial_state")),
               {golden.sequence("out.o"), golden.sequence("out.state")});
}

TEST(LinearAttentionGolden, RetNet) {
  GoldenFile golden("retnet");
  LinearAttention attention = operandsOf(golden);
  Tensor decay = retentionLogDecay(2);
  expectNear(decay, golden.whole("out.log_decay"));
  attention.logDecay = constantDecay(decay, 77);
  expectGolden(attention, golden);
  expectSame(constantDecayBlocked(attention, decay, 64, golden.sequence("in.initial_state")),
             {golden.sequence("out.o"), golden.sequence("out.state")});
}

TEST(LinearAttentionGolden, Gated) {
  GoldenFile golden("gla");
  LinearAttention attention = operandsOf(golden);
  attention.logDecay = golden.sequence("in.g");
  expectGolden(attention, golden);
}

TEST(LinearAttentionGolden, Normalised) {
  GoldenFile golden("linear_attention_elu1");
  LinearAttention operands = operandsOf(golden);
  LinearResult got = normalisedLinearAttention(operands.q, operands.k, operands.v, 1e-6);
  expectNear(got.output, golden.sequence("out.o"));
  expectNear(got.state.columns(0, 24), golden.sequence("out.state"));
  expectNear(got.state.columns(24, 25).reshaped({2, 16}), golden.sequence("out.z"));
  LinearResult chunked = evaluateChunked(normalisedLinearForm(operands.q, operands.k, operands.v), 64);
  expectNear(divideByLast(chunked.output, 1e-6), golden.sequence("out.o"));
}

TEST(LinearAttention, ByHand) {
  // Scale 1/2 of q for dk = 4; the state is the sum of k v^T.
  LinearAttention attention;
  attention.q = Tensor({2, 1, 4}, {2, 0, 0, 0, 2, 2, 0, 0});
  attention.k = Tensor({2, 1, 4}, {1, 0, 0, 0, 0, 1, 0, 0});
  attention.v = Tensor({2, 1, 1}, {3, 4});
  expectSame(linearAttention(attention), {Tensor({2, 1, 1}, {3, 7}), Tensor({1, 4, 1}, {3, 4, 0, 0})});
}

TEST(LinearAttention, NormalisedOutputIsAMeanOfValues) {
  // Without eps the weights sum to 1: constant values come back as they are.
  RandomTensors random;
  Tensor q = random.uniform({20, 2, 6}), k = random.uniform({20, 2, 6});
  Tensor v({20, 2, 5}, std::vector<double>(200, 3));
  expectNear(normalisedLinearAttention(q, k, v, 0).output, v);
}

TEST(LinearAttention, BlocksOfConstantDecayAreTheRecurrence) {
  RandomTensors random;
  for (int64_t tokens : {0, 1, 37, 63, 64, 65, 150}) {
    LinearAttention attention;
    attention.q = random.uniform({tokens, 2, 6});
    attention.k = random.uniform({tokens, 2, 6});
    attention.v = random.uniform({tokens, 2, 5});
    Tensor decay({2}, {-0.5, -1e-6}), state = random.uniform({2, 6, 5});
    attention.logDecay = constantDecay(decay, tokens);
    for (int64_t block : {1, 16, 64})
      expectSame(constantDecayBlocked(attention, decay, block, state), linearAttention(attention, state));
  }
}
