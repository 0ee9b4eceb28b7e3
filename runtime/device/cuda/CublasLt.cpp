//===- CublasLt.cpp - products by NVIDIA's library ------------------------===//

#include "runtime/device/cuda/CublasLt.h"

#include <cstring>
#include <dlfcn.h>

namespace denim {

namespace {

constexpr size_t kWorkspaceBytes = size_t(32) << 20; // what NVIDIA advises for the algorithms of its newer devices
constexpr size_t kMostShapes = 4096;                 // prompts of every length would grow the map without end
constexpr int kMostAlgorithms = 8;                   // of a shape; what comes later in the order was never faster
// Algorithms take turns, and the first turn only warms up: all are measured as hot as a long pass makes the chip.
constexpr int kTurns = 3, kRunsOfTurn = 3;
constexpr float kWorthIt = 0.98f; // of the time of the heuristic's own choice; less is noise

int typeOf(Product::Type type) {
  return type == Product::BF16 ? cublas::kTypeBF16 : cublas::kTypeF32;
}

} // namespace

Status CublasLt::open(const std::vector<std::string> &libraries, double leastMeasured, Device &device,
                      std::unique_ptr<CublasLt> &out) {
  void *library = nullptr; // never closed, like the driver
  for (const std::string &name : libraries)
    if (!library)
      library = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library)
    return error(DENIM_STATUS_NOT_FOUND, "expected cuBLASLt, but got none");
  std::unique_ptr<CublasLt> blas(new CublasLt);
  blas->leastMeasured = leastMeasured;
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
  if (!status)
    status =
        check(f.preferenceSet(preference, cublas::kReductions, &cublas::kReductionF32, sizeof cublas::kReductionF32),
              "cublasLtMatmulPreferenceSetAttribute");
  cublas::HeuristicResult found[kMostAlgorithms] = {};
  int count = 0;
  if (!status && f.heuristic(handle, prepared.operation, prepared.weight, prepared.x, prepared.out, prepared.out,
                             preference, kMostAlgorithms, found, &count) == 0)
    for (int i = 0; i < count; ++i)
      if (found[i].state == 0)
        prepared.algorithms.push_back(found[i].algorithm);
  f.preferenceDestroy(preference);
  return status;
}

CublasLt::Shape CublasLt::shapeOf(const Product &product) {
  return {product.rows, product.columns, product.inner, product.inputs, product.output, product.residual != nullptr};
}

CublasLt::Shape CublasLt::sizeOf(Shape shape) {
  int64_t rows = 1;
  while (rows < std::get<0>(shape))
    rows *= 2;
  std::get<0>(shape) = rows;
  return shape;
}

void CublasLt::chooseMeasured(const Shape &shape, Prepared &prepared) {
  auto it = measured.find(sizeOf(shape));
  for (size_t i = 0; it != measured.end() && i < prepared.algorithms.size(); ++i)
    if (std::memcmp(&prepared.algorithms[i], &it->second, sizeof it->second) == 0)
      prepared.chosen = i;
}

Status CublasLt::find(const Product &product, Prepared *&out) {
  Shape shape = shapeOf(product);
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
    chooseMeasured(shape, prepared);
    it = shapes.emplace(shape, std::move(prepared)).first;
  }
  out = &it->second;
  return {};
}

cublas::Status CublasLt::multiply(const Product &product, const Prepared &prepared, size_t algorithm,
                                  cuda::Stream stream) {
  float one = 1, residual = product.residual ? 1 : 0;
  return functions.matmul(handle, prepared.operation, &one, product.weight, prepared.weight, product.x, prepared.x,
                          &residual, product.residual ? product.residual : product.out, prepared.out, product.out,
                          prepared.out, &prepared.algorithms[algorithm], workspace.data(), kWorkspaceBytes, stream);
}

Status CublasLt::measure(const Product &product, const cuda::Driver &driver, cuda::Stream stream) {
  double operations = 2.0 * static_cast<double>(product.rows) * static_cast<double>(product.columns) *
                      static_cast<double>(product.inner);
  Shape size = sizeOf(shapeOf(product));
  if (operations < leastMeasured || measured.count(size))
    return {};
  Prepared *prepared = nullptr;
  if (Status status = find(product, prepared))
    return status;
  if (prepared->algorithms.empty())
    return {};
  std::vector<float> milliseconds(prepared->algorithms.size(), 0.0f);
  cuda::Event begin = nullptr, end = nullptr;
  cuda::Result result = driver.eventCreate(&begin, 0);
  if (!result)
    result = driver.eventCreate(&end, 0);
  for (int turn = 0; turn <= kTurns && !result; ++turn)
    for (size_t i = 0; i < milliseconds.size() && !result; ++i) {
      if (milliseconds[i] < 0)
        continue; // the library proposed it and does not take it
      bool taken = true;
      result = driver.eventRecord(begin, stream);
      for (int run = 0; run < kRunsOfTurn && taken; ++run)
        taken = multiply(product, *prepared, i, stream) == 0;
      if (!result)
        result = driver.eventRecord(end, stream);
      if (!result)
        result = driver.eventSynchronize(end);
      float passed = 0;
      if (!result)
        result = driver.eventElapsedTime(&passed, begin, end);
      milliseconds[i] = taken ? milliseconds[i] + (turn > 0 ? passed : 0) : -1;
    }
  for (cuda::Event event : {begin, end})
    if (event)
      driver.eventDestroy(event);
  if (result)
    return error(DENIM_STATUS_INTERNAL, "measuring products of cuBLASLt: expected success, but got ",
                 driver.describe(result));
  size_t best = 0;
  for (size_t i = 1; i < milliseconds.size(); ++i)
    if (milliseconds[i] >= 0 && milliseconds[i] < kWorthIt * milliseconds[0] && milliseconds[i] < milliseconds[best])
      best = i;
  measured[size] = prepared->algorithms[best];
  for (auto &[shape, known] : shapes)
    if (sizeOf(shape) == size)
      chooseMeasured(shape, known);
  return {};
}

Status CublasLt::run(const Product &product, cuda::Stream stream, bool &supported) {
  Prepared *prepared = nullptr;
  if (Status status = find(product, prepared))
    return status;
  supported = !prepared->algorithms.empty();
  return supported ? check(multiply(product, *prepared, prepared->chosen, stream), "cublasLtMatmul") : Status();
}

} // namespace denim
