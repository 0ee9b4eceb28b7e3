#include "dialects/attn/reference/HigherOrderLinear.h"

#include "test/dialects/attn/reference/GoldenFile.h"
#include "test/dialects/attn/reference/RandomTensor.h"

using namespace denim::attn::reference;
using denim::test::expectNear;
using denim::test::GoldenFile;
using denim::test::RandomTensors;

TEST(HigherOrderLinearGolden, RecurrentAndWhole) {
  GoldenFile golden("hla2");
  Tensor q = golden.sequence("in.q"), k = golden.sequence("in.k"), v = golden.sequence("in.v");
  SecondOrderResult got = secondOrderLinearAttention(q, k, v);
  expectNear(got.output, golden.sequence("out.o"));
  expectNear(got.state.M, golden.sequence("out.S_k"));
  expectNear(got.state.C, golden.sequence("out.C_qv"));
  expectNear(got.state.G, golden.sequence("out.G"));
  expectNear(secondOrderLinearAttentionWhole(q, k, v), golden.sequence("out.o"));
}

TEST(HigherOrderLinear, ByHand) {
  // tril(Q K^T) = [[1, 0], [1, 1]] for ones; times its transpose [[1, 1], [1, 2]], masked [[1, 0], [1, 2]].
  Tensor ones({2, 1, 1}, {1, 1}), v({2, 1, 1}, {3, 5});
  expectNear(secondOrderLinearAttention(ones, ones, v).output, Tensor({2, 1, 1}, {3, 13}));
  expectNear(secondOrderLinearAttentionWhole(ones, ones, v), Tensor({2, 1, 1}, {3, 13}));
}

TEST(HigherOrderLinear, TwoHalvesEqualTheWhole) {
  RandomTensors random;
  for (int64_t tokens : {0, 1, 37, 64, 65}) {
    Tensor q = random.uniform({tokens, 2, 6}), k = random.uniform({tokens, 2, 6}), v = random.uniform({tokens, 2, 5});
    int64_t cut = tokens / 2;
    SecondOrderResult first = secondOrderLinearAttention(q.slice(0, cut), k.slice(0, cut), v.slice(0, cut));
    SecondOrderResult second =
        secondOrderLinearAttention(q.slice(cut, tokens), k.slice(cut, tokens), v.slice(cut, tokens), {}, first.state);
    expectNear(concatenate(first.output, second.output), secondOrderLinearAttentionWhole(q, k, v));
  }
}
