//===- BlockFormatTest.cpp - blocks byte by byte, and how far they are off -===//

#include "formats/blocks/BlockFormat.h"
#include "formats/numbers/ShortFloat.h"

#include <cmath>
#include <gtest/gtest.h>
#include <limits>
#include <random>
#include <vector>

using namespace denim::formats;

namespace {

using Bytes = std::vector<unsigned char>;

Bytes encoded(BlockFormat format, const std::vector<float> &row) {
  Bytes bytes(static_cast<size_t>(rowBytes(format, static_cast<int64_t>(row.size()))));
  EXPECT_TRUE(encodeRow(format, row.data(), static_cast<int64_t>(row.size()), bytes.data()));
  return bytes;
}

std::vector<float> decoded(BlockFormat format, const Bytes &bytes, int64_t elements) {
  std::vector<float> row(static_cast<size_t>(elements));
  decodeRow(format, bytes.data(), elements, row.data());
  return row;
}

} // namespace

TEST(BlockFormat, NamesAndSizes) {
  EXPECT_EQ(blockFormatOf("q8_0"), BlockFormat::Q8_0);
  EXPECT_EQ(blockFormatOf("q4_0"), BlockFormat::Q4_0);
  EXPECT_EQ(blockFormatOf("q5_0"), std::nullopt);
  EXPECT_EQ(rowBytes(BlockFormat::Q8_0, 32), 34);
  EXPECT_EQ(rowBytes(BlockFormat::Q4_0, 32), 18);
  EXPECT_EQ(rowBytes(BlockFormat::Q8_0, 2048), 64 * 34);
  EXPECT_EQ(scalesBytes(96), 6);
}

/// Two blocks, written down by hand: scales first, then integers.
TEST(BlockFormat, EightBits) {
  std::vector<float> row(64, 0);
  for (int i = 0; i < 32; ++i)
    row[i] = static_cast<float>(i - 16) / 2;   // -8 .. 7.5
  row[0] = -63.5f;                             // scale 0.5
  row[33] = 254, row[34] = -2.9f, row[63] = 1; // scale 2; -1.45 is nearest to -1, 0.5 to the even 0
  Bytes bytes = encoded(BlockFormat::Q8_0, row);
  Bytes want = {0x00, 0x38, 0x00, 0x40, 129};
  for (int i = 1; i < 32; ++i)
    want.push_back(static_cast<unsigned char>(i - 16));
  want.resize(68, 0);
  want[4 + 33] = 127, want[4 + 34] = 255;
  EXPECT_EQ(bytes, want);
  std::vector<float> back = decoded(BlockFormat::Q8_0, bytes, 64);
  for (int i = 0; i < 33; ++i)
    EXPECT_EQ(back[i], row[i]) << i;
  EXPECT_EQ(back[33], 254);
  EXPECT_EQ(back[34], -2);
  EXPECT_EQ(back[63], 0);
}

/// The largest in magnitude becomes -8, whatever its sign; element j shares a byte with element j + 16.
TEST(BlockFormat, FourBits) {
  std::vector<float> row(32, 0);
  row[0] = 16; // scale -2
  row[1] = -14, row[2] = -16, row[17] = 2, row[31] = 3;
  Bytes bytes = encoded(BlockFormat::Q4_0, row);
  Bytes want(18, 0x88);
  want[0] = 0x00, want[1] = 0xc0;
  want[2] = 0x80;      // integers -8 and 0
  want[3] = 0x7f;      // 7 and -1
  want[4] = 0x8f;      // 8 is cut to 7
  want[2 + 15] = 0x68; // -1.5 goes to the even -2
  EXPECT_EQ(bytes, want);
  std::vector<float> back = decoded(BlockFormat::Q4_0, bytes, 32);
  EXPECT_EQ(back[0], 16);
  EXPECT_EQ(back[1], -14);
  EXPECT_EQ(back[2], -14);
  EXPECT_EQ(back[17], 2);
  EXPECT_EQ(back[31], 4);
  EXPECT_EQ(back[16], 0);
}

TEST(BlockFormat, ErrorsAreWithinTheBoundAndBlocksAreTheirOwn) {
  std::mt19937 random(3);
  for (float size : {1.0f, 1e-2f, 1e-4f, 1e-6f, 1e4f})
    for (BlockFormat format : {BlockFormat::Q8_0, BlockFormat::Q4_0}) {
      std::normal_distribution<float> normal(0, size);
      std::vector<float> row(32 * 65);
      for (float &x : row)
        x = normal(random);
      auto elements = static_cast<int64_t>(row.size());
      Bytes bytes = encoded(format, row);
      std::vector<float> back = decoded(format, bytes, elements);
      for (size_t i = 0; i < row.size(); ++i) {
        float scale = fromHalf(static_cast<uint16_t>(bytes[i / 32 * 2] | bytes[i / 32 * 2 + 1] << 8));
        // Rounding an integer, and cutting those beyond the range: by rounding of the scale, of four bits by one.
        float largest = format == BlockFormat::Q8_0 ? 127 : 8;
        float cut = largest * std::max(std::fabs(scale) * 0x1p-11f, 0x1p-25f);
        bool opposite = format == BlockFormat::Q4_0 && row[i] * scale > 0;
        float bound = opposite ? std::fabs(scale) + cut : std::max(std::fabs(scale) / 2, cut);
        EXPECT_LE(std::fabs(back[i] - row[i]), bound * (1 + 1e-5f)) << name(format) << " " << size << " " << i;
      }
      if (size >= 1e-2f)
        EXPECT_EQ(encoded(format, back), bytes) << name(format) << " " << size;
    }
}

TEST(BlockFormat, RefusesWhatHasNoBlock) {
  Bytes bytes(34);
  for (float bad : {NAN, INFINITY, -INFINITY, std::numeric_limits<float>::max()})
    for (BlockFormat format : {BlockFormat::Q8_0, BlockFormat::Q4_0}) {
      std::vector<float> row(32, 1);
      row[7] = bad;
      EXPECT_FALSE(encodeRow(format, row.data(), 32, bytes.data())) << bad;
    }
  std::vector<float> zeros(32, 0);
  EXPECT_EQ(decoded(BlockFormat::Q4_0, encoded(BlockFormat::Q4_0, zeros), 32), zeros);
}
