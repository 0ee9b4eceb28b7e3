#include "dialects/attn/reference/NormalForm.h"

#include "dialects/attn/reference/ChunkedNormalForm.h"
#include "test/dialects/attn/reference/GoldenFile.h"
#include "test/dialects/attn/reference/RandomTensor.h"

using namespace denim::attn::reference;
using denim::test::expectNear;
using denim::test::RandomTensors;

namespace {

enum class Decay { None, Scalar, Vector };

struct Kind {
  Decay decay;
  bool lowRank;
  NormalForm::Read read;
};

std::vector<Kind> kinds() {
  std::vector<Kind> all;
  for (Decay decay : {Decay::None, Decay::Scalar, Decay::Vector})
    for (bool lowRank : {false, true})
      for (NormalForm::Read read : {NormalForm::Read::After, NormalForm::Read::Before})
        all.push_back({decay, lowRank, read});
  return all;
}

NormalForm randomForm(const Kind &kind, int64_t tokens, RandomTensors &random) {
  constexpr int64_t heads = 2, dk = 6, dv = 5;
  NormalForm form;
  form.q = random.uniform({tokens, heads, dk});
  form.K = random.uniform({tokens, heads, dk});
  form.V = random.uniform({tokens, heads, dv});
  if (kind.decay == Decay::Scalar)
    form.logDecay = random.uniform({tokens, heads}, -1, 0);
  if (kind.decay == Decay::Vector)
    form.logDecay = random.uniform({tokens, heads, dk}, -6, 0); // strong enough to overflow a factored e^-G in f32
  if (kind.lowRank) { // |P Q^T| below 1, so that states stay bounded over 150 tokens
    form.P = random.uniform({tokens, heads, dk}, -0.3, 0.3);
    form.Q = random.uniform({tokens, heads, dk}, -0.3, 0.3);
  }
  form.read = kind.read;
  return form;
}

void expectSame(const LinearResult &got, const LinearResult &want) {
  expectNear(got.output, want.output);
  expectNear(got.state, want.state);
}

} // namespace

TEST(NormalForm, AnyChunkIsTheSameFunction) {
  RandomTensors random;
  for (const Kind &kind : kinds())
    for (int64_t tokens : {0, 1, 37, 63, 64, 65, 150}) {
      NormalForm form = randomForm(kind, tokens, random);
      Tensor state = random.uniform({2, 6, 5});
      LinearResult want = evaluate(form, state);
      for (int64_t chunk : {1, 16, 64, 200}) {
        SCOPED_TRACE(std::to_string(tokens) + " tokens in chunks of " + std::to_string(chunk));
        expectSame(evaluateChunked(form, chunk, state), want);
      }
    }
}

TEST(NormalForm, TwoHalvesEqualTheWhole) {
  RandomTensors random;
  for (const Kind &kind : kinds()) {
    NormalForm form = randomForm(kind, 65, random);
    LinearResult whole = evaluate(form), first = evaluate(form.slice(0, 37)),
                 second = evaluate(form.slice(37, 65), first.state);
    expectSame({concatenate(first.output, second.output), second.state}, whole);
  }
}

TEST(NormalForm, NoTokensLeaveTheStateAlone) {
  RandomTensors random;
  NormalForm form = randomForm({Decay::Vector, true, NormalForm::Read::After}, 0, random);
  Tensor state = random.uniform({2, 6, 5});
  expectSame(evaluate(form, state), {Tensor({0, 2, 5}), state});
}

TEST(NormalForm, ZeroPaddingChangesNothing) {
  RandomTensors random;
  NormalForm form = randomForm({Decay::Scalar, true, NormalForm::Read::After}, 37, random), padded = form;
  auto pad = [](const Tensor &x) {
    Tensor::Shape shape = x.shape();
    shape[0] = 27;
    return concatenate(x, Tensor(shape));
  };
  padded.logDecay = pad(form.logDecay);
  padded.P = pad(form.P);
  padded.Q = pad(form.Q);
  padded.K = pad(form.K);
  padded.V = pad(form.V);
  padded.q = concatenate(form.q, random.uniform({27, 2, 6})); // queries of padding are arbitrary
  LinearResult want = evaluate(form), got = evaluateChunked(padded, 64);
  expectSame({got.output.slice(0, 37), got.state}, want);
}

TEST(NormalForm, ByHand) {
  // dk = 2, dv = 1: the example of the header, with a decay of 1/2 before the second token.
  double half = std::log(0.5);
  NormalForm form;
  form.q = Tensor({2, 1, 2}, {1, 1, 1, 1});
  form.logDecay = Tensor({2, 1}, {0, half});
  form.K = Tensor({2, 1, 2}, {1, 0, 0, 1});
  form.V = Tensor({2, 1, 1}, {5, 7});
  // (5, 0), then (2.5, 7).
  expectSame(evaluate(form), {Tensor({2, 1, 1}, {5, 9.5}), Tensor({1, 2, 1}, {2.5, 7})});
  form.read = NormalForm::Read::Before;
  expectSame(evaluate(form), {Tensor({2, 1, 1}, {0, 5}), Tensor({1, 2, 1}, {2.5, 7})});
  // P Q^T = [[0, 0], [1, 0]] copies the first row before its decay into the second: (2.5, 7 + 5).
  form.P = Tensor({2, 1, 2}, {0, 1, 0, 1});
  form.Q = Tensor({2, 1, 2}, {1, 0, 1, 0});
  expectSame(evaluate(form), {Tensor({2, 1, 1}, {0, 5}), Tensor({1, 2, 1}, {2.5, 12})});
}

TEST(NormalForm, StrongDecayStaysFinite) {
  // e^-G of this chunk is e^6400. Differences of exponents are taken before exp, so nothing overflows.
  RandomTensors random;
  NormalForm form = randomForm({Decay::Vector, true, NormalForm::Read::After}, 64, random);
  for (double &value : form.logDecay.values())
    value = -100;
  expectSame(evaluateChunked(form, 64), evaluate(form));
}

TEST(NormalFormDeathTest, RefusesShapesThatDoNotFit) {
  RandomTensors random;
  NormalForm form = randomForm({Decay::Scalar, true, NormalForm::Read::After}, 3, random);
  NormalForm wrong = form;
  wrong.Q = {};
  EXPECT_DEATH(evaluate(wrong), "expected both P and Q or neither");
  wrong = form;
  wrong.logDecay = Tensor({3, 2, 5});
  EXPECT_DEATH(evaluate(wrong), "expected log decay of shape \\[3, 2, 6\\], but got \\[3, 2, 5\\]");
  EXPECT_DEATH(evaluate(form, Tensor({2, 5, 6})), "expected state of shape \\[2, 6, 5\\], but got \\[2, 5, 6\\]");
}
