//===- CublasLt.cpp - products by NVIDIA's library ------------------------===//

#include "runtime/device/cuda/CublasLt.h"

#include <dlfcn.h>

namespace denim {

namespace {

constexpr size_t kWorkspaceBytes = size_t(32) << 20; // what NVIDIA advises for the algorithms of its newer devices
constexpr size_t kMostShapes = 4096;                 // prompts of every length would grow the map without end

int typeOf(Product::Type type) {
  return type == Product::BF16 ? cublas::kTypeBF16 : cublas::kTypeF32;
}

} // namespace

Status CublasLt::open(const std::vector<std::string> &libraries, Device &device, std::unique_ptr<CublasLt> &out) {
  void *library = nullptr; // never closed, like the driver
  for (const std::string &name : libraries)
    if (!library)
      library = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library)
    return error(DENIM_STATUS_NOT_FOUND, "expected cuBLASLt, but got none");
  std::unique_ptr<CublasLt> blas(new CublasLt);
#define DENIM_CUBLASLT_FIND(member, symbol, type)                                                                      \
  blas->functions.member = reinterpret_cast<cublas::Functions::member##Type *>(dlsym(library, symbol));                \
  if (!blas->functions.member)                                                                                         \
    return error(DENIM_STATUS_INCOMPATIBLE, "expected a cuBLASLt with ", symbol, ", but got another one");
  DENIM_CUBLASLT_FUNCTIONS(DENIM_CUBLASLT_FIND)
#undef DENIM_CUBLASLT_FIND
  if (Status status = blas->check(blas->functions.create(&blas->handle), "cublasLtCreate"))
    return status;
  if (Status status = device.allocate(kWorkspaceBytes, blas->workspace))
    return error(status.code(), "workspace of cuBLASLt: ", status.message());
  out = std::move(blas);
  return {};
}

CublasLt::~CublasLt() {
  for (auto &[shape, prepared] : shapes)
    end(prepared);
  if (handle)
    functions.destroy(handle);
}

void CublasLt::end(Prepared &prepared) {
  if (prepared.operation)
    functions.operationDestroy(prepared.operation);
  for (cublas::Layout layout : {prepared.weight, prepared.x, prepared.out})
    if (layout)
      functions.layoutDestroy(layout);
}

Status CublasLt::check(cublas::Status result, const char *what) const {
  if (result == 0)
    return {};
  return error(DENIM_STATUS_INTERNAL, what, ": expected success, but got ", functions.getStatusName(result));
}

/// The library counts columns first, so it is asked for out^T [columns, rows] = weight x^T: what lies in memory as
/// weight[columns][inner] is to it an inner x columns matrix, to be transposed.
Status CublasLt::prepare(const Product &product, Prepared &prepared) {
  int input = typeOf(product.inputs), output = typeOf(product.output);
  auto columns = static_cast<uint64_t>(product.columns), inner = static_cast<uint64_t>(product.inner),
       rows = static_cast<uint64_t>(product.rows);
  const cublas::Functions &f = functions;
  if (Status status = check(f.operationCreate(&prepared.operation, cublas::kCompute32F, cublas::kTypeF32),
                            "cublasLtMatmulDescCreate"))
    return status;
  for (auto [attribute, value] : {std::pair(cublas::kTransA, cublas::kOpT), std::pair(cublas::kTransB, cublas::kOpN)})
    if (Status status = check(f.operationSet(prepared.operation, attribute, &value, sizeof value),
                              "cublasLtMatmulDescSetAttribute"))
      return status;
  if (Status status = check(f.layoutCreate(&prepared.weight, input, inner, columns, product.inner),
                            "cublasLtMatrixLayoutCreate of the weight"))
    return status;
  if (Status status =
          check(f.layoutCreate(&prepared.x, input, inner, rows, product.inner), "cublasLtMatrixLayoutCreate of x"))
    return status;
  if (Status status = check(f.layoutCreate(&prepared.out, output, columns, rows, product.columns),
                            "cublasLtMatrixLayoutCreate of the result"))
    return status;
  cublas::Preference preference = nullptr;
  if (Status status = check(f.preferenceCreate(&preference), "cublasLtMatmulPreferenceCreate"))
    return status;
  Status status = check(f.preferenceSet(preference, cublas::kMostWorkspace, &kWorkspaceBytes, sizeof kWorkspaceBytes),
                        "cublasLtMatmulPreferenceSetAttribute");
  cublas::HeuristicResult found = {};
  int count = 0;
  if (!status)
    prepared.supported = f.heuristic(handle, prepared.operation, prepared.weight, prepared.x, prepared.out,
                                     prepared.out, preference, 1, &found, &count) == 0 &&
                         count > 0 && found.state == 0;
  f.preferenceDestroy(preference);
  prepared.algorithm = found.algorithm;
  return status;
}

Status CublasLt::run(const Product &product, cuda::Stream stream, bool &supported) {
  Shape shape(product.rows, product.columns, product.inner, product.inputs, product.output);
  auto it = shapes.find(shape);
  if (it == shapes.end()) {
    if (shapes.size() >= kMostShapes) {
      for (auto &[known, prepared] : shapes)
        end(prepared);
      shapes.clear();
    }
    Prepared prepared;
    if (Status status = prepare(product, prepared)) {
      end(prepared);
      return status;
    }
    it = shapes.emplace(shape, prepared).first;
  }
  const Prepared &prepared = it->second;
  supported = prepared.supported;
  if (!supported)
    return {};
  float one = 1, residual = product.residual ? 1 : 0;
  return check(functions.matmul(handle, prepared.operation, &one, product.weight, prepared.weight, product.x,
                                prepared.x, &residual, product.residual ? product.residual : product.out, prepared.out,
                                product.out, prepared.out, &prepared.algorithm, workspace.data(), kWorkspaceBytes,
                                stream),
               "cublasLtMatmul");
}

} // namespace denim
