// The polynomials of expand-math against libm in double, over dense ranges and the special values.
#include "test/codegen/cpu/TileCheck.h"
#include <cmath>
#include <fmt/format.h>
#include <gtest/gtest.h>

using namespace denim::test;

namespace {
struct Function {
  const char *op;
  double low, high;
  double tolerance;
};
} // namespace

// Results of one case are compared with the largest of them, so wide ranges are cut in pieces of similar size.
TEST(ExpandMath, AgreesWithDouble) {
  std::vector<Case> cases;
  const Function functions[] = {{"math.exp", -1, 1, 1.2e-7},        {"math.exp", -87, -86, 2.5e-7},
                                {"math.exp", 87, 88.7, 2.5e-7},     {"math.exp", -1e4, -200, 0},
                                {"math.exp", 10, 11, 2e-7},         {"math.exp2", -1, 1, 1.2e-7},
                                {"math.exp2", 120, 127.9, 2e-7},    {"math.expm1", -0.01, 0.01, 1.2e-7},
                                {"math.expm1", -2, 2, 2e-7},        {"math.log", 0.5, 2, 1.2e-7},
                                {"math.log", 0.999, 1.001, 2e-7},   {"math.log", 1e30, 1e38, 1.2e-7},
                                {"math.log", 1e-44, 1e-38, 1.2e-7}, {"math.log1p", -1e-4, 1e-4, 1.2e-7},
                                {"math.log1p", -0.9, 4, 1.2e-7},    {"math.log1p", 0, 1e-30, 1.2e-7},
                                {"math.tanh", -0.01, 0.01, 1.2e-7}, {"math.tanh", -10, 10, 1.5e-7},
                                {"math.erf", -0.01, 0.01, 2e-7},    {"math.erf", -5, 5, 3e-7},
                                {"math.sin", -0.01, 0.01, 1.2e-7},  {"math.sin", -10, 10, 1.2e-7},
                                {"math.sin", 9e5, 1e6, 1.2e-7},     {"math.cos", -10, 10, 1.2e-7},
                                {"math.cos", -1e6, -9e5, 1.2e-7},   {"math.rsqrt", 0.01, 100, 1.5e-7},
                                {"math.sqrt", 0, 1e6, 1e-7},        {"math.absf", -1, 1, 0}};
  auto add = [&](const char *op, double tolerance, Buffer input) {
    Case c;
    c.name = fmt::format("f{}", cases.size());
    c.kernel = fmt::format(R"(
      tile.kernel @{0}(%X: !tile.memory<{1}xf32>, %Y: !tile.memory<{1}xf32>) items <once by 1 times 1> at %item {{
        %c0 = arith.constant 0 : index
        %x = tile.load %X[%c0, %c0] : !tile.memory<{1}xf32> -> !tile.tile<1x{1}xf32>
        %y = tile.map (%a = %x : !tile.tile<1x{1}xf32>) -> !tile.tile<1x{1}xf32> {{
          %b = {2} %a : f32
          tile.yield %b : f32
        }}
        tile.store %y, %Y[%c0, %c0] : !tile.tile<1x{1}xf32>, !tile.memory<{1}xf32>
      }})",
                           c.name, input.count, op);
    c.buffers = {input, {"f32", input.count, 0, 0}};
    c.tolerance = tolerance;
    cases.push_back(c);
  };
  for (const Function &f : functions)
    add(f.op, f.tolerance, {"f32", 4003, f.low, f.high});
  static const double specials[] = {NAN, INFINITY, -INFINITY, 0.0, -0.0, 89.0, 1e30, -1e30, -1.0, -105.0, 3e38};
  for (const char *op : {"math.exp", "math.exp2", "math.log", "math.log1p", "math.tanh", "math.erf", "math.sqrt"}) {
    Buffer x = {"f32", 11};
    x.value = [](int64_t i) { return specials[i]; };
    add(op, 2e-7, x);
  }
  check(cases);
}
