//===- CudaSessionTest.cpp - a session on CUDA gives the CPU's bits -------===//
//
// The same module, kernels from the same C code, on the fake driver: whatever differs is the runtime's.
//
//===----------------------------------------------------------------------===//

#include "runtime/device/cpu/CpuDevice.h"
#include "runtime/device/cuda/CudaDevice.h"
#include "runtime/session/Session.h"
#include "test/formats/TemporaryDirectory.h"
#include "test/runtime/Inputs/AssertOk.h"
#include "test/runtime/Inputs/TestModule.h"
#include "test/runtime/device/cuda/FakeCuda.h"

#include <cmath>
#include <gtest/gtest.h>

using namespace denim;
using namespace denim::test;

namespace {

class CudaSessionTest : public ::testing::Test {
protected:
  CudaSessionTest() { fake_cuda_reset(); }

  Status create(std::shared_ptr<Device> device, std::unique_ptr<Session> &out, SessionOptions options = {},
                const std::string &plan = kTestPlan) {
    options.cacheBytes = 1 << 20;
    std::shared_ptr<const Module> module;
    if (Status status = Module::open(directory.write("m.denim", testModuleOfTwo(plan)), module))
      return status;
    const Plan *own = nullptr;
    if (Status status = module->plan(device->machine(), own))
      return status;
    Weights weights;
    if (Status status = Weights::random(*own, 1, *device, weights))
      return status;
    return Session::create(std::move(device), module, std::move(weights), options, out);
  }

  /// The same on both machines.
  void createBoth(SessionOptions options = {}, const std::string &plan = kTestPlan) {
    ASSERT_OK(CudaDevice::create(0, device, {DENIM_FAKE_CUDA "/libcuda.so.1", {}}));
    ASSERT_OK(create(std::make_shared<CpuDevice>(2), cpu, options, plan));
    ASSERT_OK(create(device, gpu, options, plan));
  }

  /// One step on both; their logits must have the same bits.
  void step(const std::vector<StepEntry> &entries) {
    int64_t rows = 0;
    for (const StepEntry &entry : entries)
      rows += entry.logitsRows();
    std::vector<float> expected(rows * kTestVocabulary, -1), logits(rows * kTestVocabulary, -2);
    ASSERT_OK(cpu->step(entries.data(), entries.size(), expected.data(), rows));
    ASSERT_OK(gpu->step(entries.data(), entries.size(), logits.data(), rows));
    EXPECT_EQ(logits, expected);
    last = logits;
  }

  SequenceId sequence() {
    SequenceId a = 0, b = 0;
    EXPECT_FALSE(cpu->createSequence(a));
    EXPECT_FALSE(gpu->createSequence(b));
    EXPECT_EQ(a, b);
    return a;
  }

  static std::vector<int32_t> someTokens(size_t count, int seed) {
    std::vector<int32_t> tokens;
    for (size_t i = 0; i < count; ++i)
      tokens.push_back(static_cast<int32_t>((i * i * 7 + i * 3 + seed * 11) % kTestVocabulary));
    return tokens;
  }

  TemporaryDirectory directory;
  std::shared_ptr<CudaDevice> device;
  std::unique_ptr<Session> cpu, gpu;
  std::vector<float> last;
};

TEST_F(CudaSessionTest, PromptAndDecodeGiveTheSameBits) {
  createBoth();
  EXPECT_EQ(gpu->target().name, "sm_90a");
  std::vector<int32_t> tokens = someTokens(200, 1);
  SequenceId a = sequence();
  step({{a, tokens.data(), 150, Logits::All}});
  for (int t = 150; t < 200; ++t) // over the end of a page
    step({{a, tokens.data() + t, 1, Logits::Last}});
}

TEST_F(CudaSessionTest, DecodingIsOneOrderPerStep) {
  createBoth();
  std::vector<int32_t> tokens = someTokens(40, 1);
  SequenceId a = sequence();
  step({{a, tokens.data(), 10, Logits::Last}});
  long launches = fake_cuda_count("launches");
  EXPECT_EQ(fake_cuda_count("launch calls"), launches);
  step({{a, tokens.data() + 10, 1, Logits::Last}}); // the first of its kind: launch by launch
  long each = fake_cuda_count("launches") - launches;
  EXPECT_EQ(each, 5);
  EXPECT_EQ(fake_cuda_count("graph launches"), 0);
  step({{a, tokens.data() + 11, 1, Logits::Last}}); // recorded, then run
  long calls = fake_cuda_count("launch calls");
  for (int t = 12; t < 40; ++t)
    step({{a, tokens.data() + t, 1, Logits::Last}});
  EXPECT_EQ(fake_cuda_count("launch calls"), calls);
  EXPECT_EQ(fake_cuda_count("graph launches"), 29);
  EXPECT_EQ(fake_cuda_count("launches"), launches + 30 * each);
  // One kernel of a pass may overlap with the one before: in three passes that were launched or recorded.
  EXPECT_EQ(fake_cuda_count("overlapped"), 3);
}

TEST_F(CudaSessionTest, GraphsSeeOtherSequencesOfTheSameShape) {
  createBoth();
  std::vector<int32_t> tokens = someTokens(90, 3);
  SequenceId a = sequence(), b = sequence();
  for (int t = 0; t < 8; ++t) {
    step({{a, tokens.data() + t, 1, Logits::Last}});
    step({{b, tokens.data() + 40 + t, 1, Logits::Last}});
    step({{a, tokens.data() + t, 1, Logits::Last}, {b, tokens.data() + t, 1, Logits::None}});
    step({{b, tokens.data() + t, 1, Logits::Last}, {a, tokens.data() + t, 1, Logits::None}});
  }
  EXPECT_GT(fake_cuda_count("graph launches"), 20);
}

TEST_F(CudaSessionTest, MoreShapesThanGraphsAreKept) {
  createBoth();
  std::vector<int32_t> tokens = someTokens(160, 3);
  for (int round = 0; round < 2; ++round)
    for (int n = 1; n < 160; ++n) {
      SequenceId a = sequence();
      step({{a, tokens.data(), n, Logits::Last}});
      ASSERT_OK(cpu->release(a));
      ASSERT_OK(gpu->release(a));
    }
  EXPECT_EQ(fake_cuda_count("graph launches"), 0); // each was forgotten before it came again
  for (int n = 100; n < 160; ++n) {
    SequenceId a = sequence();
    step({{a, tokens.data(), n, Logits::Last}});
  }
  EXPECT_EQ(fake_cuda_count("graph launches"), 60);
}

TEST_F(CudaSessionTest, LongStepsAndForksGiveTheSameBits) {
  SessionOptions options;
  options.maxStepTokens = 50;
  createBoth(options);
  std::vector<int32_t> tokens = someTokens(300, 2);
  SequenceId a = sequence(), b = 0, c = 0;
  step({{a, tokens.data(), 170, Logits::None}}); // passes whose arrays are written while the one before may run
  ASSERT_OK(cpu->fork(a, b));
  ASSERT_OK(gpu->fork(a, c));
  ASSERT_EQ(b, c);
  step({{a, tokens.data() + 170, 20, Logits::All}, {b, tokens.data() + 200, 90, Logits::All}});
  ASSERT_OK(cpu->release(a));
  ASSERT_OK(gpu->release(a));
  SequenceId d = sequence(); // in the slot and pages that a had
  step({{d, tokens.data(), 130, Logits::All}, {b, tokens.data(), 3, Logits::Last}});
}

TEST_F(CudaSessionTest, LaunchesRunWhenTheirConditionHolds) {
  // The layer with pages appends always, attends in one of two launches that share the kernel.
  std::string attend =
      R"({"kernel": 3, "items": {"per": "tokens", "block": 8, "times": 1}, "args": [["slot", 0], ["cache", 0]])";
  std::string rows = with(kTestPlan, attend + "}",
                          attend + R"(, "when": {"of": "rows", "least": 1, "most": 8}}, )" + attend +
                              R"(, "when": {"of": "rows", "least": 9, "most": 1000000}})");
  std::string sequences =
      with(kTestPlan, attend + "}", attend + R"(, "when": {"of": "sequence", "least": 2, "most": 5}})");
  std::string never = with(kTestPlan, attend + "}", attend + R"(, "when": {"of": "rows", "least": 0, "most": 0}})");
  std::vector<int32_t> tokens = someTokens(60, 2);
  auto logitsOf = [&](const std::string &plan) {
    std::vector<std::vector<float>> all;
    createBoth({}, plan);
    SequenceId a = sequence(), b = sequence();
    for (int round = 0; round < 3; ++round) {
      step({{a, tokens.data(), 1, Logits::Last}, {b, tokens.data(), 1, Logits::Last}});
      all.push_back(last);
    }
    for (int64_t n : {1, 4, 6, 20}) {
      step({{a, tokens.data(), n, Logits::Last}, {b, tokens.data(), 1, Logits::Last}});
      all.push_back(last);
    }
    return all;
  };
  auto always = logitsOf(kTestPlan), byRows = logitsOf(rows), bySequence = logitsOf(sequences),
       without = logitsOf(never);
  EXPECT_EQ(always, byRows);
  for (size_t i = 0; i < always.size(); ++i) {
    EXPECT_NE(always[i], without[i]) << i;
    // Only the pass with a sequence of 4 new tokens; attention leaves nothing behind that later passes would see.
    EXPECT_EQ(bySequence[i], i == 4 ? always[i] : without[i]) << i;
  }
  // Of two sequences none is longer than twice their mean.
  auto only = [&](const std::string &condition) {
    return logitsOf(with(kTestPlan, attend + "}",
                         attend + R"(, "when": {"of": "sequence", "least": 1, "most": 100, )" + condition + "}}"));
  };
  EXPECT_EQ(only(R"("even": 2)"), always);
  EXPECT_EQ(only(R"("even": 3)"), without);
  EXPECT_EQ(only(R"("uneven": 2)"), without);
  EXPECT_EQ(only(R"("uneven": 3)"), always);
  EXPECT_EQ(only(R"("sequences": 2)"), always);
  EXPECT_EQ(only(R"("sequences": 3)"), without);
  EXPECT_EQ(only(R"("fewer": 2)"), without);
  EXPECT_EQ(only(R"("fewer": 3)"), always);
  auto ofMany = only(R"("tokens": 5)");
  for (size_t i = 0; i < always.size(); ++i)
    EXPECT_EQ(ofMany[i], i >= 4 ? always[i] : without[i]) << i;
}

TEST_F(CudaSessionTest, ProductsOfManyRowsAreTheLibrarys) {
  // With logits of every token, the head is a plain product of the rows of slot 0.
  std::string plan = with(kTestPlan, R"({"rows": "tokens", "row_bytes": 64, "type": "f32"})",
                          R"({"rows": "outputs", "row_bytes": 64, "type": "f32"})");
  plan = with(plan, R"("args": [["slot", 0], ["slot", 1], ["parameter", 0]]})",
              R"("args": [["slot", 0], ["slot", 1], ["parameter", 0]],
                 "product": {"x": 0, "weight": 2, "out": 1, "residual": -1, "inner": 16, "columns": 32, "least": 3}})");
  ASSERT_OK(CudaDevice::create(0, device, {DENIM_FAKE_CUDA "/libcuda.so.1", {DENIM_FAKE_CUDA "/libcublasLt.so.13"}}));
  ASSERT_OK(create(std::make_shared<CpuDevice>(2), cpu, {}, plan));
  ASSERT_OK(create(device, gpu, {}, plan));
  std::vector<int32_t> tokens = someTokens(100, 2);
  SequenceId a = sequence();
  int64_t begin = 0;
  for (int64_t n : {2, 3, 3, 3, 20, 1}) { // three times 3: directly, recorded, repeated
    StepEntry entry{a, tokens.data() + begin, n, Logits::All};
    begin += n;
    std::vector<float> expected(n * kTestVocabulary, -1), logits(n * kTestVocabulary, -2);
    ASSERT_OK(cpu->step(&entry, 1, expected.data(), n));
    long launches = fake_cuda_count("launches");
    ASSERT_OK(gpu->step(&entry, 1, logits.data(), n));
    EXPECT_EQ(fake_cuda_count("launches") - launches, n >= 3 ? 4 : 5) << n << " rows";
    for (size_t i = 0; i < logits.size(); ++i) // two compilations of one sum may fuse differently
      ASSERT_NEAR(logits[i], expected[i], 1e-5 * (1 + std::abs(expected[i]))) << n << " rows, at " << i;
  }
}

TEST_F(CudaSessionTest, ProfilesWithoutGraphs) {
  createBoth();
  std::vector<int32_t> tokens = someTokens(10, 2);
  SequenceId a = sequence();
  LaunchTimes times{std::vector<double>(5), {}};
  gpu->profile(&times);
  for (int t = 0; t < 10; ++t)
    step({{a, tokens.data() + t, 1, Logits::Last}});
  EXPECT_EQ(fake_cuda_count("graph launches"), 0);
  for (double one : times.seconds)
    EXPECT_GT(one, 0);
}

TEST_F(CudaSessionTest, ProfilesNeighboursAsOne) {
  createBoth();
  std::vector<int32_t> tokens = someTokens(10, 2);
  SequenceId a = sequence();
  LaunchTimes alone{std::vector<double>(5), {}};
  gpu->profile(&alone);
  long before = fake_cuda_count("events");
  step({{a, tokens.data(), 1, Logits::Last}});
  long each = fake_cuda_count("events") - before;
  // Kernels 1 and 2 follow each other, 4 stands alone.
  LaunchTimes joined{std::vector<double>(5), {false, true, true, false, true}};
  gpu->profile(&joined);
  before = fake_cuda_count("events");
  step({{a, tokens.data() + 1, 1, Logits::Last}});
  EXPECT_EQ(fake_cuda_count("events") - before, each - 2);
  EXPECT_GT(joined.seconds[1], 0);
  EXPECT_EQ(joined.seconds[2], 0);
  for (int kernel : {0, 3, 4})
    EXPECT_GT(joined.seconds[kernel], 0) << kernel;
}

TEST_F(CudaSessionTest, ReplaysKernelsOfTheStepBefore) {
  createBoth();
  std::vector<int32_t> tokens = someTokens(1, 2);
  SequenceId a = sequence();
  LaunchTimes times{std::vector<double>(5), {}};
  double one = 0;
  gpu->profile(&times);
  EXPECT_EQ(gpu->replay({1, 3}, 3, one).message(), "expected a kernel of the step before, but got none");
  step({{a, tokens.data(), 1, Logits::Last}});
  long launches = fake_cuda_count("launches");
  ASSERT_OK(gpu->replay({1, 3}, 3, one));
  EXPECT_GT(one, 0);
  EXPECT_EQ(fake_cuda_count("graph launches"), 4); // one in front of those that are timed
  EXPECT_EQ(fake_cuda_count("launches") - launches, 8);
}

TEST_F(CudaSessionTest, AKernelThatFailsIsOneError) {
  createBoth();
  std::vector<int32_t> tokens = someTokens(10, 2);
  SequenceId a = sequence();
  step({{a, tokens.data(), 3, Logits::Last}});
  fake_cuda_set("fail launch", 2);
  StepEntry entry{a, tokens.data(), 1, Logits::None};
  Status status = gpu->step(&entry, 1, nullptr, 0);
  EXPECT_EQ(status.code(), DENIM_STATUS_DEVICE_LOST);
  EXPECT_EQ(status.message(), "cuda:0: work on the stream: expected success, but got CUDA_ERROR_LAUNCH_FAILED (as the "
                              "fake says)");
  status = gpu->step(&entry, 1, nullptr, 0);
  EXPECT_EQ(status.code(), DENIM_STATUS_DEVICE_LOST);
  EXPECT_EQ(status.message(), "cuda:0: work on the stream: expected success, but got CUDA_ERROR_LAUNCH_FAILED (as the "
                              "fake says); the device is lost to this process");
  gpu.reset(); // and it ends
  device.reset();
  EXPECT_EQ(fake_cuda_count("contexts"), 0);
}

TEST_F(CudaSessionTest, MemoryThatRunsOutIsRefusedAndLosesNothing) {
  createBoth();
  std::vector<int32_t> tokens = someTokens(300, 2);
  SequenceId a = sequence();
  step({{a, tokens.data(), 3, Logits::Last}});
  // Another session does not fit; this one goes on.
  fake_cuda_set("memory", 1 << 20);
  std::unique_ptr<Session> other;
  Status status = create(device, other);
  EXPECT_EQ(status.code(), DENIM_STATUS_RESOURCE_EXHAUSTED);
  EXPECT_NE(status.message().find("cuMemCreate of 2097152 bytes: expected success, but got CUDA_ERROR_OUT_OF_MEMORY"),
            std::string::npos)
      << status.message();
  step({{a, tokens.data(), 3, Logits::Last}});
}

TEST_F(CudaSessionTest, NothingIsLeftBehind) {
  {
    createBoth();
    std::vector<int32_t> tokens = someTokens(300, 2);
    SequenceId a = sequence();
    for (int round = 0; round < 3; ++round)
      step({{a, tokens.data(), 3, Logits::Last}});
    EXPECT_GT(fake_cuda_count("memory"), 0);
    gpu.reset();
    device.reset();
  }
  EXPECT_EQ(fake_cuda_count("memory"), 0);
  EXPECT_EQ(fake_cuda_count("pinned"), 0);
  EXPECT_EQ(fake_cuda_count("contexts"), 0);
}

TEST_F(CudaSessionTest, AModuleForTheOtherMachineIsRefused) {
  std::shared_ptr<CudaDevice> gpuDevice;
  ASSERT_OK(CudaDevice::create(0, gpuDevice, {DENIM_FAKE_CUDA "/libcuda.so.1", {}}));
  std::shared_ptr<const Module> module;
  std::string path = directory.write("cpu.denim", testModule());
  ASSERT_OK(Module::open(path, module));
  std::unique_ptr<Session> session;
  Status status = Session::create(gpuDevice, module, Weights(), {}, session);
  EXPECT_EQ(status.code(), DENIM_STATUS_INCOMPATIBLE);
  EXPECT_EQ(status.message(), "'" + path + "': expected a plan for cuda, but got one for cpu");
}

} // namespace
