// Runs the cases of a file on the first GPU and compares what they leave in memory. Needs the driver alone.
//
//   run-gpu-cases FILE... [--repeat N]
#include "runtime/abi/Kernel.h"
#include "test/codegen/nvptx/CompareCase.h"
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <memory>

using namespace denim::test;

namespace {

using Address = unsigned long long;

/// The entry points used here, with the signatures of cuda.h.
struct Driver {
  int (*init)(unsigned);
  int (*deviceGet)(int *, int);
  int (*retain)(void **, int);
  int (*setCurrent)(void *);
  int (*allocate)(Address *, size_t);
  int (*release)(Address);
  int (*toDevice)(Address, const void *, size_t);
  int (*toHost)(void *, Address, size_t);
  int (*load)(void **, const void *, unsigned, int *, void **);
  int (*unload)(void *);
  int (*function)(void **, void *, const char *);
  int (*attribute)(void *, int, int);
  int (*launch)(void *, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void *, void **, void **);
  int (*synchronize)();
  int (*errorName)(int, const char **);
  int (*encodeTensor)(void *, int, unsigned, void *, const uint64_t *, const uint64_t *, const unsigned *,
                      const unsigned *, int, int, int, int);
};

Driver driver;

void check(int status, const char *what) {
  if (status == 0)
    return;
  const char *name = "?";
  driver.errorName(status, &name);
  std::printf("expected %s to succeed, but it gave %s\n", what, name);
  std::printf("0 passed, 1 failed\n");
  std::exit(1);
}

void open() {
  void *library = dlopen("libcuda.so.1", RTLD_NOW);
  if (!library) {
    std::printf("expected an NVIDIA driver (libcuda.so.1), but %s\n", dlerror());
    std::exit(2);
  }
  auto find = [&](auto &function, const char *name) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(library, name));
    if (!function)
      std::exit((std::printf("expected the driver to have %s\n", name), 2));
  };
  find(driver.init, "cuInit");
  find(driver.deviceGet, "cuDeviceGet");
  find(driver.retain, "cuDevicePrimaryCtxRetain");
  find(driver.setCurrent, "cuCtxSetCurrent");
  find(driver.allocate, "cuMemAlloc_v2");
  find(driver.release, "cuMemFree_v2");
  find(driver.toDevice, "cuMemcpyHtoD_v2");
  find(driver.toHost, "cuMemcpyDtoH_v2");
  find(driver.load, "cuModuleLoadDataEx");
  find(driver.unload, "cuModuleUnload");
  find(driver.function, "cuModuleGetFunction");
  find(driver.attribute, "cuFuncSetAttribute");
  find(driver.launch, "cuLaunchKernel");
  find(driver.synchronize, "cuCtxSynchronize");
  find(driver.errorName, "cuGetErrorName");
  find(driver.encodeTensor, "cuTensorMapEncodeTiled");
  check(driver.init(0), "cuInit");
  int device = 0;
  check(driver.deviceGet(&device, 0), "cuDeviceGet");
  void *context = nullptr;
  check(driver.retain(&context, device), "cuDevicePrimaryCtxRetain");
  check(driver.setCurrent(context), "cuCtxSetCurrent");
}

/// Device memory with a band of a known pattern on both sides.
class Guarded {
public:
  explicit Guarded(const void *data, size_t bytes) : bytes(bytes) {
    check(driver.allocate(&base, bytes + 2 * kBand), "cuMemAlloc");
    std::vector<char> all(bytes + 2 * kBand, kPattern);
    if (bytes)
      std::memcpy(all.data() + kBand, data, bytes);
    check(driver.toDevice(base, all.data(), all.size()), "cuMemcpyHtoD");
  }
  ~Guarded() { driver.release(base); }
  Guarded(const Guarded &) = delete;
  Address address() const { return base + kBand; }
  /// What is there now; false if a band was written.
  bool read(std::vector<char> &out) const {
    std::vector<char> all(bytes + 2 * kBand);
    check(driver.toHost(all.data(), base, all.size()), "cuMemcpyDtoH");
    out.assign(all.begin() + kBand, all.end() - kBand);
    auto untouched = [](char c) { return c == kPattern; };
    return std::all_of(all.begin(), all.begin() + kBand, untouched) &&
           std::all_of(all.end() - kBand, all.end(), untouched);
  }

private:
  static constexpr size_t kBand = 4096;
  static constexpr char kPattern = 0x7f;
  Address base = 0;
  size_t bytes;
};

bool run(const GpuCase &c) {
  void *module = nullptr, *function = nullptr;
  char log[8192] = "";
  int options[] = {5, 6}; // CU_JIT_ERROR_LOG_BUFFER and its size
  void *values[] = {log, reinterpret_cast<void *>(sizeof log)};
  if (driver.load(&module, c.code.data(), 2, options, values) != 0) {
    std::printf("FAIL %s %s: the driver does not take its code: %s\n", c.name.c_str(), c.mode.c_str(), log);
    return false;
  }
  check(driver.function(&function, module, c.name.c_str()), "cuModuleGetFunction");
  check(driver.attribute(function, 8, int(c.sharedBytes)), "cuFuncSetAttribute");

  std::vector<std::unique_ptr<Guarded>> lists;
  auto upload = [&](const std::vector<int32_t> &list) {
    lists.push_back(std::make_unique<Guarded>(list.data(), list.size() * 4));
    return reinterpret_cast<const int32_t *>(lists.back()->address());
  };
  denim_batch_t batch = {};
  batch.token_count = int64_t(c.tokens.size()), batch.sequence_count = int64_t(c.rowBegin.size()) - 1;
  batch.output_count = int64_t(c.outputs.size());
  batch.tokens = upload(c.tokens), batch.positions = upload(c.positions), batch.row_begin = upload(c.rowBegin);
  batch.past = upload(c.past), batch.outputs = upload(c.outputs), batch.pages = upload(c.pages);
  batch.page_begin = upload(c.pageBegin);
  Guarded batchMemory(&batch, sizeof batch);
  std::vector<std::unique_ptr<Guarded>> buffers, tables;
  std::vector<Address> arguments{batchMemory.address(), Address(c.items)};
  for (const GpuBuffer &b : c.buffers) {
    buffers.push_back(std::make_unique<Guarded>(b.before.data(), b.before.size()));
    Address address = buffers.back()->address();
    if (b.tables) {
      std::vector<Address> parts;
      for (int64_t t = 0; t < b.tables; ++t)
        parts.push_back(address + t * (b.before.size() / b.tables));
      tables.push_back(std::make_unique<Guarded>(parts.data(), parts.size() * 8));
      address = tables.back()->address();
    }
    arguments.push_back(address);
  }
  std::vector<void *> pointers;
  for (Address &argument : arguments)
    pointers.push_back(&argument);
  struct alignas(128) TensorMap { // CUDA 13; less before
    char bytes[DENIM_TENSOR_MAP_BYTES];
  };
  std::vector<TensorMap> maps(c.tensorMaps.size());
  for (size_t i = 0; i < maps.size(); ++i) {
    const denim::TensorMapInfo &map = c.tensorMaps[i];
    uint64_t strides[] = {map.rowBytes()};
    unsigned box[] = {map.boxColumns, map.boxRows}, steps[] = {1, 1};
    // bf16, not interleaved, the swizzle of 128 bytes, 256 bytes in the L2 cache, zeros outside.
    check(driver.encodeTensor(&maps[i], 9, 2, reinterpret_cast<void *>(arguments[2 + map.argument]),
                              map.dimensions().data(), strides, box, steps, 0, 3, 3, 0),
          "cuTensorMapEncodeTiled");
    pointers.push_back(&maps[i]);
  }
  check(driver.launch(function, unsigned(c.items), 1, 1, unsigned(c.threads), 1, 1, unsigned(c.sharedBytes), nullptr,
                      pointers.data(), nullptr),
        (c.name + ": its launch").c_str());
  check(driver.synchronize(), (c.name + " " + c.mode).c_str());
  bool passed = true;
  double worst = 0;
  for (size_t i = 0; i < buffers.size(); ++i) {
    std::vector<char> got;
    if (!buffers[i]->read(got)) {
      std::printf("FAIL %s %s: wrote outside buffer %zu\n", c.name.c_str(), c.mode.c_str(), i);
      passed = false;
    }
    std::string wrong = compare(c.buffers[i], got, c.tolerance, worst);
    if (!wrong.empty()) {
      std::printf("FAIL %s %s, buffer %zu: %s\n", c.name.c_str(), c.mode.c_str(), i, wrong.c_str());
      passed = false;
    }
  }
  if (passed && std::getenv("DENIM_TEST_VERBOSE"))
    std::printf("pass %s %s, largest error %.2e\n", c.name.c_str(), c.mode.c_str(), worst);
  driver.unload(module);
  return passed;
}

} // namespace

int main(int argc, char **argv) {
  open();
  int passed = 0, failed = 0;
  for (int i = 1; i < argc; ++i) {
    std::FILE *file = std::fopen(argv[i], "rb");
    if (!file) {
      std::printf("cannot open %s\n", argv[i]);
      return 1;
    }
    GpuCase c;
    for (CaseFile reader(file, false); reader.transfer(c); c = {}) {
      bool ok = run(c);
      ++(ok ? passed : failed);
      std::fflush(stdout);
    }
    std::fclose(file);
  }
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed != 0;
}
