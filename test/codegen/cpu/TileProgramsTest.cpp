// Kernels of many ops: attention and a delta rule, ragged and strongly decaying.
#include "test/codegen/cpu/TilePrograms.h"
#include "test/codegen/cpu/TileCheck.h"
#include <cmath>
#include <fmt/format.h>
#include <gtest/gtest.h>

using namespace denim::test;

TEST(TilePrograms, Attention) {
  std::vector<Case> cases;
  for (auto [queries, keys, block, width] : {std::tuple(64, 128, 64, 128), std::tuple(1, 128, 64, 64),
                                             std::tuple(5, 74, 37, 20), std::tuple(37, 96, 16, 65)}) {
    Case c;
    c.name = fmt::format("attention_{}x{}x{}", queries, keys, width);
    c.kernel = attention(c.name, queries, keys, block, width);
    c.buffers = {
        {"f32", queries * width, -3, 3}, {"f32", keys * width}, {"f32", keys * width}, {"f32", queries * width}};
    // The program does not scale its scores: they spread as sqrt(width), about 11 at 128, and so does what rounding
    // their operands to bf16 does to them: 2^-9 / sqrt(3) of that for each of two, 0.018 together. Between two keys
    // that matter it comes to 0.09 in the worst of 64 rows, which moves a weight p by p (1 - p) 0.09 between values up
    // to 2 apart.
    if (width == 128)
      c.gpuTolerance = 5e-2;
    cases.push_back(c);
  }
  check(cases);
}

// Of a tile that is stored in part, only the rows that are asked for are computed: every second half of a slab is left
// out below 9 rows, not from there on, and nothing is where rows are one or all.
TEST(TilePrograms, AttentionOfFewRows) {
  std::vector<Case> cases;
  for (auto [queries, keys, block, width, stored] :
       {std::tuple(64, 128, 64, 64, 1), std::tuple(64, 192, 64, 64, 4), std::tuple(64, 128, 64, 64, 8),
        std::tuple(64, 128, 64, 64, 9), std::tuple(64, 128, 64, 64, 63), std::tuple(64, 128, 64, 64, 65),
        std::tuple(37, 74, 37, 20, 3), std::tuple(5, 32, 16, 20, 4), std::tuple(1, 128, 64, 64, 1)}) {
    Case c;
    c.name = fmt::format("attention_{}x{}x{}_of_{}", queries, keys, width, stored);
    c.kernel = attention(c.name, queries, keys, block, width, stored);
    c.buffers = {
        {"f32", queries * width, -3, 3}, {"f32", keys * width}, {"f32", keys * width}, {"f32", queries * width}};
    cases.push_back(c);
  }
  check(cases);
}

TEST(TilePrograms, DeltaRule) {
  std::vector<Case> cases;
  for (auto [chunk, kw, vw, tokens, decay] : {std::tuple(64, 128, 128, 150, -0.1), std::tuple(32, 64, 48, 63, -1.0),
                                              std::tuple(16, 20, 37, 37, -1e4), std::tuple(8, 16, 16, 3, -0.5)}) {
    Case c;
    int heads = 2;
    c.name = fmt::format("delta_{}x{}x{}x{}", chunk, kw, vw, tokens);
    c.kernel = deltaRule(c.name, chunk, kw, vw, tokens, heads);
    double unit = 1.5 / std::sqrt(double(kw));
    c.buffers = {{"f32", tokens * heads * kw, -unit, unit},
                 {"f32", tokens * heads * kw, -unit, unit},
                 {"f32", tokens * heads * vw},
                 {"f32", tokens * heads, decay, 0},
                 {"f32", tokens * heads, 0, 1},
                 {"f32", tokens * heads * vw},
                 {"f32", heads * kw * vw}};
    // Decays of thousands, in steps that f32 adds without rounding: differences of sums must not cancel digits.
    if (decay < -100)
      c.buffers[3].value = [](int64_t i) { return -512.0 * double(i * 7 % 20); };
    c.items = heads;
    if (chunk % 16 != 0)
      c.gpuRefusal = {"expected a triangle of 16, 32, 64 or 128 rows on a GPU"};
    else if (chunk == 64)
      c.gpuRefusal = {"of shared memory", /*onlyExact=*/true}; // a state of 128 x 128 and more, in three terms each
    cases.push_back(c);
  }
  check(cases);
}
