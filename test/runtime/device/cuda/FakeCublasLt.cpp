//===- FakeCublasLt.cpp - a libcublasLt.so.13 on host memory --------------===//
//
// Products of what CublasLt.h declares, on the stream of the fake driver. It reads matrices as the library does,
// columns first, so that a wrong order or leading dimension shows. It knows no algorithm for an inner size of 3. For
// others it proposes three: the first is slow, the second is fast, the third it does not take. A product of 48
// rows has the first alone. As the library's table of types says, a result of f32 operands is f32, one of bf16 operands
// either.
//
//===----------------------------------------------------------------------===//

#include "runtime/device/cuda/CublasLt.h"
#include "test/runtime/device/cuda/FakeCuda.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <thread>
#include <utility>

using namespace denim::cublas;

namespace denim::cublas {
struct HandleObject {};
struct OperationObject {
  int transposeA = kOpN, transposeB = kOpN;
};
struct LayoutObject {
  int type;
  uint64_t rows, columns;
  int64_t leading;
};
struct PreferenceObject {
  size_t workspace = 0;
  uint32_t reductions = 7; // all
};
} // namespace denim::cublas

namespace {

float at(const void *data, const LayoutObject &layout, uint64_t row, uint64_t column) {
  uint64_t index = row + column * static_cast<uint64_t>(layout.leading);
  if (layout.type == kTypeF32)
    return static_cast<const float *>(data)[index];
  uint32_t bits = static_cast<uint32_t>(static_cast<const uint16_t *>(data)[index]) << 16;
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}

void set(void *data, const LayoutObject &layout, uint64_t row, uint64_t column, float value) {
  uint64_t index = row + column * static_cast<uint64_t>(layout.leading);
  if (layout.type == kTypeF32) {
    static_cast<float *>(data)[index] = value;
    return;
  }
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  bits += 0x7fff + (bits >> 16 & 1); // to nearest, ties to even
  static_cast<uint16_t *>(data)[index] = static_cast<uint16_t>(bits >> 16);
}

struct Work {
  OperationObject operation;
  float alpha, beta;
  const void *a, *b, *c;
  LayoutObject layoutA, layoutB, layoutC, layoutD;
  void *d;
  bool slow;
};

enum : uint64_t { kSlow = 17, kFast, kRefused };
long calls[2]; // of each that is taken

void run(void *data) {
  const Work &w = *static_cast<Work *>(data);
  if (w.slow)
    std::this_thread::sleep_for(std::chrono::microseconds(500));
  for (uint64_t column = 0; column < w.layoutD.columns; ++column)
    for (uint64_t row = 0; row < w.layoutD.rows; ++row) {
      float sum = 0;
      uint64_t inner = w.operation.transposeA == kOpT ? w.layoutA.rows : w.layoutA.columns;
      for (uint64_t k = 0; k < inner; ++k)
        sum += (w.operation.transposeA == kOpT ? at(w.a, w.layoutA, k, row) : at(w.a, w.layoutA, row, k)) *
               (w.operation.transposeB == kOpT ? at(w.b, w.layoutB, column, k) : at(w.b, w.layoutB, k, column));
      float before = w.beta == 0 ? 0 : w.beta * at(w.c, w.layoutC, row, column);
      set(w.d, w.layoutD, row, column, w.alpha * sum + before);
    }
}

} // namespace

extern "C" {

/// Products asked of algorithm 0 or 1 since the last call for it.
long fake_cublaslt_calls(int algorithm) {
  return std::exchange(calls[algorithm], 0);
}

Status cublasLtCreate(Handle *out) {
  *out = new HandleObject;
  return 0;
}
Status cublasLtDestroy(Handle handle) {
  delete handle;
  return 0;
}
const char *cublasLtGetStatusName(Status) {
  return "CUBLAS_STATUS_OF_THE_FAKE";
}
Status cublasLtMatmulDescCreate(Operation *out, int compute, int scale) {
  if (compute != kCompute32F || scale != kTypeF32)
    return 7;
  *out = new OperationObject;
  return 0;
}
Status cublasLtMatmulDescDestroy(Operation operation) {
  delete operation;
  return 0;
}
Status cublasLtMatmulDescSetAttribute(Operation operation, int attribute, const void *value, size_t bytes) {
  if (bytes != sizeof(int) || (attribute != kTransA && attribute != kTransB))
    return 7;
  std::memcpy(attribute == kTransA ? &operation->transposeA : &operation->transposeB, value, bytes);
  return 0;
}
Status cublasLtMatrixLayoutCreate(Layout *out, int type, uint64_t rows, uint64_t columns, int64_t leading) {
  *out = new LayoutObject{type, rows, columns, leading};
  return 0;
}
Status cublasLtMatrixLayoutDestroy(Layout layout) {
  delete layout;
  return 0;
}
Status cublasLtMatmulPreferenceCreate(Preference *out) {
  *out = new PreferenceObject;
  return 0;
}
Status cublasLtMatmulPreferenceDestroy(Preference preference) {
  delete preference;
  return 0;
}
Status cublasLtMatmulPreferenceSetAttribute(Preference preference, int attribute, const void *value, size_t bytes) {
  if (attribute == kMostWorkspace && bytes == sizeof preference->workspace)
    std::memcpy(&preference->workspace, value, bytes);
  else if (attribute == kReductions && bytes == sizeof preference->reductions)
    std::memcpy(&preference->reductions, value, bytes);
  else
    return 7;
  return 0;
}
Status cublasLtMatmulAlgoGetHeuristic(Handle, Operation operation, Layout a, Layout b, Layout c, Layout d,
                                      Preference preference, int most, HeuristicResult *out, int *count) {
  if (a->type != b->type || c->type != d->type || (a->type == kTypeF32 && d->type != kTypeF32))
    return 15;
  // Algorithms that add parts of a sum as bf16 are not asked for.
  if (preference->reductions != kReductionF32)
    return 15;
  uint64_t inner = operation->transposeA == kOpT ? a->rows : a->columns;
  *count = inner == 3 ? 0 : std::min(most, b->columns == 48 ? 1 : 3);
  for (int i = 0; i < *count; ++i) {
    out[i] = {};
    out[i].algorithm.data[0] = kSlow + i;
  }
  return 0;
}
Status cublasLtMatmul(Handle, Operation operation, const void *alpha, const void *a, Layout layoutA, const void *b,
                      Layout layoutB, const void *beta, const void *c, Layout layoutC, void *d, Layout layoutD,
                      const Algorithm *algorithm, void *, size_t, denim::cuda::Stream stream) {
  uint64_t name = algorithm->data[0];
  if (name == kRefused)
    return 15;
  if (name != kSlow && name != kFast)
    return 7;
  ++calls[name - kSlow];
  auto *work = new Work{*operation, 0, 0, a, b, c, *layoutA, *layoutB, *layoutC, *layoutD, d, name == kSlow};
  std::memcpy(&work->alpha, alpha, sizeof(float));
  std::memcpy(&work->beta, beta, sizeof(float));
  return fake_cuda_enqueue(stream, run, work, [](void *data) { delete static_cast<Work *>(data); }) ? 13 : 0;
}

} // extern "C"
