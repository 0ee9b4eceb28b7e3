//===- FakeCuda.cpp - a libcuda.so.1 on host memory -----------------------===//
//
// Implements what CudaDriver.h declares, so that the CUDA device is tested where no GPU is. It is strict where a GPU
// would be:
//
//   - work of a stream runs when something waits for it, never at the call, so host memory that is changed too early
//     gives wrong results; copies from memory that is not pinned are taken at the call, as the driver does
//   - kernels get addresses of mapped device memory or fail, and only mapped memory can be touched
//   - an error of a kernel stays until `fake_cuda_reset`
//
// A cubin is an ELF shared object with functions `int NAME(int64_t block, void **parameters)` and `int NAME_arguments`;
// PTX is the line `// object PATH`, or what our code generation writes: that is executed by the emulator and checked
// for races (test/codegen/nvptx/emulator). What it finds goes to stderr, and the launch fails; DENIM_FAKE_CUDA_MUTATION
// breaks it on purpose. FakeCuda.h has the switches.
//
//===----------------------------------------------------------------------===//

#include "test/runtime/device/cuda/FakeCuda.h"
#include "runtime/device/cuda/CudaDriver.h"
#include "test/codegen/nvptx/emulator/Machine.h"
#include "test/codegen/nvptx/emulator/TensorMap.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <elf.h>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

using namespace denim::cuda;

using Operation = std::function<Result()>;

// The types that the driver keeps to itself.
namespace denim::cuda {
struct ContextObject {};
struct CodeModuleObject {
  void *handle = nullptr;
  std::shared_ptr<const denim::ptx::Module> text; // instead of a handle
  std::vector<std::unique_ptr<FunctionObject>> functions;
  ~CodeModuleObject();
};
struct FunctionObject {
  int (*run)(int64_t, void **) = nullptr;
  int arguments = 0;
  denim::ptx::Program program; // instead of a function to run
  int mostShared = 48 << 10;
};
struct GraphObject {
  std::vector<Operation> operations;
};
struct GraphExecObject {
  std::vector<Operation> operations;
};
struct StreamObject {
  std::vector<Operation> waiting;
  std::unique_ptr<GraphObject> capture;
};
struct EventObject {
  bool timed, recorded = false;
  std::chrono::steady_clock::time_point when = {};
};
CodeModuleObject::~CodeModuleObject() {
  if (handle)
    dlclose(handle);
}
} // namespace denim::cuda

namespace {

constexpr Result kIllegalAddress = 700, kLaunchFailed = 719, kInvalidValue = 1, kNoDevice = 100;
constexpr size_t kGranularity = 2 << 20;

struct State {
  ContextObject context;
  StreamObject *stream = nullptr; // the one there is
  std::map<Address, size_t> reserved, mapped, pinned;
  std::map<Handle, size_t> handles;
  Handle nextHandle = 1;
  size_t used = 0, limit = size_t(1) << 40;
  Result sticky = 0;
  long devices = 1, launches = 0, graphLaunches = 0, failLaunch = -1, launchCalls = 0, overlappedLaunches = 0,
       events = 0, tensorMaps = 0, retained = 0;
  denim::ptx::Past past; // of the launches on the stream
};

State &state() {
  static State *state = new State; // lives as long as the process, like a driver
  return *state;
}

bool within(const std::map<Address, size_t> &ranges, Address address, size_t bytes) {
  auto it = ranges.upper_bound(address);
  if (it == ranges.begin())
    return false;
  --it;
  // Mappings of one range that follow each other count as one.
  while (address >= it->first && address < it->first + it->second) {
    size_t here = it->first + it->second - address;
    if (bytes <= here)
      return true;
    address += here;
    bytes -= here;
    if (++it == ranges.end())
      return false;
  }
  return false;
}

bool isMapped(Address address, size_t bytes) {
  return within(state().mapped, address, bytes);
}

Result push(StreamObject *stream, Operation operation) {
  if (state().sticky)
    return state().sticky;
  if (stream->capture)
    stream->capture->operations.push_back(std::move(operation));
  else
    stream->waiting.push_back(std::move(operation));
  return 0;
}

Result drain(StreamObject *stream) {
  std::vector<Operation> work = std::move(stream->waiting);
  stream->waiting.clear();
  for (Operation &operation : work)
    if (!state().sticky)
      state().sticky = operation();
  return state().sticky;
}

void *hostOf(Address address) {
  return reinterpret_cast<void *>(address);
}

/// Executes a kernel of the emulator; only mapped memory is the device's.
Result emulate(const denim::ptx::Program &program, const denim::ptx::Launch &launch) {
  denim::ptx::GlobalMemory memory;
  for (auto it = state().mapped.begin(); it != state().mapped.end();) {
    Address begin = it->first, end = begin;
    for (; it != state().mapped.end() && it->first == end; ++it)
      end += it->second;
    memory.add(hostOf(begin), end - begin, "device memory");
  }
  denim::ptx::Findings findings;
  if (denim::ptx::execute(program, launch, memory, findings, &state().past))
    return 0;
  for (const std::string &message : findings.messages)
    std::fprintf(stderr, "%s\n", message.c_str());
  return kLaunchFailed;
}

/// "ENTRY|OLD|NEW|K": broken code, so that a test sees it found.
void mutate(std::string &text, const std::string &change) {
  std::vector<std::string> parts{""};
  for (char c : change)
    if (c == '|')
      parts.emplace_back();
    else
      parts.back() += c;
  parts.resize(4);
  denim::ptx::Mutation mutation{parts[0], parts[1], parts[2], std::atoll(parts[3].c_str())};
  if (!mutation.apply(text))
    std::fprintf(stderr, "expected '%s' in an entry %s, but there is none\n", parts[1].c_str(), parts[0].c_str());
}

void *loadObject(const void *image) {
  // A shared object says in its header where its last table ends.
  Elf64_Ehdr header;
  std::memcpy(&header, image, sizeof header);
  size_t bytes = header.e_shoff + size_t(header.e_shnum) * header.e_shentsize;
  char path[] = "/tmp/fake-cubin-XXXXXX";
  int file = mkstemp(path);
  if (file < 0)
    return nullptr;
  bool written = write(file, image, bytes) == static_cast<ssize_t>(bytes);
  close(file);
  void *handle = written ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : nullptr;
  unlink(path);
  return handle;
}

} // namespace

extern "C" {

void fake_cuda_reset(void) {
  State &s = state();
  s.sticky = 0;
  s.limit = size_t(1) << 40;
  s.devices = 1;
  s.launches = s.graphLaunches = s.launchCalls = s.overlappedLaunches = s.tensorMaps = s.events = 0;
  s.failLaunch = -1;
}

void fake_cuda_set(const char *what, long value) {
  std::string key = what;
  State &s = state();
  if (key == "memory")
    s.limit = s.used + static_cast<size_t>(value);
  else if (key == "devices")
    s.devices = value;
  else if (key == "fail launch")
    s.failLaunch = s.launches + value;
}

long fake_cuda_count(const char *what) {
  std::string key = what;
  State &s = state();
  return key == "launches"         ? s.launches
         : key == "launch calls"   ? s.launchCalls
         : key == "overlapped"     ? s.overlappedLaunches
         : key == "graph launches" ? s.graphLaunches
         : key == "tensor maps"    ? s.tensorMaps
         : key == "events"         ? s.events
         : key == "memory"         ? static_cast<long>(s.used)
         : key == "pinned"         ? static_cast<long>(s.pinned.size())
         : key == "contexts"       ? s.retained
                                   : -1;
}

int fake_cuda_enqueue(void *stream, void (*run)(void *), void *data, void (*release)(void *)) {
  std::shared_ptr<void> owner(data, release);
  return push(static_cast<StreamObject *>(stream), [owner, run] {
    run(owner.get());
    return 0;
  });
}

Result cuInit(unsigned) {
  return state().devices ? 0 : kNoDevice;
}
Result cuGetErrorName(Result result, const char **out) {
  *out = result == kOutOfMemory      ? "CUDA_ERROR_OUT_OF_MEMORY"
         : result == kInvalidPtx     ? "CUDA_ERROR_INVALID_PTX"
         : result == kInvalidImage   ? "CUDA_ERROR_INVALID_IMAGE"
         : result == kLaunchFailed   ? "CUDA_ERROR_LAUNCH_FAILED"
         : result == kIllegalAddress ? "CUDA_ERROR_ILLEGAL_ADDRESS"
         : result == kInvalidValue   ? "CUDA_ERROR_INVALID_VALUE"
         : result == kNoDevice       ? "CUDA_ERROR_NO_DEVICE"
                                     : "CUDA_ERROR_OF_THE_FAKE";
  return 0;
}
Result cuGetErrorString(Result, const char **out) {
  *out = "as the fake says";
  return 0;
}
Result cuDriverGetVersion(int *out) {
  *out = 13000;
  return 0;
}
Result cuDeviceGetCount(int *out) {
  *out = static_cast<int>(state().devices);
  return 0;
}
Result cuDeviceGet(DeviceNumber *out, int ordinal) {
  *out = ordinal;
  return 0;
}
Result cuDeviceGetName(char *out, int bytes, DeviceNumber) {
  std::snprintf(out, static_cast<size_t>(bytes), "Fake GPU");
  return 0;
}
Result cuDeviceGetAttribute(int *out, int attribute, DeviceNumber) {
  *out = attribute == kCapabilityMajor   ? 9
         : attribute == kCapabilityMinor ? 0
         : attribute == kMultiprocessors ? 4
         : attribute == kMostSharedBytes ? 232448
         : attribute == kVirtualMemory   ? 1
                                         : 0;
  return 0;
}
Result cuDevicePrimaryCtxRetain(Context *out, DeviceNumber) {
  ++state().retained;
  *out = &state().context;
  return state().sticky;
}
Result cuDevicePrimaryCtxRelease_v2(DeviceNumber) {
  --state().retained;
  return 0;
}
Result cuCtxSetCurrent(Context context) {
  return context == &state().context ? 0 : kInvalidValue;
}
Result cuMemGetInfo_v2(size_t *free, size_t *total) {
  *total = state().limit;
  *free = state().limit - state().used;
  return 0;
}

Result cuMemGetAllocationGranularity(size_t *out, const AllocationProperties *, int) {
  *out = kGranularity;
  return 0;
}
Result cuMemAddressReserve(Address *out, size_t bytes, size_t, Address, unsigned long long) {
  if (bytes == 0 || bytes % kGranularity)
    return kInvalidValue;
  void *base = mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED)
    return kOutOfMemory;
  *out = reinterpret_cast<Address>(base);
  state().reserved[*out] = bytes;
  return 0;
}
Result cuMemAddressFree(Address address, size_t bytes) {
  auto it = state().reserved.find(address);
  if (it == state().reserved.end() || it->second != bytes)
    return kInvalidValue;
  munmap(hostOf(address), bytes);
  state().reserved.erase(it);
  return 0;
}
Result cuMemCreate(Handle *out, size_t bytes, const AllocationProperties *properties, unsigned long long) {
  State &s = state();
  if (properties->type != kPinned || properties->location.type != kLocationDevice || bytes % kGranularity)
    return kInvalidValue;
  if (s.used + bytes > s.limit)
    return kOutOfMemory;
  s.used += bytes;
  *out = s.nextHandle++;
  s.handles[*out] = bytes;
  return 0;
}
Result cuMemRelease(Handle handle) {
  return state().handles.erase(handle) ? 0 : kInvalidValue;
}
Result cuMemMap(Address address, size_t bytes, size_t offset, Handle handle, unsigned long long) {
  State &s = state();
  if (s.handles.count(handle) == 0 || s.handles[handle] != bytes || offset || !within(s.reserved, address, bytes))
    return kInvalidValue;
  s.mapped[address] = bytes;
  return 0;
}
Result cuMemSetAccess(Address address, size_t bytes, const MemoryAccess *access, size_t) {
  if (!isMapped(address, bytes) || access->flags != kReadWrite)
    return kInvalidValue;
  if (mprotect(hostOf(address), bytes, PROT_READ | PROT_WRITE) != 0)
    return kOutOfMemory;
  std::memset(hostOf(address), 0xcd, bytes); // a device gives no zeros
  return 0;
}
Result cuMemUnmap(Address address, size_t bytes) {
  State &s = state();
  s.past.forget(address, bytes);
  for (auto it = s.mapped.lower_bound(address); it != s.mapped.end() && it->first < address + bytes;) {
    s.used -= it->second;
    it = s.mapped.erase(it);
  }
  mprotect(hostOf(address), bytes, PROT_NONE);
  return 0;
}
Result cuMemHostAlloc(void **out, size_t bytes, unsigned) {
  *out = ::operator new(bytes);
  state().pinned[reinterpret_cast<Address>(*out)] = bytes;
  return 0;
}
Result cuMemFreeHost(void *host) {
  if (!state().pinned.erase(reinterpret_cast<Address>(host)))
    return kInvalidValue;
  ::operator delete(host);
  return 0;
}

Result cuMemcpyHtoDAsync_v2(Address to, const void *from, size_t bytes, Stream stream) {
  if (!isMapped(to, bytes))
    return kInvalidValue;
  if (within(state().pinned, reinterpret_cast<Address>(from), bytes))
    return push(stream, [=] {
      state().past.forget(to, bytes);
      std::memcpy(hostOf(to), from, bytes);
      return 0;
    });
  auto taken = std::make_shared<std::string>(static_cast<const char *>(from), bytes);
  return push(stream, [=] {
    state().past.forget(to, bytes);
    std::memcpy(hostOf(to), taken->data(), bytes);
    return 0;
  });
}
Result cuMemcpyDtoHAsync_v2(void *to, Address from, size_t bytes, Stream stream) {
  if (!isMapped(from, bytes))
    return kInvalidValue;
  return push(stream, [=] {
    std::memcpy(to, hostOf(from), bytes);
    return 0;
  });
}
Result cuMemcpyDtoDAsync_v2(Address to, Address from, size_t bytes, Stream stream) {
  if (!isMapped(to, bytes) || !isMapped(from, bytes))
    return kInvalidValue;
  return push(stream, [=] {
    state().past.forget(to, bytes);
    std::memcpy(hostOf(to), hostOf(from), bytes);
    return 0;
  });
}
Result cuMemsetD8Async(Address to, unsigned char value, size_t bytes, Stream stream) {
  if (!isMapped(to, bytes))
    return kInvalidValue;
  return push(stream, [=] {
    state().past.forget(to, bytes);
    std::memset(hostOf(to), value, bytes);
    return 0;
  });
}

Result cuStreamCreate(Stream *out, unsigned) {
  *out = state().stream = new StreamObject;
  return state().sticky;
}
Result cuStreamDestroy_v2(Stream stream) {
  delete stream;
  return 0;
}
Result cuStreamSynchronize(Stream stream) {
  return drain(stream);
}
Result cuStreamBeginCapture_v2(Stream stream, int) {
  if (stream->capture)
    return kInvalidValue;
  stream->capture = std::make_unique<GraphObject>();
  return state().sticky;
}
Result cuStreamEndCapture(Stream stream, Graph *out) {
  if (!stream->capture)
    return kInvalidValue;
  *out = stream->capture.release();
  return state().sticky;
}
Result cuGraphInstantiateWithFlags(GraphExec *out, Graph graph, unsigned long long) {
  *out = new GraphExecObject{graph->operations};
  return state().sticky;
}
Result cuGraphLaunch(GraphExec graph, Stream stream) {
  ++state().graphLaunches;
  for (const Operation &operation : graph->operations)
    if (Result result = push(stream, operation))
      return result;
  return 0;
}
Result cuGraphDestroy(Graph graph) {
  delete graph;
  return 0;
}
Result cuGraphExecDestroy(GraphExec graph) {
  delete graph;
  return 0;
}
Result cuEventCreate(Event *out, unsigned flags) {
  *out = new EventObject{!(flags & kDisableTiming), false, {}};
  return state().sticky;
}
Result cuEventDestroy_v2(Event event) {
  delete event;
  return 0;
}
Result cuEventRecord(Event event, Stream stream) {
  ++state().events;
  return push(stream, [=] {
    event->recorded = true;
    event->when = std::chrono::steady_clock::now();
    return 0;
  });
}
Result cuEventSynchronize(Event) {
  return state().stream ? drain(state().stream) : 0;
}
Result cuEventElapsedTime(float *out, Event begin, Event end) {
  if (!begin->timed || !end->timed || !begin->recorded || !end->recorded)
    return kInvalidValue;
  *out = std::chrono::duration<float, std::milli>(end->when - begin->when).count();
  return 0;
}

Result cuModuleLoadDataEx(CodeModule *out, const void *image, unsigned count, int *options, void **values) {
  auto module = std::make_unique<CodeModuleObject>();
  if (std::memcmp(image, ELFMAG, SELFMAG) == 0) {
    module->handle = loadObject(image);
    if (!module->handle)
      return kInvalidImage;
  } else {
    std::string text = static_cast<const char *>(image), head = "// object ", error = "no object";
    if (text.rfind(head, 0) == 0) {
      module->handle = dlopen(text.substr(head.size(), text.find('\n') - head.size()).c_str(), RTLD_NOW | RTLD_LOCAL);
    } else {
      if (const char *change = std::getenv("DENIM_FAKE_CUDA_MUTATION"); change && *change)
        mutate(text, change);
      auto parsed = std::make_shared<denim::ptx::Module>();
      if (denim::ptx::parse(text, *parsed, error))
        module->text = std::move(parsed);
    }
    if (!module->handle && !module->text) {
      std::fprintf(stderr, "fake PTX: %s\n", error.c_str());
      for (unsigned i = 0; i < count; ++i)
        if (options[i] == kErrorLog)
          std::snprintf(static_cast<char *>(values[i]), 64, "ptxas fake, line 1; fatal\nno object\n");
      return kInvalidPtx;
    }
  }
  *out = module.release();
  return state().sticky;
}
Result cuModuleUnload(CodeModule module) {
  delete module;
  return 0;
}
Result cuModuleGetFunction(Function *out, CodeModule module, const char *name) {
  if (module->text) {
    for (const denim::ptx::Entry &entry : module->text->entries) {
      if (entry.name != name)
        continue;
      auto function = std::make_unique<FunctionObject>();
      std::string error;
      if (!denim::ptx::decode(module->text, entry, function->program, error)) {
        std::fprintf(stderr, "%s: %s\n", name, error.c_str());
        return kInvalidPtx;
      }
      // Those of eight bytes are addresses; tensor maps stand behind them.
      function->arguments = -2;
      for (const denim::ptx::Parameter &parameter : entry.parameters)
        function->arguments += parameter.bytes == sizeof(Address);
      *out = function.get();
      module->functions.push_back(std::move(function));
      return 0;
    }
    return kNotFound;
  }
  void *run = dlsym(module->handle, name);
  auto *arguments = static_cast<const int *>(dlsym(module->handle, (std::string(name) + "_arguments").c_str()));
  if (!run || !arguments)
    return kNotFound;
  module->functions.push_back(std::make_unique<FunctionObject>());
  *out = module->functions.back().get();
  (*out)->run = reinterpret_cast<int (*)(int64_t, void **)>(run);
  (*out)->arguments = *arguments;
  return 0;
}
Result cuFuncGetAttribute(int *out, int attribute, Function) {
  *out = attribute == kMostThreads ? 512 : 0;
  return 0;
}
Result cuFuncSetAttribute(Function function, int attribute, int value) {
  if (attribute != kMostDynamicShared || value > 232448)
    return kInvalidValue;
  function->mostShared = value;
  return 0;
}
Result cuLaunchKernel(Function function, unsigned x, unsigned y, unsigned z, unsigned threads, unsigned, unsigned,
                      unsigned shared, Stream stream, void **parameters, void **) {
  if (x == 0 || y != 1 || z != 1 || threads == 0 || threads > 512 || static_cast<int>(shared) > function->mostShared)
    return kInvalidValue;
  ++state().launchCalls;
  std::vector<Address> values; // taken at the call
  for (int i = 0; i < function->arguments + 2; ++i)
    values.push_back(*static_cast<Address *>(parameters[i]));
  std::vector<char> bytes;
  for (size_t i = 0; i < function->program.parameters.size(); ++i) {
    const denim::ptx::Parameter &parameter = function->program.parameters[i];
    bytes.resize(static_cast<size_t>(parameter.offset + parameter.bytes));
    std::memcpy(bytes.data() + parameter.offset, parameters[i], static_cast<size_t>(parameter.bytes));
  }
  return push(stream, [=]() -> Result {
    if (state().launches++ == state().failLaunch)
      return kLaunchFailed;
    std::vector<void *> own;
    std::vector<Address> copy = values;
    for (size_t i = 0; i < copy.size(); ++i) {
      if (i != 1 && !isMapped(copy[i], 1))
        return kIllegalAddress;
      own.push_back(&copy[i]);
    }
    if (!function->run) {
      denim::ptx::Launch launch;
      launch.blocks = x, launch.threads = threads, launch.sharedBytes = shared;
      launch.parameters = bytes;
      return emulate(function->program, launch);
    }
    for (unsigned block = 0; block < x; ++block)
      if (function->run(block, own.data()) != 0)
        return kLaunchFailed;
    return 0;
  });
}

#ifndef FAKE_CUDA_WITHOUT_TENSOR_MAPS
/// Refuses what the driver refuses, and all that we do not use.
Result cuTensorMapEncodeTiled(TensorMap *out, int type, unsigned rank, void *address, const uint64_t *dimensions,
                              const uint64_t *strides, const unsigned *box, const unsigned *steps, int interleave,
                              int swizzle, int promotion, int fill) {
  constexpr unsigned kBytes = 2, kPiece = 16, kMostBox = 256, kSwizzledBytes = 128;
  if (type != kTensorBF16 || rank != 2 || interleave != kInterleaveNone || swizzle != kSwizzle128 ||
      promotion != kPromotion256 || fill != kFillZeros)
    return kInvalidValue;
  if (reinterpret_cast<Address>(out) % alignof(TensorMap) || reinterpret_cast<Address>(address) % kPiece)
    return kInvalidValue;
  if (strides[0] % kPiece || strides[0] >> 40 || strides[0] < dimensions[0] * kBytes)
    return kInvalidValue;
  for (unsigned i = 0; i < rank; ++i)
    if (dimensions[i] == 0 || dimensions[i] > uint64_t(1) << 32 || box[i] == 0 || box[i] > kMostBox || steps[i] != 1)
      return kInvalidValue;
  if (box[0] * kBytes % kPiece || box[0] * kBytes > kSwizzledBytes)
    return kInvalidValue;
  ++state().tensorMaps;
  denim::ptx::TensorMap map;
  map.address = reinterpret_cast<Address>(address);
  map.columns = dimensions[0], map.rows = dimensions[1], map.rowBytes = strides[0];
  map.boxColumns = box[0], map.boxRows = box[1];
  std::memset(out, 0, sizeof *out);
  std::memcpy(out, &map, sizeof map);
  return 0;
}
#endif

Result cuLaunchKernelEx(const LaunchConfig *config, Function function, void **parameters, void **extra) {
  for (unsigned i = 0; i < config->attributeCount; ++i)
    if (config->attributes[i].id != kOverlapsLaunchBefore || config->attributes[i].number != 1)
      return kInvalidValue;
  ++state().overlappedLaunches;
  return cuLaunchKernel(function, config->gridX, config->gridY, config->gridZ, config->blockX, config->blockY,
                        config->blockZ, config->sharedBytes, config->stream, parameters, extra);
}

} // extern "C"
