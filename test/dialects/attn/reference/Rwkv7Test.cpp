#include "dialects/attn/reference/Rwkv7.h"

#include "dialects/attn/reference/ChunkedNormalForm.h"
#include "dialects/attn/reference/L2Norm.h"
#include "test/dialects/attn/reference/GoldenFile.h"

using namespace denim::attn::reference;
using denim::test::expectNear;
using denim::test::GoldenFile;

TEST(Rwkv7Golden, RecurrentAndChunked) {
  GoldenFile golden("rwkv7");
  Rwkv7 mixer;
  mixer.r = golden.sequence("in.r");
  mixer.w = golden.sequence("in.w");
  mixer.k = golden.sequence("in.k");
  mixer.v = golden.sequence("in.v");
  mixer.removal = l2Norm(mixer.k, 0);
  mixer.rate = golden.sequence("in.iclr");
  Tensor state = golden.sequence("in.initial_state");
  LinearResult got = rwkv7(mixer, state);
  expectNear(got.output, golden.sequence("out.o"));
  expectNear(got.state, golden.sequence("out.state"));
  for (int64_t chunk : {1, 16, 64, 200}) {
    LinearResult chunked = evaluateChunked(normalForm(mixer), chunk, state);
    expectNear(chunked.output, golden.sequence("out.o"));
    expectNear(chunked.state, golden.sequence("out.state"));
  }
}

TEST(Rwkv7, RemovesFromTheStateBeforeItsDecay) {
  // State 8, decay 1/2, rate 1/4: 8/2 - 8/4 + 1 = 3. Removal after the decay would leave 4 - 1 + 1 = 4.
  Rwkv7 mixer;
  mixer.r = mixer.k = mixer.v = mixer.removal = Tensor({1, 1, 1}, {1});
  mixer.w = Tensor({1, 1, 1}, {std::log(0.5)});
  mixer.rate = Tensor({1, 1, 1}, {0.25});
  expectNear(rwkv7(mixer, Tensor({1, 1, 1}, {8})).output, Tensor({1, 1, 1}, {3}));
}
