//===- SgemmLibraries.cpp - what others reach on the same product ---------===//
//
// Loaded when they are there and never linked: a row to compare with, not something that Denim needs. Operands lie as
// in `linear`: activations [M, K], weights [N, K].
//
//===----------------------------------------------------------------------===//

#include "runtime/tools/Commands.h"
#include "runtime/tools/denim-bench/Measurement.h"

#include <cstdlib>
#include <dlfcn.h>

namespace denim::bench {

namespace {

constexpr int64_t kRows = 512, kInner = 2048, kColumns = 2048;

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
  std::vector<float> a(kRows * kInner), b(kColumns * kInner), c(kRows * kColumns);
  for (size_t i = 0; i < a.size(); ++i)
    a[i] = 0.01f * static_cast<float>(i % 7);
  for (size_t i = 0; i < b.size(); ++i)
    b[i] = 0.01f * static_cast<float>(i % 11);
  std::vector<Row> rows;
  auto measure = [&](const char *name, auto product) {
    Row row;
    row.name = std::string("sgemm ") + name + " M=512 K=2048 N=2048";
    row.tokens = kRows;
    row.flops = 2.0 * kRows * kInner * kColumns;
    row.bytes = 4.0 * (kRows * kInner + kColumns * kInner + kRows * kColumns);
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
  if (void *library = open({"libopenblas.so.0", "libopenblas.so"}))
    if (auto sgemm = reinterpret_cast<CblasSgemm>(dlsym(library, "cblas_sgemm")))
      measure("OpenBLAS", [&] {
        constexpr int kRowMajor = 101, kPlain = 111, kTransposed = 112;
        sgemm(kRowMajor, kPlain, kTransposed, kRows, kColumns, kInner, 1, a.data(), kInner, b.data(), kInner, 0,
              c.data(), kColumns);
        return true;
      });
  if (void *library = open({"libdnnl.so.3", "libdnnl.so.2", "libdnnl.so"}))
    if (auto sgemm = reinterpret_cast<DnnlSgemm>(dlsym(library, "dnnl_sgemm")))
      measure("oneDNN", [&] {
        return sgemm('N', 'T', kRows, kColumns, kInner, 1, a.data(), kInner, b.data(), kInner, 0, c.data(), kColumns) ==
               0;
      });
  return rows;
}

} // namespace denim::bench
