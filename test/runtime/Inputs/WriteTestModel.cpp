//===- WriteTestModel.cpp - the test model as files -----------------------===//
//
// write-test-model MODULE WEIGHTS [both]: for tests that run programs; with code for the fake CUDA driver too.
//
//===----------------------------------------------------------------------===//

#include "formats/safetensors/SafetensorsWriter.h"
#include "test/runtime/Inputs/TestModule.h"

#include <cstdio>

int main(int argc, char **argv) {
  using namespace denim;
  if (argc != 3 && argc != 4)
    return 1;
  std::ofstream(argv[1], std::ios::binary) << (argc == 4 ? test::testModuleOfTwo() : test::testModule());
  std::vector<uint16_t> table;
  std::vector<float> head, experts;
  for (int i = 0; i < test::kTestVocabulary * test::kTestColumns; ++i) {
    table.push_back(static_cast<uint16_t>(0x3f00 + (i * 37 % 128) + (i % 3 ? 0x8000 : 0)));
    head.push_back(static_cast<float>((i * 29) % 17 - 8) / 8);
  }
  for (int i = 0; i < 2 * test::kTestColumns; ++i)
    experts.push_back(static_cast<float>(i % 5) / 4);
  int64_t tokens[6] = {1, 2, 3, 4, 5, 6};
  using formats::ElementType;
  if (formats::Error error =
          formats::writeSafetensors(argv[2], {{"table", ElementType::BF16, {32, 16}, table.data(), table.size() * 2},
                                              {"expert.0", ElementType::F32, {16}, experts.data(), 64},
                                              {"expert.1", ElementType::F32, {16}, experts.data() + 16, 64},
                                              {"head", ElementType::F32, {32, 16}, head.data(), head.size() * 4},
                                              {"tokens", ElementType::I64, {2, 3}, tokens, sizeof tokens}})) {
    std::fprintf(stderr, "%s\n", error.message().c_str());
    return 1;
  }
  return 0;
}
