#include "frontends/hf/Config.h"
#include "gtest/gtest.h"

using namespace denim::frontends;

namespace {

Config parsed(const char *text) {
  Config config;
  Error error = Config::parse(text, config);
  EXPECT_FALSE(error) << error.message();
  return config;
}

/// What is said about a rotation of heads 64 wide.
std::string rotationError(const char *text) {
  Config config = parsed(text);
  config.rotation(64, 1);
  return config.error().message();
}

} // namespace

TEST(Config, Defaults) {
  Config config = parsed("{\"head_dim\": null}");
  EXPECT_EQ(config.positive("hidden_size", 4096), 4096);
  EXPECT_EQ(config.positive("head_dim", 128), 128);
  EXPECT_EQ(config.flag("tie_word_embeddings", true), true);
  EXPECT_EQ(config.word("hidden_act", "silu"), "silu");
  EXPECT_EQ(config.positiveNumber("rms_norm_eps", 1e-6), 1e-6);
  EXPECT_TRUE(config.integers("eos_token_id").empty());
  EXPECT_FALSE(config.words("layer_types"));
  EXPECT_FALSE(config.error());
}

TEST(Config, Values) {
  Config config =
      parsed(R"({"hidden_size": 64, "tie": true, "eps": 1e-5, "eos": 2, "ends": [2, 5], "types": ["a", "b"]})");
  EXPECT_EQ(config.positive("hidden_size", 1), 64);
  EXPECT_EQ(config.flag("tie", false), true);
  EXPECT_EQ(config.positiveNumber("eps", 1), 1e-5);
  EXPECT_EQ(config.integers("eos"), (std::vector<int64_t>{2}));
  EXPECT_EQ(config.integers("ends"), (std::vector<int64_t>{2, 5}));
  EXPECT_EQ(config.words("types"), (std::vector<std::string>{"a", "b"}));
  EXPECT_FALSE(config.error());
}

TEST(Config, RefusesWhatIsNoConfiguration) {
  Config config;
  EXPECT_NE(Config::parse("{\"a\": ", config).message().find("config.json: expected JSON, but got: "),
            std::string::npos);
  EXPECT_EQ(Config::parse("[1]", config).message(), "config.json: expected an object of fields, but got [1]");
}

TEST(Config, RefusesWrongKinds) {
  auto message = [](const char *value, auto read) {
    Config config = parsed((std::string("{\"f\": ") + value + "}").c_str());
    read(config);
    return config.error().message();
  };
  auto positive = [](Config &c) { c.positive("f", 1); };
  EXPECT_EQ(message("\"x\"", positive), "config.json: expected f to be a positive integer, but got \"x\"");
  EXPECT_EQ(message("0", positive), "config.json: expected f to be a positive integer, but got 0");
  EXPECT_EQ(message("-4", positive), "config.json: expected f to be a positive integer, but got -4");
  EXPECT_EQ(message("1.5", positive), "config.json: expected f to be a positive integer, but got 1.5");
  EXPECT_EQ(message("true", positive), "config.json: expected f to be a positive integer, but got true");
  EXPECT_EQ(message("[1]", positive), "config.json: expected f to be a positive integer, but got [1]");
  EXPECT_EQ(message("9000000000000000000", positive),
            "config.json: expected f to be at most 268435456, but got 9000000000000000000");
  EXPECT_EQ(message("-1", [](Config &c) { c.natural("f", 1); }),
            "config.json: expected f to be an integer that is not negative, but got -1");
  EXPECT_EQ(message("1", [](Config &c) { c.flag("f", false); }),
            "config.json: expected f to be true or false, but got 1");
  EXPECT_EQ(message("1", [](Config &c) { c.word("f", ""); }), "config.json: expected f to be a string, but got 1");
  EXPECT_EQ(message("0", [](Config &c) { c.positiveNumber("f", 1); }),
            "config.json: expected f to be a positive number, but got 0");
  EXPECT_EQ(message("[1, \"a\"]", [](Config &c) { c.integers("f"); }),
            "config.json: expected f to be an integer or a list of integers, but got [1,\"a\"]");
  EXPECT_EQ(message("[1]", [](Config &c) { c.words("f"); }),
            "config.json: expected f to be a list of strings, but got [1]");
}

TEST(Config, KeepsTheFirstError) {
  Config config = parsed("{\"a\": -1, \"b\": -2}");
  config.positive("b", 1);
  config.positive("a", 1);
  EXPECT_EQ(config.error().message(), "config.json: expected b to be a positive integer, but got -2");
}

TEST(Config, CutsLongValues) {
  Config config = parsed(("{\"f\": \"" + std::string(500, 'x') + "\"}").c_str());
  config.positive("f", 1);
  EXPECT_LT(config.error().message().size(), 140u);
}

//===--------------------------------------------------------------------------------------------------------------===//
// Positions, in both spellings
//===--------------------------------------------------------------------------------------------------------------===//

TEST(Config, RotationDefaults) {
  Rotation rotation = parsed("{}").rotation(64, 0.25);
  EXPECT_EQ(rotation.theta, 10000);
  EXPECT_EQ(rotation.over, 16);
}

TEST(Config, RotationOldSpelling) {
  Config config = parsed(R"({"rope_theta": 1e7, "partial_rotary_factor": 0.5, "rope_scaling": null})");
  Rotation rotation = config.rotation(64, 1);
  EXPECT_EQ(rotation.theta, 1e7);
  EXPECT_EQ(rotation.over, 32);
  EXPECT_EQ(rotationError(R"({"rope_scaling": {"type": "default"}})"), "");
}

TEST(Config, RotationNewSpellingWins) {
  Config config = parsed(R"({"rope_theta": 5, "partial_rotary_factor": 1,
    "rope_parameters": {"rope_type": "default", "rope_theta": 500000, "partial_rotary_factor": 0.25}})");
  Rotation rotation = config.rotation(64, 1);
  EXPECT_EQ(rotation.theta, 500000);
  EXPECT_EQ(rotation.over, 16);
  EXPECT_FALSE(config.error());
}

TEST(Config, RotationRefusals) {
  EXPECT_EQ(rotationError(R"({"rope_scaling": {"type": "yarn", "factor": 4}})"),
            "config.json: expected rope_type to be \"default\", but got \"yarn\"");
  EXPECT_EQ(rotationError(R"({"rope_parameters": {"rope_type": "llama3"}})"),
            "config.json: expected rope_type to be \"default\", but got \"llama3\"");
  EXPECT_EQ(rotationError(R"({"rope_scaling": "yarn"})"),
            "config.json: expected rope_scaling to be an object of fields, but got \"yarn\"");
  EXPECT_EQ(rotationError(R"({"partial_rotary_factor": 1.5})"),
            "config.json: expected partial_rotary_factor to be at most 1, but got 1.50");
  EXPECT_EQ(rotationError(R"({"partial_rotary_factor": 0.05})"),
            "config.json: expected partial_rotary_factor to choose an even number of the 64 channels of a head, but "
            "got 3");
  EXPECT_EQ(rotationError(R"({"rope_theta": -1})"),
            "config.json: expected rope_theta to be a positive number, but got -1");
}
