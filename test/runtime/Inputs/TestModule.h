//===- TestModule.h - module files for tests ----------------------*- C++ -*-===//
//
// Writes modules as codegen/package does, but from parts that a test may have spoiled, and describes the model of
// TestKernels.c.
//
//===----------------------------------------------------------------------===//

#ifndef DENIM_TEST_RUNTIME_INPUTS_TESTMODULE_H
#define DENIM_TEST_RUNTIME_INPUTS_TESTMODULE_H

#include "runtime/abi/Module.h"

#include <cstring>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace denim::test {

struct Section {
  std::string kind, name, content;
};

inline std::string readFile(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

/// Puts the right checksum and size into a module that was changed.
inline void repair(std::string &module) {
  denim_module_header_t header;
  std::memcpy(&header, module.data(), sizeof header);
  header.file_bytes = module.size();
  header.checksum = denim_module_checksum(module.data() + sizeof header, module.size() - sizeof header);
  std::memcpy(module.data(), &header, sizeof header);
}

inline std::string moduleOf(const std::vector<Section> &sections) {
  denim_module_header_t header = {};
  std::memcpy(header.magic, DENIM_MODULE_MAGIC, sizeof header.magic);
  header.version = DENIM_MODULE_VERSION;
  header.section_count = static_cast<uint32_t>(sections.size());
  std::string module(reinterpret_cast<char *>(&header), sizeof header);
  size_t table = module.size();
  module.resize(table + sections.size() * sizeof(denim_module_section_t));
  for (size_t i = 0; i < sections.size(); ++i) {
    module.resize((module.size() + DENIM_MODULE_ALIGNMENT - 1) / DENIM_MODULE_ALIGNMENT * DENIM_MODULE_ALIGNMENT);
    denim_module_section_t entry = {};
    std::memcpy(entry.kind, sections[i].kind.data(), sections[i].kind.size());
    std::memcpy(entry.name, sections[i].name.data(), sections[i].name.size());
    entry.offset = module.size();
    entry.bytes = sections[i].content.size();
    module += sections[i].content;
    std::memcpy(module.data() + table + i * sizeof entry, &entry, sizeof entry);
  }
  repair(module);
  return module;
}

/// The plan of the model of TestKernels.c.
inline const char *const kTestPlan = R"({
  "name": "test", "vocabulary": 32, "kernel_abi": 1, "page_tokens": 64,
  "source": "a test", "compiler": "none", "eos_tokens": [31],
  "parameters": [{"name": "table", "type": "bf16", "shape": [32, 16]},
                 {"name": "expert.0", "type": "f32", "shape": [16]},
                 {"name": "expert.1", "type": "f32", "shape": [16]},
                 {"name": "head", "type": "f32", "shape": [32, 16]}],
  "caches": [{"name": "state", "kind": "state", "type": "f32", "shape": [16]},
             {"name": "tail", "kind": "tail", "type": "f32", "shape": [1, 16]},
             {"name": "keys", "kind": "paged", "type": "f32", "shape": [2, 8]}],
  "slots": [{"rows": "tokens", "row_bytes": 64, "type": "f32"},
            {"rows": "outputs", "row_bytes": 128, "type": "f32"}],
  "programs": [
    {"name": "embed", "launches": [
      {"kernel": 0, "items": {"per": "tokens", "block": 8, "times": 1}, "args": [["slot", 0], ["parameter", 0]]}]},
    {"name": "linear", "launches": [
      {"kernel": 1, "items": {"per": "sequences", "block": 1, "times": 1},
       "args": [["slot", 0], ["cache", 0], ["cache", 1], ["stack", 0, 2]]}]},
    {"name": "full", "launches": [
      {"kernel": 2, "items": {"per": "tokens", "block": 1, "times": 1}, "args": [["slot", 0], ["cache", 0]]},
      {"kernel": 3, "items": {"per": "tokens", "block": 8, "times": 1}, "args": [["slot", 0], ["cache", 0]]}]},
    {"name": "head", "launches": [
      {"kernel": 4, "items": {"per": "outputs", "block": 1, "times": 1},
       "args": [["slot", 0], ["slot", 1], ["parameter", 0]]}]}],
  "steps": [{"program": 0, "layer": -1, "parameters": [0], "caches": []},
            {"program": 1, "layer": 0, "parameters": [1, 2], "caches": [0, 1]},
            {"program": 2, "layer": 1, "parameters": [], "caches": [2]},
            {"program": 3, "layer": -1, "parameters": [3], "caches": []}],
  "logits": 1,
  "targets": [{"name": "future", "features": ["no_such_feature"], "kernels": [
                {"name": "test_embed", "scratch": 0}, {"name": "test_mix", "scratch": 64},
                {"name": "test_append", "scratch": 0}, {"name": "test_attend", "scratch": 0},
                {"name": "test_head", "scratch": 0}]},
              {"name": "baseline", "features": [], "kernels": [
                {"name": "test_embed", "scratch": 0}, {"name": "test_mix", "scratch": 64},
                {"name": "test_append", "scratch": 0}, {"name": "test_attend", "scratch": 0},
                {"name": "test_head", "scratch": 0}]}]
})";
constexpr int kTestVocabulary = 32, kTestColumns = 16;

/// Replaces the one place of |what| in |text|.
inline std::string with(std::string text, const std::string &what, const std::string &by) {
  size_t at = text.find(what);
  if (at == std::string::npos)
    return "no '" + what + "' to replace";
  return text.replace(at, what.size(), by);
}

/// The test model as a module, with |plan| for its plan.
inline std::string testModule(const std::string &plan = kTestPlan) {
  return moduleOf({{"plan", "cpu", plan},
                   {"code", "future", "not yet"},
                   {"code", "baseline", readFile(DENIM_TEST_KERNELS)},
                   {"text", "model", "the model of TestKernels.c\n"}});
}

/// The same plan for a CUDA device.
inline std::string cudaTestPlan(const std::string &plan = kTestPlan) {
  std::string targets = R"("targets": [{"name": "sm_90a", "features": ["sm_90a"], "kernels": [)";
  const char *separator = "";
  for (const char *kernel : {"test_embed", "test_mix", "test_append", "test_attend", "test_head"}) {
    targets += separator + std::string(R"({"name": ")") + kernel +
               R"(", "threads": 128, "shared": 65536, "grid": "items", "registers": 40, "spills": 0)" +
               (kernel == std::string("test_mix") ? R"(, "overlaps": true})" : "}");
    separator = ", ";
  }
  return plan.substr(0, plan.find("\"targets\"")) + targets + "]}]}";
}

#ifdef DENIM_CUDA_TEST_KERNELS
/// PTX for the fake driver (test/runtime/device/cuda/FakeCuda.cpp).
inline std::string fakePtx() {
  return "// object " DENIM_CUDA_TEST_KERNELS "\n";
}

/// The test model for both machines, with |plan| changed for both.
inline std::string testModuleOfTwo(const std::string &plan = kTestPlan) {
  return moduleOf({{"plan", "cpu", plan},
                   {"plan", "cuda", cudaTestPlan(plan)},
                   {"code", "future", "not yet"},
                   {"code", "baseline", readFile(DENIM_TEST_KERNELS)},
                   {"code", "sm_90a", readFile(DENIM_CUDA_TEST_KERNELS)},
                   {"ptx", "sm_90a", fakePtx()},
                   {"text", "model", "the model of TestKernels.c\n"}});
}
#endif

} // namespace denim::test

#endif
