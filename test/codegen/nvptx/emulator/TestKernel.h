// A kernel of PTX written by hand, and what is found when a part of it is changed.
#ifndef TEST_CODEGEN_NVPTX_EMULATOR_TESTKERNEL_H
#define TEST_CODEGEN_NVPTX_EMULATOR_TESTKERNEL_H

#include "test/codegen/nvptx/emulator/Machine.h"
#include <cstring>
#include <gtest/gtest.h>

namespace denim::test {

struct Change {
  const char *from = nullptr, *to = nullptr;
};

/// The first entry of the text, changed; else what was said about it.
inline std::string decodeChanged(std::string text, Change change, ptx::Program &program) {
  if (change.from) {
    size_t at = text.find(change.from);
    EXPECT_NE(at, std::string::npos) << change.from;
    text.replace(at, std::strlen(change.from), change.to);
  }
  auto module = std::make_shared<ptx::Module>();
  std::string error;
  if (!ptx::parse(text, *module, error) || !ptx::decode(module, module->entries.front(), program, error))
    return error;
  return {};
}

inline bool has(const std::string &message, const char *text) {
  return message.find(text) != std::string::npos;
}

} // namespace denim::test

#endif // TEST_CODEGEN_NVPTX_EMULATOR_TESTKERNEL_H
