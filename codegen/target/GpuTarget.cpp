#include "codegen/target/GpuTarget.h"
#include "llvm/ADT/StringExtras.h"

using namespace llvm;
using namespace denim::codegen;

// Shared memory per block and registers: CUDA C++ programming guide, table of technical specifications per compute
// capability. Multiprocessors: H100 and H200 SXM, A100.
static const GpuTarget kTargets[] = {
    {"sm_90a", "+ptx80", 227 * 1024, 65536, 132, true, true, true, true},
    {"sm_80", "+ptx70", 163 * 1024, 65536, 108, false, false, false, false},
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
