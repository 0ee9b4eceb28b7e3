//===- SessionTest.cpp - ragged steps give what each sequence alone gives -===//

#include "runtime/session/Session.h"
#include "formats/numbers/ShortFloat.h"
#include "formats/safetensors/SafetensorsWriter.h"
#include "runtime/device/cpu/CpuDevice.h"
#include "test/formats/TemporaryDirectory.h"
#include "test/runtime/Inputs/AssertOk.h"
#include "test/runtime/Inputs/TestModule.h"

#include <gtest/gtest.h>

using namespace denim;
using namespace denim::test;

namespace {

class SessionTest : public ::testing::Test {
protected:
  SessionTest() {
    for (int i = 0; i < kTestVocabulary * kTestColumns; ++i) {
      table.push_back(static_cast<uint16_t>(0x3f00 + (i * 37 % 128) + (i % 3 ? 0x8000 : 0)));
      head.push_back(static_cast<float>((i * 29) % 17 - 8) / 8);
    }
    for (int i = 0; i < 2 * kTestColumns; ++i)
      experts.push_back(static_cast<float>(i % 5) / 4);
  }

  std::vector<formats::Tensor> tensors() {
    using formats::ElementType;
    return {{"table", ElementType::BF16, {32, 16}, table.data(), table.size() * 2},
            {"expert.0", ElementType::F32, {16}, experts.data(), 64},
            {"expert.1", ElementType::F32, {16}, experts.data() + 16, 64},
            {"head", ElementType::F32, {32, 16}, head.data(), head.size() * 4}};
  }

  Status create(std::unique_ptr<Session> &out, SessionOptions options = {}, int threads = 2) {
    auto device = std::make_shared<CpuDevice>(threads);
    std::shared_ptr<const Module> module;
    if (Status status = Module::open(directory.write("m.denim", testModule()), module))
      return status;
    EXPECT_FALSE(formats::writeSafetensors(directory.file("w.safetensors"), tensors()));
    Weights weights;
    if (Status status = Weights::map(directory.file("w.safetensors"), module->anyPlan(), *device, weights))
      return status;
    return Session::create(device, module, std::move(weights), options, out);
  }

  /// The model of TestKernels.c, straight from its description.
  std::vector<float> expectedLogits(const std::vector<int32_t> &tokens) {
    std::vector<float> logits, rows;
    float state[kTestColumns] = {}, tail[kTestColumns] = {};
    for (size_t t = 0; t < tokens.size(); ++t) {
      float x[kTestColumns];
      for (int c = 0; c < kTestColumns; ++c) {
        float e = formats::fromBrain(table[tokens[t] * kTestColumns + c]);
        state[c] = state[c] * 0.5f + e;
        x[c] = e + state[c] + tail[c] + experts[tokens[t] % 2 * kTestColumns + c];
        tail[c] = e;
      }
      rows.insert(rows.end(), x, x + kTestColumns);
      for (int c = 0; c < kTestColumns; ++c) {
        float sum = 0;
        for (size_t j = 0; j <= t; ++j)
          sum += rows[j * kTestColumns + c] / static_cast<float>(1 + t - j);
        x[c] += sum;
      }
      for (int v = 0; v < kTestVocabulary; ++v) {
        float sum = 0;
        for (int c = 0; c < kTestColumns; ++c)
          sum += x[c] * head[v * kTestColumns + c];
        logits.push_back(sum);
      }
    }
    return logits;
  }

  static std::vector<int32_t> someTokens(size_t count, int seed) {
    std::vector<int32_t> tokens;
    for (size_t i = 0; i < count; ++i)
      tokens.push_back(static_cast<int32_t>((i * i * 7 + i * 3 + seed * 11) % kTestVocabulary));
    return tokens;
  }

  /// Feeds tokens in pieces of |cut| and appends all logits.
  static void feed(Session &session, SequenceId id, const std::vector<int32_t> &tokens, size_t cut,
                   std::vector<float> &logits) {
    for (size_t begin = 0; begin < tokens.size(); begin += cut) {
      auto count = static_cast<int64_t>(std::min(cut, tokens.size() - begin));
      size_t before = logits.size();
      logits.resize(before + count * kTestVocabulary);
      StepEntry entry{id, tokens.data() + begin, count, Logits::All};
      ASSERT_OK(session.step(&entry, 1, logits.data() + before, count));
    }
  }

  TemporaryDirectory directory;
  std::vector<uint16_t> table;
  std::vector<float> head, experts;
};

/// Equal up to the compiler's freedom to fuse a product and a sum in one of the two programs.
void expectNear(const std::vector<float> &a, const std::vector<float> &b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i)
    ASSERT_NEAR(a[i], b[i], 1e-5 * (1 + std::abs(b[i]))) << "at " << i;
}

TEST_F(SessionTest, ComputesTheModel) {
  std::unique_ptr<Session> session;
  ASSERT_OK(create(session));
  EXPECT_EQ(session->target().name, "baseline"); // not "future", whose features nobody has
  SequenceId id;
  ASSERT_OK(session->createSequence(id));
  std::vector<int32_t> tokens = someTokens(150, 0);
  std::vector<float> logits;
  feed(*session, id, tokens, tokens.size(), logits);
  expectNear(logits, expectedLogits(tokens));
  int64_t length = 0;
  ASSERT_OK(session->length(id, length));
  EXPECT_EQ(length, 150);
}

TEST_F(SessionTest, AnyCutAndAnyNumberOfThreadsGivesTheSameBits) {
  std::vector<int32_t> tokens = someTokens(200, 1);
  std::vector<float> whole;
  for (size_t cut : {size_t(200), size_t(1), size_t(7), size_t(64), size_t(65)}) {
    for (int threads : {1, 3}) {
      std::unique_ptr<Session> session;
      ASSERT_OK(create(session, {}, threads));
      SequenceId id;
      ASSERT_OK(session->createSequence(id));
      std::vector<float> logits;
      feed(*session, id, tokens, cut, logits);
      if (whole.empty())
        whole = logits;
      EXPECT_EQ(logits, whole) << "cut " << cut << ", threads " << threads;
    }
  }
}

TEST_F(SessionTest, LongStepsAreCutIntoPasses) {
  std::vector<int32_t> tokens = someTokens(200, 1);
  std::vector<float> whole, cut;
  for (int32_t most : {512, 1, 7, 64}) {
    std::unique_ptr<Session> session;
    SessionOptions options;
    options.maxStepTokens = most;
    ASSERT_OK(create(session, options));
    SequenceId id;
    ASSERT_OK(session->createSequence(id));
    std::vector<float> logits;
    feed(*session, id, tokens, tokens.size(), logits);
    if (whole.empty())
      whole = logits;
    EXPECT_EQ(logits, whole) << "passes of " << most;
  }
}

TEST_F(SessionTest, SequencesOfAStepAreIndependent) {
  std::vector<int32_t> tokens[3] = {someTokens(70, 1), someTokens(3, 2), someTokens(129, 3)};
  for (int32_t most : {512, 50}) {
    std::unique_ptr<Session> session;
    SessionOptions options;
    options.maxStepTokens = most;
    ASSERT_OK(create(session, options));
    std::vector<float> alone[3];
    SequenceId ids[3], empty;
    ASSERT_OK(session->createSequence(empty));
    for (int s = 0; s < 3; ++s) {
      ASSERT_OK(session->createSequence(ids[s]));
      feed(*session, ids[s], tokens[s], tokens[s].size(), alone[s]);
      ASSERT_OK(session->release(ids[s]));
      ASSERT_OK(session->createSequence(ids[s]));
    }
    // Together: all of 0, the last of 1, none of 2; then one more of 2 and its logits.
    std::vector<float> logits(71 * kTestVocabulary);
    StepEntry entries[] = {{ids[0], tokens[0].data(), 70, Logits::All},
                           {empty, nullptr, 0, Logits::Last},
                           {ids[1], tokens[1].data(), 3, Logits::Last},
                           {ids[2], tokens[2].data(), 128, Logits::None}};
    ASSERT_OK(session->step(entries, 4, logits.data(), 71));
    std::vector<float> expected = alone[0];
    expected.insert(expected.end(), alone[1].end() - kTestVocabulary, alone[1].end());
    EXPECT_EQ(logits, expected);
    StepEntry last{ids[2], tokens[2].data() + 128, 1, Logits::Last};
    logits.resize(kTestVocabulary);
    ASSERT_OK(session->step(&last, 1, logits.data(), 1));
    EXPECT_EQ(logits, std::vector<float>(alone[2].end() - kTestVocabulary, alone[2].end()));
  }
}

TEST_F(SessionTest, ForksDiverge) {
  std::unique_ptr<Session> session;
  ASSERT_OK(create(session));
  for (size_t shared : {size_t(0), size_t(10), size_t(64), size_t(100)}) {
    std::vector<int32_t> prefix = someTokens(shared, 1), ends[2] = {someTokens(40, 2), someTokens(90, 3)};
    SequenceId ids[2];
    ASSERT_OK(session->createSequence(ids[0]));
    std::vector<float> ignored, logits[2];
    feed(*session, ids[0], prefix, 33, ignored);
    ASSERT_OK(session->fork(ids[0], ids[1]));
    // In turns, so that one would see what the other writes.
    for (size_t begin = 0; begin < 90; begin += 10)
      for (int s = 0; s < 2; ++s)
        if (begin < ends[s].size())
          feed(*session, ids[s], {ends[s].begin() + begin, ends[s].begin() + begin + 10}, 5, logits[s]);
    for (int s = 0; s < 2; ++s) {
      std::vector<int32_t> all = prefix;
      all.insert(all.end(), ends[s].begin(), ends[s].end());
      std::vector<float> expected = expectedLogits(all);
      expectNear(logits[s], {expected.begin() + shared * kTestVocabulary, expected.end()});
      ASSERT_OK(session->release(ids[s]));
    }
  }
  EXPECT_EQ(session->hybridCache().usedBytes(), 0u);
}

TEST_F(SessionTest, AFullBudgetRefusesAndLosesNothing) {
  std::unique_ptr<Session> session;
  SessionOptions options;
  const size_t slot = 128, page = 64 * 16 * 4;
  options.cacheBytes = 2 * slot + 3 * page + 100;
  ASSERT_OK(create(session, options));
  SequenceId a, b, c;
  ASSERT_OK(session->createSequence(a));
  ASSERT_OK(session->createSequence(b));
  std::vector<int32_t> tokens = someTokens(300, 1);
  std::vector<float> logits;
  feed(*session, a, {tokens.begin(), tokens.begin() + 64}, 64, logits);
  StepEntry entries[] = {{a, tokens.data() + 64, 65, Logits::None}, {b, tokens.data(), 1, Logits::None}};
  Status status = session->step(entries, 2, nullptr, 0);
  EXPECT_EQ(status.code(), DENIM_STATUS_RESOURCE_EXHAUSTED);
  EXPECT_EQ(status.message(), "new tokens: expected at most 8292 bytes, which the cache's budget of 12644 has left, "
                              "but got 12288");
  status = session->createSequence(c);
  EXPECT_FALSE(status) << status.message();
  ASSERT_OK(session->release(c));
  int64_t length = 0;
  ASSERT_OK(session->length(a, length));
  EXPECT_EQ(length, 64);
  // Both go on as if nothing had been asked.
  feed(*session, a, {tokens.begin() + 64, tokens.begin() + 128}, 64, logits);
  expectNear(logits, expectedLogits({tokens.begin(), tokens.begin() + 128}));
  logits.clear();
  feed(*session, b, {tokens.begin(), tokens.begin() + 64}, 1, logits);
  expectNear(logits, expectedLogits({tokens.begin(), tokens.begin() + 64}));
  // And what is released is there for others.
  StepEntry more{b, tokens.data() + 64, 64, Logits::None};
  EXPECT_EQ(session->step(&more, 1, nullptr, 0).code(), DENIM_STATUS_RESOURCE_EXHAUSTED);
  ASSERT_OK(session->release(a));
  ASSERT_OK(session->step(&more, 1, nullptr, 0));
}

TEST_F(SessionTest, AFullBudgetRefusesSequencesAndForks) {
  std::unique_ptr<Session> session;
  SessionOptions options;
  options.cacheBytes = 200;
  ASSERT_OK(create(session, options));
  SequenceId a, b = -7;
  ASSERT_OK(session->createSequence(a));
  Status status = session->createSequence(b);
  EXPECT_EQ(status.message(),
            "a new sequence: expected at most 72 bytes, which the cache's budget of 200 has left, but got 128");
  EXPECT_EQ(session->fork(a, b).code(), DENIM_STATUS_RESOURCE_EXHAUSTED);
  EXPECT_EQ(b, -7);
}

TEST_F(SessionTest, RefusesWrongSteps) {
  std::unique_ptr<Session> session;
  ASSERT_OK(create(session));
  SequenceId id;
  ASSERT_OK(session->createSequence(id));
  int32_t tokens[] = {0, 31, 32, -1};
  auto refusal = [&](std::vector<StepEntry> entries, int64_t rows) {
    return session->step(entries.data(), entries.size(), nullptr, rows).message();
  };
  EXPECT_EQ(refusal({{id, tokens, 3, Logits::None}}, 0), "entry 0, token 2: expected an id from 0 to 31, but got 32");
  EXPECT_EQ(refusal({{id, tokens + 3, 1, Logits::None}}, 0),
            "entry 0, token 0: expected an id from 0 to 31, but got -1");
  EXPECT_EQ(refusal({{id, tokens, 1, Logits::None}, {id, tokens, 1, Logits::None}}, 0),
            "entry 1: expected each sequence once, but got 1 again");
  EXPECT_EQ(refusal({{99, tokens, 1, Logits::None}}, 0),
            "entry 0: expected a sequence, but got 99, which does not exist");
  EXPECT_EQ(refusal({{id, tokens, -1, Logits::None}}, 0), "entry 0: expected 0 or more tokens, but got -1");
  EXPECT_EQ(refusal({{id, tokens, int64_t(1) << 31, Logits::None}}, 0),
            "entry 0: expected at most 2147483647 further tokens of a sequence of length 0, but got 2147483648");
  EXPECT_EQ(refusal({{id, tokens, 2, Logits::All}}, 1), "expected room for 2 rows of logits, but got 1");
  EXPECT_EQ(refusal({}, 0), "");
  int64_t length = -1;
  ASSERT_OK(session->length(id, length));
  EXPECT_EQ(length, 0);
}

TEST_F(SessionTest, RefusesSequencesThatDoNotExist) {
  std::unique_ptr<Session> session;
  ASSERT_OK(create(session));
  SequenceId id, other;
  ASSERT_OK(session->createSequence(id));
  ASSERT_OK(session->release(id));
  EXPECT_EQ(session->release(id).message(), "expected a sequence to release, but got 1, which does not exist");
  EXPECT_EQ(session->fork(id, other).message(), "expected a sequence to fork, but got 1, which does not exist");
  int64_t length;
  EXPECT_EQ(session->length(id, length).code(), DENIM_STATUS_NOT_FOUND);
  ASSERT_OK(session->createSequence(other));
  EXPECT_NE(other, id);
}

TEST_F(SessionTest, NewSequencesBeginAtZeroInUsedSlots) {
  std::unique_ptr<Session> session;
  ASSERT_OK(create(session));
  std::vector<int32_t> tokens = someTokens(20, 4);
  std::vector<float> logits[2];
  for (int round = 0; round < 2; ++round) {
    SequenceId id;
    ASSERT_OK(session->createSequence(id));
    feed(*session, id, tokens, 20, logits[round]);
    ASSERT_OK(session->release(id));
  }
  EXPECT_EQ(logits[0], logits[1]);
}

TEST_F(SessionTest, RefusesAbsurdOptions) {
  std::unique_ptr<Session> session;
  SessionOptions options;
  options.maxStepTokens = 0;
  EXPECT_EQ(create(session, options).message(), "expected from 1 to 16777216 tokens of a step, but got 0");
  options.maxStepTokens = INT32_MAX;
  EXPECT_EQ(create(session, options).code(), DENIM_STATUS_INVALID_ARGUMENT);
}

TEST_F(SessionTest, RefusesOtherWeights) {
  std::shared_ptr<const Module> module;
  ASSERT_OK(Module::open(directory.write("m.denim", testModule()), module));
  CpuDevice device(1);
  std::string path = directory.file("w.safetensors");
  auto refusal = [&](const std::vector<formats::Tensor> &tensors) {
    EXPECT_FALSE(formats::writeSafetensors(path, tensors));
    Weights weights;
    return Weights::map(path, module->anyPlan(), device, weights).message();
  };
  std::vector<formats::Tensor> all = tensors();
  EXPECT_EQ(refusal(all), "");
  all[3].name = "tail";
  EXPECT_EQ(refusal(all), "'" + path + "': expected tensor 'head' F32[32, 16], but got none");
  all[3].name = "head";
  all[3].shape = {16, 32};
  EXPECT_EQ(refusal(all), "'" + path + "': expected tensor 'head' F32[32, 16], but got F32[16, 32]");
  all[3].type = formats::ElementType::I32;
  all[3].shape = {32, 16};
  EXPECT_EQ(refusal(all), "'" + path + "': expected tensor 'head' F32[32, 16], but got I32[32, 16]");
}

TEST_F(SessionTest, WeightsInBlocksAreMappedByTheirBytes) {
  Plan plan;
  plan.parameters = {{"w", PlanType::Q8_0, {2, 64}, 136}, {"v", PlanType::Q4_0, {3, 32}, 54}};
  CpuDevice device(1);
  std::string path = directory.file("w.safetensors");
  std::vector<uint8_t> w(136), v(54);
  for (size_t i = 0; i < w.size(); ++i)
    w[i] = static_cast<uint8_t>(i);
  using formats::ElementType;
  ASSERT_FALSE(formats::writeSafetensors(path, {{"w", ElementType::U8, {2, 68}, w.data(), w.size()},
                                                {"v", ElementType::U8, {3, 18}, v.data(), v.size()}}));
  Weights weights;
  ASSERT_OK(Weights::map(path, plan, device, weights));
  EXPECT_EQ(std::memcmp(weights.data(0), w.data(), w.size()), 0);

  plan.parameters[1] = {"v", PlanType::Q8_0, {3, 32}, 102};
  EXPECT_EQ(Weights::map(path, plan, device, weights).message(),
            "'" + path + "': expected tensor 'v' U8[3, 34] (q8_0[3, 32]), but got U8[3, 18]");

  // Random ones have scales that are numbers, and integers of every value.
  plan.parameters = {{"w", PlanType::Q4_0, {4096, 576}, 4096 * 18 * 18}};
  ASSERT_OK(Weights::random(plan, 1, device, weights));
  auto *bytes = static_cast<const uint8_t *>(weights.data(0));
  std::vector<int> seen(16);
  for (int row = 0; row < 4096; row += 1365) {
    std::vector<float> elements(576);
    formats::decodeRow(formats::BlockFormat::Q4_0, bytes + row * 324, 576, elements.data());
    for (int block = 0; block < 18; ++block) {
      uint16_t scale;
      std::memcpy(&scale, bytes + row * 324 + block * 2, 2);
      float size = formats::fromHalf(scale);
      EXPECT_GE(size, 0x1p-9f);
      EXPECT_LE(size, 0x1p-6f);
      for (int i = 0; i < 32; ++i)
        ++seen[static_cast<size_t>(elements[block * 32 + i] / size + 8)];
    }
  }
  for (int count : seen)
    EXPECT_GT(count, 0);
}

TEST_F(SessionTest, UnalignedWeightsAreCopied) {
  // A header of odd length shifts all data by one byte.
  ASSERT_FALSE(formats::writeSafetensors(directory.file("w.safetensors"), tensors()));
  std::string text = readFile(directory.file("w.safetensors"));
  uint64_t size;
  std::memcpy(&size, text.data(), 8);
  text.insert(8 + size, " ");
  ++size;
  std::memcpy(text.data(), &size, 8);
  std::string path = directory.write("odd.safetensors", text);
  auto device = std::make_shared<CpuDevice>(1);
  std::shared_ptr<const Module> module;
  ASSERT_OK(Module::open(directory.write("m.denim", testModule()), module));
  Weights weights;
  ASSERT_OK(Weights::map(path, module->anyPlan(), *device, weights));
  EXPECT_EQ(reinterpret_cast<uintptr_t>(weights.data(3)) % 4, 0u);
  EXPECT_EQ(std::memcmp(weights.data(3), head.data(), head.size() * 4), 0);
}

TEST_F(SessionTest, RandomWeightsAreRepeatable) {
  std::shared_ptr<const Module> module;
  ASSERT_OK(Module::open(directory.write("m.denim", testModule()), module));
  CpuDevice device(1);
  Weights a, b, c;
  ASSERT_OK(Weights::random(module->anyPlan(), 1, device, a));
  ASSERT_OK(Weights::random(module->anyPlan(), 1, device, b));
  ASSERT_OK(Weights::random(module->anyPlan(), 2, device, c));
  EXPECT_EQ(std::memcmp(a.data(0), b.data(0), 1024), 0);
  EXPECT_NE(std::memcmp(a.data(0), c.data(0), 1024), 0);
  for (int i = 0; i < 512; ++i)
    EXPECT_LT(std::abs(formats::fromBrain(static_cast<const uint16_t *>(a.data(0))[i])), 0.1f);
}

} // namespace
