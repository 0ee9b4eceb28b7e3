#include "dialects/attn/reference/Mamba2.h"

#include "dialects/attn/reference/Activation.h"
#include "dialects/attn/reference/ChunkedNormalForm.h"
#include "test/dialects/attn/reference/GoldenFile.h"

using namespace denim::attn::reference;
using denim::test::expectNear;
using denim::test::GoldenFile;

TEST(Mamba2Golden, Scan) {
  GoldenFile golden("mamba2_ssd");
  Mamba2 scan;
  scan.x = golden.sequence("in.x");
  scan.dt = golden.sequence("in.dt");
  scan.B = golden.sequence("in.B");
  scan.C = golden.sequence("in.C");
  scan.aLog = golden.whole("in.A_log");
  scan.dtBias = golden.whole("in.dt_bias");
  scan.D = golden.whole("in.D");
  Tensor state = transposed(golden.sequence("in.initial_state")); // stored value-first
  Tensor stateWant = transposed(golden.sequence("out.state"));

  LinearResult got = mamba2(scan, state);
  expectNear(got.output, golden.sequence("out.o"));
  expectNear(got.state, stateWant);
  for (int64_t chunk : {1, 16, 64, 200}) {
    LinearResult chunked = evaluateChunked(normalForm(scan), chunk, state);
    expectNear(withSkip(scan, chunked.output), golden.sequence("out.o"));
    expectNear(chunked.state, stateWant);
  }
}

/// One head, N = P = 1, decay 1/2 per unit of step.
static Mamba2 smallScan() {
  Mamba2 scan;
  scan.x = Tensor({2, 1, 1}, {3, 5});
  scan.dt = Tensor({2, 1}, {100, 100}); // softplus(100) is 100, which the limit cuts to 1
  scan.highestStep = 1;
  scan.B = Tensor({2, 1, 1}, {1, 1});
  scan.C = Tensor({2, 1, 1}, {2, 2});
  scan.aLog = Tensor({1}, {std::log(std::log(2.0))});
  scan.dtBias = Tensor({1});
  return scan;
}

TEST(Mamba2, ByHand) {
  Mamba2 scan = smallScan();
  LinearResult got = mamba2(scan); // states 3 and 1.5 + 5
  expectNear(got.output, Tensor({2, 1, 1}, {6, 13}));
  expectNear(got.state, Tensor({1, 1, 1}, {6.5}));
  scan.D = Tensor({1}, {10});
  expectNear(mamba2(scan).output, Tensor({2, 1, 1}, {36, 63}));
}

TEST(Mamba2, ClampsInDecodeAsInPrefill) {
  Mamba2 scan = smallScan(), first = scan, second = scan;
  for (Tensor Mamba2::*part : {&Mamba2::x, &Mamba2::dt, &Mamba2::B, &Mamba2::C}) {
    first.*part = (scan.*part).slice(0, 1);
    second.*part = (scan.*part).slice(1, 2);
  }
  expectNear(mamba2(second, mamba2(first).state).output, mamba2(scan).output.slice(1, 2));
}

TEST(Mamba2, HeadsUseTheirGroup) {
  // 4 heads on 2 groups: heads 0 and 1 use group 0.
  Mamba2 scan;
  scan.x = Tensor({1, 4, 1}, {1, 1, 1, 1});
  scan.dt = Tensor({1, 4});
  scan.B = Tensor({1, 2, 1}, {1, 1});
  scan.C = Tensor({1, 2, 1}, {5, 9});
  scan.aLog = Tensor({4});
  scan.dtBias = Tensor({4});
  double step = softplus(0);
  expectNear(mamba2(scan).output, Tensor({1, 4, 1}, {5 * step, 5 * step, 9 * step, 9 * step}));
}
