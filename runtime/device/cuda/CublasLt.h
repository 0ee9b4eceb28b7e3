//===- CublasLt.h - products by NVIDIA's library ------------------*- C++ -*-===//
//
// cuBLASLt is found when a program runs, like the driver; without it kernels compute their products themselves. Its
// heuristic is asked once for each shape, and the answers kept: the best guess, and what is nearly as good by the
// library's own model. That model does not know how hot a chip runs: under a whole prefill, which draws all the power
// there is, others of them are up to an eighth faster. So a pass that is seen again, which is worth a graph, is worth
// measuring its large products, once for each size.
//
// Owner: the device, whose context must be current in every call. Threads: one at a time.
//
//===----------------------------------------------------------------------===//

#ifndef DENIM_RUNTIME_DEVICE_CUDA_CUBLASLT_H
#define DENIM_RUNTIME_DEVICE_CUDA_CUBLASLT_H

#include "runtime/device/Device.h"
#include "runtime/device/cuda/CudaDriver.h"

#include <map>
#include <tuple>
#include <vector>

namespace denim {

/// What we use of cublasLt.h, declared by ourselves.
namespace cublas {

using Status = int; ///< 0: success
inline constexpr int kTypeF32 = 0, kTypeBF16 = 14;
inline constexpr int kCompute32F = 68; ///< sums in f32, operands as they are: no tf32
inline constexpr int kOpN = 0, kOpT = 1;
inline constexpr int kTransA = 3, kTransB = 4;            ///< attributes of an operation
inline constexpr int kMostWorkspace = 1, kReductions = 3; ///< attributes of a preference
/// Of what is split along the contraction, parts are added as f32, never as what the result is rounded to.
inline constexpr uint32_t kReductionF32 = 2;

struct Algorithm {
  uint64_t data[8];
};
struct HeuristicResult {
  Algorithm algorithm;
  size_t workspaceBytes;
  Status state;
  float waves;
  int reserved[4];
};
using Handle = struct HandleObject *;
using Operation = struct OperationObject *;
using Layout = struct LayoutObject *;
using Preference = struct PreferenceObject *;

#define DENIM_CUBLASLT_FUNCTIONS(F)                                                                                    \
  F(create, "cublasLtCreate", Status(Handle *))                                                                        \
  F(destroy, "cublasLtDestroy", Status(Handle))                                                                        \
  F(getStatusName, "cublasLtGetStatusName", const char *(Status))                                                      \
  F(operationCreate, "cublasLtMatmulDescCreate", Status(Operation *, int, int))                                        \
  F(operationDestroy, "cublasLtMatmulDescDestroy", Status(Operation))                                                  \
  F(operationSet, "cublasLtMatmulDescSetAttribute", Status(Operation, int, const void *, size_t))                      \
  F(layoutCreate, "cublasLtMatrixLayoutCreate", Status(Layout *, int, uint64_t, uint64_t, int64_t))                    \
  F(layoutDestroy, "cublasLtMatrixLayoutDestroy", Status(Layout))                                                      \
  F(preferenceCreate, "cublasLtMatmulPreferenceCreate", Status(Preference *))                                          \
  F(preferenceDestroy, "cublasLtMatmulPreferenceDestroy", Status(Preference))                                          \
  F(preferenceSet, "cublasLtMatmulPreferenceSetAttribute", Status(Preference, int, const void *, size_t))              \
  F(heuristic, "cublasLtMatmulAlgoGetHeuristic",                                                                       \
    Status(Handle, Operation, Layout, Layout, Layout, Layout, Preference, int, HeuristicResult *, int *))              \
  F(matmul, "cublasLtMatmul",                                                                                          \
    Status(Handle, Operation, const void *, const void *, Layout, const void *, Layout, const void *, const void *,    \
           Layout, void *, Layout, const Algorithm *, void *, size_t, cuda::Stream))

struct Functions {
#define DENIM_CUBLASLT_MEMBER(member, symbol, type)                                                                    \
  using member##Type = type;                                                                                           \
  member##Type *member = nullptr;
  DENIM_CUBLASLT_FUNCTIONS(DENIM_CUBLASLT_MEMBER)
#undef DENIM_CUBLASLT_MEMBER
};

} // namespace cublas

class CublasLt {
public:
  /// The first of |libraries| that loads; DENIM_STATUS_NOT_FOUND if none does. The device's context must be current.
  /// Products of at least |leastMeasured| operations are worth measuring.
  static Status open(const std::vector<std::string> &libraries, double leastMeasured, Device &device,
                     std::unique_ptr<CublasLt> &out);
  ~CublasLt();

  /// The product to |stream|, or out |supported| false when the library has no algorithm for it.
  denim::Status run(const Product &product, cuda::Stream stream, bool &supported);
  /// Measures what the heuristic proposes if |product| is large and of a size that was not measured before, and keeps
  /// the fastest for products of this size: other numbers of rows up to the same power of two take it where it is
  /// proposed for them, too. What is at |product.out| is lost. Waits for the stream.
  denim::Status measure(const Product &product, const cuda::Driver &driver, cuda::Stream stream);

private:
  /// What a shape needs; no algorithms when the library has none.
  struct Prepared {
    cublas::Operation operation = nullptr;
    cublas::Layout weight = nullptr, x = nullptr, out = nullptr;
    std::vector<cublas::Algorithm> algorithms; ///< by the heuristic's order
    size_t chosen = 0;
  };
  /// Rows, columns, inner, inputs, output, whether something is added.
  using Shape = std::tuple<int64_t, int64_t, int64_t, Product::Type, Product::Type, bool>;

  CublasLt() = default;
  static Shape shapeOf(const Product &product);
  /// The shape with rows up to the next power of two.
  static Shape sizeOf(Shape shape);
  denim::Status find(const Product &product, Prepared *&out);
  denim::Status prepare(const Product &product, Prepared &prepared);
  void chooseMeasured(const Shape &shape, Prepared &prepared);
  cublas::Status multiply(const Product &product, const Prepared &prepared, size_t algorithm, cuda::Stream stream);
  denim::Status check(cublas::Status result, const char *what) const;
  void end(Prepared &prepared);

  cublas::Functions functions;
  cublas::Handle handle = nullptr;
  DeviceMemory workspace;
  std::map<Shape, Prepared> shapes;
  std::map<Shape, cublas::Algorithm> measured; ///< the fastest, by size
  double leastMeasured = 0;                    ///< operations of a product
};

} // namespace denim

#endif
