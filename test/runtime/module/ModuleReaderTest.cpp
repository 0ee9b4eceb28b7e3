//===- ModuleReaderTest.cpp - files that are no module are refused --------===//

#include "runtime/module/ModuleReader.h"
#include "runtime/device/cpu/CpuDevice.h"
#include "test/formats/TemporaryDirectory.h"
#include "test/runtime/Inputs/TestModule.h"

#include <gtest/gtest.h>

using namespace denim;
using namespace denim::test;

namespace {

/// The message for a file of these bytes without its path, and the code.
std::string refusal(const std::string &bytes, denim_status_code_t code = DENIM_STATUS_DATA_LOSS) {
  TemporaryDirectory directory;
  std::string path = directory.write("m.denim", bytes);
  std::shared_ptr<const Module> module;
  Status status = Module::open(path, module);
  if (!status)
    return "";
  EXPECT_EQ(module, nullptr);
  EXPECT_EQ(status.code(), code);
  EXPECT_EQ(status.message().substr(0, path.size() + 4), "'" + path + "': ");
  return status.message().substr(path.size() + 4);
}

std::string withField(std::string module, size_t offset, const void *value, size_t bytes) {
  std::memcpy(module.data() + offset, value, bytes);
  return module;
}

TEST(ModuleReader, ReadsAModule) {
  TemporaryDirectory directory;
  std::shared_ptr<const Module> module;
  Status status = Module::open(directory.write("m.denim", testModule()), module);
  ASSERT_FALSE(status) << status.message();
  const Plan &plan = module->anyPlan();
  EXPECT_EQ(plan.name, "test");
  EXPECT_EQ(plan.vocabulary, 32);
  EXPECT_EQ(plan.eosTokens, std::vector<int32_t>{31});
  EXPECT_EQ(plan.parameterBytes(), 1024u + 64 + 64 + 2048);
  EXPECT_EQ(plan.slotBytes(), 128u);
  EXPECT_EQ(plan.pageBytes(), 4096u);
  EXPECT_EQ(plan.steps.size(), 4u);
  EXPECT_EQ(plan.steps[0].layer, -1);
  EXPECT_EQ(plan.programs[1].launches[0].args[3].kind, PlanArgument::Stack);
  EXPECT_EQ(module->find("text", "model")->content, "the model of TestKernels.c\n");
  EXPECT_EQ(module->find("text", "plan"), nullptr);
}

TEST(ModuleReader, ReadsAPlanForEachMachine) {
  TemporaryDirectory directory;
  std::shared_ptr<const Module> module;
  Status status = Module::open(directory.write("m.denim", testModuleOfTwo()), module);
  ASSERT_FALSE(status) << status.message();
  ASSERT_EQ(module->plans().size(), 2u);
  const Plan *cpu = nullptr, *cuda = nullptr;
  ASSERT_FALSE(module->plan(Machine::Cpu, cpu));
  ASSERT_FALSE(module->plan(Machine::Cuda, cuda));
  EXPECT_EQ(cpu->targets.size(), 2u);
  EXPECT_EQ(cuda->targets.size(), 1u);
  EXPECT_EQ(cuda->machine, Machine::Cuda);

  std::string path = directory.write("one.denim", moduleOf({{"plan", "cuda", cudaTestPlan()}, {"ptx", "sm_90a", "-"}}));
  ASSERT_FALSE(Module::open(path, module)); // a cubin may be absent
  EXPECT_EQ(module->anyPlan().machine, Machine::Cuda);
  EXPECT_EQ(module->plan(Machine::Cpu, cpu).message(), "'" + path + "': expected a plan for cpu, but got one for cuda");
}

TEST(ModuleReader, RefusesPlansThatDoNotFit) {
  std::string cpu = kTestPlan, cuda = cudaTestPlan();
  EXPECT_EQ(refusal(moduleOf({{"plan", "cuda", cuda}, {"code", "sm_90a", "-"}})),
            "expected a section ptx/sm_90a, but got none");
  EXPECT_EQ(refusal(moduleOf({{"plan", "cpu", cpu},
                              {"plan", "cuda", with(cuda, "\"name\": \"test\"", "\"name\": \"rest\"")},
                              {"code", "future", "-"},
                              {"code", "baseline", "-"},
                              {"ptx", "sm_90a", "-"}})),
            "expected plans of one model, but got 'test' with vocabulary 32 and 'rest' with vocabulary 32");
  EXPECT_EQ(refusal(moduleOf({{"plan", "cuda", with(cuda, "[31]", "[32]")}, {"ptx", "sm_90a", "-"}})),
            "plan/cuda: plan.eos_tokens[0]: expected a whole number from 0 to 31, but got 32");
}

TEST(ModuleReader, RefusesNoFile) {
  std::shared_ptr<const Module> module;
  Status status = Module::open("/nonexistent", module);
  EXPECT_EQ(status.code(), DENIM_STATUS_NOT_FOUND);
  EXPECT_EQ(status.message(), "cannot open '/nonexistent': No such file or directory");
}

TEST(ModuleReader, RefusesOtherFiles) {
  EXPECT_EQ(refusal(""), "expected a module of at least 64 bytes, but got 0");
  EXPECT_EQ(refusal(std::string(64, 'x')), "expected a Denim module, but got another kind of file");
}

TEST(ModuleReader, RefusesOtherVersions) {
  uint32_t version = 3;
  EXPECT_EQ(refusal(withField(testModule(), 8, &version, 4), DENIM_STATUS_INCOMPATIBLE),
            "expected a module of version 4, but got 3; recompile it");
  version = 5;
  EXPECT_EQ(refusal(withField(testModule(), 8, &version, 4), DENIM_STATUS_INCOMPATIBLE),
            "expected a module of version 4, but got 5; update this runtime");
}

TEST(ModuleReader, RefusesOtherSizesAndChecksums) {
  std::string module = testModule(), size = std::to_string(module.size());
  EXPECT_EQ(refusal(module.substr(0, module.size() - 1)),
            "expected " + size + " bytes as the header says, but got " + std::to_string(module.size() - 1));
  module[module.size() / 2] ^= 1;
  EXPECT_NE(refusal(module).find("; the file is damaged"), std::string::npos);
}

TEST(ModuleReader, RefusesBadSections) {
  std::string module = testModule();
  auto repaired = [](std::string module) {
    repair(module);
    return module;
  };
  uint32_t many = 1 << 30;
  EXPECT_NE(refusal(withField(module, 12, &many, 4)).find("sections in this size, but got 1073741824"),
            std::string::npos);
  const size_t table = sizeof(denim_module_header_t);
  for (uint64_t offset : {uint64_t(0), uint64_t(65), ~uint64_t(63), uint64_t(64)})
    EXPECT_NE(refusal(repaired(withField(module, table + 48, &offset, 8))).find("section 0 (plan/cpu): expected"),
              std::string::npos);
  uint64_t bytes = ~uint64_t(0);
  EXPECT_NE(refusal(repaired(withField(module, table + 56, &bytes, 8))).find("section 0 (plan/cpu): expected"),
            std::string::npos);
  EXPECT_EQ(refusal(repaired(withField(module, table, "pl\0n", 4))),
            "section 0: expected printable names, but got others");
  EXPECT_EQ(refusal(repaired(withField(module, table, "plum", 4))),
            "expected a section plan/cpu or plan/cuda, but got none");
  EXPECT_EQ(refusal(moduleOf({{"plan", "cpu", kTestPlan}, {"code", "future", ""}})),
            "expected a section code/baseline, but got none");
  EXPECT_EQ(refusal(moduleOf({{"plan", "cpu", kTestPlan}, {"plan", "cpu", kTestPlan}})),
            "section 1: expected each section once, but got plan/cpu again");
}

TEST(ModuleReader, TakesTheFirstTargetThatTheMachineCan) {
  TemporaryDirectory directory;
  std::shared_ptr<const Module> module;
  std::string fast = with(kTestPlan, "no_such_feature", "fast");
  ASSERT_FALSE(Module::open(directory.write("m.denim", moduleOf({{"plan", "cpu", fast},
                                                                 {"code", "future", readFile(DENIM_TEST_KERNELS)},
                                                                 {"code", "baseline", readFile(DENIM_TEST_KERNELS)}})),
                            module));
  size_t target = 9;
  CpuDevice quick(1, {"fast", "other"}), plain(1, {});
  std::shared_ptr<const Executable> executable;
  ASSERT_FALSE(module->load(quick, target, executable));
  EXPECT_EQ(target, 0u);
  ASSERT_FALSE(module->load(plain, target, executable));
  EXPECT_EQ(target, 1u);
}

/// Why a module with these sections cannot be loaded, without its path.
std::string loadRefusal(const std::string &plan, const std::string &code, denim_status_code_t expected) {
  TemporaryDirectory directory;
  std::shared_ptr<const Module> module;
  std::string path =
      directory.write("m.denim", moduleOf({{"plan", "cpu", plan}, {"code", "future", ""}, {"code", "baseline", code}}));
  Status status = Module::open(path, module);
  EXPECT_FALSE(status) << status.message();
  size_t target;
  CpuDevice device(1);
  std::shared_ptr<const Executable> executable;
  status = module->load(device, target, executable);
  EXPECT_EQ(status.code(), expected);
  return status ? status.message().substr(path.size() + 4) : "";
}

TEST(ModuleReader, RefusesMachinesThatLackFeatures) {
  std::string plan = with(kTestPlan, R"("features": [], )", R"("features": ["sse2", "never"], )");
  std::string message = loadRefusal(plan, "", DENIM_STATUS_INCOMPATIBLE);
  EXPECT_NE(message.find("expected a machine for one of the module's targets, but got cpu: future (this one lacks "
                         "no_such_feature), baseline (this one lacks "),
            std::string::npos)
      << message;
}

TEST(ModuleReader, RefusesCodeThatDoesNotLoad) {
  const denim_status_code_t damaged = DENIM_STATUS_DATA_LOSS;
  EXPECT_EQ(loadRefusal(kTestPlan, "no code", damaged),
            "target baseline: code of the module: expected an ELF file, but got something else");
  std::string code = readFile(DENIM_TEST_KERNELS);
  EXPECT_NE(loadRefusal(kTestPlan, code.substr(0, 4096), damaged).find("code of the module: expected"),
            std::string::npos);
  std::string other = code;
  other[18] = 3; // e_machine: i386
  other[19] = 0;
  EXPECT_NE(loadRefusal(kTestPlan, other, DENIM_STATUS_INCOMPATIBLE).find("expected ELF machine"), std::string::npos);
  other = code;
  other[16] = 2; // e_type: a program
  EXPECT_NE(loadRefusal(kTestPlan, other, damaged).find("expected a 64-bit shared object"), std::string::npos);
}

TEST(ModuleReader, RefusesKernelsThatTheCodeLacks) {
  std::string plan = kTestPlan;
  size_t last = plan.rfind("test_head");
  std::string code = readFile(DENIM_TEST_KERNELS);
  EXPECT_EQ(loadRefusal(std::string(plan).replace(last, 9, "test_tail"), code, DENIM_STATUS_DATA_LOSS),
            "target baseline: code of the module: expected a kernel 'test_tail', but got none");
  // A function of libc is no kernel of the module.
  EXPECT_EQ(loadRefusal(std::string(plan).replace(last, 9, "exit"), code, DENIM_STATUS_DATA_LOSS),
            "target baseline: code of the module: expected a kernel 'exit', but got none");
}

} // namespace
