// Every tile op but the products, over ragged shapes, against the interpreter.
#include "test/codegen/cpu/TileCheck.h"
#include <cmath>
#include <fmt/format.h>
#include <gtest/gtest.h>

using namespace denim::test;

static const std::pair<int, int> shapes[] = {{1, 1},   {1, 37},  {3, 1},    {37, 1},   {64, 1}, {3, 16},
                                             {16, 63}, {37, 65}, {64, 128}, {65, 150}, {128, 3}};

static std::string tile(int rows, int columns, const char *element = "f32") {
  return fmt::format("!tile.tile<{}x{}x{}>", rows, columns, element);
}

TEST(TileOps, MapBroadcastsAndIndexes) {
  std::vector<Case> cases;
  for (auto [m, n] : shapes) {
    Case c;
    c.name = fmt::format("map_{}x{}", m, n);
    c.kernel = fmt::format(R"(
      tile.kernel @{name}(%X: !tile.memory<{n}xf32>, %R: !tile.memory<{n}xbf16>, %C: !tile.memory<1xf32>,
                          %Y: !tile.memory<{n}xf32>) items <once by 1 times 2> at %item {{
        %c0 = arith.constant 0 : index
        %half = arith.constant 0.5 : f32
        %x = tile.load %X[%c0, %c0] : !tile.memory<{n}xf32> -> {mn}
        %r = tile.load %R[%c0, %c0] : !tile.memory<{n}xbf16> -> {row}
        %c = tile.load %C[%c0, %c0] : !tile.memory<1xf32> -> {col}
        %s = tile.splat %half : f32 -> {mn}
        %y = tile.map (%a = %x : {mn}, %b = %r : {row}, %d = %c : {col}, %h = %s : {mn}) -> {mn} {{
          %i = tile.index 0
          %j = tile.index 1
          %t = arith.index_cast %item : index to i32
          %u = arith.addi %t, %j : i32
          %f = arith.sitofp %u : i32 to f32
          %ab = arith.mulf %a, %b : f32
          %abd = arith.addf %ab, %d : f32
          %in = arith.cmpi slt, %i, %u : i32
          %o = arith.select %in, %abd, %f : f32
          %p = arith.addf %o, %h : f32
          tile.yield %p : f32
        }}
        %z = tile.map (%a = %y : {mn}) -> {mni} {{
          %q = arith.cmpf olt, %a, %half : f32
          tile.yield %q : i1
        }}
        %w = tile.map (%a = %y : {mn}, %q = %z : {mni}) -> {mn} {{
          %n = arith.negf %a : f32
          %v = arith.select %q, %n, %a : f32
          tile.yield %v : f32
        }}
        %row = arith.constant {m} : index
        %at = arith.muli %item, %row : index
        tile.store %w, %Y[%at, %c0] : {mn}, !tile.memory<{n}xf32>
      }})",
                           fmt::arg("name", c.name), fmt::arg("m", m), fmt::arg("n", n), fmt::arg("mn", tile(m, n)),
                           fmt::arg("mni", tile(m, n, "i1")), fmt::arg("row", tile(1, n)), fmt::arg("col", tile(m, 1)));
    c.buffers = {{"f32", m * n}, {"bf16", n}, {"f32", m}, {"f32", 2 * m * n}};
    c.items = 2;
    cases.push_back(c);
  }
  check(cases);
}

TEST(TileOps, ReduceAndCumsum) {
  std::vector<Case> cases;
  for (auto [m, n] : shapes)
    for (const char *combiner : {"add", "max", "min"})
      for (bool transposed : {false, true}) {
        Case c;
        c.name = fmt::format("reduce_{}_{}x{}{}", combiner, m, n, transposed ? "t" : "");
        c.kernel = fmt::format(R"(
          tile.kernel @{name}(%X: !tile.memory<{xc}xf32>, %A: !tile.memory<{n}xf32>, %B: !tile.memory<1xf32>,
                              %S: !tile.memory<{n}xf32>) items <once by 1 times 1> at %item {{
            %c0 = arith.constant 0 : index
            %x = tile.load %X[%c0, %c0] {t} : !tile.memory<{xc}xf32> -> {mn}
            %a = tile.reduce {op} %x along 0 : {mn} -> {row}
            %b = tile.reduce {op} %x along 1 : {mn} -> {col}
            %s = tile.cumsum %x : {mn}
            tile.store %a, %A[%c0, %c0] : {row}, !tile.memory<{n}xf32>
            tile.store %b, %B[%c0, %c0] : {col}, !tile.memory<1xf32>
            tile.store %s, %S[%c0, %c0] : {mn}, !tile.memory<{n}xf32>
          }})",
                               fmt::arg("name", c.name), fmt::arg("n", n), fmt::arg("xc", transposed ? m : n),
                               fmt::arg("t", transposed ? "transposed" : ""), fmt::arg("op", combiner),
                               fmt::arg("mn", tile(m, n)), fmt::arg("row", tile(1, n)), fmt::arg("col", tile(m, 1)));
        c.buffers = {{"f32", m * n}, {"f32", n}, {"f32", m}, {"f32", m * n}};
        cases.push_back(c);
      }
  check(cases);
}

TEST(TileOps, ReduceKeepsNaNAndInfinity) {
  std::vector<Case> cases;
  for (const char *combiner : {"add", "max", "min"})
    for (double odd : {double(NAN), double(INFINITY), -double(INFINITY)}) {
      Case c;
      c.name = fmt::format("special_{}_{}", combiner, cases.size());
      c.kernel = fmt::format(R"(
        tile.kernel @{0}(%X: !tile.memory<37xf32>, %A: !tile.memory<37xf32>, %B: !tile.memory<1xf32>)
            items <once by 1 times 1> at %item {{
          %c0 = arith.constant 0 : index
          %x = tile.load %X[%c0, %c0] : !tile.memory<37xf32> -> !tile.tile<5x37xf32>
          %a = tile.reduce {1} %x along 0 : !tile.tile<5x37xf32> -> !tile.tile<1x37xf32>
          %b = tile.reduce {1} %x along 1 : !tile.tile<5x37xf32> -> !tile.tile<5x1xf32>
          tile.store %a, %A[%c0, %c0] : !tile.tile<1x37xf32>, !tile.memory<37xf32>
          tile.store %b, %B[%c0, %c0] : !tile.tile<5x1xf32>, !tile.memory<1xf32>
        }})",
                             c.name, combiner);
      Buffer x = {"f32", 5 * 37};
      x.value = [odd](int64_t i) { return i % 41 == 7 ? odd : double(i % 13) - 6; };
      c.buffers = {x, {"f32", 37}, {"f32", 5}};
      cases.push_back(c);
    }
  check(cases);
}

/// log(1 + e) of an e that is an exponential of what is not above 0 has a form of its own on a GPU. Relative to the
/// largest result, so in cases within which results are alike.
TEST(TileOps, SoftplusFarAndNear) {
  std::vector<Case> cases;
  struct Range {
    double from, to, tolerance;
  };
  // The error of an exponential grows with what it is taken of.
  for (Range range :
       {Range{-1, 1, 5e-7}, Range{-2, -1, 5e-7}, Range{-10, -9, 2e-6}, Range{-80, -79, 1e-5}, Range{20, 40, 3e-7},
        Range{0, 0, 3e-7}, Range{NAN, NAN, 0}, Range{-INFINITY, -INFINITY, 0}, Range{INFINITY, INFINITY, 0}}) {
    Case c;
    c.name = fmt::format("softplus_{}", cases.size());
    c.kernel = fmt::format(R"(
      tile.kernel @{0}(%X: !tile.memory<64xf32>, %Y: !tile.memory<64xf32>) items <once by 1 times 1> at %item {{
        %c0 = arith.constant 0 : index
        %x = tile.load %X[%c0, %c0] : !tile.memory<64xf32> -> !tile.tile<16x64xf32>
        %y = tile.map (%a = %x : !tile.tile<16x64xf32>) -> !tile.tile<16x64xf32> {{
          %zero = arith.constant 0.0 : f32
          %size = math.absf %a : f32
          %below = arith.negf %size : f32
          %e = math.exp %below : f32
          %soft = math.log1p %e : f32
          %straight = arith.maximumf %a, %zero : f32
          %sum = arith.addf %straight, %soft : f32
          tile.yield %sum : f32
        }}
        tile.store %y, %Y[%c0, %c0] : !tile.tile<16x64xf32>, !tile.memory<64xf32>
      }})",
                           c.name);
    Buffer x = {"f32", 16 * 64};
    x.value = [range](int64_t i) {
      return range.from == range.to || std::isnan(range.from) ? range.from
                                                              : range.from + (range.to - range.from) * double(i) / 1023;
    };
    c.buffers = {x, {"f32", 16 * 64}};
    c.tolerance = c.gpuTolerance = range.tolerance;
    cases.push_back(c);
  }
  check(cases);
}

TEST(TileOps, WindowsWithinBounds) {
  std::vector<Case> cases;
  for (auto [m, n] : shapes)
    for (const char *element : {"f32", "bf16", "f16"})
      for (auto [row, lo, hi] :
           {std::tuple(0, 0, 1000), std::tuple(2, 3, 9), std::tuple(5, 0, 5), std::tuple(-3, 0, 20)}) {
        Case c;
        int extra = 3; // columns of memory around the window
        int rows = 24;
        if (hi == 1000 && m > rows)
          hi = rows;
        c.name = fmt::format("within_{}x{}_{}_{}_{}_{}", m, n, element, row < 0 ? "n" : std::to_string(row), lo, hi);
        c.kernel = fmt::format(R"(
          tile.kernel @{name}(%X: !tile.memory<{mc}x{e}>, %Y: !tile.memory<{n}xf32>, %Z: !tile.memory<{mc}x{e}>)
              items <once by 1 times 1> at %item {{
            %c0 = arith.constant 0 : index
            %c2 = arith.constant 2 : index
            %row = arith.constant {row} : index
            %lo = arith.constant {lo} : index
            %hi = arith.constant {hi} : index
            %x = tile.load %X[%row, %c2] within [%lo, %hi] : !tile.memory<{mc}x{e}> -> {mn}
            %y = tile.map (%a = %x : {mn}) -> {mn} {{
              %b = arith.addf %a, %a : f32
              tile.yield %b : f32
            }}
            tile.store %y, %Y[%c0, %c0] : {mn}, !tile.memory<{n}xf32>
            tile.store %y, %Z[%row, %c2] within [%lo, %hi] : {mn}, !tile.memory<{mc}x{e}>
          }})",
                               fmt::arg("name", c.name), fmt::arg("mc", n + extra), fmt::arg("n", n),
                               fmt::arg("e", element), fmt::arg("row", row), fmt::arg("lo", lo),
                               fmt::arg("hi", std::min(hi, rows)), fmt::arg("mn", tile(m, n)));
        c.buffers = {{element, rows * (n + extra)}, {"f32", m * n}, {element, rows * (n + extra)}};
        cases.push_back(c);
      }
  check(cases);
}

// Windows a row apart with one row of weights each, as a convolution along the rows has them, between bounds that cut
// the first and the last; columns that are whole pieces of memory and columns that are not.
TEST(TileOps, WindowsThatOverlap) {
  std::vector<Case> cases;
  for (const char *element : {"bf16", "f32"})
    for (auto [rows, columns, taps, first] :
         {std::tuple(128, 32, 4, 32), std::tuple(128, 32, 3, 0), std::tuple(256, 32, 2, 32), std::tuple(128, 64, 4, 64),
          std::tuple(64, 32, 4, 0), std::tuple(128, 32, 4, 6), std::tuple(130, 32, 4, 32), std::tuple(128, 24, 4, 0)}) {
      Case c;
      c.name = fmt::format("overlap_{}_{}x{}_{}_{}", element, rows, columns, taps, first);
      std::string inputs, names, sum;
      for (int tap = 0; tap < taps; ++tap) {
        inputs += fmt::format(R"(
        %x{0} = tile.window %x[{0}, 0] : {1} -> {2}
        %w{0} = tile.window %w[{0}, 0] : {3} -> {4})",
                              tap, tile(rows + taps - 1, columns), tile(rows, columns), tile(taps, columns),
                              tile(1, columns));
        names += fmt::format("{}%a{} = %x{} : {}, %b{} = %w{} : {}", tap ? ", " : "", tap, tap, tile(rows, columns),
                             tap, tap, tile(1, columns));
        sum += fmt::format(R"(
          %p{0} = arith.mulf %a{0}, %b{0} : f32)",
                           tap);
        sum += tap == 0 ? std::string()
                        : fmt::format(R"(
          %s{0} = arith.addf {1}, %p{0} : f32)",
                                      tap, tap == 1 ? "%p0" : fmt::format("%s{}", tap - 1));
      }
      c.kernel =
          fmt::format(R"(
      tile.kernel @{name}(%X: !tile.memory<128x{e}>, %W: !tile.memory<{taps}xbf16>, %Y: !tile.memory<{n}xbf16>)
          items <once by 1 times 1> at %item attributes {{tile.constants = array<i64: 1>}} {{
        %c0 = arith.constant 0 : index
        %first = arith.constant {first} : index
        %c2 = arith.constant 2 : index
        %before = arith.constant {before} : index
        %row = arith.subi %c2, %before : index
        %lo = arith.constant 1 : index
        %hi = arith.constant {hi} : index
        %x = tile.load %X[%row, %first] within [%lo, %hi] : !tile.memory<128x{e}> -> {all}
        %w = tile.load %W[%first, %c0] transposed : !tile.memory<{taps}xbf16> -> {weights}{inputs}
        %y = tile.map ({names}) -> {mn} {{{sum}
          tile.yield %s{last} : f32
        }}
        tile.store %y, %Y[%c0, %c0] : {mn}, !tile.memory<{n}xbf16>
      }})",
                      fmt::arg("name", c.name), fmt::arg("e", element), fmt::arg("taps", taps), fmt::arg("n", columns),
                      fmt::arg("first", first), fmt::arg("before", taps - 1), fmt::arg("hi", rows - 1),
                      fmt::arg("all", tile(rows + taps - 1, columns)), fmt::arg("weights", tile(taps, columns)),
                      fmt::arg("inputs", inputs), fmt::arg("names", names), fmt::arg("sum", sum),
                      fmt::arg("last", taps - 1), fmt::arg("mn", tile(rows, columns)));
      c.buffers = {{element, rows * 128}, {"bf16", 128 * taps}, {"bf16", rows * columns}};
      cases.push_back(c);
    }
  check(cases);
}

TEST(TileOps, TransposedLoad) {
  std::vector<Case> cases;
  for (auto [m, n] : shapes) {
    Case c;
    c.name = fmt::format("transposed_{}x{}", m, n);
    c.kernel = fmt::format(R"(
      tile.kernel @{name}(%X: !tile.memory<{m}xf32>, %Y: !tile.memory<{n}xf32>, %Z: !tile.memory<{n}xf32>)
          items <once by 1 times 1> at %item {{
        %c0 = arith.constant 0 : index
        %c1 = arith.constant 1 : index
        %c9 = arith.constant 9 : index
        %x = tile.load %X[%c0, %c0] transposed : !tile.memory<{m}xf32> -> {mn}
        %w = tile.load %X[%c0, %c0] within [%c1, %c9] transposed : !tile.memory<{m}xf32> -> {mn}
        tile.store %x, %Y[%c0, %c0] : {mn}, !tile.memory<{n}xf32>
        tile.store %w, %Z[%c0, %c0] : {mn}, !tile.memory<{n}xf32>
      }})",
                           fmt::arg("name", c.name), fmt::arg("m", m), fmt::arg("n", n), fmt::arg("mn", tile(m, n)));
    c.buffers = {{"f32", std::max(n, 9) * m}, {"f32", m * n}, {"f32", m * n}};
    cases.push_back(c);
  }
  check(cases);
}

TEST(TileOps, Spread) {
  std::vector<Case> cases;
  for (auto [m, n] : {std::pair(64, 128), std::pair(64, 1), std::pair(16, 63), std::pair(48, 37), std::pair(128, 16)})
    for (auto [row, group] : {std::pair(0, 1), std::pair(0, 2), std::pair(3, 8), std::pair(7, 16), std::pair(8, 16),
                              std::pair(15, 32), std::pair(5, 12), std::pair(1, 48), std::pair(31, 64)}) {
      if (m % group != 0)
        continue;
      Case c;
      c.name = fmt::format("spread_{}x{}_{}_of_{}", m, n, row, group);
      // Of a load, and of a tile that dies here and one that does not: the result may take the place of the one.
      c.kernel = fmt::format(R"(
        tile.kernel @{name}(%X: !tile.memory<{n}xf32>, %Y: !tile.memory<{n}xf32>, %Z: !tile.memory<{n}xf32>)
            items <once by 1 times 1> at %item {{
          %c0 = arith.constant 0 : index
          %x = tile.load %X[%c0, %c0] : !tile.memory<{n}xf32> -> {mn}
          %s = tile.spread %x row {row} of {group} : {mn}
          %y = tile.map (%a = %x : {mn}, %b = %s : {mn}) -> {mn} {{
            %d = arith.subf %a, %b : f32
            tile.yield %d : f32
          }}
          %t = tile.spread %y row {other} of {group} : {mn}
          tile.store %t, %Y[%c0, %c0] : {mn}, !tile.memory<{n}xf32>
          tile.store %s, %Z[%c0, %c0] : {mn}, !tile.memory<{n}xf32>
        }})",
                             fmt::arg("name", c.name), fmt::arg("n", n), fmt::arg("mn", tile(m, n)),
                             fmt::arg("row", row), fmt::arg("other", group - 1 - row), fmt::arg("group", group));
      c.buffers = {{"f32", m * n}, {"f32", m * n}, {"f32", m * n}};
      cases.push_back(c);
    }
  check(cases);
}

TEST(TileOps, Transpose) {
  std::vector<Case> cases;
  for (auto [m, n] : shapes) {
    Case c;
    c.name = fmt::format("transpose_{}x{}", m, n);
    // Of a load, which may be no copy, and of a tile that is one; used by a map and stored as it is.
    c.kernel = fmt::format(R"(
      tile.kernel @{name}(%X: !tile.memory<{n}xf32>, %Y: !tile.memory<{m}xf32>, %Z: !tile.memory<{m}xbf16>,
                          %W: !tile.memory<{n}xf32>) items <once by 1 times 1> at %item {{
        %c0 = arith.constant 0 : index
        %x = tile.load %X[%c0, %c0] : !tile.memory<{n}xf32> -> {mn}
        %t = tile.transpose %x : {mn} -> {nm}
        %u = tile.map (%a = %x : {mn}) -> {mn} {{
          %j = tile.index 1
          %f = arith.sitofp %j : i32 to f32
          %b = arith.addf %a, %f : f32
          tile.yield %b : f32
        }}
        %v = tile.transpose %u : {mn} -> {nm}
        %s = tile.map (%a = %t : {nm}, %b = %v : {nm}) -> {nm} {{
          %p = arith.mulf %a, %b : f32
          tile.yield %p : f32
        }}
        %w = tile.transpose %s : {nm} -> {mn}
        tile.store %t, %Y[%c0, %c0] : {nm}, !tile.memory<{m}xf32>
        tile.store %v, %Z[%c0, %c0] : {nm}, !tile.memory<{m}xbf16>
        tile.store %w, %W[%c0, %c0] : {mn}, !tile.memory<{n}xf32>
      }})",
                           fmt::arg("name", c.name), fmt::arg("m", m), fmt::arg("n", n), fmt::arg("mn", tile(m, n)),
                           fmt::arg("nm", tile(n, m)));
    c.buffers = {{"f32", m * n}, {"f32", m * n}, {"bf16", m * n}, {"f32", m * n}};
    cases.push_back(c);
  }
  check(cases);
}

TEST(TileOps, BlocksByNumberAndHead) {
  std::vector<Case> cases;
  for (auto [m, n] : shapes)
    for (const char *element : {"f32", "bf16"}) {
      Case c;
      int numbers = 3, heads = 2;
      c.name = fmt::format("block_{}x{}_{}", m, n, element);
      // Item i reads head i / 3 of block i % 3 and writes head 1 - i / 3 of block 2 - i % 3: every block once.
      c.kernel = fmt::format(R"(
        tile.kernel @{name}(%X: !tile.pages<2x{m}x{n}x{e}>, %Y: !tile.pages<2x{m}x{n}x{e}>)
            items <once by 1 times 6> at %item {{
          %c0 = arith.constant 0 : index
          %c1 = arith.constant 1 : index
          %c2 = arith.constant 2 : index
          %c3 = arith.constant 3 : index
          %number = arith.remui %item, %c3 : index
          %head = arith.divui %item, %c3 : index
          %otherNumber = arith.subi %c2, %number : index
          %otherHead = arith.subi %c1, %head : index
          %from = tile.block %X[%number, %head] : !tile.pages<2x{m}x{n}x{e}> -> !tile.memory<{n}x{e}>
          %to = tile.block %Y[%otherNumber, %otherHead] : !tile.pages<2x{m}x{n}x{e}> -> !tile.memory<{n}x{e}>
          %x = tile.load %from[%c0, %c0] : !tile.memory<{n}x{e}> -> {mn}
          tile.store %x, %to[%c0, %c0] : {mn}, !tile.memory<{n}x{e}>
        }})",
                             fmt::arg("name", c.name), fmt::arg("m", m), fmt::arg("n", n), fmt::arg("e", element),
                             fmt::arg("mn", tile(m, n)));
      c.buffers = {{element, numbers * heads * m * n}, {element, numbers * heads * m * n}};
      c.items = numbers * heads;
      cases.push_back(c);
    }
  check(cases);
}

TEST(TileOps, TheStep) {
  Case c;
  c.name = "step";
  c.kernel = R"(
    tile.kernel @step(%E: !tile.memory<37xbf16>, %S: !tile.slots<16xf32>, %P: !tile.pages<2x64x20xf32>,
                      %W: !tile.stack<3x16xf32>, %Y: !tile.memory<37xf32>, %O: !tile.memory<1xi32>,
                      %K: !tile.memory<20xf32>) items <sequences by 1 times 1> at %item {
      %c0 = arith.constant 0 : index
      %c1 = arith.constant 1 : index
      %c2 = arith.constant 2 : index
      %c8 = arith.constant 8 : index
      %begin, %end, %past = tile.sequence %item
      %ids = tile.rows tokens[%begin] below %end : !tile.tile<5x1xi32>
      %pos = tile.rows positions[%begin] below %end : !tile.tile<5x1xi32>
      %outs = tile.count outputs
      %out = tile.rows outputs[%c0] below %outs : !tile.tile<5x1xi32>
      %e = tile.gather %E[%ids, %c0] : !tile.memory<37xbf16>, !tile.tile<5x1xi32> -> !tile.tile<5x37xf32>
      tile.store %e, %Y[%begin, %c0] within [%begin, %end] : !tile.tile<5x37xf32>, !tile.memory<37xf32>
      %sum = tile.map (%a = %pos : !tile.tile<5x1xi32>, %b = %out : !tile.tile<5x1xi32>) -> !tile.tile<5x1xi32> {
        %x = arith.addi %a, %b : i32
        tile.yield %x : i32
      }
      tile.store %sum, %O[%begin, %c0] within [%begin, %end] : !tile.tile<5x1xi32>, !tile.memory<1xi32>
      %slot = tile.slot %S[%item] : !tile.slots<16xf32> -> !tile.memory<16xf32>
      %w = tile.stacked %W[%c2] : !tile.stack<3x16xf32> -> !tile.memory<16xf32>
      %state = tile.load %slot[%c0, %c0] : !tile.memory<16xf32> -> !tile.tile<4x16xf32>
      %weight = tile.load %w[%c0, %c0] : !tile.memory<16xf32> -> !tile.tile<4x16xf32>
      %next = tile.map (%a = %state : !tile.tile<4x16xf32>, %b = %weight : !tile.tile<4x16xf32>) -> !tile.tile<4x16xf32> {
        %x = arith.addf %a, %b : f32
        tile.yield %x : f32
      }
      tile.store %next, %slot[%c0, %c0] : !tile.tile<4x16xf32>, !tile.memory<16xf32>
      %page = tile.page %P[%item, %c1, %c1] : !tile.pages<2x64x20xf32> -> !tile.memory<20xf32>
      %keys = tile.load %page[%c8, %c0] : !tile.memory<20xf32> -> !tile.tile<4x20xf32>
      %at = arith.muli %item, %c8 : index
      tile.store %keys, %K[%at, %c0] : !tile.tile<4x20xf32>, !tile.memory<20xf32>
    })";
  c.step.tokens = {3, 1, 4, 1, 5, 9, 2};
  c.step.positions = {7, 8, 9, 0, 1, 2, 3};
  c.step.rowBegin = {0, 3, 7};
  c.step.past = {7, 0};
  c.step.outputs = {2, 6};
  c.step.pages = {4, 2, 1, 3};
  c.step.pageBegin = {0, 2, 4};
  c.items = 2;
  c.buffers = {{"bf16", 10 * 37}, {"f32", 2 * 64, -1, 1, 2}, {"f32", 5 * 2 * 64 * 20}, {"f32", 3 * 64, -1, 1, 3},
               {"f32", 7 * 37},   {"i32", 7, 0, 0},          {"f32", 16 * 20}};
  check({c});
}

// Rows upside down, every third of them nowhere; read again behind it, by other threads than wrote them.
TEST(TileOps, ScatteredRows) {
  std::vector<Case> cases;
  for (auto [m, n] : shapes)
    for (const char *element : {"f32", "bf16"}) {
      Case c;
      c.name = fmt::format("scatter_{}x{}_{}", m, n, element);
      c.kernel = fmt::format(R"(
        tile.kernel @{name}(%X: !tile.memory<{n}xf32>, %Y: !tile.memory<{wide}x{element}>, %Z: !tile.memory<{n}xf32>)
            items <once by 1 times 1> at %item {{
          %c0 = arith.constant 0 : index
          %c2 = arith.constant 2 : index
          %zero = arith.constant 0 : i32
          %x = tile.load %X[%c0, %c0] : !tile.memory<{n}xf32> -> !tile.tile<{m}x{n}xf32>
          %zeros = tile.splat %zero : i32 -> !tile.tile<{m}x1xi32>
          %rows = tile.map (%z = %zeros : !tile.tile<{m}x1xi32>) -> !tile.tile<{m}x1xi32> {{
            %one = arith.constant 1 : i32
            %three = arith.constant 3 : i32
            %none = arith.constant -1 : i32
            %last = arith.constant {last} : i32
            %i = tile.index 0
            %up = arith.subi %last, %i : i32
            %turn = arith.remui %i, %three : i32
            %drop = arith.cmpi eq, %turn, %one : i32
            %r = arith.select %drop, %none, %up : i32
            tile.yield %r : i32
          }}
          tile.scatter %x, %Y[%rows, %c2] : !tile.tile<{m}x{n}xf32>, !tile.memory<{wide}x{element}>, !tile.tile<{m}x1xi32>
          %y = tile.load %Y[%c0, %c2] : !tile.memory<{wide}x{element}> -> !tile.tile<{m}x{n}xf32>
          tile.store %y, %Z[%c0, %c0] : !tile.tile<{m}x{n}xf32>, !tile.memory<{n}xf32>
        }})",
                             fmt::arg("name", c.name), fmt::arg("m", m), fmt::arg("n", n), fmt::arg("wide", n + 2),
                             fmt::arg("last", m - 1), fmt::arg("element", element));
      c.buffers = {{"f32", m * n}, {element, m * (n + 2)}, {"f32", m * n}};
      cases.push_back(std::move(c));
    }
  check(cases);
}

TEST(TileOps, CarriedTiles) {
  std::vector<Case> cases;
  for (auto [m, n] : shapes) {
    Case c;
    c.name = fmt::format("carried_{}x{}", m, n);
    // Two tiles that change places, one made anew, one window of a carried tile, and a scalar between them.
    c.kernel = fmt::format(R"(
      tile.kernel @{name}(%X: !tile.memory<{n}xf32>, %Y: !tile.memory<{n}xf32>, %N: !tile.memory<{n}xf32>)
          items <once by 1 times 1> at %item {{
        %c0 = arith.constant 0 : index
        %c1 = arith.constant 1 : index
        %c5 = arith.constant 5 : index
        %m = arith.constant {m} : index
        %m2 = arith.constant {m2} : index
        %zero = arith.constant 0.0 : f32
        %one = arith.constant 1.0 : f32
        %x = tile.load %X[%c0, %c0] : !tile.memory<{n}xf32> -> {mn}
        %y = tile.load %X[%m, %c0] : !tile.memory<{n}xf32> -> {mn}
        %z = tile.splat %zero : f32 -> {mn}
        %a, %b, %c, %s = scf.for %i = %c0 to %c5 step %c1 iter_args(%p = %x, %q = %y, %r = %z, %t = %one)
            -> ({mn}, {mn}, {mn}, f32) {{
          %u = tile.map (%e = %p : {mn}, %f = %q : {mn}, %g = %r : {mn}) -> {mn} {{
            %h = arith.mulf %e, %f : f32
            %k = arith.addf %h, %g : f32
            %l = arith.mulf %k, %t : f32
            tile.yield %l : f32
          }}
          %even = arith.remui %i, %c5 : index
          %first = arith.cmpi eq, %even, %c1 : index
          %v = scf.if %first -> ({mn}) {{
            %w = tile.map (%e = %u : {mn}) -> {mn} {{
              %h = arith.addf %e, %one : f32
              tile.yield %h : f32
            }}
            scf.yield %w : {mn}
          }} else {{
            scf.yield %u : {mn}
          }}
          %next = arith.addf %t, %one : f32
          scf.yield %q, %p, %v, %next : {mn}, {mn}, {mn}, f32
        }}
        tile.store %a, %Y[%c0, %c0] : {mn}, !tile.memory<{n}xf32>
        tile.store %b, %Y[%m, %c0] : {mn}, !tile.memory<{n}xf32>
        %d = tile.map (%e = %c : {mn}) -> {mn} {{
          %h = arith.mulf %e, %s : f32
          tile.yield %h : f32
        }}
        tile.store %d, %Y[%m2, %c0] : {mn}, !tile.memory<{n}xf32>
      }})",
                           fmt::arg("name", c.name), fmt::arg("n", n), fmt::arg("m", m), fmt::arg("m2", 2 * m),
                           fmt::arg("mn", tile(m, n)));
    c.buffers = {{"f32", 2 * m * n}, {"f32", 3 * m * n}, {"f32", n}};
    cases.push_back(c);
  }
  check(cases);
}

TEST(TileOps, LoadSeesStoresBetween) {
  Case c;
  c.name = "hazard";
  // The first load is used after its memory has changed: it must hold the old values.
  c.kernel = R"(
    tile.kernel @hazard(%X: !tile.memory<20xf32>, %Y: !tile.memory<20xf32>) items <once by 1 times 1> at %item {
      %c0 = arith.constant 0 : index
      %c3 = arith.constant 3 : index
      %x = tile.load %X[%c0, %c0] : !tile.memory<20xf32> -> !tile.tile<4x20xf32>
      %y = tile.map (%a = %x : !tile.tile<4x20xf32>) -> !tile.tile<4x20xf32> {
        %b = arith.addf %a, %a : f32
        tile.yield %b : f32
      }
      tile.store %y, %X[%c3, %c0] : !tile.tile<4x20xf32>, !tile.memory<20xf32>
      tile.store %x, %Y[%c0, %c0] : !tile.tile<4x20xf32>, !tile.memory<20xf32>
      %z = tile.load %X[%c3, %c0] : !tile.memory<20xf32> -> !tile.tile<4x20xf32>
      %w = tile.window %z[1, 3] : !tile.tile<4x20xf32> -> !tile.tile<2x17xf32>
      tile.store %w, %X[%c0, %c0] : !tile.tile<2x17xf32>, !tile.memory<20xf32>
    })";
  c.buffers = {{"f32", 7 * 20}, {"f32", 4 * 20}};
  check({c});
}
