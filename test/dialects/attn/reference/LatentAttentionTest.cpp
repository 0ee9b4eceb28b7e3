#include "dialects/attn/reference/LatentAttention.h"

#include "test/dialects/attn/reference/GoldenFile.h"

using namespace denim::attn::reference;
using denim::test::expectNear;
using denim::test::GoldenFile;

static LatentAttention operandsOf(const GoldenFile &golden) {
  LatentAttention attention;
  attention.qNope = golden.sequence("in.q_nope");
  attention.qRope = golden.sequence("in.q_rope");
  attention.latent = golden.sequence("in.c_kv");
  attention.kRope = golden.sequence("in.k_rope");
  attention.keyValue = golden.whole("in.kv_b");
  return attention;
}

TEST(LatentAttentionGolden, NaiveAndAbsorbed) {
  GoldenFile golden("mla");
  LatentAttention attention = operandsOf(golden);
  expectNear(latentAttentionNaive(attention), golden.sequence("out.o"));
  expectNear(latentAttentionAbsorbed(attention), golden.sequence("out.o"));

  SoftmaxAttention absorbed = absorbedForm(attention);
  expectNear(absorbed.q.columns(0, 20), golden.sequence("out.q_absorbed"));
  expectNear(softmaxAttention(absorbed), golden.sequence("out.o_latent"));
}

TEST(LatentAttention, DecodeIsTheLastRow) {
  GoldenFile golden("mla");
  LatentAttention attention = operandsOf(golden), last = attention;
  last.qNope = attention.qNope.slice(76, 77);
  last.qRope = attention.qRope.slice(76, 77);
  last.offset = 76;
  expectNear(latentAttentionAbsorbed(last), golden.sequence("out.o").slice(76, 77));
}

TEST(LatentAttention, ByHand) {
  // One head, dn = dr = r = 1, dv = 2. Two keys of equal score, so values average: W_UV (2 + 4) / 2 = (3, 30).
  LatentAttention attention;
  attention.qNope = Tensor({1, 1, 1}, {1});
  attention.qRope = Tensor({1, 1, 1}, {1});
  attention.latent = Tensor({2, 1}, {2, 4});
  attention.kRope = Tensor({2, 1}, {4, 0});           // 2 * 2 + 4 = 2 * 4 + 0
  attention.keyValue = Tensor({1, 3, 1}, {2, 1, 10}); // W_UK = 2, W_UV = (1, 10)
  attention.offset = 1;
  expectNear(latentAttentionNaive(attention), Tensor({1, 1, 2}, {3, 30}));
  expectNear(latentAttentionAbsorbed(attention), Tensor({1, 1, 2}, {3, 30}));
}
