// Runs the cases of a file, compiled to PTX, on the emulator, with the comparison and the tolerances of run-gpu-cases.
//
//   emulate-gpu-cases FILE... [--only TEXT]... [--mode exact|bf16] [--replace OLD NEW [--at K]]
//
// --only keeps cases whose name has one of the texts. --replace changes the PTX before it runs, everywhere or only
// where OLD is found for the K-th time (from 1): what is broken so must be found.
#include "runtime/abi/Kernel.h"
#include "test/codegen/nvptx/CompareCase.h"
#include "test/codegen/nvptx/emulator/Machine.h"
#include "test/codegen/nvptx/emulator/TensorMap.h"
#include <chrono>
#include <cstdlib>

using namespace denim;
using namespace denim::test;

namespace {

struct Options {
  std::vector<std::string> files, only;
  std::string mode;
  ptx::Mutation mutation;
  bool mutates = false;
};

/// A copy of the bytes with nothing of the emulator's behind them.
struct Buffer {
  explicit Buffer(ptx::GlobalMemory &memory, const void *data, size_t size, std::string name)
      : memory(memory), size(size), bytes(static_cast<char *>(std::aligned_alloc(256, (size + 511) / 256 * 256))) {
    if (size)
      std::memcpy(bytes, data, size);
    memory.add(bytes, size, std::move(name));
  }
  ~Buffer() {
    memory.remove(bytes);
    std::free(bytes);
  }
  Buffer(const Buffer &) = delete;
  ptx::GlobalMemory &memory;
  size_t size;
  char *bytes;
};

bool run(GpuCase &c, const Options &options) {
  auto fail = [&](const std::string &what) {
    std::printf("FAIL %s %s: %s\n", c.name.c_str(), c.mode.c_str(), what.c_str());
    return false;
  };
  if (c.code.rfind("//", 0) != 0)
    return fail("expected PTX, but got machine code; write the cases with DENIM_GPU_ASSEMBLER=-");
  if (options.mutates && !options.mutation.apply(c.code))
    return fail("expected '" + options.mutation.from + "' in its PTX, but there is none");
  auto module = std::make_shared<ptx::Module>();
  ptx::Program program;
  std::string error;
  if (!ptx::parse(c.code, *module, error))
    return fail(error);
  const ptx::Entry *entry = nullptr;
  for (const ptx::Entry &own : module->entries)
    if (own.name == c.name)
      entry = &own;
  if (!entry)
    return fail("expected its PTX to have an entry of its name");
  if (!ptx::decode(module, *entry, program, error))
    return fail(error);

  ptx::GlobalMemory memory;
  std::vector<std::unique_ptr<Buffer>> buffers, others;
  auto place = [&](const void *data, size_t size, const std::string &name) {
    others.push_back(std::make_unique<Buffer>(memory, data, size, name));
    return others.back()->bytes;
  };
  auto list = [&](const std::vector<int32_t> &values, const char *name) {
    return reinterpret_cast<const int32_t *>(place(values.data(), values.size() * 4, name));
  };
  denim_batch_t batch = {};
  batch.token_count = int64_t(c.tokens.size()), batch.sequence_count = int64_t(c.rowBegin.size()) - 1;
  batch.output_count = int64_t(c.outputs.size());
  batch.tokens = list(c.tokens, "tokens"), batch.positions = list(c.positions, "positions");
  batch.row_begin = list(c.rowBegin, "row_begin"), batch.past = list(c.past, "past");
  batch.outputs = list(c.outputs, "outputs"), batch.pages = list(c.pages, "pages");
  batch.page_begin = list(c.pageBegin, "page_begin");
  std::vector<uint64_t> arguments{reinterpret_cast<uint64_t>(place(&batch, sizeof batch, "the batch")),
                                  uint64_t(c.items)};
  for (const GpuBuffer &b : c.buffers) {
    std::string name = "buffer " + std::to_string(buffers.size());
    buffers.push_back(std::make_unique<Buffer>(memory, b.before.data(), b.before.size(), name));
    char *address = buffers.back()->bytes;
    if (b.tables) {
      std::vector<char *> parts;
      for (int64_t t = 0; t < b.tables; ++t)
        parts.push_back(address + t * (b.before.size() / b.tables));
      address = place(parts.data(), parts.size() * 8, "the table of " + name);
    }
    arguments.push_back(reinterpret_cast<uint64_t>(address));
  }

  ptx::Launch launch;
  launch.blocks = c.items, launch.threads = c.threads, launch.sharedBytes = c.sharedBytes;
  size_t taken = arguments.size() + c.tensorMaps.size();
  if (program.parameters.size() != taken)
    return fail("expected " + std::to_string(taken) + " parameters, but got " +
                std::to_string(program.parameters.size()));
  const ptx::Parameter &last = program.parameters.back();
  launch.parameters.resize(size_t(last.offset + last.bytes));
  for (size_t i = 0; i < arguments.size(); ++i)
    std::memcpy(launch.parameters.data() + program.parameters[i].offset, &arguments[i], 8);
  for (size_t i = 0; i < c.tensorMaps.size(); ++i) {
    const TensorMapInfo &own = c.tensorMaps[i];
    ptx::TensorMap map;
    map.address = arguments[2 + own.argument];
    map.columns = own.dimensions()[0], map.rows = own.dimensions()[1], map.rowBytes = own.rowBytes();
    map.boxRows = own.boxRows, map.boxColumns = own.boxColumns;
    std::memcpy(launch.parameters.data() + program.parameters[arguments.size() + i].offset, &map, sizeof map);
  }
  ptx::Findings findings;
  auto begin = std::chrono::steady_clock::now();
  bool passed = ptx::execute(program, launch, memory, findings);
  double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  for (const std::string &message : findings.messages)
    fail(message);
  if (findings.hidden)
    fail("and " + std::to_string(findings.hidden) + " more");
  double worst = 0;
  for (size_t i = 0; i < buffers.size() && passed; ++i) {
    std::vector<char> got(buffers[i]->bytes, buffers[i]->bytes + buffers[i]->size);
    std::string wrong = compare(c.buffers[i], got, c.tolerance, worst);
    if (!wrong.empty())
      passed = fail("buffer " + std::to_string(i) + ": " + wrong);
  }
  if (passed && std::getenv("DENIM_TEST_VERBOSE"))
    std::printf("pass %s %s, largest error %.2e, %.2f s\n", c.name.c_str(), c.mode.c_str(), worst, seconds);
  return passed;
}

bool parseOptions(int argc, char **argv, Options &options) {
  for (int i = 1; i < argc; ++i) {
    std::string argument = argv[i];
    int left = argc - i - 1;
    if (argument == "--only" && left)
      options.only.push_back(argv[++i]);
    else if (argument == "--mode" && left)
      options.mode = argv[++i];
    else if (argument == "--replace" && left > 1) {
      options.mutation.from = argv[++i], options.mutation.to = argv[++i];
      options.mutates = true;
    } else if (argument == "--at" && left)
      options.mutation.at = std::atoll(argv[++i]);
    else if (argument.rfind("--", 0) == 0)
      return false;
    else
      options.files.push_back(argument);
  }
  return !options.files.empty();
}

} // namespace

int main(int argc, char **argv) {
  Options options;
  if (!parseOptions(argc, argv, options)) {
    std::printf("usage: emulate-gpu-cases FILE... [--only TEXT]... [--mode exact|bf16] "
                "[--replace OLD NEW [--at K]]\n");
    return 2;
  }
  int64_t passed = 0, failed = 0;
  for (const std::string &name : options.files) {
    std::FILE *file = std::fopen(name.c_str(), "rb");
    if (!file) {
      std::printf("cannot open %s\n", name.c_str());
      return 1;
    }
    GpuCase c;
    for (CaseFile reader(file, false); reader.transfer(c); c = {}) {
      bool wanted = options.only.empty() || std::any_of(options.only.begin(), options.only.end(), [&](auto &text) {
                      return c.name.find(text) != std::string::npos;
                    });
      wanted &= options.mode.empty() || c.mode == options.mode;
      if (!wanted)
        continue;
      ++(run(c, options) ? passed : failed);
      std::fflush(stdout);
    }
    std::fclose(file);
  }
  std::printf("%lld passed, %lld failed\n", static_cast<long long>(passed), static_cast<long long>(failed));
  return failed != 0;
}
