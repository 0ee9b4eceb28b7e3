//===- AssertOk.h - a test ends where a status is an error --------*- C++ -*-===//

#ifndef DENIM_TEST_RUNTIME_INPUTS_ASSERTOK_H
#define DENIM_TEST_RUNTIME_INPUTS_ASSERTOK_H

#include <gtest/gtest.h>

#define ASSERT_OK(expression)                                                                                          \
  do {                                                                                                                 \
    ::denim::Status status = (expression);                                                                             \
    ASSERT_FALSE(status) << status.message();                                                                          \
  } while (false)

#endif // DENIM_TEST_RUNTIME_INPUTS_ASSERTOK_H
