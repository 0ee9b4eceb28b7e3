// What the evaluator says of pages whose meaning is known by other means.
#include "compiler/evaluator/Evaluator.h"
#include "dialects/attn/ir/Attn.h"
#include "dialects/model/ir/Model.h"
#include "mlir/Parser/Parser.h"
#include "gtest/gtest.h"
#include <cmath>
#include <filesystem>
#include <unistd.h>

using namespace denim;
using attn::reference::Tensor;

namespace {

class EvaluatorTest : public testing::Test {
protected:
  EvaluatorTest() { context.loadDialect<model::ModelDialect, attn::AttnDialect>(); }

  /// Logits of a network of one layer with this body, `%x` to `%y`, both `[T, width]`; its head is the unit matrix.
  Tensor run(int64_t width, const std::string &body, const std::vector<int32_t> &tokens) {
    std::string w = std::to_string(width);
    module = mlir::parseSourceString<mlir::ModuleOp>(R"(
      model.network @n(%ids: tensor<?xi32>) {
        %table = param "table" : tensor<8x)" + w + R"(xf32>
        %head = param "head" : tensor<)" + w + "x" + w + R"(xf32>
        %x = embed %ids, %table
        %y = layers %x, "l.{i}" = 1 x @b
        %logits = linear %y, %head
        output %logits
      }
      model.block @b(%x: tensor<?x)" + w + R"(xf32>) {
        )" + body + R"(
        yield %y
      })",
                                                     &context);
    EXPECT_TRUE(module);
    auto types = parametersOf(*module);
    EXPECT_TRUE(mlir::succeeded(types));
    parameters = randomParameters(*types, 7);
    Tensor &head = parameters.at("head");
    for (int64_t i = 0; i < width; ++i)
      for (int64_t j = 0; j < width; ++j)
        head(i, j) = i == j;
    auto logits = evaluateNetwork(*module, parameters, tokens);
    EXPECT_TRUE(mlir::succeeded(logits));
    return *logits;
  }

  const Tensor &parameter(const char *name) { return parameters.at(name); }

  mlir::MLIRContext context;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  Parameters parameters;
};

const std::vector<int32_t> kTokens = {3, 0, 7, 7, 1, 5, 2, 6, 4};

} // namespace

TEST_F(EvaluatorTest, RegionIsTheDeltaRule) {
  // What attn.delta_rule says in one word and a region in six lines, with a decay per head and two heads per key.
  const char *inputs = R"(%q, %k, %v, %b, %a = split %x into 1x8, 1x8, 2x8, 2, 2
        %kn = l2_norm %k
        %beta = sigmoid %b
        %s = sigmoid %a
        %g = scale %s, -1.5
        )";
  Tensor word = run(36, std::string(inputs) + R"(%o = attn.delta_rule %q, %kn, %v beta %beta decay %g scale 1
        %y = concat %q, %k, %o, %b, %a)",
                    kTokens);
  Tensor region = run(
      36, std::string(inputs) + R"(%o = attn.recurrence (%S : 8x8, %1 = %q, %2 = %kn, %3 = %v, %4 = %beta, %5 = %g) {
          %d = decay %S, %5
          %p = read %d, %2
          %e = sub %3, %p
          %w = mul %4, %e
          %n = write %d, %2, %w
          %r = read %n, %1
          yield %n, %r
        }
        %y = concat %q, %k, %o, %b, %a)",
      kTokens);
  ASSERT_EQ(word.shape(), region.shape());
  double largest = 0;
  for (int64_t i = 0; i < word.size(); ++i) {
    EXPECT_NEAR(word.values()[size_t(i)], region.values()[size_t(i)], 1e-13);
    largest = std::max(largest, std::abs(word.values()[size_t(i)]));
  }
  EXPECT_GT(largest, 0.1);
}

TEST_F(EvaluatorTest, ShortSidesOfAProductMeetWhatTheyAreNamedFor) {
  // [D] meets every row, [T, 1] every channel of its token.
  Tensor logits = run(4, R"(%d = param "d" : tensor<4xf32>
        %one, %rest = split %x into 1, 3
        %scaled = mul %x, %d
        %y = add %one, %scaled)",
                      kTokens);
  const Tensor &table = parameter("table"), &d = parameter("l.0.d");
  for (size_t t = 0; t < kTokens.size(); ++t)
    for (int64_t c = 0; c < 4; ++c)
      EXPECT_DOUBLE_EQ(logits(int64_t(t), c), table(kTokens[t], 0) + table(kTokens[t], c) * d(c));
}

TEST_F(EvaluatorTest, NothingLooksAhead) {
  const char *body = R"(%q, %k, %v = split %x into 2x8, 1x8, 1x8
        %o = attn.softmax %q, %k, %v window 3
        %all = concat %o, %k, %v
        %c = param "c" : tensor<32x3xf32>
        %y = attn.short_conv %all, %c)";
  Tensor whole = run(32, body, kTokens);
  Tensor first = run(32, body, {kTokens.begin(), kTokens.begin() + 5});
  for (int64_t t = 0; t < 5; ++t)
    for (int64_t c = 0; c < 32; ++c)
      EXPECT_EQ(whole(t, c), first(t, c));
}

TEST_F(EvaluatorTest, ParametersOfLayersHaveTheirOwnNames) {
  module = mlir::parseSourceString<mlir::ModuleOp>(R"(
    model.network @n(%ids: tensor<?xi32>) {
      %table = param "table" : tensor<8x4xbf16>
      %x = embed %ids, %table
      %y = layers %x, "m.{i}" = 2 x (1 x @b)
      %logits = linear %y, %table
      output %logits
    }
    model.block @b(%x: tensor<?x4xf32>) {
      %e = param "e.{e}.w" : tensor<3x4x4xf32>
      yield %x
    })",
                                                   &context);
  auto types = parametersOf(*module);
  ASSERT_TRUE(mlir::succeeded(types));
  std::vector<std::string> names;
  for (const auto &[name, type] : *types)
    names.push_back(name);
  EXPECT_EQ(names, (std::vector<std::string>{"m.0.e.0.w", "m.0.e.1.w", "m.0.e.2.w", "m.1.e.0.w", "m.1.e.1.w",
                                             "m.1.e.2.w", "table"}));
  // Values of a bf16 parameter are numbers that bf16 has: 8 bits of mantissa.
  Tensor table = randomParameters(*types, 1).at("table");
  for (double value : table.values()) {
    int exponent;
    double scaled = std::frexp(value, &exponent) * 256;
    EXPECT_EQ(scaled, std::nearbyint(scaled));
  }
}

TEST_F(EvaluatorTest, WeightsInBlocksAreTheNumbersTheyStandFor) {
  const char *body = R"(%w = param "w" : tensor<32x32x!model.q4_0>
        %y = linear %x, %w)";
  Tensor y = run(32, body, kTokens);
  const Tensor &w = parameter("l.0.w"), &table = parameter("table");
  double largest = 0;
  for (int64_t n = 0; n < 32; ++n) {
    // A row is a block: multiples of an eighth of its largest element, of which there are sixteen.
    double scale = 0;
    for (int64_t k = 0; k < 32; ++k)
      if (std::fabs(w(n, k)) > std::fabs(scale))
        scale = w(n, k);
    for (int64_t k = 0; k < 32; ++k) {
      double integer = w(n, k) / (scale / -8);
      EXPECT_EQ(integer, std::nearbyint(integer));
      EXPECT_LE(integer, 7);
    }
    for (size_t t = 0; t < kTokens.size(); ++t) {
      double sum = 0;
      for (int64_t k = 0; k < 32; ++k)
        sum += w(n, k) * table(kTokens[t], k);
      largest = std::max(largest, std::fabs(sum - y(int64_t(t), n)));
    }
  }
  EXPECT_LT(largest, 1e-12);
}

TEST_F(EvaluatorTest, WeightsInBlocksAreReadAsWritten) {
  run(32, R"(%w = param "w" : tensor<5x32x!model.q8_0>
        %z = param "z" : tensor<32x32xbf16>
        %v = linear %x, %w
        %y = linear %x, %z)",
      kTokens);
  auto types = parametersOf(*module);
  std::string path = (std::filesystem::temp_directory_path() / ("blocks" + std::to_string(getpid()))).string();
  ASSERT_FALSE(bool(writeParameters(*types, parameters, path)));
  auto read = readParameters(*types, path);
  std::filesystem::remove(path);
  ASSERT_TRUE(bool(read)) << llvm::toString(read.takeError());
  for (auto &[name, values] : parameters)
    EXPECT_EQ(read->at(name).values(), values.values()) << name;
}
