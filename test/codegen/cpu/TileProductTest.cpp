// tile.mma and tile.solve against the interpreter.
#include "test/codegen/cpu/TileCheck.h"
#include <cmath>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <set>

using namespace denim::test;

namespace {

struct Shape {
  int m, n, k;
};

/// Both operands as three terms of bf16 do not fit in the shared memory of a GPU.
const std::set<std::string> tooLargeInTerms = {
    "mma_4x65x300_nn_f32_",     "mma_4x65x300_tnacc_f32_",      "mma_4x65x300_ttacc_f32_",
    "mma_20x40x600_nn_f32_",    "mma_20x40x600_tnacc_f32_",     "mma_20x40x600_nt_f32_",
    "mma_20x40x600_ttacc_f32_", "mma_150x20x150_nnacc_f32_lhs", "mma_150x20x150_tnacc_f32_lhs"};

/// C = A * B (+ C), operands loaded as stored or given transposed.
Case product(Shape s, bool transposeLhs, bool transposeRhs, bool accumulate, const std::string &rhsElement,
             const std::string &triangle = "", int blocks = 0) {
  Case c;
  c.name = fmt::format("mma_{}x{}x{}_{}{}{}_{}_{}", s.m, s.n, s.k, transposeLhs ? "t" : "n", transposeRhs ? "t" : "n",
                       accumulate ? "acc" : "", rhsElement, triangle);
  if (blocks)
    c.name += fmt::format("_blocks{}", blocks);
  int ar = transposeLhs ? s.k : s.m, ac = transposeLhs ? s.m : s.k;
  int br = transposeRhs ? s.n : s.k, bc = transposeRhs ? s.k : s.n;
  std::string lhs = fmt::format("!tile.tile<{}x{}xf32>", ar, ac), rhs = fmt::format("!tile.tile<{}x{}xf32>", br, bc),
              out = fmt::format("!tile.tile<{}x{}xf32>", s.m, s.n);
  std::string zero = "\n";
  std::string a = "%a";
  if (triangle == "lhs") {
    zero = fmt::format(R"(
      %low = tile.map (%x = %a : {0}) -> {0} {{
        %i = tile.index {1}
        %j = tile.index {2}
        %z = arith.constant 0.0 : f32
        %in = arith.cmpi sle, %j, %i : i32
        %r = arith.select %in, %x, %z : f32
        tile.yield %r : f32
      }})",
                       lhs, transposeLhs ? 1 : 0, transposeLhs ? 0 : 1);
    a = "%low";
  }
  std::string after = fmt::format("%r = tile.splat %one : f32 -> {}", out), value = "%p";
  if (triangle == "result") {
    after = fmt::format(R"(
      %r = tile.map (%x = %p : {0}) -> {0} {{
        %i = tile.index 0
        %j = tile.index 1
        %z = arith.constant 0.0 : f32
        %in = arith.cmpi sle, %j, %i : i32
        %s = arith.select %in, %x, %z : f32
        tile.yield %s : f32
      }})",
                        out);
    value = "%r";
  }
  if (blocks) {
    after = fmt::format(R"(
      %r = tile.map (%x = %p : {0}) -> {0} {{
        %i = tile.index 0
        %j = tile.index 1
        %n = arith.constant {1} : i32
        %bi = arith.divsi %i, %n : i32
        %bj = arith.divsi %j, %n : i32
        %z = arith.constant 0.0 : f32
        %in = arith.cmpi eq, %bi, %bj : i32
        %s = arith.select %in, %x, %z : f32
        tile.yield %s : f32
      }})",
                        out, blocks);
    value = "%r";
  }
  c.kernel = fmt::format(
      R"(
    tile.kernel @{name}(%A: !tile.memory<{ac}xf32>, %B: !tile.memory<{bc}x{rhsElement}>, %C: !tile.memory<{n}xf32>)
        items <once by 1 times 1> at %item {{
      %c0 = arith.constant 0 : index
      %one = arith.constant 1.0 : f32
      %a = tile.load %A[%c0, %c0] : !tile.memory<{ac}xf32> -> {lhs}
      %b = tile.load %B[%c0, %c0] : !tile.memory<{bc}x{rhsElement}> -> {rhs}
      %c = tile.load %C[%c0, %c0] : !tile.memory<{n}xf32> -> {out}
      {zero}
      %p = tile.mma {tl} {a}, {tr} %b {acc} {tri} : {lhs}, {rhs} {acct} -> {out}
      {after}
      tile.store {value}, %C[%c0, %c0] : {out}, !tile.memory<{n}xf32>
    }})",
      fmt::arg("name", c.name), fmt::arg("ac", ac), fmt::arg("bc", bc), fmt::arg("n", s.n), fmt::arg("lhs", lhs),
      fmt::arg("rhs", rhs), fmt::arg("out", out), fmt::arg("zero", zero), fmt::arg("a", a), fmt::arg("after", after),
      fmt::arg("value", value), fmt::arg("rhsElement", rhsElement), fmt::arg("tl", transposeLhs ? "transpose_lhs" : ""),
      fmt::arg("tr", transposeRhs ? "transpose_rhs" : ""), fmt::arg("acc", accumulate ? "acc %c" : ""),
      fmt::arg("tri", blocks             ? fmt::format("blocks {}", blocks)
                      : triangle.empty() ? ""
                                         : "triangle " + triangle),
      fmt::arg("acct", accumulate ? ", " + out : ""));
  c.buffers = {{"f32", ar * ac}, {rhsElement, br * bc}, {"f32", s.m * s.n}};
  if (tooLargeInTerms.count(c.name))
    c.gpuRefusal = {"of shared memory", /*onlyExact=*/true};
  return c;
}

const Shape shapes[] = {{1, 1, 1},      {1, 37, 64},  {3, 64, 37},   {16, 16, 16},  {37, 63, 65},
                        {64, 128, 128}, {65, 3, 150}, {2, 128, 128}, {128, 1, 128}, {4, 65, 300},
                        {150, 37, 1},   {5, 16, 3},   {64, 64, 63},  {20, 40, 600}};

} // namespace

TEST(TileProduct, EveryShapeAndTransposition) {
  std::vector<Case> cases;
  for (const Shape &s : shapes)
    for (int t = 0; t < 4; ++t)
      cases.push_back(product(s, t & 1, t & 2, (t ^ s.m) & 1, "f32"));
  check(cases);
}

TEST(TileProduct, NarrowMemory) {
  std::vector<Case> cases;
  for (const Shape &s : shapes) {
    cases.push_back(product(s, false, true, true, "bf16"));
    cases.push_back(product(s, false, false, false, "bf16"));
  }
  cases.push_back(product(shapes[4], false, true, true, "f16"));
  check(cases);
}

/// Sums of products: whole vectors, broken ones, one term that cannot be read as it lies, an operand whose memory is
/// overwritten between two terms, and a part of the sum that is used for itself.
TEST(TileProduct, Sums) {
  std::vector<Case> cases;
  for (auto [m, n, k, accumulate, turned, used] :
       {std::tuple(32, 64, 64, true, false, false), std::tuple(64, 128, 37, false, false, false),
        std::tuple(16, 37, 16, true, false, false), std::tuple(16, 16, 150, false, true, false),
        std::tuple(32, 64, 64, true, false, true), std::tuple(16, 37, 16, false, true, true)}) {
    Case c;
    c.name = fmt::format("sum_{}x{}x{}_{}{}{}", m, n, k, accumulate ? "acc" : "", turned ? "_turned" : "",
                         used ? "_used" : "");
    c.kernel = fmt::format(
        R"(
            tile.kernel @{name}(%A: !tile.memory<{k}xf32>, %B: !tile.memory<{n}xf32>, %D: !tile.memory<{m}xf32>,
                %E: !tile.memory<{ec}xf32>, %C: !tile.memory<{n}xf32>, %U: !tile.memory<{n}xf32>)
                items <once by 1 times 1> at %item {{
              %c0 = arith.constant 0 : index
              %a = tile.load %A[%c0, %c0] : !tile.memory<{k}xf32> -> !tile.tile<{m}x{k}xf32>
              %b = tile.load %B[%c0, %c0] : !tile.memory<{n}xf32> -> !tile.tile<{k}x{n}xf32>
              %c = tile.load %C[%c0, %c0] : !tile.memory<{n}xf32> -> !tile.tile<{m}x{n}xf32>
              %p = tile.mma %a, %b {acc} : !tile.tile<{m}x{k}xf32>, !tile.tile<{k}x{n}xf32> {acct} -> !tile.tile<{m}x{n}xf32>
              %negative = tile.map (%x = %a : !tile.tile<{m}x{k}xf32>) -> !tile.tile<{m}x{k}xf32> {{
                %y = arith.negf %x : f32
                tile.yield %y : f32
              }}
              tile.store %negative, %A[%c0, %c0] : !tile.tile<{m}x{k}xf32>, !tile.memory<{k}xf32>
              %d = tile.load %D[%c0, %c0] : !tile.memory<{m}xf32> -> !tile.tile<{m}x{m}xf32>
              %low = tile.map (%x = %d : !tile.tile<{m}x{m}xf32>) -> !tile.tile<{m}x{m}xf32> {{
                %i = tile.index 0
                %j = tile.index 1
                %z = arith.constant 0.0 : f32
                %in = arith.cmpi sle, %j, %i : i32
                %y = arith.select %in, %x, %z : f32
                tile.yield %y : f32
              }}
              %e = tile.load %E[%c0, %c0] : !tile.memory<{ec}xf32> -> !tile.tile<{er}x{ec}xf32>
              %q = tile.mma %low, {tr} %e acc %p triangle lhs : !tile.tile<{m}x{m}xf32>, !tile.tile<{er}x{ec}xf32>, !tile.tile<{m}x{n}xf32> -> !tile.tile<{m}x{n}xf32>
              {use}
              tile.store %q, %C[%c0, %c0] : !tile.tile<{m}x{n}xf32>, !tile.memory<{n}xf32>
            }})",
        fmt::arg("name", c.name), fmt::arg("m", m), fmt::arg("n", n), fmt::arg("k", k), fmt::arg("er", turned ? n : m),
        fmt::arg("ec", turned ? m : n), fmt::arg("tr", turned ? "transpose_rhs" : ""),
        fmt::arg("acc", accumulate ? "acc %c" : ""),
        fmt::arg("acct", accumulate ? fmt::format(", !tile.tile<{}x{}xf32>", m, n) : ""),
        fmt::arg("use", used ? fmt::format(
                                   "tile.store %p, %U[%c0, %c0] : !tile.tile<{0}x{1}xf32>, !tile.memory<{1}xf32>", m, n)
                             : ""));
    c.buffers = {{"f32", m * k}, {"f32", k * n}, {"f32", m * m}, {"f32", m * n}, {"f32", m * n}, {"f32", m * n}};
    cases.push_back(c);
  }
  check(cases);
}

/// Rows times weights that are turned once for all rounds of a loop, summed over more than one block of k.
TEST(TileProduct, TurnedOnceForALoop) {
  std::vector<Case> cases;
  for (const char *element : {"f32", "bf16", "f16"})
    for (auto [rows, n, k] : {std::tuple(20, 144, 900), std::tuple(16, 80, 1600)}) {
      Case c;
      c.name = fmt::format("turned_{}x{}x{}_{}", rows, n, k, element);
      c.kernel = fmt::format(R"(
        tile.kernel @{0}(%A: !tile.memory<{3}xf32>, %W: !tile.memory<{3}x{4}>, %Y: !tile.memory<{2}xf32>)
            items <once by 1 times 1> at %item {{
          %c0 = arith.constant 0 : index
          %step = arith.constant {1} : index
          %end = arith.constant {5} : index
          %w = tile.load %W[%c0, %c0] : !tile.memory<{3}x{4}> -> !tile.tile<{2}x{3}xf32>
          scf.for %i = %c0 to %end step %step {{
            %a = tile.load %A[%i, %c0] : !tile.memory<{3}xf32> -> !tile.tile<{1}x{3}xf32>
            %p = tile.mma %a, transpose_rhs %w : !tile.tile<{1}x{3}xf32>, !tile.tile<{2}x{3}xf32> -> !tile.tile<{1}x{2}xf32>
            tile.store %p, %Y[%i, %c0] : !tile.tile<{1}x{2}xf32>, !tile.memory<{2}xf32>
          }}
        }})",
                             c.name, rows, n, k, element, 3 * rows);
      c.buffers = {{"f32", 3 * rows * k}, {element, n * k}, {"f32", 3 * rows * n}};
      c.gpuRefusal = {"of shared memory"};
      cases.push_back(c);
    }
  check(cases);
}

/// Along the rows of a matrix in memory: whole and broken numbers of pieces, for all threads and for some of them.
TEST(TileProduct, OneRow) {
  std::vector<Case> cases;
  for (const Shape &s : {Shape{1, 16, 2048}, Shape{1, 5, 176}, Shape{1, 40, 48}, Shape{1, 7, 1400}, Shape{1, 64, 16}})
    for (const char *element : {"f32", "bf16"})
      for (bool accumulate : {false, true})
        cases.push_back(product(s, false, true, accumulate, element));
  check(cases);
}

/// Weights in blocks: dots and panels, one block and odd numbers of them, columns that fill no vector, whole turns of a
/// GPU's threads and broken ones; also on the left, and across their blocks.
TEST(TileProduct, Blocks) {
  std::vector<Case> cases;
  for (const char *element : {"q8_0", "q4_0"}) {
    auto add = [&](Shape s, bool transposed, bool accumulate) {
      Case c = product(s, false, transposed, accumulate, element);
      size_t at = 0;
      while ((at = c.kernel.find(std::string("x") + element, at)) != std::string::npos)
        c.kernel.replace(at + 1, std::string(element).size(), std::string("!model.") + element), at += 8;
      c.buffers[1].columns = transposed ? s.k : s.n;
      cases.push_back(c);
    };
    for (const Shape &s : {Shape{1, 2, 32}, Shape{1, 37, 64}, Shape{2, 6, 96}, Shape{4, 65, 320}, Shape{8, 16, 128},
                           Shape{16, 16, 32}, Shape{37, 63, 64}, Shape{64, 128, 128}, Shape{65, 37, 192},
                           Shape{1, 16, 2048}, Shape{1, 8, 1440}, Shape{150, 34, 96}})
      for (bool accumulate : {false, true})
        add(s, true, accumulate);
    for (const Shape &s : {Shape{1, 32, 64}, Shape{5, 64, 6}, Shape{64, 96, 64}, Shape{37, 32, 64}})
      add(s, false, true);
  }
  check(cases);
}

/// What is no product takes elements of blocks as a copy: turned, cut to some rows, and in part.
TEST(TileProduct, BlocksForOthers) {
  std::vector<Case> cases;
  for (const char *element : {"q8_0", "q4_0"}) {
    Case c;
    c.name = fmt::format("blocks_for_others_{}", element);
    c.kernel = fmt::format(R"(
      tile.kernel @{0}(%B: !tile.memory<96x!model.{1}>, %X: !tile.memory<64xf32>, %Y: !tile.memory<6xf32>,
          %Z: !tile.memory<20xf32>) items <once by 1 times 1> at %item {{
        %c0 = arith.constant 0 : index
        %c1 = arith.constant 1 : index
        %c5 = arith.constant 5 : index
        %c32 = arith.constant 32 : index
        %b = tile.load %B[%c0, %c32] within [%c1, %c5] : !tile.memory<96x!model.{1}> -> !tile.tile<6x64xf32>
        %d = tile.map (%e = %b : !tile.tile<6x64xf32>) -> !tile.tile<6x64xf32> {{
          %s = arith.addf %e, %e : f32
          tile.yield %s : f32
        }}
        tile.store %d, %X[%c0, %c0] : !tile.tile<6x64xf32>, !tile.memory<64xf32>
        %t = tile.load %B[%c0, %c0] transposed : !tile.memory<96x!model.{1}> -> !tile.tile<32x6xf32>
        %u = tile.map (%e = %t : !tile.tile<32x6xf32>) -> !tile.tile<32x6xf32> {{
          %s = arith.addf %e, %e : f32
          tile.yield %s : f32
        }}
        tile.store %u, %Y[%c0, %c0] : !tile.tile<32x6xf32>, !tile.memory<6xf32>
        %all = tile.load %B[%c0, %c0] : !tile.memory<96x!model.{1}> -> !tile.tile<6x96xf32>
        %w = tile.window %all [1, 24] : !tile.tile<6x96xf32> -> !tile.tile<5x20xf32>
        tile.store %w, %Z[%c0, %c0] : !tile.tile<5x20xf32>, !tile.memory<20xf32>
      }})",
                           c.name, element);
    c.buffers = {{element, 6 * 96}, {"f32", 6 * 64}, {"f32", 32 * 6}, {"f32", 5 * 20}};
    c.buffers[0].columns = 96;
    cases.push_back(c);
  }
  check(cases);
}

/// 16 rows of bf16 and weights that warps of a GPU copy ahead as they lie (nvptx/BlocksAhead.cpp): steps of one block
/// to a warp, of two and of four, several slots around, panels of one pair of groups and of four, and a product of the
/// other format beside it with the same rows. Scales differ by a factor of up to 16 from block to block. Nothing is
/// rounded that others do not round: rows are bf16, integers are exact, and all else is f32.
TEST(TileProduct, BlocksAhead) {
  struct Steps {
    int64_t k, step, n, warps;
  };
  std::vector<Case> cases;
  for (const char *element : {"q8_0", "q4_0"})
    for (const Steps &s : {Steps{768, 256, 16, 8}, Steps{1536, 512, 32, 8}, Steps{1024, 512, 64, 4},
                           Steps{2048, 1024, 16, 8}, Steps{1536, 256, 48, 8}}) {
      Case c;
      c.name = fmt::format("blocks_ahead_{}x{}_by_{}_{}_{}", s.n, s.k, s.step, s.warps, element);
      const char *other = element[1] == '8' ? "q4_0" : "q8_0";
      c.kernel = fmt::format(R"(
        tile.kernel @{0}(%X: !tile.memory<{1}xbf16>, %V: !tile.memory<{1}x!model.{4}>, %W: !tile.memory<{1}x!model.{5}>,
            %Y: !tile.memory<{3}xf32>, %Z: !tile.memory<{3}xf32>) items <once by 1 times 1> at %item
            attributes {{tile.ahead, tile.blocks = 1 : i64, tile.warps = {6} : i64}} {{
          %c0 = arith.constant 0 : index
          %step = arith.constant {2} : index
          %end = arith.constant {1} : index
          %zero = arith.constant 0.0 : f32
          %s0 = tile.splat %zero : f32 -> !tile.tile<16x{3}xf32>
          %s:2 = scf.for %k = %c0 to %end step %step iter_args(%t = %s0, %u = %s0) -> (!tile.tile<16x{3}xf32>, !tile.tile<16x{3}xf32>) {{
            %v = tile.load %V[%c0, %k] : !tile.memory<{1}x!model.{4}> -> !tile.tile<{3}x{2}xf32>
            %w = tile.load %W[%c0, %k] : !tile.memory<{1}x!model.{5}> -> !tile.tile<{3}x{2}xf32>
            %x = tile.load %X[%c0, %k] : !tile.memory<{1}xbf16> -> !tile.tile<16x{2}xf32>
            %p = tile.mma %x, transpose_rhs %v acc %t : !tile.tile<16x{2}xf32>, !tile.tile<{3}x{2}xf32>, !tile.tile<16x{3}xf32> -> !tile.tile<16x{3}xf32>
            %q = tile.mma %x, transpose_rhs %w acc %u : !tile.tile<16x{2}xf32>, !tile.tile<{3}x{2}xf32>, !tile.tile<16x{3}xf32> -> !tile.tile<16x{3}xf32>
            scf.yield %p, %q : !tile.tile<16x{3}xf32>, !tile.tile<16x{3}xf32>
          }}
          %both = tile.map (%a = %s#0 : !tile.tile<16x{3}xf32>, %b = %s#1 : !tile.tile<16x{3}xf32>) -> !tile.tile<16x{3}xf32> {{
            %sum = arith.addf %a, %b : f32
            tile.yield %sum : f32
          }}
          tile.store %s#0, %Y[%c0, %c0] : !tile.tile<16x{3}xf32>, !tile.memory<{3}xf32>
          tile.store %both, %Z[%c0, %c0] : !tile.tile<16x{3}xf32>, !tile.memory<{3}xf32>
        }})",
                             c.name, s.k, s.step, s.n, element, other, s.warps);
      auto uneven = [](int64_t i) { return std::ldexp(std::sin(double(i) * 0.7), int(i / 32 * 7 % 5) - 2); };
      c.buffers = {{"bf16", 16 * s.k}, {element, s.n * s.k}, {other, s.n * s.k}, {"f32", 16 * s.n}, {"f32", 16 * s.n}};
      for (int64_t weights : {1, 2})
        c.buffers[weights].columns = s.k, c.buffers[weights].value = uneven;
      c.gpuTolerance = 1e-5;
      // With three terms of each weight as operands, which wait for nobody.
      if (s.n * s.step > 16384)
        c.gpuRefusal = {"of shared memory", /*onlyExact=*/true};
      cases.push_back(c);
    }
  check(cases);
}

/// Nothing but a copy, of which each thread of a GPU has pieces of eight neighbours: rows that begin anywhere, parts of
/// them, rows that are left out, tiles of one row and of few columns.
TEST(TileProduct, BlocksAsNumbers) {
  struct Copy {
    int64_t rows, columns, width, first, lo, hi; ///< a tile of the memory's `width` columns; rows within [lo, hi)
  };
  std::vector<Case> cases;
  for (const char *element : {"q8_0", "q4_0"})
    for (const char *to : {"bf16", "f32"})
      for (const Copy &s : {Copy{16, 256, 2048, 512, 0, 16}, Copy{16, 128, 160, 32, 3, 14}, Copy{16, 64, 96, 32, 0, 10},
                            Copy{16, 32, 32, 0, 0, 16}, Copy{48, 256, 288, 32, 1, 46}, Copy{1, 256, 512, 256, 0, 1},
                            Copy{5, 64, 128, 64, 2, 5}, Copy{33, 32, 64, 32, 0, 33}}) {
        Case c;
        c.name = fmt::format("blocks_as_{}_{}_{}x{}_of_{}_{}", to, element, s.rows, s.columns, s.width, s.first);
        c.kernel = fmt::format(R"(
          tile.kernel @{0}(%B: !tile.memory<{1}x!model.{2}>, %Y: !tile.memory<{1}x{3}>)
              items <once by 1 times 1> at %item {{
            %c0 = arith.constant 0 : index
            %lo = arith.constant {4} : index
            %hi = arith.constant {5} : index
            %first = arith.constant {6} : index
            %b = tile.load %B[%c0, %first] within [%lo, %hi] : !tile.memory<{1}x!model.{2}> -> !tile.tile<{7}x{8}xf32>
            tile.store %b, %Y[%c0, %first] within [%lo, %hi] : !tile.tile<{7}x{8}xf32>, !tile.memory<{1}x{3}>
          }})",
                               c.name, s.width, element, to, s.lo, s.hi, s.first, s.rows, s.columns);
        // Rows behind the last that is read are not there.
        c.buffers = {{element, s.hi * s.width}, {to, s.rows * s.width}};
        c.buffers[0].columns = s.width;
        cases.push_back(c);
      }
  check(cases);
}

/// A row that was computed as a matrix, multiplied and stored.
TEST(TileProduct, Flattened) {
  std::vector<Case> cases;
  for (auto [rows, columns, n] : {std::tuple(16, 128, 16), std::tuple(3, 40, 5), std::tuple(1, 64, 8)}) {
    Case c;
    c.name = fmt::format("flatten_{}x{}_{}", rows, columns, n);
    c.kernel = fmt::format(R"(
      tile.kernel @{0}(%A: !tile.memory<{2}xf32>, %B: !tile.memory<{4}xf32>, %X: !tile.memory<{3}xf32>,
          %Y: !tile.memory<{4}xf32>) items <once by 1 times 1> at %item {{
        %c0 = arith.constant 0 : index
        %b = tile.load %B[%c0, %c0] : !tile.memory<{4}xf32> -> !tile.tile<{3}x{4}xf32>
        %a = tile.load %A[%c0, %c0] : !tile.memory<{2}xf32> -> !tile.tile<{1}x{2}xf32>
        %s = tile.map (%e = %a : !tile.tile<{1}x{2}xf32>) -> !tile.tile<{1}x{2}xf32> {{
          %d = arith.addf %e, %e : f32
          tile.yield %d : f32
        }}
        %row = tile.flatten %s : !tile.tile<{1}x{2}xf32> -> !tile.tile<1x{4}xf32>
        %p = tile.mma %row, transpose_rhs %b : !tile.tile<1x{4}xf32>, !tile.tile<{3}x{4}xf32> -> !tile.tile<1x{3}xf32>
        tile.store %p, %X[%c0, %c0] : !tile.tile<1x{3}xf32>, !tile.memory<{3}xf32>
        %again = tile.flatten %a : !tile.tile<{1}x{2}xf32> -> !tile.tile<1x{4}xf32>
        tile.store %again, %Y[%c0, %c0] : !tile.tile<1x{4}xf32>, !tile.memory<{4}xf32>
      }})",
                           c.name, rows, columns, n, rows * columns);
    c.buffers = {{"f32", rows * columns}, {"f32", n * rows * columns}, {"f32", n}, {"f32", rows * columns}};
    cases.push_back(c);
  }
  check(cases);
}

TEST(TileProduct, Triangles) {
  std::vector<Case> cases;
  for (Shape s : {Shape{64, 128, 64}, Shape{37, 65, 37}, Shape{16, 16, 16}, Shape{1, 3, 1}, Shape{150, 20, 150}})
    for (bool t : {false, true})
      cases.push_back(product(s, t, false, true, "f32", "lhs"));
  for (Shape s : {Shape{64, 64, 128}, Shape{37, 37, 65}, Shape{16, 16, 16}, Shape{150, 150, 3}, Shape{32, 32, 64},
                  Shape{96, 96, 20}})
    for (bool t : {false, true})
      cases.push_back(product(s, false, t, t, "f32", "result"));
  check(cases);
}

TEST(TileProduct, Inverse) {
  std::vector<Case> cases;
  for (int64_t n : {64, 16, 37, 32, 128}) {
    Case c;
    c.name = fmt::format("inverse_{}", n);
    // Above the diagonal stands what must not be read.
    c.kernel = fmt::format(R"(
      tile.kernel @{0}(%L: !tile.memory<{1}xf32>, %X: !tile.memory<{1}xf32>) items <once by 1 times 1> at %item {{
        %c0 = arith.constant 0 : index
        %huge = arith.constant 1.0e30 : f32
        %l = tile.load %L[%c0, %c0] : !tile.memory<{1}xf32> -> !tile.tile<{1}x{1}xf32>
        %m = tile.map (%a = %l : !tile.tile<{1}x{1}xf32>) -> !tile.tile<{1}x{1}xf32> {{
          %i = tile.index 0
          %j = tile.index 1
          %below = arith.cmpi sgt, %i, %j : i32
          %y = arith.select %below, %a, %huge : f32
          tile.yield %y : f32
        }}
        %x = tile.inverse %m : !tile.tile<{1}x{1}xf32>
        tile.store %x, %X[%c0, %c0] : !tile.tile<{1}x{1}xf32>, !tile.memory<{1}xf32>
      }})",
                           c.name, n);
    c.buffers = {{"f32", n * n, -0.1, 0.1}, {"f32", n * n}};
    if (n % 16 != 0)
      c.gpuRefusal = {"expected a triangle of 16, 32, 64 or 128 rows on a GPU"};
    cases.push_back(c);
    if (n == 64) { // keys that are alike: the blocks of the inverse are small differences of large sums
      c.name = "inverse_of_ones";
      c.kernel.replace(c.kernel.find("inverse_64"), 10, c.name);
      c.buffers[0] = {"f32", n * n, 0.9, 1.0};
      c.gpuTolerance = 1e-3; // with one term of bf16 it is 1e-2
      cases.push_back(c);
    }
  }
  check(cases);
}
// Squares of rows that a product reads as well, summed: on a GPU by matrix units, from where the rows were copied to.
TEST(TileProduct, SquaresOfRows) {
  std::vector<Case> cases;
  for (auto [rows, columns, warps] : {std::tuple(64, 128, 4), std::tuple(64, 64, 8), std::tuple(128, 64, 4)}) {
    Case c;
    c.name = fmt::format("squares_{}x{}_{}", rows, columns, warps);
    c.kernel = fmt::format(R"(
      tile.kernel @{0}(%X: !tile.memory<{2}xbf16>, %Y: !tile.memory<{1}xf32>, %N: !tile.memory<1xf32>)
          items <once by 1 times 1> at %item attributes {{tile.warps = {3} : i64}} {{
        %c0 = arith.constant 0 : index
        %c50 = arith.constant 50 : index
        %x = tile.load %X[%c0, %c0] within [%c0, %c50] : !tile.memory<{2}xbf16> -> !tile.tile<{1}x{2}xf32>
        %y = tile.mma %x, transpose_rhs %x : !tile.tile<{1}x{2}xf32>, !tile.tile<{1}x{2}xf32> -> !tile.tile<{1}x{1}xf32>
        %squares = tile.map (%a = %x : !tile.tile<{1}x{2}xf32>) -> !tile.tile<{1}x{2}xf32> {{
          %s = arith.mulf %a, %a : f32
          tile.yield %s : f32
        }}
        %n = tile.reduce add %squares along 1 : !tile.tile<{1}x{2}xf32> -> !tile.tile<{1}x1xf32>
        tile.store %y, %Y[%c0, %c0] : !tile.tile<{1}x{1}xf32>, !tile.memory<{1}xf32>
        tile.store %n, %N[%c0, %c0] : !tile.tile<{1}x1xf32>, !tile.memory<1xf32>
      }})",
                           c.name, rows, columns, warps);
    c.buffers = {{"bf16", rows * columns}, {"f32", rows * rows}, {"f32", rows}};
    c.gpuTolerance = 1e-5; // nothing is rounded to bf16 that was not
    cases.push_back(c);
  }
  check(cases);
}
// Products of which only square blocks along the diagonal are used: what a warp holds of both sides, and what it does
// not.
TEST(TileProduct, BlocksAlongTheDiagonal) {
  std::vector<Case> cases;
  for (auto [s, blocks] :
       {std::pair(Shape{64, 64, 128}, 16), std::pair(Shape{64, 64, 128}, 4), std::pair(Shape{64, 64, 64}, 32),
        std::pair(Shape{128, 128, 48}, 16), std::pair(Shape{16, 16, 16}, 2), std::pair(Shape{48, 48, 37}, 16),
        std::pair(Shape{6, 6, 5}, 3)})
    for (bool accumulate : {false, true})
      for (bool transposed : {false, true})
        cases.push_back(product(s, false, transposed, accumulate, "f32", "", blocks));
  cases.push_back(product({64, 64, 128}, false, true, false, "bf16", "", 8));
  check(cases);
}

/// Products in rounds of a loop with one right operand, and a second product with the same left one. Narrow memory has
/// one, two or three terms where a matrix unit multiplies; 300 along k is more than one piece.
TEST(TileProduct, SharedOperands) {
  std::vector<Case> cases;
  for (std::string element : {"f32", "bf16", "f16"})
    for (Shape s : {Shape{24, 40, 70}, Shape{64, 37, 300}, Shape{16, 16, 32}, Shape{33, 64, 33}}) {
      Case c;
      c.name = fmt::format("shared_{}x{}x{}_{}", s.m, s.n, s.k, element);
      c.kernel = fmt::format(
          R"(
        tile.kernel @{name}(%A: !tile.memory<{k}xf32>, %B: !tile.memory<{k}x{element}>, %D: !tile.memory<{n}x{element}>,
                            %C: !tile.memory<{n}xf32>, %E: !tile.memory<{n}xf32>)
            items <once by 1 times 1> at %item {{
          %c0 = arith.constant 0 : index
          %step = arith.constant {m} : index
          %end = arith.constant {rows} : index
          %b = tile.load %B[%c0, %c0] : !tile.memory<{k}x{element}> -> !tile.tile<{n}x{k}xf32>
          %d = tile.load %D[%c0, %c0] : !tile.memory<{n}x{element}> -> !tile.tile<{k}x{n}xf32>
          scf.for %i = %c0 to %end step %step {{
            %a = tile.load %A[%i, %c0] : !tile.memory<{k}xf32> -> !tile.tile<{m}x{k}xf32>
            %c = tile.load %C[%i, %c0] : !tile.memory<{n}xf32> -> !tile.tile<{m}x{n}xf32>
            %p = tile.mma %a, transpose_rhs %b acc %c
                : !tile.tile<{m}x{k}xf32>, !tile.tile<{n}x{k}xf32>, !tile.tile<{m}x{n}xf32> -> !tile.tile<{m}x{n}xf32>
            %q = tile.mma %a, %d : !tile.tile<{m}x{k}xf32>, !tile.tile<{k}x{n}xf32> -> !tile.tile<{m}x{n}xf32>
            tile.store %p, %C[%i, %c0] : !tile.tile<{m}x{n}xf32>, !tile.memory<{n}xf32>
            tile.store %q, %E[%i, %c0] : !tile.tile<{m}x{n}xf32>, !tile.memory<{n}xf32>
          }}
        }})",
          fmt::arg("name", c.name), fmt::arg("m", s.m), fmt::arg("n", s.n), fmt::arg("k", s.k),
          fmt::arg("rows", 3 * s.m), fmt::arg("element", element));
      c.buffers = {{"f32", 3 * s.m * s.k},
                   {element, s.n * s.k},
                   {element, s.k * s.n},
                   {"f32", 3 * s.m * s.n},
                   {"f32", 3 * s.m * s.n}};
      if (s.k == 300 && element != "bf16")
        c.gpuRefusal = {"of shared memory", /*onlyExact=*/true};
      cases.push_back(c);
    }
  check(cases);
}

TEST(TileProduct, Solve) {
  std::vector<Case> cases;
  for (auto [n, columns] : {std::pair(64, 128), std::pair(16, 16), std::pair(37, 65), std::pair(1, 5), std::pair(64, 1),
                            std::pair(3, 40), std::pair(32, 37)}) {
    Case c;
    c.name = fmt::format("solve_{}x{}", n, columns);
    c.kernel = fmt::format(R"(
      tile.kernel @{0}(%L: !tile.memory<{1}xf32>, %B: !tile.memory<{2}xf32>, %X: !tile.memory<{2}xf32>)
          items <once by 1 times 1> at %item {{
        %c0 = arith.constant 0 : index
        %l = tile.load %L[%c0, %c0] : !tile.memory<{1}xf32> -> !tile.tile<{1}x{1}xf32>
        %b = tile.load %B[%c0, %c0] : !tile.memory<{2}xf32> -> !tile.tile<{1}x{2}xf32>
        %x = tile.solve %l, %b : !tile.tile<{1}x{1}xf32>, !tile.tile<{1}x{2}xf32>
        tile.store %x, %X[%c0, %c0] : !tile.tile<{1}x{2}xf32>, !tile.memory<{2}xf32>
      }})",
                           c.name, n, columns);
    c.buffers = {{"f32", n * n, -0.1, 0.1}, {"f32", n * columns}, {"f32", n * columns}};
    if (n % 16 != 0)
      c.gpuRefusal = {"expected a triangle of 16, 32, 64 or 128 rows on a GPU"};
    else if (columns == 1)
      c.gpuRefusal = {"expected a right-hand side of more than one column on a GPU"};
    cases.push_back(c);
  }
  check(cases);
}
