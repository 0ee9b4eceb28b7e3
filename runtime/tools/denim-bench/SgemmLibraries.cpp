//===- SgemmLibraries.cpp - what others reach on the same product ---------===//
//
// Loaded when they are there and never linked: a row to compare with, not something that Denim needs. Operands lie as
// in `linear`: activations [M, K], weights [N, K]. The small shapes are those of products inside kernels, whose rows
// are in tile-bench.
//
//===----------------------------------------------------------------------===//

#include "runtime/tools/Commands.h"
#include "runtime/tools/denim-bench/Measurement.h"

#include <cstdlib>
#include <dlfcn.h>

namespace denim::bench {

namespace {

struct Shape {
  int64_t rows, inner, columns;
};
constexpr Shape kShapes[] = {{512, 2048, 2048}, {64, 128, 128}, {64, 64, 128}};

using CblasSgemm = void (*)(int order, int transposeA, int transposeB, int m, int n, int k, float alpha, const float *a,
                            int lda, const float *b, int ldb, float beta, float *c, int ldc);
using DnnlSgemm = int (*)(char transposeA, char transposeB, int64_t m, int64_t n, int64_t k, float alpha,
                          const float *a, int64_t lda, const float *b, int64_t ldb, float beta, float *c, int64_t ldc);

void *open(std::initializer_list<const char *> names) {
  for (const char *name : names)
    if (void *library = dlopen(name, RTLD_NOW | RTLD_LOCAL))
      return library;
  return nullptr;
}

} // namespace

std::vector<Row> measureLibraries(Bench &bench) {
  // The libraries read these when they are loaded.
  std::string threads = std::to_string(bench.threads);
  setenv("OPENBLAS_NUM_THREADS", threads.c_str(), 1);
  setenv("OMP_NUM_THREADS", threads.c_str(), 1);
#ifdef __x86_64__
  // Releases older than a processor take it for one without wide vectors; a choice of the user's stays.
  if (__builtin_cpu_supports("avx512f"))
    setenv("OPENBLAS_CORETYPE", "SkylakeX", 0);
#endif
  void *openBlas = open({"libopenblas.so.0", "libopenblas.so"});
  void *oneDnn = open({"libdnnl.so.3", "libdnnl.so.2", "libdnnl.so"});
  auto blas = openBlas ? reinterpret_cast<CblasSgemm>(dlsym(openBlas, "cblas_sgemm")) : nullptr;
  auto dnnl = oneDnn ? reinterpret_cast<DnnlSgemm>(dlsym(oneDnn, "dnnl_sgemm")) : nullptr;
  std::vector<Row> rows;
  for (auto [m, k, n] : kShapes) {
    std::vector<float> a(m * k), b(n * k), c(m * n);
    for (size_t i = 0; i < a.size(); ++i)
      a[i] = 0.01f * static_cast<float>(i % 7);
    for (size_t i = 0; i < b.size(); ++i)
      b[i] = 0.01f * static_cast<float>(i % 11);
    auto measure = [&, m = m, k = k, n = n](const char *name, auto product) {
      Row row;
      row.name = std::string("sgemm ") + name + " M=" + std::to_string(m) + " K=" + std::to_string(k) +
                 " N=" + std::to_string(n);
      row.tokens = static_cast<double>(m);
      row.flops = 2.0 * static_cast<double>(m * k * n);
      row.bytes = 4.0 * static_cast<double>(m * k + n * k + m * n);
      bool failed = false;
      auto once = [&](double &one) -> Status {
        Stopwatch watch;
        failed |= !product();
        one = watch.seconds();
        return {};
      };
      if (timeRow(bench, bench.seconds, once, row) || failed)
        return;
      setLimit(bench.limits, Traffic::Read, row.bytes, row);
      rows.push_back(row);
    };
    if (blas)
      measure("OpenBLAS", [&, m = static_cast<int>(m), k = static_cast<int>(k), n = static_cast<int>(n)] {
        constexpr int kRowMajor = 101, kPlain = 111, kTransposed = 112;
        blas(kRowMajor, kPlain, kTransposed, m, n, k, 1, a.data(), k, b.data(), k, 0, c.data(), n);
        return true;
      });
    if (dnnl)
      measure("oneDNN", [&, m = m, k = k, n = n] {
        return dnnl('N', 'T', m, n, k, 1, a.data(), k, b.data(), k, 0, c.data(), n) == 0;
      });
  }
  return rows;
}

} // namespace denim::bench
