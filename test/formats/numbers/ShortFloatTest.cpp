#include "formats/numbers/ShortFloat.h"
#include <cmath>
#include <gtest/gtest.h>

using namespace denim::formats;

namespace {

/// IEEE 754: 5 bits of exponent, 10 of mantissa.
TEST(ShortFloat, Half) {
  struct {
    uint16_t bits;
    float value;
  } known[] = {{0x0000, 0},        {0x8000, -0.0f},           {0x3c00, 1},
               {0xc000, -2},       {0x3555, 0.333251953125f}, {0x7bff, 65504},
               {0x0400, 0x1p-14f}, {0x0001, 0x1p-24f},        {0x03ff, 1023 * 0x1p-24f},
               {0x7c00, INFINITY}};
  for (auto [bits, value] : known) {
    EXPECT_EQ(fromHalf(bits), value);
    EXPECT_EQ(toHalf(value), bits);
  }
  EXPECT_EQ(toHalf(1 + 0x1p-11f), 0x3c00); // half way, to even
  EXPECT_EQ(toHalf(1 + 3 * 0x1p-11f), 0x3c02);
  EXPECT_EQ(toHalf(2047.75f), 0x6800); // a carry into the exponent
  EXPECT_EQ(toHalf(65519.99f), 0x7bff);
  EXPECT_EQ(toHalf(65520), 0x7c00);
  EXPECT_EQ(toHalf(0x1p-25f), 0); // half of the least, to even
  EXPECT_EQ(toHalf(1.5f * 0x1p-24f), 2);
  EXPECT_EQ(toHalf(1023.75f * 0x1p-24f), 0x0400); // from subnormal to normal
  for (uint32_t bits = 0; bits < 0x7c00; ++bits)
    EXPECT_EQ(toHalf(fromHalf(static_cast<uint16_t>(bits))), bits);
  EXPECT_TRUE(std::isnan(fromHalf(toHalf(NAN))));
}

/// The upper half of an f32.
TEST(ShortFloat, Brain) {
  EXPECT_EQ(fromBrain(0x3f80), 1);
  EXPECT_EQ(fromBrain(0xc040), -3);
  EXPECT_EQ(fromBrain(0x0001), 0x1p-133f);
  EXPECT_EQ(toBrain(1 + 0x1p-8f), 0x3f80); // half way, to even
  EXPECT_EQ(toBrain(1 + 3 * 0x1p-8f), 0x3f82);
  EXPECT_EQ(toBrain(1 + 0x1p-8f + 0x1p-20f), 0x3f81);
  EXPECT_EQ(toBrain(0x1.ffp0f), 0x4000); // a carry into the exponent
  EXPECT_EQ(toBrain(-0.0f), 0x8000);
  EXPECT_EQ(toBrain(0x1.ffp127f), 0x7f80); // beyond the largest
  for (uint32_t bits = 0; bits <= 0x7f80; ++bits)
    EXPECT_EQ(toBrain(fromBrain(static_cast<uint16_t>(bits))), bits);
  EXPECT_TRUE(std::isnan(fromBrain(toBrain(NAN))));
  float quiet = std::nanf("65535"); // whose upper half would round to infinity without its quiet bit
  EXPECT_TRUE(std::isnan(fromBrain(toBrain(quiet))));
}

} // namespace
