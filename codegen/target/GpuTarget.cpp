#include "codegen/target/GpuTarget.h"
#include "llvm/ADT/StringExtras.h"

using namespace llvm;
using namespace denim::codegen;

// Sizes: CUDA C++ programming guide, table of technical specifications per compute capability. Multiprocessors: H100
// and H200 SXM, A100. Rates of sm_90a: what copies and products of 8192^3 reached on an H200 (test/perf/README.md); of
// sm_80: nine tenths of an A100's data sheet. Latency: that of a load that misses all caches, with the way of an
// address before it.
static const GpuTarget kTargets[] = {
    {"sm_90a", "+ptx80", 227 * 1024, 65536, 132, 228 * 1024, 2048, 32, 4.24e6, 0.8, 8.1e8, true, true, true, true},
    {"sm_80", "+ptx75", 163 * 1024, 65536, 108, 164 * 1024, 2048, 32, 1.4e6, 0.8, 2.8e8, false, false, false, false},
};

ArrayRef<StringRef> denim::codegen::gpuTargetNames() {
  static const StringRef names[] = {"sm_90a", "sm_80"};
  return names;
}

Expected<GpuTarget> denim::codegen::findGpuTarget(StringRef name) {
  for (const GpuTarget &target : kTargets)
    if (name == target.name)
      return target;
  return createStringError("expected a GPU target (" + join(gpuTargetNames(), ", ") + "), but got \"" + name + "\"");
}
