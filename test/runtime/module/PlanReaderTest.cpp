//===- PlanReaderTest.cpp - every value of a plan is checked --------------===//

#include "runtime/module/PlanReader.h"
#include "test/runtime/Inputs/TestModule.h"

#include <gtest/gtest.h>

using namespace denim;
using namespace denim::test;

namespace {

std::string refusal(const std::string &text) {
  Plan plan;
  Status status = readPlan(text, Machine::Cpu, plan);
  EXPECT_EQ(plan.name, status ? "" : "test"); // untouched when refused
  return status.message();
}

struct Case {
  const char *what, *by, *message;
};

void expectAll(std::initializer_list<Case> cases) {
  for (const Case &c : cases)
    EXPECT_EQ(refusal(with(kTestPlan, c.what, c.by)), c.message) << c.what << " -> " << c.by;
}

TEST(PlanReader, TakesThePlanOfTheTests) {
  EXPECT_EQ(refusal(kTestPlan), "");
}

TEST(PlanReader, IgnoresUnknownMembers) {
  EXPECT_EQ(refusal(with(kTestPlan, "{", R"({"further": [1], )")), "");
}

TEST(PlanReader, RefusesOtherText) {
  EXPECT_EQ(refusal(""), "plan: expected a JSON object, but got text that is no JSON");
  EXPECT_EQ(refusal("[]"), "plan: expected a JSON object, but got array");
  EXPECT_EQ(refusal(std::string(1 << 20, '[')), "plan: expected a JSON object, but got text that is no JSON");
}

TEST(PlanReader, RefusesOtherHeads) {
  expectAll({
      {"\"name\": \"test\"", "\"name\": 3", "plan.name: expected text, but got number"},
      {"\"vocabulary\": 32", "\"vocabulary\": 0",
       "plan.vocabulary: expected a whole number from 1 to 268435456, but got 0"},
      {"\"vocabulary\": 32", "\"vocabulary\": 1e9",
       "plan.vocabulary: expected a whole number from 1 to 268435456, but got 1000000000.0"},
      {"\"vocabulary\": 32", "\"words\": 32", "plan: expected a member \"vocabulary\", but got none"},
      {"\"kernel_abi\": 1", "\"kernel_abi\": 3",
       "module has kernels for ABI 3, this runtime calls ABI 1 and 2; recompile or update"},
      {"\"page_tokens\": 64", "\"page_tokens\": 32", "plan.page_tokens: expected 64, but got 32"},
      {"[31]", "[32]", "plan.eos_tokens[0]: expected a whole number from 0 to 31, but got 32"},
      {"[31]", "31", "plan.eos_tokens: expected a list, but got number"},
      {"\"logits\": 1", "\"logits\": 2", "plan.logits: expected a whole number from 0 to 1, but got 2"},
  });
}

TEST(PlanReader, RefusesOtherParameters) {
  expectAll({
      {"\"bf16\"", "\"q4\"", "plan.parameters[0].type: expected one of f32, bf16, f16, q8_0, q4_0, but got 'q4'"},
      {"\"bf16\"", "\"q8_0\"",
       "plan.parameters[0].shape: expected [rows, columns] with columns a multiple of 32 for q8_0, but got 16 columns"},
      {"[32, 16]", "[32, -16]",
       "plan.parameters[0].shape[1]: expected a whole number from 1 to 70368744177664, but got -16"},
      {"[32, 16]", "[9000000000000, 9000000000000]",
       "plan.parameters[0].shape: expected at most 70368744177664 bytes, but got more"},
      {"[32, 16]", "[\"a\"]",
       "plan.parameters[0].shape[0]: expected a whole number from 1 to 70368744177664, but got string"},
      {"expert.1", "expert.0", "plan.parameters[2].name: expected each name once, but got 'expert.0' again"},
      {"expert.1", "a\\u0000b", "plan.parameters[2].name: expected text, but got string"},
  });
}

TEST(PlanReader, RefusesOtherCachesAndSlots) {
  expectAll({
      {"\"kind\": \"tail\"", "\"kind\": \"ring\"",
       "plan.caches[1].kind: expected one of state, tail, paged, but got 'ring'"},
      {"[2, 8]", "[2, 8, 1]", "plan.caches[2].shape: expected [heads, columns], but got 3 dimensions"},
      {"[2, 8]", "[0, 8]", "plan.caches[2].shape[0]: expected a whole number from 1 to 70368744177664, but got 0"},
      {"\"row_bytes\": 64", "\"row_bytes\": 66", "plan.slots[0].row_bytes: expected a multiple of 4, but got 66"},
      {"\"row_bytes\": 64", "\"row_bytes\": -4",
       "plan.slots[0].row_bytes: expected a whole number from 4 to 1073741824, but got -4"},
      {"\"type\": \"f32\"},\n", "\"type\": \"f16\"},\n",
       "plan.slots[0].type: expected one of f32, bf16, but got 'f16'"},
      {"\"rows\": \"tokens\"", "\"rows\": \"always\"",
       "plan.slots[0].rows: expected one of tokens, outputs, once, but got 'always'"},
      {"\"row_bytes\": 128", "\"row_bytes\": 64",
       "plan.slots[1]: expected f32 logits with a row of 128 bytes for each output, but got f32, 64 bytes for each "
       "output"},
  });
}

TEST(PlanReader, RefusesOtherLaunches) {
  expectAll({
      {"\"kernel\": 4", "\"kernel\": 5",
       "plan.programs[3].launches[0].kernel: expected a whole number from 0 to 4, but got 5"},
      {"\"block\": 8", "\"block\": 0",
       "plan.programs[0].launches[0].items.block: expected a whole number from 1 to 2147483647, but got 0"},
      {"\"times\": 1", "\"times\": 9223372036854775808",
       "plan.programs[0].launches[0].items.times: expected a whole number from 1 to 2147483647, but got "
       "9223372036854775808"},
      {"\"per\": \"tokens\"", "\"per\": \"heads\"",
       "plan.programs[0].launches[0].items.per: expected one of once, tokens, outputs, sequences, but got 'heads'"},
      {"[\"slot\", 0]", "[\"slot\", 2]",
       "plan.programs[0].launches[0].args[0][1]: expected a whole number from 0 to 1, but got 2"},
      {"[\"slot\", 0]", "[\"slot\"]",
       "plan.programs[0].launches[0].args[0]: expected [\"slot\"|\"parameter\"|\"cache\", index] or [\"stack\", index, "
       "count], but got another list"},
      {"[\"stack\", 0, 2]", "[\"stack\", 0, 0]",
       "plan.programs[1].launches[0].args[3][2]: expected a whole number from 1 to 2147483647, but got 0"},
  });
}

TEST(PlanReader, RefusesStepsThatLackWhatTheirProgramUses) {
  expectAll({
      {"\"program\": 3", "\"program\": 4", "plan.steps[3].program: expected a whole number from 0 to 3, but got 4"},
      {"\"layer\": 0", "\"layer\": -2",
       "plan.steps[1].layer: expected a whole number from -1 to 2147483647, but got -2"},
      {"\"parameters\": [3]", "\"parameters\": [4]",
       "plan.steps[3].parameters[0]: expected a whole number from 0 to 3, but got 4"},
      {"\"parameters\": [3]", "\"parameters\": []", "plan.steps[3].parameters: expected at least 1, but got 0"},
      {"[\"stack\", 0, 2]", "[\"stack\", 1, 2]", "plan.steps[1].parameters: expected at least 3, but got 2"},
      {"\"caches\": [2]", "\"caches\": [3]", "plan.steps[2].caches[0]: expected a whole number from 0 to 2, but got 3"},
      {"\"caches\": [2]", "\"caches\": []", "plan.steps[2].caches: expected at least 1, but got 0"},
  });
}

TEST(PlanReader, RefusesStepsThatDifferInWhatTheirProgramUses) {
  const char *first = "{\"program\": 0, \"layer\": -1, \"parameters\": [0], \"caches\": []},";
  expectAll({
      {first,
       "{\"program\": 0, \"layer\": -1, \"parameters\": [0], \"caches\": []},"
       "{\"program\": 0, \"layer\": -1, \"parameters\": [3], \"caches\": []},",
       "plan.steps[1].parameters[0]: expected bf16[32, 16] as 'table', but got f32[32, 16] ('head')"},
      {"\"parameters\": [1, 2]", "\"parameters\": [1, 3]",
       "plan.steps[1].parameters[1]: expected f32[16] as 'expert.0', but got f32[32, 16] ('head')"},
      {"{\"program\": 3", "{\"program\": 2, \"layer\": 2, \"parameters\": [], \"caches\": [0]}, {\"program\": 3",
       "plan.steps[3].caches[0]: expected a cache like 'keys' of an earlier step, but got 'state'"},
  });
}

TEST(PlanReader, RefusesOtherConditions) {
  std::string attend = R"("args": [["slot", 0], ["cache", 0]]}]})";
  auto when = [&](const std::string &condition) {
    return with(kTestPlan, attend, R"("args": [["slot", 0], ["cache", 0]], "when": )" + condition + "}]}");
  };
  EXPECT_EQ(refusal(when(R"({"of": "rows", "least": 1, "most": 16})")), "");
  EXPECT_EQ(refusal(when(R"({"of": "sequence", "least": 3, "most": 3})")), "");
  const std::string path = "plan.programs[2].launches[1].when";
  EXPECT_EQ(refusal(when(R"({"of": "pages", "least": 1, "most": 16})")),
            path + ".of: expected one of rows, sequence, but got 'pages'");
  EXPECT_EQ(refusal(when(R"({"of": "rows", "least": 2, "most": 1})")),
            path + ".most: expected a whole number from 2 to 9223372036854775807, but got 1");
  EXPECT_EQ(refusal(when(R"({"of": "rows", "least": -1, "most": 1})")),
            path + ".least: expected a whole number from 0 to 9223372036854775807, but got -1");
  EXPECT_EQ(refusal(when(R"({"of": "rows", "least": 2})")), path + ": expected a member \"most\", but got none");
  EXPECT_EQ(refusal(when("7")), path + ": expected an object, but got number");
  EXPECT_EQ(refusal(when(R"({"of": "sequence", "least": 3, "most": 9, "block": 128, "stride": 32})")), "");
  EXPECT_EQ(refusal(when(R"({"of": "sequence", "least": 3, "most": 9, "block": 128})")),
            path + ": expected a member \"stride\", but got none");
  EXPECT_EQ(refusal(when(R"({"of": "sequence", "least": 3, "most": 9, "block": 0, "stride": 32})")),
            path + ".block: expected a whole number from 1 to 2147483647, but got 0");
  EXPECT_EQ(refusal(when(R"({"of": "rows", "least": 3, "most": 9, "block": 128, "stride": 32})")),
            path + ".block: expected a condition on sequences, but got one on rows");
  EXPECT_EQ(refusal(when(R"({"of": "sequence", "least": 1, "most": 9, "tokens": 2})")), "");
  EXPECT_EQ(refusal(when(R"({"of": "sequence", "least": 1, "most": 9, "even": 16})")), "");
  EXPECT_EQ(refusal(when(R"({"of": "sequence", "least": 1, "most": 9, "sequences": 8})")), "");
  EXPECT_EQ(refusal(when(R"({"of": "sequence", "least": 1, "most": 9, "fewer": 8})")), "");
  EXPECT_EQ(refusal(when(R"({"of": "sequence", "least": 1, "most": 9, "fewer": 0})")),
            path + ".fewer: expected a whole number from 1 to 2147483647, but got 0");
  EXPECT_EQ(refusal(when(R"({"of": "rows", "least": 1, "most": 9, "sequences": 8})")),
            path + ".sequences: expected a condition on sequences, but got one on rows");
  EXPECT_EQ(refusal(when(R"({"of": "sequence", "least": 1, "most": 9, "uneven": -1})")),
            path + ".uneven: expected a whole number from 1 to 2147483647, but got -1");
  EXPECT_EQ(refusal(when(R"({"of": "rows", "least": 1, "most": 9, "even": 2})")),
            path + ".even: expected a condition on sequences, but got one on rows");
  EXPECT_EQ(refusal(when(R"({"of": "sequence", "least": 1, "most": 9, "tokens": 0})")),
            path + ".tokens: expected a whole number from 1 to 2147483647, but got 0");
  EXPECT_EQ(refusal(when(R"({"of": "rows", "least": 1, "most": 9, "tokens": 2})")),
            path + ".tokens: expected a condition on sequences, but got one on rows");
}

TEST(PlanReader, AConditionMayAskForManySequences) {
  PlanCondition many{PlanCondition::Sequence, 1, 7}, few = many;
  many.sequences = few.fewer = 4;
  // Of the two conditions one holds, always, whatever the lengths.
  for (int64_t sequences : {1, 3, 4, 5, 100})
    for (int64_t longest : {1, 1000}) {
      EXPECT_EQ(many.holdsIn(sequences, sequences, sequences - 1 + longest, longest), sequences >= 4) << sequences;
      EXPECT_EQ(few.holdsIn(sequences, sequences, sequences - 1 + longest, longest), sequences < 4) << sequences;
    }
}

TEST(PlanReader, AConditionMayAskForEvenSequences) {
  PlanCondition even{PlanCondition::Sequence, 1, 7}, other = even;
  even.even = other.uneven = 4;
  auto holds = [&](const PlanCondition &when, int64_t sequences, int64_t all, int64_t longest) {
    return when.holdsIn(/*newTokens=*/sequences, sequences, all, longest);
  };
  EXPECT_TRUE(holds(even, 4, 400, 100));
  EXPECT_TRUE(holds(even, 4, 400, 200)); // twice the mean
  EXPECT_FALSE(holds(even, 4, 400, 201));
  EXPECT_FALSE(holds(even, 3, 300, 100));
  // One key beside many: a step that parts have to even out.
  EXPECT_FALSE(holds(even, 32, 31 + 10000, 10000));
  // Of the two conditions one holds, always.
  for (int64_t sequences : {1, 3, 4, 5, 100})
    for (int64_t longest : {10, 100, 5000})
      EXPECT_NE(holds(even, sequences, sequences * 10 + longest, longest),
                holds(other, sequences, sequences * 10 + longest, longest));
  even.longest = other.longest = 100;
  EXPECT_TRUE(holds(even, 4, 400, 100));
  EXPECT_FALSE(holds(even, 4, 404, 101));
  EXPECT_TRUE(holds(other, 4, 404, 101));
  PlanCondition more{PlanCondition::Sequence, 1, 7};
  more.tokens = 2;
  EXPECT_FALSE(holds(more, 1, 100, 100));
  EXPECT_TRUE(holds(more, 2, 200, 100));
}

TEST(PlanReader, AConditionMayAskForMoreKeysThanThereIsRoomFor) {
  PlanCondition when{PlanCondition::Sequence, 8, 1000};
  EXPECT_TRUE(when.holdsFor(/*past=*/5000, 8));
  EXPECT_FALSE(when.holdsFor(5000, 7));
  when.block = 128, when.stride = 32;
  EXPECT_FALSE(when.holdsFor(0, 128)); // one block, room for four
  EXPECT_FALSE(when.holdsFor(384, 128));
  EXPECT_TRUE(when.holdsFor(385, 128));
  EXPECT_TRUE(when.holdsFor(0, 31)); // room for none
  EXPECT_FALSE(when.holdsFor(0, 32));
  EXPECT_FALSE(when.holdsFor(5000, 7)); // of another length
}

TEST(PlanReader, ItemsAreCutIntoPartsWhereTheyAreFew) {
  PlanLaunch launch{};
  launch.block = 1, launch.times = 2;
  EXPECT_EQ(launch.items(100), 200);
  launch.wanted = 256, launch.mostParts = 64;
  EXPECT_EQ(launch.items(0), 0);
  EXPECT_EQ(launch.items(1), 2 * 64); // 128 parts would be too many
  EXPECT_EQ(launch.items(32), 64 * 4);
  EXPECT_EQ(launch.items(100), 200 * 2); // rounded up
  EXPECT_EQ(launch.items(128), 256);
  EXPECT_EQ(launch.items(129), 258);
}

TEST(PlanReader, RefusesOtherParts) {
  std::string items = R"("times": 1}, "args": [["slot", 0], ["cache", 0]]}]})";
  auto parts = [&](const std::string &members) {
    return with(kTestPlan, items, R"("times": 1, )" + members + R"(}, "args": [["slot", 0], ["cache", 0]]}]})");
  };
  const std::string path = "plan.programs[2].launches[1].items";
  EXPECT_EQ(refusal(parts(R"("parts": 4, "wanted": 16)")), "");
  EXPECT_EQ(refusal(parts(R"("parts": 4)")), path + ": expected a member \"wanted\", but got none");
  EXPECT_EQ(refusal(parts(R"("parts": 0, "wanted": 16)")),
            path + ".parts: expected a whole number from 1 to 2147483647, but got 0");
}

/// The head as a product that would be one: x per output instead of per token.
std::string productPlan(const std::string &product) {
  std::string plan = with(kTestPlan, R"({"rows": "tokens", "row_bytes": 64, "type": "f32"})",
                          R"({"rows": "outputs", "row_bytes": 64, "type": "f32"})");
  return with(plan, R"("args": [["slot", 0], ["slot", 1], ["parameter", 0]]})",
              R"("args": [["slot", 0], ["slot", 1], ["parameter", 0]], "product": )" + product + "}");
}

TEST(PlanReader, RefusesOtherProducts) {
  const std::string good = R"({"x": 0, "weight": 2, "out": 1, "residual": -1, "inner": 16, "columns": 32, "least": 8})";
  const std::string path = "plan.programs[3].launches[0].product";
  EXPECT_EQ(refusal(productPlan(good)), "");
  auto changed = [&](const char *what, const char *by) { return refusal(productPlan(with(good, what, by))); };
  EXPECT_EQ(changed("\"x\": 0", "\"x\": 3"), path + ".x: expected a whole number from 0 to 2, but got 3");
  EXPECT_EQ(changed("\"x\": 0", "\"x\": 2"), path + ".x: expected a slot, but got another argument");
  EXPECT_EQ(changed("\"weight\": 2", "\"weight\": 1"),
            path +
                ".weight: expected a slot of f32 with at least 2048 bytes in all, but got f32 with 128 bytes for each "
                "output");
  EXPECT_EQ(changed("\"residual\": -1", "\"residual\": 0"),
            path +
                ".residual: expected a slot with at least 128 bytes for each of the items' rows, but got 64 bytes for "
                "each output");
  EXPECT_EQ(changed("\"residual\": -1", "\"residual\": 1"), "");
  EXPECT_EQ(changed("\"inner\": 16", "\"inner\": 32"),
            path + ".x: expected a slot with at least 128 bytes for each of the items' rows, but got 64 bytes for each "
                   "output");
  // A slot may hold wider values too; the weight says what the product is.
  EXPECT_EQ(changed("\"inner\": 16", "\"inner\": 8"),
            "plan.steps[3].parameters[0]: expected f32[32, 8] for a product, but got f32[32, 16] ('head')");
  EXPECT_EQ(changed("\"columns\": 32", "\"columns\": 0"),
            path + ".columns: expected a whole number from 1 to 1073741824, but got 0");
  EXPECT_EQ(changed("\"least\": 8", "\"least\": 0"),
            path + ".least: expected a whole number from 1 to 2147483647, but got 0");
  EXPECT_EQ(refusal(with(productPlan(good), "\"per\": \"outputs\"", "\"per\": \"sequences\"")),
            path + ": expected items per tokens or outputs, but got others");
  EXPECT_EQ(refusal(with(productPlan(good), "\"parameters\": [3]", "\"parameters\": [0]")),
            "plan.steps[3].parameters[0]: expected f32[32, 16] for a product, but got bf16[32, 16] ('table')");
  EXPECT_EQ(refusal(with(productPlan(good), R"(["parameter", 0]], "product")", R"(["cache", 0]], "product")")),
            path + ".weight: expected a parameter or a slot, but got another argument");
  // The rows of the slots must be the rows that are counted.
  EXPECT_EQ(refusal(with(kTestPlan, R"(["parameter", 0]]})", R"(["parameter", 0]], "product": )" + good + "}")),
            "plan.programs[0].launches[0].product.weight: expected a whole number from 0 to 1, but got 2");
}

/// The same with a weight that an earlier launch would have made, in a slot with one row.
std::string madeWeightPlan(const std::string &slot) {
  std::string plan =
      productPlan(R"({"x": 0, "weight": 2, "out": 1, "residual": -1, "inner": 16, "columns": 32, "least": 8})");
  plan = with(plan, R"({"rows": "outputs", "row_bytes": 128, "type": "f32"})",
              R"({"rows": "outputs", "row_bytes": 128, "type": "f32"}, )" + slot);
  return with(plan, R"(["parameter", 0]], "product")", R"(["slot", 2]], "product")");
}

TEST(PlanReader, ReadsProductsWithWeightsInSlots) {
  const std::string path = "plan.programs[3].launches[0].product.weight";
  Plan plan;
  Status status = readPlan(madeWeightPlan(R"({"rows": "once", "row_bytes": 2048, "type": "f32"})"), Machine::Cpu, plan);
  ASSERT_FALSE(status) << status.message();
  EXPECT_EQ(plan.slots[2].rows, Per::Once);
  EXPECT_EQ(plan.slots[2].rowBytes, 2048u);
  EXPECT_EQ(plan.programs[3].launches[0].product->weight, 2u);
  // A row of a token has bounds that what there is once does not have.
  EXPECT_EQ(refusal(madeWeightPlan(R"({"rows": "once", "row_bytes": 4294967296, "type": "f32"})")), "");
  EXPECT_EQ(refusal(madeWeightPlan(R"({"rows": "tokens", "row_bytes": 4294967296, "type": "f32"})")),
            "plan.slots[2].row_bytes: expected a whole number from 4 to 1073741824, but got 4294967296");
  EXPECT_EQ(refusal(madeWeightPlan(R"({"rows": "once", "row_bytes": 2044, "type": "f32"})")),
            path + ": expected a slot of f32 with at least 2048 bytes in all, but got f32 with 2044 bytes in all");
  EXPECT_EQ(refusal(madeWeightPlan(R"({"rows": "once", "row_bytes": 2048, "type": "bf16"})")),
            path + ": expected a slot of f32 with at least 2048 bytes in all, but got bf16 with 2048 bytes in all");
  EXPECT_EQ(refusal(madeWeightPlan(R"({"rows": "tokens", "row_bytes": 2048, "type": "f32"})")),
            path +
                ": expected a slot of f32 with at least 2048 bytes in all, but got f32 with 2048 bytes for each token");
}

TEST(PlanReader, ReadsPlansForCuda) {
  Plan plan;
  Status status = readPlan(cudaTestPlan(), Machine::Cuda, plan);
  ASSERT_FALSE(status) << status.message();
  EXPECT_EQ(plan.machine, Machine::Cuda);
  EXPECT_EQ(plan.caches[0].bytes, 256u); // a slot of 64 bytes, aligned for CUDA
  EXPECT_EQ(plan.caches[2].bytes, 4096u);
  const PlanKernel &kernel = plan.targets[0].kernels[1];
  EXPECT_EQ(kernel.name, "test_mix");
  EXPECT_EQ(kernel.threads, 128u);
  EXPECT_EQ(kernel.sharedBytes, 65536u);
  EXPECT_EQ(kernel.registers, 40);
  EXPECT_EQ(kernel.spillBytes, 0);
  EXPECT_TRUE(kernel.overlaps);
  EXPECT_FALSE(plan.targets[0].kernels[0].overlaps); // says nothing of it
}

TEST(PlanReader, RefusesOtherKernelsForCuda) {
  auto refusal = [](const char *what, const char *by) {
    Plan plan;
    return readPlan(with(cudaTestPlan(), what, by), Machine::Cuda, plan).message();
  };
  const std::string path = "plan.targets[0].kernels[0]";
  EXPECT_EQ(refusal("\"threads\": 128", "\"threads\": 1025"),
            path + ".threads: expected a whole number from 1 to 1024, but got 1025");
  EXPECT_EQ(refusal("\"threads\": 128, ", ""), path + ": expected a member \"threads\", but got none");
  EXPECT_EQ(refusal("\"shared\": 65536", "\"shared\": 300000"),
            path + ".shared: expected a whole number from 0 to 232448, but got 300000");
  EXPECT_EQ(refusal("\"grid\": \"items\"", "\"grid\": \"all\""),
            path + ".grid: expected one of items, parts, but got 'all'");
  EXPECT_EQ(refusal(", \"grid\": \"items\"", ""), "");
  EXPECT_EQ(refusal("\"registers\": 40", "\"registers\": -1"), "");
  EXPECT_EQ(refusal("\"registers\": 40", "\"registers\": -2"),
            path + ".registers: expected a whole number from -1 to 2147483647, but got -2");
  EXPECT_EQ(refusal("\"registers\": 40", "\"registers\": 40, \"overlaps\": 1"),
            path + ".overlaps: expected true or false, but got number");
  // Rows of bf16 may have 2 bytes there, and logits may not.
  EXPECT_EQ(refusal("\"row_bytes\": 64, \"type\": \"f32\"", "\"row_bytes\": 66, \"type\": \"bf16\""), "");
  EXPECT_EQ(
      refusal("\"row_bytes\": 128, \"type\": \"f32\"", "\"row_bytes\": 128, \"type\": \"bf16\""),
      "plan.slots[1]: expected f32 logits with a row of 128 bytes for each output, but got bf16, 128 bytes for each "
      "output");
}

/// The plan for CUDA with a tensor map of the head's first argument, a slot, and one of its last, a parameter.
std::string planWithTensorMaps(const std::string &maps) {
  std::string plan = cudaTestPlan(with(kTestPlan, R"({"rows": "tokens", "row_bytes": 64, "type": "f32"})",
                                       R"({"rows": "tokens", "row_bytes": 256, "type": "bf16"})"));
  plan = with(plan, R"({"name": "head", "type": "f32")", R"({"name": "head", "type": "bf16")");
  plan = with(plan, "\"kernel_abi\": 1", "\"kernel_abi\": 2");
  return with(plan, "{\"name\": \"test_head\",", "{\"name\": \"test_head\", \"tensor_maps\": " + maps + ",");
}
constexpr const char *kTensorMaps = R"([{"memory": 0, "columns": 128, "box_rows": 64, "box_columns": 64},
                                        {"memory": 2, "columns": 72, "box_rows": 256, "box_columns": 64}])";

TEST(PlanReader, ReadsTensorMaps) {
  Plan plan;
  Status status = readPlan(planWithTensorMaps(kTensorMaps), Machine::Cuda, plan);
  ASSERT_FALSE(status) << status.message();
  const PlanKernel &kernel = plan.targets[0].kernels[4];
  ASSERT_EQ(kernel.tensorMaps.size(), 2u);
  EXPECT_EQ(kernel.tensorMaps[0].argument, 0u);
  EXPECT_EQ(kernel.tensorMaps[0].columns, 128);
  EXPECT_EQ(kernel.tensorMaps[0].boxRows, 64u);
  EXPECT_EQ(kernel.tensorMaps[0].boxColumns, 64u);
  EXPECT_EQ(kernel.tensorMaps[1].argument, 2u);
  EXPECT_EQ(kernel.tensorMaps[1].boxRows, 256u);
  EXPECT_TRUE(plan.targets[0].kernels[0].tensorMaps.empty());
}

TEST(PlanReader, RefusesOtherTensorMaps) {
  auto readOf = [](const std::string &text) {
    Plan plan;
    return readPlan(text, Machine::Cuda, plan).message();
  };
  auto refusal = [&](const char *what, const char *by) {
    return readOf(planWithTensorMaps(with(kTensorMaps, what, by)));
  };
  const std::string path = "plan.targets[0].kernels[4].tensor_maps";
  EXPECT_EQ(refusal("\"memory\": 0, ", ""), path + "[0]: expected a member \"memory\", but got none");
  EXPECT_EQ(refusal("\"memory\": 0", "\"memory\": -1"),
            path + "[0].memory: expected a whole number from 0 to 2147483647, but got -1");
  EXPECT_EQ(refusal("\"columns\": 128", "\"columns\": 56"),
            path + "[0].columns: expected a whole number from 64 to 1073741824, but got 56");
  EXPECT_EQ(refusal("\"columns\": 128", "\"columns\": 68"), path + "[0].columns: expected a multiple of 8, but got 68");
  EXPECT_EQ(refusal("\"box_rows\": 64", "\"box_rows\": 0"),
            path + "[0].box_rows: expected a whole number from 1 to 256, but got 0");
  EXPECT_EQ(refusal("\"box_rows\": 256", "\"box_rows\": 257"),
            path + "[1].box_rows: expected a whole number from 1 to 256, but got 257");
  EXPECT_EQ(refusal("\"box_columns\": 64", "\"box_columns\": 32"), path + "[0].box_columns: expected 64, but got 32");
  EXPECT_EQ(readOf(planWithTensorMaps("{}")), path + ": expected a list, but got object");
  EXPECT_EQ(readOf(planWithTensorMaps("[1]")), path + "[0]: expected an object, but got number");
  std::string many;
  for (int i = 0; i < 17; ++i)
    many += std::string(i ? ", " : "[") + R"({"memory": 0, "columns": 128, "box_rows": 64, "box_columns": 64})";
  EXPECT_EQ(readOf(planWithTensorMaps(many + "]")), path + ": expected at most 16, but got 17");
  EXPECT_EQ(readOf(with(planWithTensorMaps(kTensorMaps), "\"kernel_abi\": 2", "\"kernel_abi\": 1")),
            path + ": expected none in a plan with kernel_abi 1, but got 2");
  EXPECT_EQ(readOf(planWithTensorMaps("[]")), ""); // an ABI that nobody needs is no error
  // What the launches hand to the kernel.
  const std::string launch = "plan.programs[3].launches[0]";
  EXPECT_EQ(refusal("\"memory\": 2", "\"memory\": 3"),
            launch + ".args: expected at least 4 for a tensor map, but got 3");
  EXPECT_EQ(refusal("\"memory\": 0", "\"memory\": 1"),
            launch + ".args[1]: expected a slot of bf16 with rows of at least 256 bytes for a tensor map, but got f32 "
                     "with 128");
  EXPECT_EQ(refusal("\"columns\": 128", "\"columns\": 136"),
            launch + ".args[0]: expected a slot of bf16 with rows of at least 272 bytes for a tensor map, but got bf16 "
                     "with 256");
  EXPECT_EQ(readOf(with(planWithTensorMaps(kTensorMaps), R"(["slot", 1], ["parameter", 0]])",
                        R"(["slot", 1], ["stack", 0, 1]])")),
            launch + ".args[2]: expected a slot or a parameter for a tensor map, but got another argument");
  EXPECT_EQ(readOf(with(planWithTensorMaps(kTensorMaps), R"({"name": "head", "type": "bf16")",
                        R"({"name": "head", "type": "f32")")),
            "plan.steps[3].parameters[0]: expected bf16 or blocks for a tensor map, but got f32[32, 16] ('head')");
  EXPECT_EQ(
      refusal("\"columns\": 72", "\"columns\": 520"),
      "plan.steps[3].parameters[0]: expected at least a row of 520 for a tensor map, but got bf16[32, 16] ('head')");
  // Blocks are copied as they are: rows of 128 in q8_0 are 136 bytes, 68 elements of two. Maps have multiples of 8.
  auto inBlocks = [&](const char *columns, const char *shape) {
    std::string plan = with(planWithTensorMaps(with(kTensorMaps, "\"columns\": 72", columns)),
                            R"({"name": "head", "type": "bf16", "shape": [32, 16]})", shape);
    return readOf(plan);
  };
  EXPECT_EQ(inBlocks("\"columns\": 72", R"({"name": "head", "type": "q8_0", "shape": [32, 128]})"),
            "plan.steps[3].parameters[0]: expected rows of 144 bytes for a tensor map, but got q8_0[32, 128] ('head')");
  EXPECT_EQ(inBlocks("\"columns\": 136", R"({"name": "head", "type": "q8_0", "shape": [32, 256]})"), "");
  EXPECT_EQ(inBlocks("\"columns\": 144", R"({"name": "head", "type": "q4_0", "shape": [32, 512]})"), "");
}

TEST(PlanReader, RefusesOtherTargets) {
  expectAll({
      {"\"name\": \"future\"", "\"name\": \"baseline\"",
       "plan.targets[1].name: expected each name once, but got 'baseline' again"},
      {"{\"name\": \"test_embed\", \"scratch\": 0}, ", "",
       "plan.targets[1].kernels: expected 4 as in the first target, but got 5"},
      {"\"scratch\": 64", "\"scratch\": -1",
       "plan.targets[0].kernels[1].scratch: expected a whole number from 0 to 4294967296, but got -1"},
      {"[\"no_such_feature\"]", "[1]", "plan.targets[0].features[0]: expected text, but got number"},
  });
  std::string plan = kTestPlan;
  EXPECT_EQ(refusal(plan.substr(0, plan.find("\"targets\"")) + "\"targets\": []}"),
            "plan.targets: expected at least one target, but got 0");
}

} // namespace
