// Two launches that overlap, in PTX by hand: what the second has not waited for is named.
#include "test/codegen/nvptx/emulator/TestKernel.h"

using namespace denim::ptx;
using namespace denim::test;

namespace {

/// Each thread stores a number; one of them says for all that they are there.
const char *const kGives = R"(
.version 8.0
.target sm_90a
.address_size 64
.visible .entry gives(.param .u64 data, .param .u64 flag)
{
	.reg .pred %p<2>;
	.reg .b32 %r<4>;
	.reg .b64 %rd<6>;
	ld.param.u64 %rd1, [data];
	ld.param.u64 %rd2, [flag];
	mov.u32 %r1, %tid.x;
	griddepcontrol.wait;
	griddepcontrol.launch_dependents;
	mul.wide.u32 %rd3, %r1, 4;
	add.s64 %rd4, %rd1, %rd3;
	st.global.b32 [%rd4], %r1;
	bar.sync 0, 32;
	setp.ne.u32 %p1, %r1, 0;
	@%p1 bra DONE;
	mov.u32 %r2, 1;
	fence.acq_rel.gpu;
	st.relaxed.gpu.global.b32 [%rd2], %r2;
DONE:
	ret;
}
)";

/// Each thread awaits that, and loads its neighbour's number.
const char *const kTakes = R"(
.version 8.0
.target sm_90a
.address_size 64
.visible .entry takes(.param .u64 data, .param .u64 flag, .param .u64 out)
{
	.reg .pred %p<2>;
	.reg .b32 %r<6>;
	.reg .b64 %rd<9>;
	ld.param.u64 %rd1, [data];
	ld.param.u64 %rd2, [flag];
	ld.param.u64 %rd3, [out];
	mov.u32 %r1, %tid.x;
LOOK:
	ld.acquire.gpu.global.b32 %r2, [%rd2];
	setp.eq.u32 %p1, %r2, 0;
	@%p1 bra LOOK;
	xor.b32 %r3, %r1, 1;
	mul.wide.u32 %rd4, %r3, 4;
	add.s64 %rd5, %rd1, %rd4;
	ld.global.b32 %r4, [%rd5];
	mul.wide.u32 %rd6, %r1, 4;
	add.s64 %rd7, %rd3, %rd6;
	st.global.b32 [%rd7], %r4;
	griddepcontrol.wait;
	ret;
}
)";

class Overlap : public ::testing::Test {
protected:
  void SetUp() override {
    memory.add(data, sizeof data, "data");
    memory.add(flag, sizeof flag, "flag");
    memory.add(out, sizeof out, "out");
    memory.add(elsewhere, sizeof elsewhere, "elsewhere");
  }

  /// What is found when a kernel is executed with the addresses as parameters.
  std::string run(std::string text, const char *name, std::vector<void *> parameters, Change change = {}) {
    Program program;
    if (std::string error = decodeChanged(std::move(text), change, program); !error.empty())
      return error;
    EXPECT_EQ(program.name, name);
    Launch launch;
    launch.parameters.resize(parameters.size() * 8);
    std::memcpy(launch.parameters.data(), parameters.data(), launch.parameters.size());
    Findings findings;
    execute(program, launch, memory, findings, &past);
    return findings.messages.empty() ? std::string() : findings.messages.front();
  }
  std::string gives(Change change = {}) { return run(kGives, "gives", {data, flag}, change); }
  std::string takes(Change change = {}) { return run(kTakes, "takes", {data, flag, out}, change); }

  alignas(256) uint32_t data[32] = {}, flag[1] = {}, out[32] = {}, elsewhere[32] = {};
  GlobalMemory memory;
  Past past;
};

constexpr const char *kExpected = "expected griddepcontrol.wait, or an acquired signal that was released behind it";

TEST_F(Overlap, SignalsHandOver) {
  EXPECT_EQ(gives(), "");
  EXPECT_EQ(takes(), "");
  for (uint32_t i = 0; i < 32; ++i)
    EXPECT_EQ(out[i], i ^ 1);
}

TEST_F(Overlap, ReleaseIsMissed) {
  EXPECT_EQ(gives({"fence.acq_rel.gpu;", ""}), "");
  std::string message = takes();
  EXPECT_TRUE(has(message, "takes: overlap: block 0, thread 0 (warp 0, lane 0) reads")) << message;
  EXPECT_TRUE(has(message, kExpected)) << message;
}

TEST_F(Overlap, BarrierBeforeTheReleaseIsMissed) {
  EXPECT_EQ(gives({"bar.sync 0, 32;", ""}), "");
  EXPECT_TRUE(has(takes(), kExpected));
}

TEST_F(Overlap, AcquireIsMissed) {
  EXPECT_EQ(gives(), "");
  EXPECT_TRUE(has(takes({"ld.acquire.gpu.global", "ld.global"}), kExpected));
}

TEST_F(Overlap, WaitStandsForAllOfIt) {
  EXPECT_EQ(gives({"fence.acq_rel.gpu;", ""}), "");
  EXPECT_EQ(takes({"ld.acquire.gpu.global.b32 %r2, [%rd2];", "griddepcontrol.wait; mov.u32 %r2, 1;"}), "");
}

TEST_F(Overlap, WaitIsMissed) {
  EXPECT_EQ(gives(), "");
  EXPECT_TRUE(has(takes({"ld.acquire.gpu.global.b32 %r2, [%rd2];", "mov.u32 %r2, 1;"}), kExpected));
}

/// A kernel that lets the next one begin at its start says nothing of those before itself.
TEST_F(Overlap, WhoSignalsWaitsFirst) {
  std::string message = gives({"griddepcontrol.wait;\n\tgriddepcontrol.launch_dependents;",
                               "griddepcontrol.launch_dependents;\n\tgriddepcontrol.wait;"});
  EXPECT_TRUE(has(message, "expected griddepcontrol.wait before griddepcontrol.launch_dependents")) << message;
}

/// The kernel beside may still read it.
TEST_F(Overlap, WhatIsReadIsNotOverwritten) {
  EXPECT_EQ(gives({"st.global.b32 [%rd4], %r1;", "ld.global.b32 %r3, [%rd4];"}), "");
  std::string message = takes({"ld.global.b32 %r4, [%rd5];", "st.global.b32 [%rd5], %r1;"});
  EXPECT_TRUE(has(message, "expected griddepcontrol.wait before what the kernel beside it reads is overwritten"))
      << message;
}

/// A signal of an earlier launch tells of that one.
TEST_F(Overlap, OldSignalsDoNotCount) {
  EXPECT_EQ(gives(), "");
  EXPECT_EQ(gives({"st.relaxed.gpu.global.b32 [%rd2], %r2;", ""}), "");
  EXPECT_TRUE(has(takes(), kExpected));
}

/// What the host writes is there.
TEST_F(Overlap, HostWrites) {
  EXPECT_EQ(gives(), "");
  past.forget(reinterpret_cast<uint64_t>(data), sizeof data);
  EXPECT_EQ(takes({"ld.acquire.gpu.global.b32 %r2, [%rd2];", "mov.u32 %r2, 1;"}), "");
}

TEST_F(Overlap, NobodySignals) {
  EXPECT_TRUE(has(takes(), "takes: deadlock: block 0, nobody can go on:"));
}

} // namespace

/// Who begins beside a launch that waited first may read what was written before that one, and nothing that one writes.
TEST_F(Overlap, OlderLaunchesAreDone) {
  Change reads = {"ld.acquire.gpu.global.b32 %r2, [%rd2];", "mov.u32 %r2, 1;"};
  EXPECT_EQ(gives(), "");
  EXPECT_EQ(run(kGives, "gives", {elsewhere, flag}), "");
  EXPECT_EQ(takes(reads), "");
  EXPECT_EQ(gives(), "");
  EXPECT_TRUE(has(takes(reads), kExpected));
}

/// Where the launch in front let others begin before it had waited, those before it may still run.
TEST_F(Overlap, WhoLetsOthersBeginUnwaitedSaysNothing) {
  std::string unwaited = kGives;
  auto change = [&](const std::string &from, const char *to) {
    unwaited.replace(unwaited.find(from), from.size(), to);
  };
  change("griddepcontrol.wait;\n\tgriddepcontrol.launch_dependents;",
         "griddepcontrol.launch_dependents;\n\tgriddepcontrol.wait;");
  change("st.relaxed.gpu.global.b32 [%rd2], %r2;", "");
  EXPECT_EQ(gives(), "");
  EXPECT_EQ(run(unwaited, "gives", {elsewhere, flag}), "");
  EXPECT_TRUE(has(takes({"ld.acquire.gpu.global.b32 %r2, [%rd2];", "mov.u32 %r2, 1;"}), kExpected));
}
