//===- CudaDeviceTest.cpp - the CUDA device on the fake driver ------------===//

#include "runtime/device/cuda/CudaDevice.h"
#include "formats/numbers/ShortFloat.h"
#include "test/codegen/nvptx/emulator/Inputs/TensorCopy.h"
#include "test/runtime/Inputs/AssertOk.h"
#include "test/runtime/Inputs/TestModule.h"
#include "test/runtime/device/cuda/FakeCuda.h"

#include <cmath>
#include <dlfcn.h>
#include <gtest/gtest.h>

using namespace denim;
using namespace denim::test;

namespace {

const CudaLibraries kFakes = {DENIM_FAKE_CUDA "/libcuda.so.1", {"/nonexistent", DENIM_FAKE_CUDA "/libcublasLt.so.13"}};

class CudaDeviceTest : public ::testing::Test {
protected:
  CudaDeviceTest() { fake_cuda_reset(); }
  void open() { ASSERT_OK(CudaDevice::create(0, device, kFakes)); }

  std::shared_ptr<CudaDevice> device;
};

TEST_F(CudaDeviceTest, NoDriverIsOneLine) {
  Status status = CudaDevice::create(0, device, {"libcuda_that_nobody_has.so.1", {}});
  EXPECT_EQ(status.code(), DENIM_STATUS_NOT_FOUND);
  EXPECT_EQ(status.message().find("expected an NVIDIA driver (libcuda_that_nobody_has.so.1), but got: "), 0u)
      << status.message();
}

TEST_F(CudaDeviceTest, ALibraryThatIsNoDriverIsOneLine) {
  Status status = CudaDevice::create(0, device, {"libm.so.6", {}});
  EXPECT_EQ(status.code(), DENIM_STATUS_INCOMPATIBLE);
  EXPECT_EQ(status.message(), "expected an NVIDIA driver with cuInit (libm.so.6), but got an older one");
}

TEST_F(CudaDeviceTest, NoDeviceIsOneLine) {
  fake_cuda_set("devices", 0);
  EXPECT_EQ(CudaDevice::create(0, device, kFakes).message(),
            "expected a device of the NVIDIA driver, but got CUDA_ERROR_NO_DEVICE (as the fake says)");
  fake_cuda_set("devices", 1);
  EXPECT_EQ(CudaDevice::create(1, device, kFakes).message(), "expected device cuda:1, but got 1 CUDA devices");
}

TEST_F(CudaDeviceTest, SaysWhatItIs) {
  open();
  EXPECT_EQ(device->name(), "cuda:0");
  EXPECT_EQ(device->machine(), Machine::Cuda);
  EXPECT_TRUE(device->hasProducts());
  for (const char *feature : {"sm_90", "sm_90a", "sm_80"})
    EXPECT_TRUE(device->hasFeature(feature)) << feature;
  for (const char *feature : {"sm_80a", "sm_100", "sm_100a", "sm_", "sm_9x0", "avx2", ""})
    EXPECT_FALSE(device->hasFeature(feature)) << feature;
}

TEST_F(CudaDeviceTest, MemoryGrowsAtItsPlaceAndIsZero) {
  open();
  const size_t step = 2 << 20, most = 64 * step;
  long before = fake_cuda_count("memory");
  DeviceMemory memory;
  ASSERT_OK(device->reserve(most, memory));
  EXPECT_EQ(fake_cuda_count("memory"), before);
  char *base = memory.data();
  ASSERT_OK(device->commit(memory, 1));
  EXPECT_EQ(memory.committedBytes(), step);
  std::vector<char> bytes(step, 1), zeros(step, 0);
  ASSERT_OK(device->read(bytes.data(), base, step));
  EXPECT_EQ(bytes, zeros);
  bytes.assign(step, 7);
  ASSERT_OK(device->write(base, bytes.data(), step));
  ASSERT_OK(device->commit(memory, 5 * step - 1));
  EXPECT_EQ(memory.data(), base);
  EXPECT_EQ(memory.committedBytes(), 5 * step);
  std::vector<char> again(2 * step);
  ASSERT_OK(device->read(again.data(), base, 2 * step));
  EXPECT_EQ(std::vector<char>(again.begin(), again.begin() + step), bytes);
  EXPECT_EQ(std::vector<char>(again.begin() + step, again.end()), zeros);
  memory = DeviceMemory();
  EXPECT_EQ(fake_cuda_count("memory"), before);
}

TEST_F(CudaDeviceTest, MemoryThatRunsOutIsRefused) {
  open();
  DeviceMemory memory;
  ASSERT_OK(device->reserve(64 << 20, memory));
  fake_cuda_set("memory", 4 << 20);
  Status status = device->commit(memory, 8 << 20);
  EXPECT_EQ(status.code(), DENIM_STATUS_RESOURCE_EXHAUSTED);
  EXPECT_EQ(status.message(), "cuda:0: cuMemCreate of 8388608 bytes: expected success, but got "
                              "CUDA_ERROR_OUT_OF_MEMORY (as the fake says)");
  EXPECT_EQ(memory.committedBytes(), 0u);
  ASSERT_OK(device->commit(memory, 4 << 20)); // what is there can be had
}

TEST_F(CudaDeviceTest, CopiesAreInOrder) {
  open();
  DeviceMemory memory;
  ASSERT_OK(device->allocate(1 << 20, memory));
  int first = 17, last = 0;
  ASSERT_OK(device->write(memory.data(), &first, sizeof first));
  first = 18;
  device->copy(memory.data() + 4096, memory.data(), sizeof first);
  device->zero(memory.data(), sizeof first);
  device->copy(memory.data() + 8192, memory.data() + 4096, sizeof first);
  ASSERT_OK(device->read(&last, memory.data() + 8192, sizeof last));
  EXPECT_EQ(last, 17);
}

TEST_F(CudaDeviceTest, WhatACopyCouldNotSayTheNextCallSays) {
  open();
  device->zero(reinterpret_cast<void *>(4096), 64); // no memory of the device
  Status status = device->synchronize();
  EXPECT_EQ(
      status.message(),
      "cuda:0: cuMemsetD8Async of 64 bytes: expected success, but got CUDA_ERROR_INVALID_VALUE (as the fake says)");
  ASSERT_OK(device->synchronize());
}

TEST_F(CudaDeviceTest, TakesTheCubinThatFitsElseThePtx) {
  open();
  std::shared_ptr<const Executable> executable;
  std::vector<KernelInfo> kernels = {{"test_embed", 0, 128, 0}};
  std::string cubin = readFile(DENIM_CUDA_TEST_KERNELS), ptx = fakePtx();
  ASSERT_OK(device->load({"sm_90a", cubin, "wrong"}, kernels, executable));
  ASSERT_OK(device->load({"sm_90a", "", ptx}, kernels, executable));
  ASSERT_OK(device->load({"sm_80", "wrong", ptx}, kernels, executable)); // a cubin for another device is not looked at
  Status status = device->load({"sm_90a", "", "wrong"}, kernels, executable);
  EXPECT_EQ(status.code(), DENIM_STATUS_DATA_LOSS);
  EXPECT_EQ(status.message(), "code of the module: expected PTX that the driver of cuda:0 (Fake GPU) takes, but got "
                              "CUDA_ERROR_INVALID_PTX (as the fake says): ptxas fake, line 1; fatal no object");
}

TEST_F(CudaDeviceTest, RefusesKernelsThatTheDeviceCannotRun) {
  open();
  std::shared_ptr<const Executable> executable;
  auto refusal = [&](const KernelInfo &kernel) {
    return device->load({"sm_90a", "", fakePtx()}, {kernel}, executable).message();
  };
  EXPECT_EQ(refusal({"test_tail", 0, 128, 0}), "code of the module: expected a kernel 'test_tail', but got none");
  EXPECT_EQ(refusal({"test_head", 0, 1024, 0}),
            "kernel 'test_head': expected at most 512 threads of a block, but got 1024");
  EXPECT_EQ(refusal({"test_head", 0, 128, 232449}), "kernel 'test_head': expected at most 232448 bytes of shared "
                                                    "memory on cuda:0 (Fake GPU), but got 232449");
  EXPECT_EQ(refusal({"test_head", 0, 128, 232448}), "");
}

TEST_F(CudaDeviceTest, DevicesHaveNames) {
  std::shared_ptr<Device> made;
  for (const char *name : {"gpu", "cuda:", "cuda:-1", "cuda:1x", "cuda1", ""})
    EXPECT_EQ(createDevice(name, 1, made).message(),
              std::string("expected device cpu, cuda or cuda:N, but got '") + name + "'");
  ASSERT_OK(createDevice("cpu", 1, made));
  EXPECT_EQ(made->machine(), Machine::Cpu);
}

//===----------------------------------------------------------------------===//
// Tensor maps

class CudaTensorMapTest : public CudaDeviceTest {
protected:
  static constexpr int64_t kRows = 24, kColumns = 192, kRoom = 1 << 16;

  /// The rows of a map of the kernel's argument `argument`; boxes as the kernel wants them.
  static KernelInfo kernelOf(uint32_t argument = 0, int64_t rows = kTensorCopyRows) {
    KernelInfo kernel{"tensor_copy", 0, static_cast<uint32_t>(kTensorCopyThreads),
                      static_cast<uint32_t>(kTensorCopyShared)};
    kernel.tensorMaps = {{argument, kColumns, static_cast<uint32_t>(rows), static_cast<uint32_t>(kTensorCopyColumns)}};
    return kernel;
  }
  void prepare(const KernelInfo &kernel = kernelOf()) {
    open();
    ASSERT_OK(device->allocate(kRoom, in));
    ASSERT_OK(device->allocate(kRoom, out));
    for (size_t i = 0; i < matrix.size(); ++i)
      matrix[i] = static_cast<uint16_t>(i + 1);
    ASSERT_OK(device->load({"sm_90a", "", kTensorCopy}, {kernel}, executable));
    ASSERT_OK(device->createRunner(executable, 4096, runner));
    ASSERT_OK(runner->reserve(64));
  }
  /// Puts the matrix at byte |at| of `in`, runs the kernel in a pass and gives what it stored.
  std::vector<uint16_t> run(size_t at, std::string &failure) {
    EXPECT_FALSE(device->write(in.data() + at, matrix.data(), matrix.size() * 2));
    void *args[] = {in.data() + at, out.data()};
    std::vector<Launch> launches = {{0, kRows / kTensorCopyRows, args, 2, nullptr}};
    char *host = nullptr;
    EXPECT_FALSE(runner->begin(host));
    failure =
        runner
            ->run(
                {static_cast<int64_t>(at)}, 64, [&]() -> const std::vector<Launch> & { return launches; }, nullptr)
            .message();
    std::vector<uint16_t> result(kRows * kTensorCopyColumns);
    std::string later = device->read(result.data(), out.data(), result.size() * 2).message();
    failure = failure.empty() ? later : failure;
    return result;
  }
  std::vector<uint16_t> expected() const {
    std::vector<uint16_t> result(kRows * kTensorCopyColumns);
    for (int64_t row = 0; row < kRows; ++row)
      for (int64_t column = 0; column < kTensorCopyColumns; ++column) {
        int64_t box = row / kTensorCopyRows * kTensorCopyRows * kTensorCopyColumns;
        result[static_cast<size_t>(box + placeInBox(row % kTensorCopyRows, column))] =
            matrix[static_cast<size_t>(row * kColumns + 64 + column)];
      }
    return result;
  }

  std::vector<uint16_t> matrix = std::vector<uint16_t>(kRows * kColumns);
  DeviceMemory in, out;
  std::shared_ptr<const Executable> executable;
  std::unique_ptr<PassRunner> runner;
};

TEST_F(CudaTensorMapTest, KernelsCopyBoxes) {
  prepare();
  std::string failure;
  EXPECT_EQ(run(0, failure), expected());
  EXPECT_EQ(failure, "");
}

TEST_F(CudaTensorMapTest, AMapIsEncodedOnceForAnAddress) {
  prepare();
  std::string failure;
  // The first pass launches, the second is recorded, later ones replay the graph with the map it was recorded with.
  for (uint16_t pass = 0; pass < 4; ++pass) {
    matrix[70] = pass;
    EXPECT_EQ(run(0, failure), expected());
    EXPECT_EQ(failure, "");
  }
  EXPECT_EQ(fake_cuda_count("graph launches"), 3);
  EXPECT_EQ(fake_cuda_count("tensor maps"), 1);
  for (int pass = 0; pass < 3; ++pass) {
    EXPECT_EQ(run(4096, failure), expected());
    EXPECT_EQ(failure, "");
  }
  EXPECT_EQ(fake_cuda_count("tensor maps"), 2);
}

TEST_F(CudaTensorMapTest, MapsAreForgottenWithTheirMemory) {
  std::string failure;
  prepare();
  EXPECT_EQ(run(0, failure), expected());
  EXPECT_EQ(run(4096, failure), expected());
  EXPECT_EQ(device->keptMaps(), 2u);
  // Sessions come and go: what is kept does not grow, whether memory comes back at the same address or elsewhere.
  for (long session = 1; session <= 3; ++session) {
    in = DeviceMemory();
    EXPECT_EQ(device->keptMaps(), 0u);
    ASSERT_OK(device->allocate(kRoom, in));
    // A new runner: a graph of the last one would have the old address.
    ASSERT_OK(device->createRunner(executable, 4096, runner));
    ASSERT_OK(runner->reserve(64));
    EXPECT_EQ(run(0, failure), expected());
    EXPECT_EQ(failure, "");
    EXPECT_EQ(fake_cuda_count("tensor maps"), 2 + session);
    EXPECT_EQ(device->keptMaps(), 1u);
  }
}

TEST_F(CudaTensorMapTest, MapsOfOtherMemoryAreKept) {
  std::string failure;
  prepare();
  EXPECT_EQ(run(0, failure), expected());
  out = DeviceMemory();
  ASSERT_OK(device->allocate(kRoom, out));
  EXPECT_EQ(device->keptMaps(), 1u);
}

TEST_F(CudaTensorMapTest, RunnersShareAnExecutable) {
  std::string failure;
  prepare();
  // Two sessions: the same kernels and the same key of their passes, each with memory and a graph of its own.
  DeviceMemory otherIn, otherOut;
  std::unique_ptr<PassRunner> other;
  ASSERT_OK(device->allocate(kRoom, otherIn));
  ASSERT_OK(device->allocate(kRoom, otherOut));
  ASSERT_OK(device->createRunner(executable, 4096, other));
  ASSERT_OK(other->reserve(64));
  for (uint16_t pass = 0; pass < 8; ++pass) {
    matrix[70] = pass;
    EXPECT_EQ(run(0, failure), expected()) << pass;
    EXPECT_EQ(failure, "");
    std::swap(in, otherIn);
    std::swap(out, otherOut);
    std::swap(runner, other);
  }
  // The first pass of each launches, and each records the second.
  EXPECT_EQ(fake_cuda_count("graph launches"), 6);
  EXPECT_EQ(fake_cuda_count("tensor maps"), 2);
  // The executable is there as long as one of them.
  executable.reset();
  runner.reset();
  EXPECT_EQ(device->keptMaps(), 2u);
  std::swap(in, otherIn);
  std::swap(out, otherOut);
  std::swap(runner, other);
  EXPECT_EQ(run(0, failure), expected());
  EXPECT_EQ(failure, "");
  runner.reset();
  EXPECT_EQ(device->keptMaps(), 0u);
}

TEST_F(CudaTensorMapTest, ArgumentsThatNoMapDescribesAreRefused) {
  prepare();
  std::string failure;
  run(8, failure);
  EXPECT_EQ(
      failure.find("kernel 'tensor_copy': expected argument 0 at a multiple of 16 bytes for a tensor map, but got "),
      0u)
      << failure;
}

TEST_F(CudaTensorMapTest, ArgumentsThatALaunchHasNotAreRefused) {
  prepare(kernelOf(2));
  std::string failure;
  run(0, failure);
  EXPECT_EQ(failure, "kernel 'tensor_copy': expected more than 2 arguments for a tensor map, but got 2");
}

TEST_F(CudaTensorMapTest, WhatTheDriverRefusesIsSaid) {
  prepare(kernelOf(0, 257));
  std::string failure;
  run(0, failure);
  EXPECT_EQ(failure, "cuda:0: cuTensorMapEncodeTiled of 'tensor_copy', argument 0, 192 columns, boxes of 257 x 64: "
                     "expected success, but got CUDA_ERROR_INVALID_VALUE (as the fake says)");
}

TEST_F(CudaTensorMapTest, ADriverWithoutThemIsOneLine) {
  ASSERT_OK(CudaDevice::create(0, device, {DENIM_FAKE_CUDA "/libolder-cuda.so", {}}));
  std::shared_ptr<const Executable> executable;
  std::vector<KernelInfo> kernels = {kernelOf()};
  Status status = device->load({"sm_90a", "", kTensorCopy}, kernels, executable);
  EXPECT_EQ(status.code(), DENIM_STATUS_INCOMPATIBLE);
  EXPECT_EQ(status.message(), "kernel 'tensor_copy': expected a driver with cuTensorMapEncodeTiled for its tensor "
                              "maps, but got an older one");
  kernels[0].tensorMaps.clear();
  ASSERT_OK(device->load({"sm_90a", "", kTensorCopy}, kernels, executable));
}

//===----------------------------------------------------------------------===//
// Products

/// Small whole numbers: products and sums of them are exact in every type.
float valueAt(size_t i) {
  return static_cast<float>(static_cast<int>(i * 7 % 5) - 2);
}

class CudaProductTest : public CudaDeviceTest {
protected:
  /// Runs a product of |rows| in a pass |passes| times and gives the result.
  std::vector<float> run(Product::Type inputs, Product::Type output, bool residual, int64_t rows, int64_t columns,
                         int64_t inner, int passes) {
    auto room = [](int64_t count) { return static_cast<size_t>(count) * 4; };
    DeviceMemory x, weight, out, before;
    EXPECT_FALSE(device->allocate(room(rows * inner), x));
    EXPECT_FALSE(device->allocate(room(columns * inner), weight));
    EXPECT_FALSE(device->allocate(room(rows * columns), out));
    EXPECT_FALSE(device->allocate(room(rows * columns), before));
    fill(x, inputs, rows * inner, 0);
    fill(weight, inputs, columns * inner, 3);
    fill(before, output, rows * columns, 1);
    Product product{inputs,     output, x.data(), weight.data(), residual ? before.data() : nullptr,
                    out.data(), rows,   inner,    columns};
    // The kernel of the launch fails if it is called.
    void *args[] = {nullptr, nullptr};
    std::vector<Launch> launches = {{0, 1, args, 2, &product}};
    std::shared_ptr<const Executable> executable;
    EXPECT_FALSE(device->load({"sm_90a", "", fakePtx()}, {{"test_append", 0, 128, 0}}, executable));
    std::unique_ptr<PassRunner> runner;
    EXPECT_FALSE(device->createRunner(executable, 4096, runner));
    EXPECT_FALSE(runner->reserve(64));
    for (int pass = 0; pass < passes; ++pass) {
      char *host = nullptr;
      EXPECT_FALSE(runner->begin(host));
      Status status = runner->run(
          {rows}, 64, [&]() -> const std::vector<Launch> & { return launches; }, nullptr);
      EXPECT_FALSE(status) << status.message();
    }
    std::vector<char> bytes(room(rows * columns));
    failure = device->read(bytes.data(), out.data(), bytes.size()).message();
    std::vector<float> result;
    for (int64_t i = 0; i < rows * columns; ++i)
      result.push_back(output == Product::F32 ? reinterpret_cast<float *>(bytes.data())[i]
                                              : formats::fromBrain(reinterpret_cast<uint16_t *>(bytes.data())[i]));
    return result;
  }

  void fill(DeviceMemory &memory, Product::Type type, int64_t count, size_t seed) {
    std::vector<float> wide;
    std::vector<uint16_t> narrow;
    for (int64_t i = 0; i < count; ++i) {
      wide.push_back(valueAt(static_cast<size_t>(i) + seed));
      narrow.push_back(formats::toBrain(wide.back()));
    }
    EXPECT_FALSE(type == Product::F32 ? device->write(memory.data(), wide.data(), wide.size() * 4)
                                      : device->write(memory.data(), narrow.data(), narrow.size() * 2));
  }

  static std::vector<float> expected(bool residual, int64_t rows, int64_t columns, int64_t inner) {
    std::vector<float> result;
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t c = 0; c < columns; ++c) {
        float sum = residual ? valueAt(static_cast<size_t>(r * columns + c) + 1) : 0;
        for (int64_t k = 0; k < inner; ++k)
          sum += valueAt(static_cast<size_t>(r * inner + k)) * valueAt(static_cast<size_t>(c * inner + k) + 3);
        result.push_back(sum);
      }
    return result;
  }

  std::string failure;
};

TEST_F(CudaProductTest, TheLibraryComputesThem) {
  open();
  for (Product::Type inputs : {Product::F32, Product::BF16})
    for (Product::Type output : {Product::F32, Product::BF16})
      for (bool residual : {false, true}) {
        if (inputs == Product::F32 && output == Product::BF16)
          continue; // the library has no such products
        EXPECT_EQ(run(inputs, output, residual, 4, 6, 5, 1), expected(residual, 4, 6, 5));
        EXPECT_EQ(failure, "");
      }
}

TEST_F(CudaProductTest, GraphsHoldThem) {
  open();
  EXPECT_EQ(run(Product::BF16, Product::F32, true, 2, 7, 4, 4), expected(true, 2, 7, 4));
  EXPECT_EQ(fake_cuda_count("graph launches"), 3);
}

/// Products asked of the fake library's slow and fast algorithm since the last time.
std::pair<long, long> callsOfLibrary() {
  void *library = dlopen(DENIM_FAKE_CUDA "/libcublasLt.so.13", RTLD_NOW | RTLD_LOCAL);
  auto *calls = reinterpret_cast<long (*)(int)>(dlsym(library, "fake_cublaslt_calls"));
  long slow = calls(0), fast = calls(1);
  dlclose(library);
  return {slow, fast};
}

TEST_F(CudaProductTest, APassThatComesAgainIsMeasured) {
  ASSERT_OK(CudaDevice::create(0, device, {kFakes.driver, kFakes.blas, /*leastMeasured=*/1}));
  callsOfLibrary();
  using Calls = std::pair<long, long>;
  // Seen once: as the heuristic says.
  EXPECT_EQ(run(Product::BF16, Product::F32, true, 4, 6, 5, 1), expected(true, 4, 6, 5));
  EXPECT_EQ(callsOfLibrary(), Calls(1, 0));
  // The second pass measures, four turns of three runs each, and records the faster. What measuring left in the result
  // is not added to.
  EXPECT_EQ(run(Product::BF16, Product::F32, true, 4, 6, 5, 3), expected(true, 4, 6, 5));
  EXPECT_EQ(callsOfLibrary(), Calls(1 + 12, 12 + 1));
  // Three rows are of the size of four; nothing is measured again. Five are not, nor is a product that adds nothing.
  run(Product::BF16, Product::F32, true, 3, 6, 5, 2);
  EXPECT_EQ(callsOfLibrary(), Calls(0, 2));
  run(Product::BF16, Product::F32, true, 5, 6, 5, 1);
  run(Product::BF16, Product::F32, false, 4, 6, 5, 1);
  EXPECT_EQ(callsOfLibrary(), Calls(2, 0));
}

TEST_F(CudaProductTest, WhatWasMeasuredIsTakenOnlyWhereItIsProposed) {
  ASSERT_OK(CudaDevice::create(0, device, {kFakes.driver, kFakes.blas, /*leastMeasured=*/1}));
  run(Product::BF16, Product::F32, false, 64, 2, 2, 2);
  callsOfLibrary();
  run(Product::BF16, Product::F32, false, 47, 2, 2, 1);
  EXPECT_EQ(callsOfLibrary(), std::make_pair(0L, 1L));
  EXPECT_EQ(run(Product::BF16, Product::F32, false, 48, 2, 2, 1), expected(false, 48, 2, 2));
  EXPECT_EQ(callsOfLibrary(), std::make_pair(1L, 0L));
}

TEST_F(CudaProductTest, SmallProductsAreNotMeasured) {
  open();
  callsOfLibrary();
  run(Product::BF16, Product::F32, false, 4, 6, 5, 3);
  EXPECT_EQ(callsOfLibrary().second, 0);
}

TEST_F(CudaProductTest, WithoutAnAlgorithmOrLibraryTheKernelRuns) {
  open();
  // The kernel is given no arguments, so that it runs shows as an error.
  run(Product::F32, Product::F32, false, 2, 2, 3, 1);
  EXPECT_NE(failure.find("CUDA_ERROR_ILLEGAL_ADDRESS"), std::string::npos) << failure;
  fake_cuda_reset();
  open();
  run(Product::F32, Product::BF16, false, 2, 2, 4, 1);
  EXPECT_NE(failure.find("CUDA_ERROR_ILLEGAL_ADDRESS"), std::string::npos) << failure;
  fake_cuda_reset();
  ASSERT_OK(CudaDevice::create(0, device, {DENIM_FAKE_CUDA "/libcuda.so.1", {"/nonexistent"}}));
  EXPECT_FALSE(device->hasProducts());
  run(Product::F32, Product::F32, false, 2, 2, 2, 1);
  EXPECT_NE(failure.find("CUDA_ERROR_ILLEGAL_ADDRESS"), std::string::npos) << failure;
}

} // namespace
