//===- SafetensorsTest.cpp - what is read, and what is refused ------------===//

#include "formats/safetensors/Safetensors.h"
#include "formats/safetensors/SafetensorsWriter.h"
#include "test/formats/TemporaryDirectory.h"

#include <cstring>
#include <gtest/gtest.h>

using namespace denim::formats;
using denim::test::TemporaryDirectory;

namespace {

std::string fileText(const std::string &header, size_t dataBytes) {
  uint64_t size = header.size();
  std::string text(reinterpret_cast<const char *>(&size), 8);
  return text + header + std::string(dataBytes, '\1');
}

/// Opens a file of |header| and |dataBytes|; its message without the path, "" if it was taken.
std::string refusal(const std::string &header, size_t dataBytes) {
  TemporaryDirectory directory;
  Safetensors tensors;
  std::string path = directory.write("t.safetensors", fileText(header, dataBytes));
  std::string message = Safetensors::open(path, tensors).message();
  if (message.empty())
    return message;
  EXPECT_EQ(message.substr(0, path.size() + 4), "'" + path + "': ");
  EXPECT_TRUE(tensors.tensors().empty());
  return message.substr(path.size() + 4);
}

TEST(Safetensors, ReadsWhatItWrote) {
  TemporaryDirectory directory;
  float values[6] = {0, 1, 2, 3, 4, 5};
  int64_t ids[2] = {7, -1};
  std::string path = directory.file("t.safetensors");
  ASSERT_FALSE(writeSafetensors(path, {{"a \"quoted\" name", ElementType::F32, {2, 3}, values, sizeof values},
                                       {"ids", ElementType::I64, {2}, ids, sizeof ids},
                                       {"empty", ElementType::BF16, {0, 5}, values, 0},
                                       {"scalar", ElementType::F32, {}, values + 4, 4}}));
  Safetensors read;
  Error error = Safetensors::open(path, read);
  ASSERT_FALSE(error) << error.message();
  EXPECT_EQ(read.tensors().size(), 4u);
  const Tensor *a = read.find("a \"quoted\" name");
  ASSERT_TRUE(a);
  EXPECT_EQ(a->type, ElementType::F32);
  EXPECT_EQ(a->shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(std::memcmp(a->data, values, sizeof values), 0);
  EXPECT_EQ(std::memcmp(read.find("ids")->data, ids, sizeof ids), 0);
  EXPECT_EQ(read.find("empty")->bytes, 0u);
  EXPECT_EQ(*static_cast<const float *>(read.find("scalar")->data), 4.0f);
  EXPECT_EQ(read.find("b"), nullptr);
}

TEST(Safetensors, WritesWhatIsMadeInTurn) {
  TemporaryDirectory directory;
  float value = 5;
  std::string path = directory.file("t.safetensors");
  std::vector<Tensor> tensors = {{"a", ElementType::F32, {1}, &value, 4}, {"b", ElementType::U8, {3}, nullptr, 3}};
  ASSERT_FALSE(writeSafetensors(path, tensors, [](size_t index, std::vector<char> &data) {
    EXPECT_EQ(index, 1u);
    data = {1, 2, 3};
    return Error();
  }));
  Safetensors read;
  ASSERT_FALSE(Safetensors::open(path, read));
  EXPECT_EQ(*static_cast<const float *>(read.find("a")->data), 5.0f);
  EXPECT_EQ(static_cast<const char *>(read.find("b")->data)[2], 3);

  // What cannot be made, or is not what it should be, leaves the file that was there.
  auto refused = [](size_t, std::vector<char> &) { return Error::of("no"); };
  EXPECT_EQ(writeSafetensors(path, tensors, refused).message(), "no");
  auto shorter = [](size_t, std::vector<char> &data) {
    data.assign(2, 0);
    return Error();
  };
  EXPECT_EQ(writeSafetensors(path, tensors, shorter).message(),
            "'" + path + "': tensor 'b': expected 3 bytes, but got 2");
  EXPECT_FALSE(Safetensors::open(path, read));
}

TEST(Safetensors, DataStaysWhenMoved) {
  TemporaryDirectory directory;
  float value = 2;
  std::string path = directory.file("t.safetensors");
  ASSERT_FALSE(writeSafetensors(path, {{"x", ElementType::F32, {1}, &value, 4}}));
  Safetensors first;
  ASSERT_FALSE(Safetensors::open(path, first));
  Safetensors second = std::move(first);
  EXPECT_EQ(*static_cast<const float *>(second.find("x")->data), 2.0f);
}

TEST(Safetensors, IgnoresMetadata) {
  EXPECT_EQ(refusal(R"({"__metadata__": {"format": "pt"}})", 0), "");
}

TEST(Safetensors, RefusesNoFile) {
  Safetensors tensors;
  EXPECT_EQ(Safetensors::open("/nonexistent/x", tensors).message(),
            "cannot open '/nonexistent/x': No such file or directory");
}

TEST(Safetensors, RefusesShortFiles) {
  TemporaryDirectory directory;
  Safetensors tensors;
  EXPECT_NE(Safetensors::open(directory.write("a", ""), tensors).message().find("at least 8 bytes, but got 0"),
            std::string::npos);
  EXPECT_NE(Safetensors::open(directory.write("b", "abc"), tensors).message().find("at least 8 bytes, but got 3"),
            std::string::npos);
}

TEST(Safetensors, RefusesAnAbsurdHeaderLength) {
  TemporaryDirectory directory;
  Safetensors tensors;
  std::string path = directory.write("a", std::string(8, '\xff') + "{}");
  EXPECT_EQ(Safetensors::open(path, tensors).message(),
            "'" + path +
                "': expected a header of at most 2 bytes, but got 18446744073709551615; cut short, or not a "
                "safetensors file");
}

TEST(Safetensors, RefusesBadJson) {
  EXPECT_EQ(refusal("{", 0), "expected the header to be a JSON object, but got text that is no JSON");
  EXPECT_EQ(refusal("", 0), "expected the header to be a JSON object, but got text that is no JSON");
  EXPECT_EQ(refusal("[]", 0), "expected the header to be a JSON object, but got array");
  EXPECT_EQ(refusal(std::string(100000, '['), 0),
            "expected the header to be a JSON object, but got text that is no JSON");
}

TEST(Safetensors, RefusesDuplicateNames) {
  EXPECT_EQ(refusal(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                    R"("a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})",
                    2),
            "expected each name once in the header, but got 'a' twice");
}

TEST(Safetensors, RefusesUnknownTypes) {
  EXPECT_EQ(refusal(R"({"a":{"dtype":"Q4","shape":[1],"data_offsets":[0,1]}})", 1),
            "tensor 'a': expected a known element type, but got 'Q4'");
  EXPECT_EQ(refusal(R"({"a":{"dtype":4,"shape":[1],"data_offsets":[0,1]}})", 1),
            "tensor 'a': expected \"dtype\" to be a string, but got number");
  EXPECT_EQ(refusal(R"({"a":{"shape":[1],"data_offsets":[0,1]}})", 1),
            "tensor 'a': expected \"dtype\" to be a string, but got none");
}

TEST(Safetensors, RefusesOtherBytesThanTheShapeSays) {
  EXPECT_EQ(refusal(R"({"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,20]}})", 20),
            "tensor 'a': expected 24 bytes for F32[2, 3], but got 20");
}

TEST(Safetensors, RefusesBadShapes) {
  EXPECT_EQ(refusal(R"({"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}})", 1),
            "tensor 'a': expected dimensions to be whole numbers, but got -1");
  EXPECT_EQ(refusal(R"({"a":{"dtype":"U8","shape":[1.5],"data_offsets":[0,1]}})", 1),
            "tensor 'a': expected dimensions to be whole numbers, but got 1.5");
  EXPECT_EQ(refusal(R"({"a":{"dtype":"U8","shape":3,"data_offsets":[0,1]}})", 1),
            "tensor 'a': expected \"shape\" to be a list, but got number");
  EXPECT_EQ(refusal(R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}})", 0),
            "tensor 'a': expected a size below 2^64 bytes, but got shape [4294967296,4294967296]");
}

TEST(Safetensors, RefusesOffsetsOutOfRange) {
  EXPECT_EQ(refusal(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})", 3),
            "tensor 'a': expected data_offsets in ascending order within 3 bytes, but got [0, 4]");
  EXPECT_EQ(refusal(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[4,0]}})", 4),
            "tensor 'a': expected data_offsets in ascending order within 4 bytes, but got [4, 0]");
  EXPECT_EQ(refusal(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[-4,0]}})", 4),
            "tensor 'a': expected \"data_offsets\" to be two whole numbers, but got [-4,0]");
}

TEST(Safetensors, RefusesOverlapHolesAndRemainders) {
  EXPECT_EQ(refusal(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
                    R"("b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}})",
                    6),
            "tensor 'b': expected data at offset 4, but got 2; it overlaps another");
  EXPECT_EQ(refusal(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}})", 6),
            "tensor 'a': expected data at offset 0, but got 2; it leaves a hole");
  EXPECT_EQ(refusal(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})", 6),
            "expected 4 bytes of data, but got 6");
}

TEST(Safetensors, ReadsShards) {
  TemporaryDirectory directory;
  float one = 1, two = 2;
  ASSERT_FALSE(writeSafetensors(directory.file("s1"), {{"a", ElementType::F32, {1}, &one, 4}}));
  ASSERT_FALSE(writeSafetensors(directory.file("s2"), {{"b", ElementType::F32, {1}, &two, 4}}));
  directory.write("model.safetensors.index.json", R"({"weight_map": {"a": "s1", "b": "s2"}})");
  Safetensors read;
  Error error = Safetensors::open(directory.path, read);
  ASSERT_FALSE(error) << error.message();
  EXPECT_EQ(*static_cast<const float *>(read.find("a")->data), 1.0f);
  EXPECT_EQ(*static_cast<const float *>(read.find("b")->data), 2.0f);
}

TEST(Safetensors, RefusesBadIndexes) {
  TemporaryDirectory directory;
  float one = 1;
  ASSERT_FALSE(writeSafetensors(directory.file("s1"), {{"a", ElementType::F32, {1}, &one, 4}}));
  Safetensors read;
  EXPECT_EQ(Safetensors::open(directory.path, read).message(),
            "'" + directory.path + "': expected model.safetensors or model.safetensors.index.json, but got neither");
  auto refuse = [&](const std::string &index) {
    std::string path = directory.write("model.safetensors.index.json", index);
    std::string message = Safetensors::open(directory.path, read).message();
    size_t start = message.find(path);
    return start == std::string::npos ? message : message.substr(start + path.size() + 3);
  };
  EXPECT_EQ(refuse("{}"), "expected an object \"weight_map\", but got none");
  EXPECT_EQ(refuse(R"({"weight_map": {"a": 1}})"), "tensor 'a': expected the name of a file, but got number");
  EXPECT_EQ(refuse(R"({"weight_map": {"a": "../s1"}})"),
            "tensor 'a': expected a file beside the index, but got '../s1'");
  EXPECT_EQ(refuse(R"({"weight_map": {"b": "s1"}})"), "expected tensor 'b' in 's1', but got a file without it");
  EXPECT_EQ(refuse(R"({"weight_map": {"b": "s9"}})"),
            "cannot open '" + directory.path + "/s9': No such file or directory");
}

TEST(SafetensorsWriter, RefusesOtherBytesThanTheShapeSays) {
  float one = 1;
  EXPECT_EQ(writeSafetensors("x", {{"a", ElementType::F32, {2}, &one, 4}}).message(),
            "'x': tensor 'a': expected 8 bytes for F32[2], but got 4");
}

TEST(SafetensorsWriter, RefusesWhereItCannotWrite) {
  EXPECT_EQ(writeSafetensors("/nonexistent/x", {}).message(),
            "cannot write '/nonexistent/x': No such file or directory");
}

} // namespace
