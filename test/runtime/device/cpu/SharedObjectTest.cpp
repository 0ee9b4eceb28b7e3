//===- SharedObjectTest.cpp - code from memory ----------------------------===//
//
// Damaged headers are among the refusals of ModuleReaderTest.
//
//===----------------------------------------------------------------------===//

#include "runtime/device/cpu/SharedObject.h"
#include "test/runtime/Inputs/TestModule.h"

#include <gtest/gtest.h>

using namespace denim;

namespace {

TEST(SharedObject, FindsItsOwnFunctions) {
  SharedObject object;
  Status status = object.load(test::readFile(DENIM_TEST_KERNELS));
  ASSERT_FALSE(status) << status.message();
  EXPECT_NE(object.find("test_embed"), nullptr);
  EXPECT_EQ(object.find("no_such_kernel"), nullptr);
  EXPECT_EQ(object.find("memcpy"), nullptr);
}

TEST(SharedObject, TwoAtOnceAreTwo) {
  SharedObject a, b;
  ASSERT_FALSE(a.load(test::readFile(DENIM_TEST_KERNELS)));
  ASSERT_FALSE(b.load(test::readFile(DENIM_TEST_KERNELS)));
  EXPECT_NE(a.find("test_embed"), b.find("test_embed"));
}

TEST(SharedObject, DamagedHeadersDoNotReachTheLinker) {
  std::string code = test::readFile(DENIM_TEST_KERNELS);
  for (size_t length : {size_t(0), size_t(10), size_t(63), size_t(64), size_t(200), code.size() / 2}) {
    SharedObject object;
    EXPECT_EQ(object.load(code.substr(0, length)).code(), DENIM_STATUS_DATA_LOSS) << length;
  }
}

} // namespace
