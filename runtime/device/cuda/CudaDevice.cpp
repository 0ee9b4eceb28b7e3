//===- CudaDevice.cpp - an NVIDIA GPU -------------------------------------===//

#include "runtime/device/cuda/CudaDevice.h"
#include "runtime/device/cuda/CudaPassRunner.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <utility>

namespace denim {

using cuda::Address;

namespace {

constexpr size_t kStagingBytes = size_t(4) << 20; // logits of a step of some sequences
constexpr size_t kLogBytes = 4096;
/// Drivers from this version on keep it in graphs that launches overlap.
constexpr int kOverlapVersion = 12030;
constexpr uint32_t kPlainSharedBytes = 48 << 10; // more must be asked for
constexpr Address kTensorAlignment = 16;         // of what a tensor map describes

struct CudaExecutable final : Executable {
  explicit CudaExecutable(CudaDevice &device) : device(device) {}
  ~CudaExecutable() override {
    device.settle();
    device.forgetMaps(*this);
    if (module)
      device.driver().moduleUnload(module);
  }

  CudaDevice &device;
  cuda::CodeModule module = nullptr;
  std::vector<cuda::Function> functions;
  std::vector<KernelInfo> kernels;
};

/// "sm_90a": 90 and 'a'; 0 if it is no such name.
struct Capability {
  int number = 0;
  char suffix = 0;

  explicit Capability(std::string_view name) {
    if (name.substr(0, 3) != "sm_")
      return;
    const char *end = name.data() + name.size();
    auto [last, fault] = std::from_chars(name.data() + 3, end, number);
    if (fault == std::errc() && last + 1 == end)
      suffix = *last;
    else if (fault != std::errc() || last != end)
      number = 0;
  }
};

Address addressOf(const void *pointer) {
  return reinterpret_cast<Address>(pointer);
}

/// One line of a log of many.
std::string firstLines(const char *log) {
  std::string text = log;
  while (!text.empty() && (text.back() == '\n' || text.back() == ' '))
    text.pop_back();
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

} // namespace

Status CudaDevice::create(int ordinal, std::shared_ptr<CudaDevice> &out, const CudaLibraries &libraries) {
  std::shared_ptr<CudaDevice> device(new CudaDevice);
  CudaDevice &d = *device;
  d.ownName = "cuda:" + std::to_string(ordinal);
  if (Status status = cuda::Driver::open(libraries.driver.c_str(), d.functions))
    return status;
  const cuda::Driver &f = d.functions;
  int count = 0;
  if (Status status = d.check(f.deviceGetCount(&count), "cuDeviceGetCount"))
    return status;
  if (ordinal >= count)
    return error(DENIM_STATUS_NOT_FOUND, "expected device ", d.ownName, ", but got ", count, " CUDA devices");
  if (Status status = d.check(f.deviceGet(&d.number, ordinal), "cuDeviceGet"))
    return status;
  char text[256] = {};
  if (Status status = d.check(f.deviceGetName(text, sizeof text - 1, d.number), "cuDeviceGetName"))
    return status;
  d.product = text;
  int major = 0, minor = 0, virtualMemory = 0;
  for (auto [attribute, value] :
       {std::pair(cuda::kCapabilityMajor, &major), std::pair(cuda::kCapabilityMinor, &minor),
        std::pair(cuda::kVirtualMemory, &virtualMemory), std::pair(cuda::kMultiprocessors, &d.processors),
        std::pair(cuda::kMostSharedBytes, &d.mostShared)})
    if (Status status = d.check(f.deviceGetAttribute(value, attribute, d.number), "cuDeviceGetAttribute ", attribute))
      return status;
  if (!virtualMemory)
    return error(DENIM_STATUS_INCOMPATIBLE, d.ownName, " (", d.product,
                 "): expected a device with virtual memory management, but got one without");
  d.capability = major * 10 + minor;
  int version = 0;
  if (Status status = d.check(f.driverGetVersion(&version), "cuDriverGetVersion"))
    return status;
  d.overlapsLaunches = version >= kOverlapVersion && major >= 9;
  if (Status status = d.check(f.primaryCtxRetain(&d.context, d.number), "cuDevicePrimaryCtxRetain"))
    return status;
  if (Status status = d.enter())
    return status;
  if (Status status = d.check(f.streamCreate(&d.workStream, cuda::kNonBlocking), "cuStreamCreate"))
    return status;
  cuda::AllocationProperties properties = {};
  properties.type = cuda::kPinned;
  properties.location = {cuda::kLocationDevice, d.number};
  if (Status status = d.check(f.memGetGranularity(&d.granularity, &properties, cuda::kGranularityMinimum),
                              "cuMemGetAllocationGranularity"))
    return status;
  void *staging = nullptr;
  if (Status status =
          d.check(f.memHostAlloc(&staging, kStagingBytes, 0), "cuMemHostAlloc of ", kStagingBytes, " bytes"))
    return status;
  d.staging = static_cast<char *>(staging);
  if (Status status = CublasLt::open(libraries.blas, libraries.leastMeasured, d, d.blas))
    if (status.code() != DENIM_STATUS_NOT_FOUND)
      return error(status.code(), d.ownName, ": ", status.message());
  out = std::move(device);
  return {};
}

CudaDevice::~CudaDevice() {
  if (!context)
    return;
  functions.ctxSetCurrent(context);
  if (workStream)
    functions.streamSynchronize(workStream);
  blas.reset();
  if (staging)
    functions.memFreeHost(staging);
  if (workStream)
    functions.streamDestroy(workStream);
  functions.primaryCtxRelease(number);
}

Status CudaDevice::enter() {
  if (lost)
    return error(lost.code(), lost.message());
  if (pending)
    return std::exchange(pending, Status());
  return check(functions.ctxSetCurrent(context), "cuCtxSetCurrent");
}

Status CudaDevice::failed(cuda::Result result, const std::string &what) {
  denim_status_code_t code = result == cuda::kOutOfMemory ? DENIM_STATUS_RESOURCE_EXHAUSTED
                             : cuda::isFatal(result)      ? DENIM_STATUS_DEVICE_LOST
                                                          : DENIM_STATUS_INTERNAL;
  Status status = error(code, ownName, ": ", what, ": expected success, but got ", functions.describe(result));
  if (code == DENIM_STATUS_DEVICE_LOST && !lost)
    lost = error(code, status.message(), "; the device is lost to this process");
  return status;
}

bool CudaDevice::hasFeature(std::string_view feature) const {
  Capability wanted(feature);
  if (wanted.number == 0)
    return false;
  return wanted.suffix ? capability == wanted.number : capability >= wanted.number;
}

/// The cubin if it was made for this device, else the PTX.
Status CudaDevice::loadImage(const Code &code, cuda::CodeModule &out) {
  bool fits = !code.object.empty() && Capability(code.target).number == capability;
  std::string ptx(fits ? "" : code.ptx); // ends with a zero
  const void *image = fits ? static_cast<const void *>(code.object.data()) : ptx.c_str();
  std::vector<char> log(kLogBytes);
  int options[] = {cuda::kErrorLog, cuda::kErrorLogBytes};
  void *values[] = {log.data(), reinterpret_cast<void *>(log.size() - 1)};
  cuda::Result result = functions.moduleLoadDataEx(&out, image, 2, options, values);
  if (result == 0)
    return {};
  bool damaged = result == cuda::kInvalidImage || result == cuda::kInvalidPtx;
  bool other = result == cuda::kNoBinary || result == cuda::kUnsupportedPtx;
  if (!damaged && !other)
    return failed(result, std::string("cuModuleLoadDataEx ") + firstLines(log.data()));
  std::string said = firstLines(log.data());
  return error(damaged ? DENIM_STATUS_DATA_LOSS : DENIM_STATUS_INCOMPATIBLE, "code of the module: expected ",
               fits ? "a cubin" : "PTX", " that the driver of ", ownName, " (", product, ") takes, but got ",
               functions.describe(result), said.empty() ? "" : ": ", said);
}

Status CudaDevice::load(const Code &code, const std::vector<KernelInfo> &kernels,
                        std::shared_ptr<const Executable> &out) {
  if (Status status = enter())
    return status;
  auto executable = std::make_shared<CudaExecutable>(*this);
  if (Status status = loadImage(code, executable->module))
    return status;
  for (const KernelInfo &kernel : kernels) {
    cuda::Function function = nullptr;
    cuda::Result result = functions.moduleGetFunction(&function, executable->module, kernel.name.c_str());
    if (result == cuda::kNotFound)
      return error(DENIM_STATUS_DATA_LOSS, "code of the module: expected a kernel '", kernel.name, "', but got none");
    if (Status status = check(result, "cuModuleGetFunction of '", kernel.name, "'"))
      return status;
    int mostThreads = 0;
    if (Status status = check(functions.funcGetAttribute(&mostThreads, cuda::kMostThreads, function),
                              "cuFuncGetAttribute of '", kernel.name, "'"))
      return status;
    if (kernel.threads > static_cast<uint32_t>(mostThreads))
      return error(DENIM_STATUS_INCOMPATIBLE, "kernel '", kernel.name, "': expected at most ", mostThreads,
                   " threads of a block, but got ", kernel.threads);
    if (kernel.sharedBytes > static_cast<uint32_t>(mostShared))
      return error(DENIM_STATUS_INCOMPATIBLE, "kernel '", kernel.name, "': expected at most ", mostShared,
                   " bytes of shared memory on ", ownName, " (", product, "), but got ", kernel.sharedBytes);
    if (!kernel.tensorMaps.empty() && !functions.tensorMapEncodeTiled)
      return error(DENIM_STATUS_INCOMPATIBLE, "kernel '", kernel.name,
                   "': expected a driver with cuTensorMapEncodeTiled for its tensor maps, but got an older one");
    if (kernel.sharedBytes > kPlainSharedBytes)
      if (Status status = check(
              functions.funcSetAttribute(function, cuda::kMostDynamicShared, static_cast<int>(kernel.sharedBytes)),
              "cuFuncSetAttribute of '", kernel.name, "', ", kernel.sharedBytes, " bytes"))
        return status;
    executable->functions.push_back(function);
  }
  executable->kernels = kernels;
  out = std::move(executable);
  return {};
}

Status CudaDevice::encode(const KernelInfo &kernel, const TensorMapInfo &map, const void *argument,
                          cuda::TensorMap &out) {
  if (addressOf(argument) % kTensorAlignment != 0)
    return error(DENIM_STATUS_INVALID_ARGUMENT, "kernel '", kernel.name, "': expected argument ", map.argument,
                 " at a multiple of ", kTensorAlignment, " bytes for a tensor map, but got ", argument);
  const uint64_t strides[] = {map.rowBytes()};
  const unsigned box[] = {map.boxColumns, map.boxRows}, steps[] = {1, 1};
  return check(functions.tensorMapEncodeTiled(&out, cuda::kTensorBF16, 2, const_cast<void *>(argument),
                                              map.dimensions().data(), strides, box, steps, cuda::kInterleaveNone,
                                              cuda::kSwizzle128, cuda::kPromotion256, cuda::kFillZeros),
               "cuTensorMapEncodeTiled of '", kernel.name, "', argument ", map.argument, ", ", map.columns,
               " columns, boxes of ", map.boxRows, " x ", map.boxColumns);
}

void CudaDevice::forgetMaps(const Executable &executable) {
  std::lock_guard<std::mutex> guard(mapsLock);
  for (auto entry = tensorMaps.begin(); entry != tensorMaps.end();)
    entry = std::get<const Executable *>(entry->first) == &executable ? tensorMaps.erase(entry) : std::next(entry);
}

Status CudaDevice::launch(const Executable &executable, Address batch, const Launch &launch) {
  if (launch.product && blas) {
    bool supported = false;
    if (Status status = blas->run(*launch.product, workStream, supported))
      return error(status.code(), ownName, ": ", status.message());
    if (supported)
      return {};
  }
  auto &loaded = static_cast<const CudaExecutable &>(executable);
  const KernelInfo &kernel = loaded.kernels[launch.kernel];
  if (launch.items > INT32_MAX)
    return error(DENIM_STATUS_INVALID_ARGUMENT, "kernel '", kernel.name, "': expected at most ", INT32_MAX,
                 " work items, but got ", launch.items, "; use shorter steps");
  int64_t items = launch.items;
  // The driver copies what the pointers point to.
  constexpr size_t kUsualParameters = 64;
  void *few[kUsualParameters];
  std::vector<void *> many;
  void **parameters = few;
  size_t count = 2 + launch.argCount + kernel.tensorMaps.size();
  if (count > kUsualParameters) {
    many.resize(count);
    parameters = many.data();
  }
  parameters[0] = &batch;
  parameters[1] = &items;
  for (uint32_t a = 0; a < launch.argCount; ++a)
    parameters[2 + a] = const_cast<void **>(&launch.args[a]);
  for (size_t m = 0; m < kernel.tensorMaps.size(); ++m) {
    std::lock_guard<std::mutex> guard(mapsLock);
    const TensorMapInfo &map = kernel.tensorMaps[m];
    if (map.argument >= launch.argCount)
      return error(DENIM_STATUS_INVALID_ARGUMENT, "kernel '", kernel.name, "': expected more than ", map.argument,
                   " arguments for a tensor map, but got ", launch.argCount);
    const void *argument = launch.args[map.argument];
    auto [entry, isNew] = tensorMaps.try_emplace({addressOf(argument), &executable, launch.kernel, m});
    if (isNew)
      if (Status status = encode(kernel, map, argument, entry->second)) {
        tensorMaps.erase(entry);
        return status;
      }
    parameters[2 + launch.argCount + m] = &entry->second;
  }
  auto grid = static_cast<unsigned>(items);
  if (!kernel.overlaps || !overlapsLaunches)
    return check(functions.launchKernel(loaded.functions[launch.kernel], grid, 1, 1, kernel.threads, 1, 1,
                                        kernel.sharedBytes, workStream, parameters, nullptr),
                 "cuLaunchKernel of '", kernel.name, "'");
  cuda::LaunchAttribute overlap = {};
  overlap.id = cuda::kOverlapsLaunchBefore;
  overlap.number = 1;
  cuda::LaunchConfig config = {grid, 1, 1, kernel.threads, 1, 1, kernel.sharedBytes, workStream, &overlap, 1};
  return check(functions.launchKernelEx(&config, loaded.functions[launch.kernel], parameters, nullptr),
               "cuLaunchKernelEx of '", kernel.name, "'");
}

Status CudaDevice::measureProducts(const std::vector<Launch> &launches) {
  for (const Launch &launch : launches)
    if (launch.product && blas)
      if (Status status = blas->measure(*launch.product, functions, workStream))
        return error(status.code(), ownName, ": ", status.message());
  return {};
}

Status CudaDevice::createRunner(std::shared_ptr<const Executable> executable, size_t mostBytes,
                                std::unique_ptr<PassRunner> &out) {
  return CudaPassRunner::create(*this, std::move(executable), mostBytes, out);
}

Status CudaDevice::reserve(size_t bytes, DeviceMemory &out) {
  if (bytes == 0) {
    out = DeviceMemory();
    return {};
  }
  if (Status status = enter())
    return status;
  bytes = (bytes + granularity - 1) / granularity * granularity;
  Address base = 0;
  if (Status status =
          check(functions.memAddressReserve(&base, bytes, 0, 0, 0), "cuMemAddressReserve of ", bytes, " bytes"))
    return status;
  out = DeviceMemory(*this, reinterpret_cast<void *>(base), bytes);
  return {};
}

/// Grows in steps of 1/64 of the range, so that a pool that fills asks seldom and wastes little of its budget.
Status CudaDevice::commitRange(char *base, size_t reserved, size_t from, size_t &to) {
  if (Status status = enter())
    return status;
  size_t least = from + std::min(reserved / 64, size_t(64) << 20);
  to = std::min(reserved, (std::max(to, least) + granularity - 1) / granularity * granularity);
  size_t bytes = to - from;
  cuda::AllocationProperties properties = {};
  properties.type = cuda::kPinned;
  properties.location = {cuda::kLocationDevice, number};
  cuda::Handle handle = 0;
  if (Status status = check(functions.memCreate(&handle, bytes, &properties, 0), "cuMemCreate of ", bytes, " bytes"))
    return status;
  Address address = addressOf(base + from);
  Status status = check(functions.memMap(address, bytes, 0, handle, 0), "cuMemMap of ", bytes, " bytes");
  // From here on the mapping holds the memory.
  functions.memRelease(handle);
  if (status)
    return status;
  cuda::MemoryAccess access = {{cuda::kLocationDevice, number}, cuda::kReadWrite};
  status = check(functions.memSetAccess(address, bytes, &access, 1), "cuMemSetAccess of ", bytes, " bytes");
  if (!status)
    status = check(functions.memsetD8Async(address, 0, bytes, workStream), "cuMemsetD8Async of ", bytes, " bytes");
  if (status)
    functions.memUnmap(address, bytes);
  return status;
}

void CudaDevice::free(void *base, size_t reserved, size_t committed) {
  settle(); // kernels may still use it
  {
    std::lock_guard<std::mutex> guard(mapsLock);
    tensorMaps.erase(tensorMaps.lower_bound({addressOf(base), nullptr, 0, 0}),
                     tensorMaps.lower_bound({addressOf(base) + reserved, nullptr, 0, 0}));
  }
  if (committed)
    functions.memUnmap(addressOf(base), committed);
  functions.memAddressFree(addressOf(base), reserved);
}

void CudaDevice::zero(void *to, size_t bytes) {
  Status status = enter();
  if (!status)
    status =
        check(functions.memsetD8Async(addressOf(to), 0, bytes, workStream), "cuMemsetD8Async of ", bytes, " bytes");
  if (status)
    pending = std::move(status);
}

void CudaDevice::copy(void *to, const void *from, size_t bytes) {
  Status status = enter();
  if (!status)
    status = check(functions.memcpyDtoDAsync(addressOf(to), addressOf(from), bytes, workStream),
                   "cuMemcpyDtoDAsync of ", bytes, " bytes");
  if (status)
    pending = std::move(status);
}

Status CudaDevice::write(void *to, const void *from, size_t bytes) {
  if (Status status = enter())
    return status;
  if (Status status = check(functions.memcpyHtoDAsync(addressOf(to), from, bytes, workStream), "cuMemcpyHtoDAsync of ",
                            bytes, " bytes"))
    return status;
  return synchronize();
}

/// Through pinned memory: the driver would copy by small pieces of its own otherwise.
Status CudaDevice::read(void *to, const void *from, size_t bytes) {
  if (Status status = enter())
    return status;
  for (size_t begin = 0; begin < bytes; begin += kStagingBytes) {
    size_t piece = std::min(kStagingBytes, bytes - begin);
    if (Status status = check(
            functions.memcpyDtoHAsync(staging, addressOf(static_cast<const char *>(from) + begin), piece, workStream),
            "cuMemcpyDtoHAsync of ", piece, " bytes"))
      return status;
    if (Status status = synchronize())
      return status;
    std::memcpy(static_cast<char *>(to) + begin, staging, piece);
  }
  return {};
}

Status CudaDevice::synchronize() {
  if (Status status = enter())
    return status;
  return check(functions.streamSynchronize(workStream), "work on the stream");
}

} // namespace denim
