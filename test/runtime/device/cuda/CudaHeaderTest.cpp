//===- CudaHeaderTest.cpp - our declarations agree with NVIDIA's ----------===//
//
// Compiled where NVIDIA's headers are installed; that it compiles is the test.
//
//===----------------------------------------------------------------------===//

#include "runtime/device/cuda/CublasLt.h"

#include <cublasLt.h>
#include <cuda.h>

namespace {

namespace cuda = denim::cuda;
namespace cublas = denim::cublas;

// Parameters agree if they have one size and are of one sort: their pointers and enums have other names with us.
template <typename T> constexpr bool isWord = std::is_integral_v<T> || std::is_enum_v<T>;
template <typename Ours, typename Theirs>
constexpr bool isAlike = sizeof(Ours) == sizeof(Theirs) &&
                         std::is_pointer_v<Ours> == std::is_pointer_v<Theirs> &&isWord<Ours> == isWord<Theirs>;
template <typename Ours, typename Theirs> struct Agree : std::false_type {};
template <typename R, typename... A, typename S, typename... B> struct Agree<R(A...), S(B...)> {
  static constexpr bool value = [] {
    if constexpr (sizeof...(A) == sizeof...(B))
      return (isAlike<R, S> && ... && isAlike<A, B>);
    else
      return false;
  }();
};

// The header's macros add the version of the interface to the names, as our symbols have it.
#define DENIM_STRING_OF(name) #name
#define DENIM_EXPANDED(name) DENIM_STRING_OF(name)
constexpr bool isSame(const char *a, const char *b) {
  while (*a && *a == *b)
    ++a, ++b;
  return *a == *b;
}

#define CHECK(member, function)                                                                                        \
  static_assert(Agree<cuda::Driver::member##Type, decltype(::function)>::value, "parameters of " #function)
#define CHECK_VERSION(symbol, function) static_assert(isSame(symbol, DENIM_EXPANDED(function)), "version of " symbol)
CHECK(init, cuInit);
CHECK(deviceGetAttribute, cuDeviceGetAttribute);
CHECK(primaryCtxRetain, cuDevicePrimaryCtxRetain);
CHECK(primaryCtxRelease, cuDevicePrimaryCtxRelease);
CHECK(memAddressReserve, cuMemAddressReserve);
CHECK(memCreate, cuMemCreate);
CHECK(memMap, cuMemMap);
CHECK(memSetAccess, cuMemSetAccess);
CHECK(memGetGranularity, cuMemGetAllocationGranularity);
CHECK(memHostAlloc, cuMemHostAlloc);
CHECK(memcpyHtoDAsync, cuMemcpyHtoDAsync);
CHECK(memcpyDtoHAsync, cuMemcpyDtoHAsync);
CHECK(memcpyDtoDAsync, cuMemcpyDtoDAsync);
CHECK(memsetD8Async, cuMemsetD8Async);
CHECK(streamBeginCapture, cuStreamBeginCapture);
CHECK(streamEndCapture, cuStreamEndCapture);
CHECK(graphInstantiate, cuGraphInstantiateWithFlags);
CHECK(graphLaunch, cuGraphLaunch);
CHECK(eventRecord, cuEventRecord);
CHECK(eventElapsedTime, cuEventElapsedTime);
CHECK(moduleLoadDataEx, cuModuleLoadDataEx);
CHECK(funcGetAttribute, cuFuncGetAttribute);
CHECK(funcSetAttribute, cuFuncSetAttribute);
CHECK(launchKernel, cuLaunchKernel);
CHECK(launchKernelEx, cuLaunchKernelEx);
CHECK(tensorMapEncodeTiled, cuTensorMapEncodeTiled);
CHECK_VERSION("cuMemcpyHtoDAsync_v2", cuMemcpyHtoDAsync);
CHECK_VERSION("cuMemcpyDtoHAsync_v2", cuMemcpyDtoHAsync);
CHECK_VERSION("cuMemcpyDtoDAsync_v2", cuMemcpyDtoDAsync);
CHECK_VERSION("cuStreamBeginCapture_v2", cuStreamBeginCapture);
CHECK_VERSION("cuDevicePrimaryCtxRelease_v2", cuDevicePrimaryCtxRelease);
CHECK_VERSION("cuEventDestroy_v2", cuEventDestroy);
CHECK_VERSION("cuStreamDestroy_v2", cuStreamDestroy);

static_assert(sizeof(cuda::AllocationProperties) == sizeof(CUmemAllocationProp));
static_assert(offsetof(cuda::AllocationProperties, location) == offsetof(CUmemAllocationProp, location));
static_assert(sizeof(cuda::MemoryAccess) == sizeof(CUmemAccessDesc));
static_assert(sizeof(cuda::LaunchConfig) == sizeof(CUlaunchConfig) &&
              offsetof(cuda::LaunchConfig, attributes) == offsetof(CUlaunchConfig, attrs));
static_assert(sizeof(cuda::LaunchAttribute) == sizeof(CUlaunchAttribute) &&
              offsetof(cuda::LaunchAttribute, number) == offsetof(CUlaunchAttribute, value) &&
              cuda::kOverlapsLaunchBefore == CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION);
static_assert(sizeof(cuda::TensorMap) == sizeof(CUtensorMap) && alignof(cuda::TensorMap) >= alignof(CUtensorMap) &&
              cuda::kTensorBF16 == CU_TENSOR_MAP_DATA_TYPE_BFLOAT16 &&
              cuda::kInterleaveNone == CU_TENSOR_MAP_INTERLEAVE_NONE &&
              cuda::kSwizzle128 == CU_TENSOR_MAP_SWIZZLE_128B &&
              cuda::kPromotion256 == CU_TENSOR_MAP_L2_PROMOTION_L2_256B &&
              cuda::kFillZeros == CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
static_assert(cuda::kOutOfMemory == CUDA_ERROR_OUT_OF_MEMORY && cuda::kInvalidImage == CUDA_ERROR_INVALID_IMAGE &&
              cuda::kNoBinary == CUDA_ERROR_NO_BINARY_FOR_GPU && cuda::kInvalidPtx == CUDA_ERROR_INVALID_PTX &&
              cuda::kUnsupportedPtx == CUDA_ERROR_UNSUPPORTED_PTX_VERSION && cuda::kNotFound == CUDA_ERROR_NOT_FOUND);
static_assert(cuda::kMultiprocessors == CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT &&
              cuda::kCapabilityMajor == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR &&
              cuda::kCapabilityMinor == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR &&
              cuda::kMostSharedBytes == CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN &&
              cuda::kVirtualMemory == CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED);
static_assert(cuda::kMostThreads == CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK &&
              cuda::kMostDynamicShared == CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES);
static_assert(cuda::kErrorLog == CU_JIT_ERROR_LOG_BUFFER && cuda::kErrorLogBytes == CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES);
static_assert(cuda::kNonBlocking == CU_STREAM_NON_BLOCKING && cuda::kDisableTiming == CU_EVENT_DISABLE_TIMING &&
              cuda::kCaptureRelaxed == CU_STREAM_CAPTURE_MODE_RELAXED);
static_assert(cuda::kLocationDevice == CU_MEM_LOCATION_TYPE_DEVICE && cuda::kPinned == CU_MEM_ALLOCATION_TYPE_PINNED &&
              cuda::kReadWrite == CU_MEM_ACCESS_FLAGS_PROT_READWRITE &&
              cuda::kGranularityMinimum == CU_MEM_ALLOC_GRANULARITY_MINIMUM);

#define CHECK_BLAS(member, function)                                                                                   \
  static_assert(Agree<cublas::Functions::member##Type, decltype(::function)>::value, "parameters of " #function)
CHECK_BLAS(create, cublasLtCreate);
CHECK_BLAS(operationCreate, cublasLtMatmulDescCreate);
CHECK_BLAS(operationSet, cublasLtMatmulDescSetAttribute);
CHECK_BLAS(layoutCreate, cublasLtMatrixLayoutCreate);
CHECK_BLAS(preferenceCreate, cublasLtMatmulPreferenceCreate);
CHECK_BLAS(preferenceSet, cublasLtMatmulPreferenceSetAttribute);
CHECK_BLAS(heuristic, cublasLtMatmulAlgoGetHeuristic);
CHECK_BLAS(matmul, cublasLtMatmul);
static_assert(sizeof(cublas::HeuristicResult) == sizeof(cublasLtMatmulHeuristicResult_t) &&
              offsetof(cublas::HeuristicResult, state) == offsetof(cublasLtMatmulHeuristicResult_t, state));
static_assert(cublas::kTypeF32 == CUDA_R_32F && cublas::kTypeBF16 == CUDA_R_16BF &&
              cublas::kCompute32F == CUBLAS_COMPUTE_32F && cublas::kOpN == CUBLAS_OP_N && cublas::kOpT == CUBLAS_OP_T);
static_assert(cublas::kTransA == CUBLASLT_MATMUL_DESC_TRANSA && cublas::kTransB == CUBLASLT_MATMUL_DESC_TRANSB &&
              cublas::kMostWorkspace == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES);

} // namespace
