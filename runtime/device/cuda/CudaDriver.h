//===- CudaDriver.h - the functions of libcuda that we use --------*- C++ -*-===//
//
// The driver is found when a program runs, so that it builds and starts on machines without one. Declarations are our
// own, of what we use; test/runtime/device/cuda/CudaHeaderTest.cpp compares them with NVIDIA's header where it is
// installed.
//
//===----------------------------------------------------------------------===//

#ifndef DENIM_RUNTIME_DEVICE_CUDA_CUDADRIVER_H
#define DENIM_RUNTIME_DEVICE_CUDA_CUDADRIVER_H

#include "runtime/base/Status.h"

#include <cstddef>
#include <cstdint>

namespace denim::cuda {

using Result = int; ///< 0: success
using DeviceNumber = int;
using Address = unsigned long long; ///< of device memory
using Handle = unsigned long long;  ///< of physical memory
using Context = struct ContextObject *;
using CodeModule = struct CodeModuleObject *;
using Function = struct FunctionObject *;
using Stream = struct StreamObject *;
using Event = struct EventObject *;
using Graph = struct GraphObject *;
using GraphExec = struct GraphExecObject *;

inline constexpr Result kOutOfMemory = 2, kInvalidImage = 200, kNoBinary = 209, kInvalidPtx = 218,
                        kUnsupportedPtx = 222, kNotFound = 500;

// Attributes of devices.
inline constexpr int kMultiprocessors = 16, kCapabilityMajor = 75, kCapabilityMinor = 76, kMostSharedBytes = 97,
                     kVirtualMemory = 102;
// Attributes of functions.
inline constexpr int kMostThreads = 0, kMostDynamicShared = 8;
// Attributes of launches.
inline constexpr int kOverlapsLaunchBefore = 6;
// Options of loading.
inline constexpr int kErrorLog = 5, kErrorLogBytes = 6;
inline constexpr unsigned kNonBlocking = 1, kDisableTiming = 2;
// Capture that allows what libraries do when they run first.
inline constexpr int kCaptureRelaxed = 2;
inline constexpr int kGranularityMinimum = 0;

struct MemoryLocation {
  int type; ///< 1: a device
  int id;
};
inline constexpr int kLocationDevice = 1;

struct AllocationProperties {
  int type; ///< 1: pinned, the only one
  int handleTypes;
  MemoryLocation location;
  void *windowsData;
  struct {
    unsigned char compression, directAccess;
    unsigned short usage;
    unsigned char reserved[4];
  } flags;
};
inline constexpr int kPinned = 1;

struct MemoryAccess {
  MemoryLocation location;
  int flags; ///< 3: read and write
};
inline constexpr int kReadWrite = 3;

struct LaunchAttribute {
  int id;
  char padding[4];
  union {
    char bytes[64];
    int number;
  };
};
struct LaunchConfig {
  unsigned gridX, gridY, gridZ, blockX, blockY, blockZ, sharedBytes;
  Stream stream;
  LaunchAttribute *attributes;
  unsigned attributeCount;
};

/// How the copying unit finds a tensor; the driver alone knows what the words mean. CUDA 12 aligns it to 64 bytes,
/// CUDA 13 to 128.
struct alignas(128) TensorMap {
  uint64_t words[16];
};
// What cuTensorMapEncodeTiled is told.
inline constexpr int kTensorBF16 = 9, kInterleaveNone = 0, kSwizzle128 = 3, kPromotion256 = 3, kFillZeros = 0;

// Name of the member, name of the symbol, type. The symbol carries the version of the interface.
#define DENIM_CUDA_FUNCTIONS(F)                                                                                        \
  F(init, "cuInit", Result(unsigned))                                                                                  \
  F(getErrorName, "cuGetErrorName", Result(Result, const char **))                                                     \
  F(getErrorString, "cuGetErrorString", Result(Result, const char **))                                                 \
  F(driverGetVersion, "cuDriverGetVersion", Result(int *))                                                             \
  F(deviceGetCount, "cuDeviceGetCount", Result(int *))                                                                 \
  F(deviceGet, "cuDeviceGet", Result(DeviceNumber *, int))                                                             \
  F(deviceGetName, "cuDeviceGetName", Result(char *, int, DeviceNumber))                                               \
  F(deviceGetAttribute, "cuDeviceGetAttribute", Result(int *, int, DeviceNumber))                                      \
  F(primaryCtxRetain, "cuDevicePrimaryCtxRetain", Result(Context *, DeviceNumber))                                     \
  F(primaryCtxRelease, "cuDevicePrimaryCtxRelease_v2", Result(DeviceNumber))                                           \
  F(ctxSetCurrent, "cuCtxSetCurrent", Result(Context))                                                                 \
  F(memGetInfo, "cuMemGetInfo_v2", Result(size_t *, size_t *))                                                         \
  F(memAddressReserve, "cuMemAddressReserve", Result(Address *, size_t, size_t, Address, unsigned long long))          \
  F(memAddressFree, "cuMemAddressFree", Result(Address, size_t))                                                       \
  F(memCreate, "cuMemCreate", Result(Handle *, size_t, const AllocationProperties *, unsigned long long))              \
  F(memRelease, "cuMemRelease", Result(Handle))                                                                        \
  F(memMap, "cuMemMap", Result(Address, size_t, size_t, Handle, unsigned long long))                                   \
  F(memUnmap, "cuMemUnmap", Result(Address, size_t))                                                                   \
  F(memSetAccess, "cuMemSetAccess", Result(Address, size_t, const MemoryAccess *, size_t))                             \
  F(memGetGranularity, "cuMemGetAllocationGranularity", Result(size_t *, const AllocationProperties *, int))           \
  F(memHostAlloc, "cuMemHostAlloc", Result(void **, size_t, unsigned))                                                 \
  F(memFreeHost, "cuMemFreeHost", Result(void *))                                                                      \
  F(memcpyHtoDAsync, "cuMemcpyHtoDAsync_v2", Result(Address, const void *, size_t, Stream))                            \
  F(memcpyDtoHAsync, "cuMemcpyDtoHAsync_v2", Result(void *, Address, size_t, Stream))                                  \
  F(memcpyDtoDAsync, "cuMemcpyDtoDAsync_v2", Result(Address, Address, size_t, Stream))                                 \
  F(memsetD8Async, "cuMemsetD8Async", Result(Address, unsigned char, size_t, Stream))                                  \
  F(streamCreate, "cuStreamCreate", Result(Stream *, unsigned))                                                        \
  F(streamDestroy, "cuStreamDestroy_v2", Result(Stream))                                                               \
  F(streamSynchronize, "cuStreamSynchronize", Result(Stream))                                                          \
  F(streamBeginCapture, "cuStreamBeginCapture_v2", Result(Stream, int))                                                \
  F(streamEndCapture, "cuStreamEndCapture", Result(Stream, Graph *))                                                   \
  F(graphInstantiate, "cuGraphInstantiateWithFlags", Result(GraphExec *, Graph, unsigned long long))                   \
  F(graphLaunch, "cuGraphLaunch", Result(GraphExec, Stream))                                                           \
  F(graphDestroy, "cuGraphDestroy", Result(Graph))                                                                     \
  F(graphExecDestroy, "cuGraphExecDestroy", Result(GraphExec))                                                         \
  F(eventCreate, "cuEventCreate", Result(Event *, unsigned))                                                           \
  F(eventDestroy, "cuEventDestroy_v2", Result(Event))                                                                  \
  F(eventRecord, "cuEventRecord", Result(Event, Stream))                                                               \
  F(eventSynchronize, "cuEventSynchronize", Result(Event))                                                             \
  F(eventElapsedTime, "cuEventElapsedTime", Result(float *, Event, Event))                                             \
  F(moduleLoadDataEx, "cuModuleLoadDataEx", Result(CodeModule *, const void *, unsigned, int *, void **))              \
  F(moduleUnload, "cuModuleUnload", Result(CodeModule))                                                                \
  F(moduleGetFunction, "cuModuleGetFunction", Result(Function *, CodeModule, const char *))                            \
  F(funcGetAttribute, "cuFuncGetAttribute", Result(int *, int, Function))                                              \
  F(funcSetAttribute, "cuFuncSetAttribute", Result(Function, int, int))                                                \
  F(launchKernelEx, "cuLaunchKernelEx", Result(const LaunchConfig *, Function, void **, void **))                       \
  F(launchKernel, "cuLaunchKernel",                                                                                    \
    Result(Function, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, Stream, void **, void **))

// What drivers of CUDA 12 have; null with older ones. Type of element, rank, address; of each dimension its elements
// (innermost first), bytes from one to the next (from the second), elements of a box and its steps; interleaving,
// swizzle, promotion in the L2 cache, what stands for elements outside.
#define DENIM_CUDA_NEWER_FUNCTIONS(F)                                                                                  \
  F(tensorMapEncodeTiled, "cuTensorMapEncodeTiled",                                                                    \
    Result(TensorMap *, int, unsigned, void *, const uint64_t *, const uint64_t *, const unsigned *, const unsigned *, \
           int, int, int, int))

/// The table of functions, each named like its symbol. Any thread may call.
struct Driver {
  /// Loads |library| and initialises it. DENIM_STATUS_NOT_FOUND if it is not there.
  static Status open(const char *library, Driver &out);

  /// "CUDA_ERROR_OUT_OF_MEMORY (out of memory)".
  std::string describe(Result result) const;

#define DENIM_CUDA_MEMBER(member, symbol, type)                                                                        \
  using member##Type = type;                                                                                           \
  member##Type *member = nullptr;
  DENIM_CUDA_FUNCTIONS(DENIM_CUDA_MEMBER)
  DENIM_CUDA_NEWER_FUNCTIONS(DENIM_CUDA_MEMBER)
#undef DENIM_CUDA_MEMBER
};

/// Whether work on the device cannot go on after |result|: the context is spoilt until the process ends.
bool isFatal(Result result);

} // namespace denim::cuda

#endif
