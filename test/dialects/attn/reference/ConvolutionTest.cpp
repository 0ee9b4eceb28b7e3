#include "dialects/attn/reference/Convolution.h"

#include "test/dialects/attn/reference/GoldenFile.h"
#include "test/dialects/attn/reference/RandomTensor.h"

using namespace denim::attn::reference;
using denim::test::expectNear;
using denim::test::GoldenFile;
using denim::test::RandomTensors;

TEST(ConvolutionGolden, Short) {
  GoldenFile golden("short_conv");
  Tensor x = golden.sequence("in.x"), weight = golden.whole("in.weight");
  ConvolutionResult got = shortConvolution(x, weight, golden.whole("in.bias"), golden.sequence("in.state"));
  expectNear(got.output, golden.sequence("out.y"));
  expectNear(got.tail, golden.sequence("out.state"));
  got = shortConvolution(x, weight);
  expectNear(got.output, golden.sequence("out.y_zero_state_no_bias"));
  expectNear(got.tail, golden.sequence("out.state_zero_state"));
}

TEST(ConvolutionGolden, Dynamic) {
  GoldenFile golden("dynamic_conv");
  ConvolutionResult got =
      dynamicConvolution(golden.sequence("in.x"), golden.sequence("in.kernel"), golden.sequence("in.state"));
  expectNear(got.output, golden.sequence("out.y"));
  expectNear(got.tail, golden.sequence("out.state"));
}

TEST(Convolution, ByHand) {
  // Taps (100, 10, 1), the last meets the current token; the tail holds the inputs before.
  Tensor x({3, 1}, {3, 4, 5}), weight({1, 3}, {100, 10, 1}), tail({1, 2}, {1, 2});
  ConvolutionResult got = shortConvolution(x, weight, {}, tail, /*silu=*/false);
  expectNear(got.output, Tensor({3, 1}, {123, 234, 345}));
  expectNear(got.tail, Tensor({1, 2}, {4, 5}));
}

TEST(Convolution, FewerTokensThanTheTailShiftIt) {
  Tensor weight({1, 4}, {1, 1, 1, 1}), tail({1, 3}, {1, 2, 3});
  expectNear(shortConvolution(Tensor({0, 1}), weight, {}, tail).tail, tail);
  expectNear(shortConvolution(Tensor({1, 1}, {9}), weight, {}, tail).tail, Tensor({1, 3}, {2, 3, 9}));
}

TEST(Convolution, TwoHalvesEqualTheWhole) {
  RandomTensors random;
  for (int64_t tokens : {1, 2, 37, 64, 65}) {
    Tensor x = random.uniform({tokens, 3}), kernel = random.uniform({tokens, 3, 4});
    ConvolutionResult whole = dynamicConvolution(x, kernel);
    int64_t cut = tokens / 2;
    ConvolutionResult first = dynamicConvolution(x.slice(0, cut), kernel.slice(0, cut));
    ConvolutionResult second = dynamicConvolution(x.slice(cut, tokens), kernel.slice(cut, tokens), first.tail);
    expectNear(concatenate(first.output, second.output), whole.output);
    expectNear(second.tail, whole.tail);
  }
}

TEST(Convolution, AKernelEqualForAllTokensIsTheShortOne) {
  RandomTensors random;
  Tensor x = random.uniform({9, 3}), weight = random.uniform({3, 4}), kernel({9, 3, 4});
  for (int64_t t = 0; t < 9; ++t)
    for (int64_t i = 0; i < 12; ++i)
      kernel.row(t)[i] = weight.values()[static_cast<size_t>(i)];
  expectNear(dynamicConvolution(x, kernel).output, shortConvolution(x, weight).output);
}
