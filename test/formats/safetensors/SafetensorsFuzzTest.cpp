//===- SafetensorsFuzzTest.cpp - damaged files are refused or harmless ----===//
//
// A bounded run with fixed seeds: files are mutated and opened; what is taken must be readable to its last byte.
// Meant to run under AddressSanitizer too; the mapping ends a page, so many reads behind it fault without it.
//
//===----------------------------------------------------------------------===//

#include "formats/safetensors/Safetensors.h"
#include "test/formats/TemporaryDirectory.h"

#include <chrono>
#include <gtest/gtest.h>
#include <random>

using namespace denim::formats;
using denim::test::TemporaryDirectory;

namespace {

std::string mutate(std::string text, std::mt19937 &random) {
  static const char *const pieces[] = {"0",
                                       "-1",
                                       "9223372036854775807",
                                       "18446744073709551615",
                                       "1e9",
                                       "[",
                                       "]",
                                       "{",
                                       "}",
                                       "\"",
                                       ",",
                                       ":",
                                       "null",
                                       "\"F64\"",
                                       "[]",
                                       "{}"};
  auto below = [&](size_t n) { return n ? random() % n : 0; };
  for (size_t n = 1 + below(4); n; --n) {
    size_t at = below(text.size());
    switch (below(6)) {
    case 0:
      if (!text.empty())
        text[at] = static_cast<char>(random());
      break;
    case 1:
      text.erase(at, below(16));
      break;
    case 2:
      text.insert(at, pieces[below(std::size(pieces))]);
      break;
    case 3: // a digit by another: the most likely way to other valid JSON
      at = text.find_first_of("0123456789", at);
      if (at != std::string::npos)
        text[at] = static_cast<char>('0' + below(10));
      break;
    case 4:
      text.resize(below(text.size()));
      break;
    case 5:
      text.insert(at, text.substr(below(text.size()), below(64)));
      break;
    }
  }
  return text;
}

TEST(SafetensorsFuzz, DamagedFilesAreRefusedOrHarmless) {
  TemporaryDirectory directory;
  const std::string header =
      R"({"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},)"
      R"("b":{"dtype":"BF16","shape":[4],"data_offsets":[24,32]},)"
      R"("c":{"dtype":"U8","shape":[0,7],"data_offsets":[32,32]}})";
  std::mt19937 random(1);
  volatile unsigned sum = 0;
  int taken = 0, refused = 0;
  auto start = std::chrono::steady_clock::now();
  // For two seconds, and on a slow machine for as long as it takes to have seen some of both.
  constexpr int leastTaken = 11, leastRefused = 101;
  while (taken + refused < 40000 && (std::chrono::steady_clock::now() - start < std::chrono::seconds(2) ||
                                     taken < leastTaken || refused < leastRefused)) {
    std::string head = mutate(header, random);
    uint64_t size = head.size() + (random() % 16 == 0 ? random() % 64 : 0);
    if (random() % 64 == 0)
      size = (static_cast<uint64_t>(random()) << 32) | random();
    std::string text(reinterpret_cast<const char *>(&size), 8);
    text += head + std::string(random() % 8 ? 32 : random() % 64, 'x');
    Safetensors tensors;
    Error error = Safetensors::open(directory.write("t", text), tensors);
    if (error) {
      ++refused;
      EXPECT_NE(error.message(), "");
      continue;
    }
    ++taken;
    for (auto &entry : tensors.tensors())
      for (size_t i = 0; i < entry.second.bytes; ++i)
        sum = sum + static_cast<const unsigned char *>(entry.second.data)[i];
  }
  EXPECT_GE(taken, leastTaken);
  EXPECT_GE(refused, leastRefused);
}

} // namespace
