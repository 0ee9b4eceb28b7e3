#include "test/codegen/cpu/TileCheck.h"
#include "codegen/cpu/Compile.h"
#include "codegen/nvptx/Compile.h"
#include "dialects/model/ir/Model.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "test/codegen/cpu/TileInterpreter.h"
#include "test/codegen/cpu/TileUnitEmulator.h"
#include "test/codegen/nvptx/CaseFile.h"
#include <cmath>
#include <cstring>
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <random>
#include <sys/mman.h>
#include <unistd.h>

using namespace mlir;
using namespace denim;
using namespace denim::test;

namespace {

/// Bytes that end where an unreadable page begins, so that reading or writing behind them is seen.
class Guarded {
public:
  explicit Guarded(size_t bytes) : bytes(bytes) {
    size_t page = sysconf(_SC_PAGESIZE);
    mapped = (bytes + page - 1) / page * page + page;
    base = static_cast<char *>(mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    mprotect(base + mapped - page, page, PROT_NONE);
    data = base + mapped - page - bytes;
  }
  Guarded(const Guarded &) = delete;
  ~Guarded() { munmap(base, mapped); }
  char *data;
  size_t bytes;

private:
  char *base;
  size_t mapped;
};

int64_t bytesOf(const std::string &element) {
  return element == "bf16" || element == "f16" ? 2 : 4;
}

/// Buffers of blocks have rows of so many elements and are seen as i32 where they are compared: nothing writes them.
bool isBlocks(const std::string &element) {
  return formats::blockFormatOf(element).has_value();
}
std::string comparedAs(const Buffer &b) {
  return isBlocks(b.element) ? "i32" : b.element;
}
int64_t bytesOf(const Buffer &b) {
  auto format = formats::blockFormatOf(b.element);
  return format ? b.count / b.columns * formats::rowBytes(*format, b.columns) : b.count * bytesOf(b.element);
}
int64_t comparedCount(const Buffer &b) {
  return isBlocks(b.element) ? bytesOf(b) / 4 : b.count;
}

double get(const char *data, const std::string &element, int64_t i) {
  if (element == "bf16")
    return fromBrain(reinterpret_cast<const uint16_t *>(data)[i]);
  if (element == "f16")
    return fromHalf(reinterpret_cast<const uint16_t *>(data)[i]);
  if (element == "i32")
    return reinterpret_cast<const int32_t *>(data)[i];
  return reinterpret_cast<const float *>(data)[i];
}
void set(char *data, const std::string &element, int64_t i, double v) {
  if (element == "bf16")
    reinterpret_cast<uint16_t *>(data)[i] = toBrain(float(v));
  else if (element == "f16")
    reinterpret_cast<uint16_t *>(data)[i] = toHalf(float(v));
  else if (element == "i32")
    reinterpret_cast<int32_t *>(data)[i] = int32_t(v);
  else
    reinterpret_cast<float *>(data)[i] = float(v);
}

/// The memory of one run of one case.
struct Memory {
  explicit Memory(const Case &c) {
    std::mt19937 random(42);
    for (const Buffer &b : c.buffers) {
      data.push_back(std::make_unique<Guarded>(bytesOf(b)));
      std::uniform_real_distribution<double> draw(b.low, b.high);
      if (auto format = formats::blockFormatOf(b.element)) {
        std::vector<float> row(b.columns);
        for (int64_t i = 0; i < b.count / b.columns; ++i) {
          for (size_t k = 0; k < row.size(); ++k)
            row[k] = float(b.value ? b.value(i * b.columns + int64_t(k)) : draw(random));
          EXPECT_TRUE(formats::encodeRow(*format, row.data(), b.columns,
                                         data.back()->data + i * formats::rowBytes(*format, b.columns)));
        }
        args.push_back(data.back()->data);
        continue;
      }
      for (int64_t i = 0; i < b.count; ++i)
        set(data.back()->data, b.element, i, b.value ? b.value(i) : draw(random));
      if (b.tables) {
        tables.emplace_back();
        for (int64_t t = 0; t < b.tables; ++t)
          tables.back().push_back(data.back()->data + t * (b.count / b.tables) * bytesOf(b.element));
        args.push_back(tables.back().data());
      } else {
        args.push_back(data.back()->data);
      }
    }
  }
  std::vector<std::unique_ptr<Guarded>> data;
  std::vector<std::vector<void *>> tables;
  std::vector<void *> args;
};

denim_batch_t batchOf(const Step &s) {
  denim_batch_t b = {};
  b.token_count = s.tokens.size();
  b.sequence_count = int64_t(s.rowBegin.size()) - 1;
  b.output_count = s.outputs.size();
  b.tokens = s.tokens.data(), b.positions = s.positions.data(), b.row_begin = s.rowBegin.data();
  b.past = s.past.data(), b.outputs = s.outputs.data(), b.pages = s.pages.data(), b.page_begin = s.pageBegin.data();
  return b;
}

void compare(const Case &c, const std::string &target, double tolerance, Memory &want, Memory &got) {
  for (auto [i, b] : llvm::enumerate(c.buffers)) {
    std::string element = comparedAs(b);
    int64_t count = comparedCount(b);
    double largest = 1e-30;
    for (int64_t e = 0; e < count; ++e)
      if (double v = std::fabs(get(want.data[i]->data, element, e)); std::isfinite(v))
        largest = std::max(largest, v);
    int64_t wrong = 0;
    std::string first;
    for (int64_t e = 0; e < count; ++e) {
      double w = get(want.data[i]->data, element, e), g = get(got.data[i]->data, element, e);
      bool same = w == g || (std::isnan(w) && std::isnan(g)) || std::fabs(w - g) <= tolerance * largest;
      if (!same && wrong++ == 0)
        first = "element " + std::to_string(e) + " is " + std::to_string(g) + ", expected " + std::to_string(w);
    }
    EXPECT_EQ(wrong, 0) << c.name << " on " << target << ", buffer " << i << " of " << count << ": " << first;
  }
}

/// With DENIM_WRITE_GPU_CASES=FILE, appends the case, compiled for a GPU in both precisions, for run-gpu-cases. With
/// DENIM_GPU_ASSEMBLER=- as PTX, which is what emulate-gpu-cases reads.
void writeGpuCase(const Case &c, ModuleOp module, Memory &want) {
  const char *path = getenv("DENIM_WRITE_GPU_CASES");
  if (!path)
    return;
  const char *assembler = getenv("DENIM_GPU_ASSEMBLER");
  codegen::GpuTarget target = llvm::cantFail(codegen::findGpuTarget("sm_90a"));
  OwningOpRef<ModuleOp> alone(ModuleOp::create(module.getLoc()));
  alone->getBody()->push_back(module.lookupSymbol(c.name)->clone());
  Memory before(c);
  for (bool exact : {true, false}) {
    codegen::NvptxOptions options;
    options.exact = exact;
    options.assembler = assembler ? assembler : "";
    auto code = codegen::compileForNvptx(*alone, target, options);
    bool refused = !c.gpuRefusal.words.empty() && (exact || !c.gpuRefusal.onlyExact);
    if (!code) {
      std::string message = llvm::toString(code.takeError());
      EXPECT_TRUE(refused && message.find(c.gpuRefusal.words) != std::string::npos) << c.name << ": " << message;
      continue;
    }
    EXPECT_FALSE(refused) << c.name << ": expected '" << c.gpuRefusal.words << "', but got code for a GPU";
    for (const std::string &warning : code->warnings)
      fprintf(stderr, "%s: %s\n", c.name.c_str(), warning.c_str());
    GpuCase out;
    out.name = c.name, out.mode = exact ? "exact" : "bf16";
    // Exact products have errors near 2^-17 of their terms, bf16 ones near 2^-9, and both add up.
    out.tolerance = std::max(c.tolerance, exact ? 5e-5 : c.gpuTolerance);
    out.code = code->cubin.empty() ? code->ptx : std::string(code->cubin.begin(), code->cubin.end());
    out.threads = code->kernels[0].threads, out.sharedBytes = code->kernels[0].sharedBytes, out.items = c.items;
    for (const codegen::TensorMap &map : code->kernels[0].tensorMaps)
      out.tensorMaps.push_back({uint32_t(map.memory), map.columns, uint32_t(map.boxRows), uint32_t(map.boxColumns)});
    const Step &s = c.step;
    out.tokens = s.tokens, out.positions = s.positions, out.rowBegin = s.rowBegin, out.past = s.past;
    out.outputs = s.outputs, out.pages = s.pages, out.pageBegin = s.pageBegin;
    for (auto [i, b] : llvm::enumerate(c.buffers))
      out.buffers.push_back({comparedAs(b),
                             b.tables,
                             {before.data[i]->data, before.data[i]->data + before.data[i]->bytes},
                             {want.data[i]->data, want.data[i]->data + want.data[i]->bytes}});
    std::FILE *file = fopen(path, "ab");
    ASSERT_TRUE(file) << path;
    EXPECT_TRUE(CaseFile(file, true).transfer(out));
    fclose(file);
  }
}

/// Whether code for the target runs here, be it with the tile instructions in software.
bool canRun(codegen::Target target) {
  if (codegen::runsHere(target))
    return !target.matrix || enableTileUnit();
  if (!target.matrix)
    return false;
  llvm::erase_if(target.requiredFlags, [](llvm::StringRef flag) { return flag.starts_with("amx_"); });
  if (!codegen::runsHere(target))
    return false;
  emulateTileUnit();
  return true;
}

void checkOn(const codegen::Target &target, const codegen::CpuOptions &options, ModuleOp module,
             const std::vector<Case> &cases, const std::vector<std::unique_ptr<Memory>> &wanted) {
  auto code = codegen::compileForCpu(module, target, options);
  ASSERT_TRUE(bool(code)) << llvm::toString(code.takeError());
  int file = memfd_create("kernels", 0);
  ASSERT_EQ(write(file, code->sharedObject.data(), code->sharedObject.size()), ssize_t(code->sharedObject.size()));
  void *library = dlopen(("/proc/self/fd/" + std::to_string(file)).c_str(), RTLD_NOW | RTLD_LOCAL);
  close(file);
  ASSERT_TRUE(library) << dlerror();
  for (auto [i, c] : llvm::enumerate(cases)) {
    auto function = reinterpret_cast<denim_kernel_fn>(dlsym(library, c.name.c_str()));
    ASSERT_TRUE(function) << c.name;
    int64_t bytes = 0;
    for (auto &[kernel, scratch] : code->kernelScratch)
      if (kernel == c.name)
        bytes = scratch;
    // Scratch full of NaN: whatever is read before it is written shows.
    Guarded scratch((bytes + 63) / 64 * 64);
    std::memset(scratch.data, 0xff, scratch.bytes);
    Memory got(c);
    denim_batch_t batch = batchOf(c.step);
    if (getenv("DENIM_TEST_VERBOSE"))
      fprintf(stderr, "%s on %s\n", c.name.c_str(), target.name.c_str());
    function(&batch, got.args.data(), 0, c.items, scratch.data);
    compare(c, target.name + (options.bf16Products ? " in bf16" : ""),
            options.bf16Products ? std::max(c.tolerance, c.gpuTolerance) : c.tolerance, *wanted[i], got);
  }
  dlclose(library);
}

} // namespace

void denim::test::check(const std::vector<Case> &cases) {
  MLIRContext context;
  context
      .loadDialect<model::ModelDialect, tile::TileDialect, arith::ArithDialect, math::MathDialect, scf::SCFDialect>();
  std::string text;
  for (const Case &c : cases)
    text += c.kernel + "\n";
  auto module = parseSourceString<ModuleOp>(text, &context);
  ASSERT_TRUE(module);
  std::vector<std::unique_ptr<Memory>> wanted;
  for (const Case &c : cases) {
    auto kernel = module->lookupSymbol<tile::KernelOp>(c.name);
    ASSERT_TRUE(kernel) << c.name;
    wanted.push_back(std::make_unique<Memory>(c));
    interpret(kernel, batchOf(c.step), wanted.back()->args.data(), 0, c.items);
    writeGpuCase(c, *module, *wanted.back());
  }
  for (llvm::StringRef name : codegen::targetNames()) {
    codegen::Target target = llvm::cantFail(codegen::findTarget(name));
    if (!canRun(target))
      continue;
    if (!target.matrix) {
      checkOn(target, {}, *module, cases, wanted);
      continue;
    }
    // A unit that costs nothing takes every product that it can do; at its real price it shares kernels with vectors.
    codegen::Target free = target;
    free.matrix = codegen::MatrixUnit{};
    checkOn(free, {}, *module, cases, wanted);
    codegen::CpuOptions rounded;
    rounded.bf16Products = true;
    checkOn(target, rounded, *module, cases, wanted);
  }
}
