#include "codegen/target/Target.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/TargetParser/Host.h"

using namespace denim::codegen;
using llvm::StringRef;

static const StringRef names[] = {"x86-64-v4-amx", "x86-64-v4", "x86-64-v3", "x86-64-v2"};

llvm::ArrayRef<StringRef> denim::codegen::targetNames() {
  return names;
}

/// Shapes are measured (test/perf/tile-bench). 512-bit code is tuned for cascadelake, the oldest processor where it
/// pays; without -prefer-256-bit LLVM would split its vectors in two.
static Target makeTarget(StringRef name) {
  Target t;
  t.name = name.str();
  t.bf16Convert = false;
  t.fusedMultiplyAdd = t.halfConvert = true;
  if (name == "x86-64-v4" || name == "x86-64-v4-amx") {
    t.cpu = "cascadelake";
    t.features = "-prefer-256-bit";
    t.requiredFlags = {"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512cd", "avx512_vnni", "fma",
                       "avx2",    "bmi1",     "bmi2",     "f16c",     "movbe",    "abm"};
    t.lanes = 16, t.registers = 32, t.vectorBits = 512;
    t.lookUp = true;
    t.outerTile = {8, 3}, t.dotTile = {4, 4}, t.blockBytes = 24 * 1024;
    // Products of 512 rows: 14 % faster than turning by panels for each 64 of them. With 8 lanes, whose strips of such
    // a copy are a line wide and 512 bytes apart, they were 3 % slower.
    t.turnedBytes = 8 << 20;
    if (name == "x86-64-v4-amx") {
      t.features += ",+avx512bf16,+amx-tile,+amx-bf16";
      t.requiredFlags.insert(t.requiredFlags.end(), {"avx512_bf16", "amx_tile", "amx_bf16"});
      t.bf16Convert = true;
      // Emerald Rapids at 3.9 GHz: a tile product takes 16 cycles, a tile 8 from the first-level cache and 20 from the
      // second. Fitted to f32 products there: 64 x 128 x 64 took 4.3 us (vectors 4.7; rounded operands 1.8),
      // 64 x 64 x 64 2.4 (2.2; 1.1), 128 x 128 x 64 6.8 (8.7; 2.9), 16 x 128 x 128 4.1 (2.2; 2.0).
      t.matrix = {/*product=*/18, /*tile=*/85, /*term=*/90, /*turn=*/120, /*sums=*/60};
    }
  } else if (name == "x86-64-v3") {
    t.cpu = "haswell";
    t.requiredFlags = {"avx2", "fma", "bmi1", "bmi2", "f16c", "movbe", "abm"};
    t.lanes = 8, t.registers = 16, t.vectorBits = 256;
    t.outerTile = {4, 2}, t.dotTile = {2, 4}, t.blockBytes = 16 * 1024;
  } else {
    t.cpu = "x86-64-v2";
    t.requiredFlags = {"sse4_2", "ssse3", "popcnt", "cx16"};
    t.fusedMultiplyAdd = t.halfConvert = false;
    t.lanes = 4, t.registers = 16, t.vectorBits = 128;
    t.outerTile = {4, 2}, t.dotTile = {2, 4}, t.blockBytes = 16 * 1024;
  }
  return t;
}

/// /proc/cpuinfo and LLVM spell a few flags differently.
static StringRef llvmName(StringRef flag) {
  if (flag == "abm")
    return "lzcnt";
  if (flag == "sse4_2")
    return "sse4.2";
  if (flag == "avx512_vnni")
    return "avx512vnni";
  if (flag == "bmi1")
    return "bmi";
  if (flag == "avx512_bf16")
    return "avx512bf16";
  if (flag == "amx_tile")
    return "amx-tile";
  if (flag == "amx_bf16")
    return "amx-bf16";
  return flag;
}

bool denim::codegen::runsHere(const Target &target) {
  llvm::StringMap<bool> host = llvm::sys::getHostCPUFeatures();
  return llvm::all_of(target.requiredFlags, [&](const std::string &flag) { return host.lookup(llvmName(flag)); });
}

llvm::Expected<Target> denim::codegen::findTarget(StringRef name) {
  if (name == "native") {
    for (StringRef candidate : names)
      if (Target t = makeTarget(candidate); runsHere(t))
        return t;
    return llvm::createStringError("expected a processor with at least SSE 4.2, but got %s",
                                   llvm::sys::getHostCPUName().str().c_str());
  }
  if (llvm::is_contained(names, name))
    return makeTarget(name);
  return llvm::createStringError("expected target native, %s, but got '%s'", llvm::join(targetNames(), ", ").c_str(),
                                 name.str().c_str());
}
