// tile-bench: how close generated CPU kernels come to the machine.
//
// Each line is one tile program, its speed, and the share of a limit measured in the same run: fused multiply-adds in
// registers for products, a plain read of memory for products with one row. Best of many repetitions, one thread.
//
//   tile-bench [FILTER] [--target=NAME] [--emit=FILE] [--print]
//
// With --emit the assembly of the programs goes to FILE; --print prints them as tile text and runs nothing.
#include "codegen/cpu/Compile.h"
#include "dialects/tile/ir/Tile.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "runtime/abi/Kernel.h"
#include "test/codegen/cpu/TilePrograms.h"
#include <cstring>
#include <ctime>
#include <dlfcn.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <fstream>
#include <immintrin.h>
#include <sys/mman.h>
#include <unistd.h>

using namespace denim;

/// Time this thread has run: what others do on the machine does not count.
static double now() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return double(t.tv_sec) + 1e-9 * double(t.tv_nsec);
}

/// Best time of one call, over half a second.
template <typename F> static double best(F &&call, double span = 0.5) {
  double least = 1e9, end = now() + span;
  do {
    double begin = now();
    call();
    least = std::min(least, now() - begin);
  } while (now() < end);
  return least;
}

#define PEAK(NAME, FEATURES, TYPE, SET, FMA, LANES)                                                                    \
  __attribute__((target(FEATURES))) static double NAME() {                                                             \
    TYPE x[12], a = SET(0.999f), b = SET(1e-3f);                                                                       \
    for (auto &v : x)                                                                                                  \
      v = SET(1.0f);                                                                                                   \
    double seconds = best(                                                                                             \
        [&]() __attribute__((target(FEATURES))) {                                                                      \
          for (int i = 0; i < 100000; ++i) {                                                                           \
            for (auto &v : x)                                                                                          \
              v = FMA(v, a, b);                                                                                        \
            asm volatile(""                                                                                            \
                         : "+v"(x[0]), "+v"(x[1]), "+v"(x[2]), "+v"(x[3]), "+v"(x[4]), "+v"(x[5]), "+v"(x[6]),         \
                           "+v"(x[7]), "+v"(x[8]), "+v"(x[9]), "+v"(x[10]), "+v"(x[11]));                              \
          }                                                                                                            \
        },                                                                                                             \
        0.1);                                                                                                          \
    return 100000.0 * 12 * LANES * 2 / seconds;                                                                        \
  }
PEAK(peak512, "avx512f", __m512, _mm512_set1_ps, _mm512_fmadd_ps, 16)
PEAK(peak256, "avx2,fma", __m256, _mm256_set1_ps, _mm256_fmadd_ps, 8)

/// Bytes per second of reading `bytes` of memory.
static double readBandwidth(const char *data, size_t bytes) {
  const __m128i *p = reinterpret_cast<const __m128i *>(data);
  volatile int sink = 0;
  double seconds = best([&] {
    __m128i a = _mm_setzero_si128(), b = a, c = a, d = a;
    for (size_t i = 0; i + 4 <= bytes / 16; i += 4) {
      a = _mm_or_si128(a, _mm_loadu_si128(p + i)), b = _mm_or_si128(b, _mm_loadu_si128(p + i + 1));
      c = _mm_or_si128(c, _mm_loadu_si128(p + i + 2)), d = _mm_or_si128(d, _mm_loadu_si128(p + i + 3));
    }
    sink = _mm_cvtsi128_si32(_mm_or_si128(_mm_or_si128(a, b), _mm_or_si128(c, d)));
  });
  (void)sink;
  return bytes / seconds;
}

namespace {
struct Program {
  std::string name;
  std::string text;
  std::vector<size_t> bytes; // of the arguments
  int64_t items;
  double operations = 0, traffic = 0, elements = 0; // of all items
};
} // namespace

static std::vector<Program> programs() {
  std::vector<Program> all;
  auto add = [&](std::string name, std::string arguments, std::string body, std::vector<size_t> bytes, int64_t items,
                 double operations, double traffic = 0, double elements = 0) {
    std::string text = fmt::format("tile.kernel @{}({}) items <once by 1 times 1> at %item {{\n"
                                   "%c0 = arith.constant 0 : index\n%c1 = arith.constant 1 : index\n"
                                   "%c100 = arith.constant 100 : index\n%zero = arith.constant 0.0 : f32\n{}}}\n",
                                   name, arguments, body);
    all.push_back({name, text, bytes, items, operations, traffic, elements});
  };
  // Products of tiles that are in the caches, carried by a loop as in the state of a recurrence.
  for (auto [m, n, k] :
       {std::tuple(64, 128, 128), std::tuple(64, 128, 64), std::tuple(64, 64, 128), std::tuple(128, 128, 64),
        std::tuple(32, 128, 128), std::tuple(64, 64, 64), std::tuple(16, 128, 128)}) {
    for (const char *form : {"nn", "nt", "tn"}) {
      bool tl = form[0] == 't', tr = form[1] == 't';
      int ar = tl ? k : m, ac = tl ? m : k, br = tr ? n : k, bc = tr ? k : n;
      add(fmt::format("mma_{}x{}x{}_{}", m, n, k, form),
          fmt::format("%A: !tile.memory<{}xf32>, %B: !tile.memory<{}xf32>, %C: !tile.memory<{}xf32>", ac, bc, n),
          fmt::format(R"(
        %a = tile.load %A[%c0, %c0] : !tile.memory<{ac}xf32> -> !tile.tile<{ar}x{ac}xf32>
        %b = tile.load %B[%c0, %c0] : !tile.memory<{bc}xf32> -> !tile.tile<{br}x{bc}xf32>
        %s = tile.splat %zero : f32 -> !tile.tile<{m}x{n}xf32>
        %r = scf.for %i = %c0 to %c100 step %c1 iter_args(%c = %s) -> (!tile.tile<{m}x{n}xf32>) {{
          %p = tile.mma {tl} %a, {tr} %b acc %c : !tile.tile<{ar}x{ac}xf32>, !tile.tile<{br}x{bc}xf32>, !tile.tile<{m}x{n}xf32> -> !tile.tile<{m}x{n}xf32>
          scf.yield %p : !tile.tile<{m}x{n}xf32>
        }}
        tile.store %r, %C[%c0, %c0] : !tile.tile<{m}x{n}xf32>, !tile.memory<{n}xf32>
      )",
                      fmt::arg("m", m), fmt::arg("n", n), fmt::arg("k", k), fmt::arg("ar", ar), fmt::arg("ac", ac),
                      fmt::arg("br", br), fmt::arg("bc", bc), fmt::arg("tl", tl ? "transpose_lhs" : ""),
                      fmt::arg("tr", tr ? "transpose_rhs" : "")),
          {size_t(m * k * 4), size_t(k * n * 4), size_t(m * n * 4)}, 1, 200.0 * m * n * k);
    }
  }
  // A projection: activations times rows of weights as the checkpoint stores them.
  for (auto [m, n] : {std::pair(512, 64), std::pair(512, 128), std::pair(64, 64), std::pair(16, 64), std::pair(8, 64)})
    add(fmt::format("projection_{}x{}x2048_bf16", m, n),
        "%A: !tile.memory<2048xf32>, %W: !tile.memory<2048xbf16>, %Y: !tile.memory<2048xf32>",
        fmt::format(R"(
      %cn = arith.constant {n} : index
      %at = arith.muli %item, %cn : index
      %a = tile.load %A[%c0, %c0] : !tile.memory<2048xf32> -> !tile.tile<{m}x2048xf32>
      %w = tile.load %W[%at, %c0] : !tile.memory<2048xbf16> -> !tile.tile<{n}x2048xf32>
      %p = tile.mma %a, transpose_rhs %w : !tile.tile<{m}x2048xf32>, !tile.tile<{n}x2048xf32> -> !tile.tile<{m}x{n}xf32>
      tile.store %p, %Y[%c0, %at] : !tile.tile<{m}x{n}xf32>, !tile.memory<2048xf32>
    )",
                    fmt::arg("m", m), fmt::arg("n", n)),
        {size_t(m) * 2048 * 4, 2048 * 2048 * 2, size_t(m) * 2048 * 4}, 2048 / n, 2.0 * m * 2048 * 2048);
  for (int m : {1, 2, 4})
    add(fmt::format("matvec_{}x2048_bf16", m),
        "%A: !tile.memory<2048xf32>, %W: !tile.memory<2048xbf16>, %Y: !tile.memory<65536xf32>",
        fmt::format(R"(
      %cn = arith.constant 64 : index
      %at = arith.muli %item, %cn : index
      %a = tile.load %A[%c0, %c0] : !tile.memory<2048xf32> -> !tile.tile<{m}x2048xf32>
      %w = tile.load %W[%at, %c0] : !tile.memory<2048xbf16> -> !tile.tile<64x2048xf32>
      %p = tile.mma %a, transpose_rhs %w : !tile.tile<{m}x2048xf32>, !tile.tile<64x2048xf32> -> !tile.tile<{m}x64xf32>
      tile.store %p, %Y[%c0, %at] : !tile.tile<{m}x64xf32>, !tile.memory<65536xf32>
    )",
                    fmt::arg("m", m)),
        {size_t(m) * 2048 * 4, size_t(65536) * 2048 * 2, size_t(m) * 65536 * 4}, 1024, 2.0 * m * 65536 * 2048,
        65536.0 * 2048 * 2);
  // The decode step of a recurrence: read the state twice, change it in place.
  add("state_step", "%S: !tile.memory<128xf32>, %K: !tile.memory<128xf32>, %Y: !tile.memory<128xf32>", R"(
      %cn = arith.constant 128 : index
      %at = arith.muli %item, %cn : index
      %s = tile.load %S[%at, %c0] : !tile.memory<128xf32> -> !tile.tile<128x128xf32>
      %k = tile.load %K[%c0, %c0] : !tile.memory<128xf32> -> !tile.tile<2x128xf32>
      %kc = tile.load %K[%c0, %c0] transposed : !tile.memory<128xf32> -> !tile.tile<128x1xf32>
      %p = tile.mma %k, %s : !tile.tile<2x128xf32>, !tile.tile<128x128xf32> -> !tile.tile<2x128xf32>
      %w = tile.window %p[0, 0] : !tile.tile<2x128xf32> -> !tile.tile<1x128xf32>
      %n = tile.map (%a = %s : !tile.tile<128x128xf32>, %b = %kc : !tile.tile<128x1xf32>, %d = %w : !tile.tile<1x128xf32>) -> !tile.tile<128x128xf32> {
        %bd = arith.mulf %b, %d : f32
        %r = arith.subf %a, %bd : f32
        tile.yield %r : f32
      }
      tile.store %n, %S[%at, %c0] : !tile.tile<128x128xf32>, !tile.memory<128xf32>
      %o = tile.window %p[1, 0] : !tile.tile<2x128xf32> -> !tile.tile<1x128xf32>
      tile.store %o, %Y[%item, %c0] : !tile.tile<1x128xf32>, !tile.memory<128xf32>
    )",
      {size_t(2048) * 65536, 1024, 2048 * 512}, 2048, 0, 2.0 * 2048 * 65536);
  for (int columns : {64, 128})
    add(fmt::format("solve_64x{}", columns), fmt::format("%L: !tile.memory<64xf32>, %B: !tile.memory<{}xf32>", columns),
        fmt::format(R"(
      %l = tile.load %L[%c0, %c0] : !tile.memory<64xf32> -> !tile.tile<64x64xf32>
      %b = tile.load %B[%c0, %c0] : !tile.memory<{0}xf32> -> !tile.tile<64x{0}xf32>
      %r = scf.for %i = %c0 to %c100 step %c1 iter_args(%c = %b) -> (!tile.tile<64x{0}xf32>) {{
        %x = tile.solve %l, %c : !tile.tile<64x64xf32>, !tile.tile<64x{0}xf32>
        scf.yield %x : !tile.tile<64x{0}xf32>
      }}
      tile.store %r, %B[%c0, %c0] : !tile.tile<64x{0}xf32>, !tile.memory<{0}xf32>
    )",
                    columns),
        {64 * 64 * 4, size_t(64 * columns * 4)}, 1, 100.0 * 64 * 63 * columns);
  add("exp_64x128", "%X: !tile.memory<128xf32>, %Y: !tile.memory<128xf32>", R"(
      %b = tile.load %X[%c0, %c0] : !tile.memory<128xf32> -> !tile.tile<64x128xf32>
      %r = scf.for %i = %c0 to %c100 step %c1 iter_args(%c = %b) -> (!tile.tile<64x128xf32>) {
        %x = tile.map (%a = %c : !tile.tile<64x128xf32>) -> !tile.tile<64x128xf32> {
          %n = arith.negf %a : f32
          %e = math.exp %n : f32
          tile.yield %e : f32
        }
        scf.yield %x : !tile.tile<64x128xf32>
      }
      tile.store %r, %Y[%c0, %c0] : !tile.tile<64x128xf32>, !tile.memory<128xf32>
    )",
      {64 * 128 * 4, 64 * 128 * 4}, 1, 0, 0, 100.0 * 64 * 128);
  // Chunks of a gated delta rule: one head per item, state 128x128.
  for (int chunk : {32, 64})
    all.push_back({fmt::format("delta_rule_{}", chunk),
                   test::deltaRule(fmt::format("delta_rule_{}", chunk), chunk, 128, 128, 1024, 16),
                   {1024 * 8192, 1024 * 8192, 1024 * 8192, 65536, 65536, 1024 * 8192, 16 * 65536},
                   16,
                   16.0 * 1024 * (6 * 128 * 128 + 4 * chunk * 128)});
  // The same with one head, whose rows are neighbours and stay in the second-level cache.
  all.push_back({"delta_rule_64_near",
                 test::deltaRule("delta_rule_64_near", 64, 128, 128, 1024, 1),
                 {1024 * 512, 1024 * 512, 1024 * 512, 4096, 4096, 1024 * 512, 65536},
                 1,
                 1024.0 * (6 * 128 * 128 + 4 * 64 * 128)});
  // One block of queries over pages of keys and values.
  all.push_back({"attention_64x1024",
                 test::attention("attention_64x1024", 64, 1024, 64, 128),
                 {64 * 512, 1024 * 512, 1024 * 512, 64 * 512},
                 1,
                 4.0 * 64 * 1024 * 128});
  return all;
}

int main(int argc, char **argv) {
  std::string filter, targetName = "native", emit;
  bool print = false;
  for (int i = 1; i < argc; ++i) {
    std::string argument = argv[i];
    if (argument.rfind("--target=", 0) == 0)
      targetName = argument.substr(9);
    else if (argument.rfind("--emit=", 0) == 0)
      emit = argument.substr(7);
    else if (argument == "--print")
      print = true;
    else
      filter = argument;
  }
  auto target = codegen::findTarget(targetName);
  if (!target) {
    fmt::print(stderr, "tile-bench: {}\n", llvm::toString(target.takeError()));
    return 1;
  }
  mlir::MLIRContext context;
  context.loadDialect<tile::TileDialect, mlir::arith::ArithDialect, mlir::math::MathDialect, mlir::scf::SCFDialect>();
  std::vector<Program> chosen;
  std::string text;
  for (Program &p : programs())
    if (p.name.find(filter) != std::string::npos)
      text += p.text, chosen.push_back(p);
  if (print) {
    fmt::print("{}", text);
    return 0;
  }
  auto module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
  if (!module)
    return 1;
  double begin = now();
  auto code = codegen::compileForCpu(*module, *target);
  if (!code) {
    fmt::print(stderr, "tile-bench: {}\n", llvm::toString(code.takeError()));
    return 1;
  }
  fmt::print("{} programs for {} in {:.2f} s\n", chosen.size(), target->name, now() - begin);
  if (!emit.empty()) {
    auto assembly = codegen::printForCpu(*module, *target, codegen::CpuText::assembly);
    std::ofstream(emit) << llvm::cantFail(std::move(assembly));
  }
  std::string path = emit.empty() ? "" : emit + ".so"; // a file of its own lets a profiler see the code
  int file = emit.empty() ? memfd_create("kernels", 0) : open(path.c_str(), O_CREAT | O_TRUNC | O_RDWR, 0755);
  if (write(file, code->sharedObject.data(), code->sharedObject.size()) != ssize_t(code->sharedObject.size()))
    return 1;
  if (path.empty())
    path = fmt::format("/proc/self/fd/{}", file);
  void *library = dlopen(path.c_str(), RTLD_NOW);
  if (!library) {
    fmt::print(stderr, "tile-bench: {}\n", dlerror());
    return 1;
  }

  double bandwidth = 0;
  for (const Program &p : chosen) {
    std::vector<char *> memory;
    for (size_t bytes : p.bytes) {
      char *data = static_cast<char *>(aligned_alloc(4096, (bytes + 8191) / 4096 * 4096));
      std::memset(data, 0, bytes + 64);
      memory.push_back(data);
    }
    int64_t scratchBytes = 64;
    for (auto &[name, bytes] : code->kernelScratch)
      if (name == p.name)
        scratchBytes = bytes + 64;
    void *scratch = aligned_alloc(4096, (scratchBytes + 4095) / 4096 * 4096);
    if (p.traffic && bandwidth == 0) {
      std::vector<char> big(256 << 20, 1);
      bandwidth = readBandwidth(big.data(), big.size());
      fmt::print("read bandwidth {:.1f} GB/s\n", bandwidth / 1e9);
    }
    auto function = reinterpret_cast<denim_kernel_fn>(dlsym(library, p.name.c_str()));
    denim_batch_t batch = {};
    // The clock changes with what else the machine does: the peak is measured anew for each program.
    double peak = target->lanes == 16 ? peak512() : target->fusedMultiplyAdd ? peak256() : 0;
    double seconds =
        best([&] { function(&batch, reinterpret_cast<void *const *>(memory.data()), 0, p.items, scratch); });
    fmt::print("{:32} {:10.1f} us", p.name, seconds * 1e6);
    if (p.operations)
      fmt::print(" {:8.1f} GFLOP/s {:5.1f} % of peak", p.operations / seconds / 1e9,
                 100 * p.operations / seconds / peak);
    if (p.traffic)
      fmt::print(" {:8.1f} GB/s {:5.1f} % of reading", p.traffic / seconds / 1e9,
                 100 * p.traffic / seconds / bandwidth);
    if (p.elements)
      fmt::print(" {:8.3f} ns per element", seconds * 1e9 / p.elements);
    fmt::print("\n");
    for (char *m : memory)
      free(m);
    free(scratch);
  }
  return 0;
}
