//===- ModuleFuzzTest.cpp - hostile modules do not crash the runtime ------===//
//
// A bounded run with fixed seeds. Modules are damaged as bytes and their plans as JSON, checksums made right again;
// what is taken must run through a session. Kernels are left out: code does what it wants, the runtime must not.
//
//===----------------------------------------------------------------------===//

#include "runtime/device/cpu/CpuDevice.h"
#include "runtime/module/PlanReader.h"
#include "runtime/session/Session.h"
#include "test/formats/TemporaryDirectory.h"
#include "test/runtime/Inputs/JsonMutation.h"
#include "test/runtime/Inputs/TestModule.h"

#include <chrono>
#include <gtest/gtest.h>
#include <random>

using namespace denim;
using namespace denim::test;
using nlohmann::json;

namespace {

/// Loads anything and launches nothing.
class NoKernels final : public CpuDevice {
public:
  NoKernels() : CpuDevice(1) {}
  bool hasFeature(std::string_view) const override { return true; }
  Status load(const Code &, const std::vector<KernelInfo> &, std::shared_ptr<const Executable> &out) override {
    out = std::make_shared<Executable>();
    return {};
  }
  void launch(const Executable &, const denim_batch_t &batch, const Launch &launch) override {
    EXPECT_GT(launch.items, 0);
    for (uint32_t a = 0; a < launch.argCount; ++a)
      EXPECT_NE(launch.args[a], nullptr);
    EXPECT_EQ(batch.row_begin[batch.sequence_count], batch.token_count);
    // What a library would touch lies within the slots.
    if (const Product *product = launch.product) {
      EXPECT_LE(product->rows, 16);
      EXPECT_NE(product->out, nullptr);
    }
  }
};

/// Whether the module was taken; runs it then.
bool tryModule(const std::string &bytes, const TemporaryDirectory &directory, const std::shared_ptr<Device> &device) {
  std::shared_ptr<const Module> module;
  if (Status status = Module::open(directory.write("m.denim", bytes), module)) {
    EXPECT_NE(status.message(), "");
    return false;
  }
  const Plan &plan = module->anyPlan();
  if (plan.parameterBytes() > (1 << 20) || plan.vocabulary > (1 << 16))
    return true; // right, but more than a test wants to fill
  Weights weights;
  std::unique_ptr<Session> session;
  SessionOptions options;
  options.maxStepTokens = 16;
  options.cacheBytes = 1 << 20;
  if (Weights::random(plan, 1, *device, weights) ||
      Session::create(device, module, std::move(weights), options, session))
    return true;
  SequenceId a, b;
  if (session->createSequence(a))
    return true;
  std::vector<int32_t> tokens(100, 0);
  std::vector<float> logits(100 * static_cast<size_t>(plan.vocabulary));
  StepEntry entry{a, tokens.data(), 100, Logits::All};
  if (session->step(&entry, 1, logits.data(), 100) || session->fork(a, b))
    return true;
  StepEntry entries[] = {{a, tokens.data(), 3, Logits::Last}, {b, tokens.data(), 50, Logits::None}};
  (void)!session->step(entries, 2, logits.data(), 1);
  return true;
}

template <typename Make> void fuzz(unsigned seed, const Make &make, int leastTaken, int leastRefused) {
  TemporaryDirectory directory;
  std::shared_ptr<Device> device = std::make_shared<NoKernels>();
  std::mt19937 random(seed);
  int taken = 0, refused = 0;
  auto start = std::chrono::steady_clock::now();
  // For two seconds, and on a slow machine for as long as it takes to have seen enough of both.
  while (taken + refused < 20000 && (std::chrono::steady_clock::now() - start < std::chrono::seconds(2) ||
                                     taken < leastTaken || refused < leastRefused))
    ++(tryModule(make(random), directory, device) ? taken : refused);
  EXPECT_GE(taken, leastTaken);
  EXPECT_GE(refused, leastRefused);
}

std::string smallModule(const std::string &plan) {
  return moduleOf({{"plan", "cpu", plan}, {"code", "future", "-"}, {"code", "baseline", "-"}});
}

TEST(ModuleFuzz, PlansWithOtherValues) {
  json plan = json::parse(kTestPlan);
  const std::vector<json> words = {"slot",    "cache", "stack", "parameter", "tokens",
                                   "outputs", "paged", "state", "f32",       "f16"};
  fuzz(
      1, [&](std::mt19937 &random) { return smallModule(mutated(plan, random, words).dump()); }, 20, 100);
}

/// The plan of the tests with conditions, and with its head as a product of rows of outputs.
std::string fullPlan() {
  std::string plan = with(kTestPlan, R"({"rows": "outputs", "row_bytes": 128, "type": "f32"})",
                          R"({"rows": "outputs", "row_bytes": 128, "type": "f32"},
                             {"rows": "outputs", "row_bytes": 64, "type": "f32"},
                             {"rows": "tokens", "row_bytes": 32, "type": "bf16"})");
  plan = with(plan, R"("args": [["slot", 0], ["slot", 1], ["parameter", 0]]})",
              R"("args": [["slot", 2], ["slot", 1], ["parameter", 0]],
                 "when": {"of": "rows", "least": 1, "most": 40},
                 "product": {"x": 0, "weight": 2, "out": 1, "residual": 1, "inner": 16, "columns": 32, "least": 1}})");
  return with(plan, R"("args": [["slot", 0], ["cache", 0]]}]})",
              R"("args": [["slot", 0], ["cache", 0]], "when": {"of": "sequence", "least": 1, "most": 7}}]})");
}

TEST(ModuleFuzz, ConditionsAndProductsWithOtherValues) {
  json plan = json::parse(fullPlan());
  const std::vector<json> words = {"slot", "rows", "sequence", "tokens", "outputs", "f32", "bf16", "once"};
  // Most of the changes to the two things that are new here.
  fuzz(
      4,
      [&](std::mt19937 &random) {
        json changed = plan;
        json &launch = changed["programs"][random() % 2 ? 3 : 2]["launches"].back();
        launch = mutated(launch, random, words);
        return smallModule(changed.dump());
      },
      20, 100);
}

TEST(ModuleFuzz, PlansForCudaWithOtherValues) {
  // Read and refused or taken; there is no device to run them.
  json plan = json::parse(cudaTestPlan(fullPlan()));
  plan["kernel_abi"] = 2;
  plan["programs"][0]["launches"][0]["args"][0] = {"slot", 3}; // bf16
  plan["targets"][0]["kernels"][0]["tensor_maps"] =
      json::parse(R"([{"memory": 1, "columns": 64, "box_rows": 8, "box_columns": 64}])");
  const std::vector<json> words = {"items", "rows", "sequence", "bf16", "sm_90a", "paged"};
  std::mt19937 random(5);
  int taken = 0, refused = 0;
  for (int n = 0; n < 3000; ++n) {
    Plan read;
    json changed = plan;
    json &kernel = changed["targets"][0]["kernels"][0];
    // Every second change to what only plans for CUDA have.
    (n % 2 ? changed : kernel) = mutated(n % 2 ? changed : kernel, random, words);
    Status status = readPlan(changed.dump(), Machine::Cuda, read);
    EXPECT_EQ(status.message().empty(), !status);
    ++(status ? refused : taken);
  }
  EXPECT_GE(taken, 20);
  EXPECT_GE(refused, 100);
}

TEST(ModuleFuzz, PlansWithOtherBytes) {
  fuzz(
      2,
      [&](std::mt19937 &random) {
        std::string plan = kTestPlan;
        for (unsigned n = 1 + random() % 3; n; --n) {
          size_t at = random() % plan.size();
          if (random() % 2)
            at = plan.find_first_of("0123456789", at);
          if (at < plan.size())
            plan[at] = static_cast<char>(random() % 2 ? '0' + random() % 10 : random());
        }
        return smallModule(plan);
      },
      20, 100);
}

TEST(ModuleFuzz, FilesWithOtherBytes) {
  const std::string module = smallModule(kTestPlan);
  fuzz(
      3,
      [&](std::mt19937 &random) {
        std::string bytes = module;
        const size_t head = sizeof(denim_module_header_t) + 3 * sizeof(denim_module_section_t);
        for (unsigned n = 1 + random() % 3; n; --n)
          bytes[random() % (random() % 4 ? head : bytes.size())] =
              static_cast<char>(random() % 3 ? random() % 4 : random());
        if (random() % 4 == 0)
          bytes.resize(random() % bytes.size());
        if (bytes.size() >= sizeof(denim_module_header_t) && random() % 8)
          repair(bytes);
        return bytes;
      },
      1, 100);
}

} // namespace
