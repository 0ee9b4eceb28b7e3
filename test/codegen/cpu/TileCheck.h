// Compiles tile programs for every target this machine runs and compares what they leave in memory with the
// interpreter's answer. With DENIM_WRITE_GPU_CASES=FILE they are compiled for a GPU as well, and FILE is what
// run-gpu-cases runs on a machine that has one (test/codegen/nvptx/gpu_cases.test).
#ifndef TEST_CODEGEN_CPU_TILECHECK_H
#define TEST_CODEGEN_CPU_TILECHECK_H

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace denim::test {

/// What args[i] points to. `table` makes it a table of pointers to `tables` equal parts (slots, stacks).
struct Buffer {
  std::string element = "f32";               // f32, bf16, f16 or i32; q8_0 or q4_0: rows of blocks
  int64_t count = 0;                         // elements
  double low = -1, high = 1;                 // values are drawn from here
  int64_t tables = 0;                        // parts, if the argument is a table
  std::function<double(int64_t)> value = {}; // instead of drawing
  int64_t columns = 0;                       // of a row, where elements are in blocks; bytes are a multiple of 4
};

/// What denim_batch_t says. Empty lists are filled with something harmless.
struct Step {
  std::vector<int32_t> tokens, positions, rowBegin = {0}, past, outputs, pages, pageBegin = {0};
};

/// Code generation for a GPU refuses some sizes. It has to say so, in these words, in exact mode or in both.
struct GpuRefusal {
  std::string words;
  bool onlyExact = false;
};

struct Case {
  std::string name;   // of the kernel
  std::string kernel; // text of `tile.kernel @name...`
  std::vector<Buffer> buffers;
  int64_t items = 1;
  double tolerance = 1e-5; // of |got - want| / (largest |want| of the buffer + 1e-30), unless both are the same
  Step step = {};
  double gpuTolerance = 2e-2; // the same on a GPU where operands of products are rounded to bf16
  GpuRefusal gpuRefusal = {};
};

/// One compilation per target for all cases; failures name case, target, buffer and element.
void check(const std::vector<Case> &cases);

} // namespace denim::test

#endif // TEST_CODEGEN_CPU_TILECHECK_H
