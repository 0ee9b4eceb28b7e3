// Copies of boxes by a tensor map, in PTX by hand: what stands in shared memory, and what is found when a part is
// missing.
#include "test/codegen/nvptx/emulator/Inputs/TensorCopy.h"
#include "test/codegen/nvptx/emulator/TensorMap.h"
#include "test/codegen/nvptx/emulator/TestKernel.h"

using namespace denim::ptx;
using namespace denim::test;

namespace {

constexpr int64_t kRows = 16, kColumns = 128;

class TensorCopy : public ::testing::Test {
protected:
  TensorCopy() {
    for (int64_t i = 0; i < kRows * kColumns; ++i)
      matrix[i] = uint16_t(i + 1);
    memory.add(matrix, sizeof matrix, "matrix");
    memory.add(out, sizeof out, "out");
    map.address = reinterpret_cast<uint64_t>(matrix);
    map.columns = kColumns, map.rows = kRows, map.rowBytes = kColumns * 2;
    map.boxRows = kTensorCopyRows, map.boxColumns = kTensorCopyColumns;
  }

  /// What is found when the kernel is executed.
  std::string run(Change change = {}) {
    Program program;
    if (std::string error = decodeChanged(kTensorCopy, change, program); !error.empty())
      return error;
    EXPECT_EQ(program.parameters.back().offset, 64); // behind four of 8 bytes, aligned
    EXPECT_EQ(program.parameters.back().bytes, kTensorMapBytes);
    Launch launch;
    launch.blocks = kRows / kTensorCopyRows, launch.threads = kTensorCopyThreads;
    launch.sharedBytes = kTensorCopyShared;
    launch.parameters.resize(64 + kTensorMapBytes);
    uint64_t addresses[] = {0, uint64_t(launch.blocks), reinterpret_cast<uint64_t>(matrix),
                            reinterpret_cast<uint64_t>(out)};
    std::memcpy(launch.parameters.data(), addresses, sizeof addresses);
    std::memcpy(launch.parameters.data() + 64, &map, sizeof map);
    Findings findings;
    execute(program, launch, memory, findings);
    return findings.messages.empty() ? std::string() : findings.messages.front();
  }

  /// Whether each element of the boxes is the matrix's, moved by so many rows and columns; zero outside of it.
  void expectBoxes(int64_t rowsOn, int64_t columnsOn) {
    for (int64_t row = 0; row < kRows; ++row)
      for (int64_t column = 0; column < kTensorCopyColumns; ++column) {
        int64_t fromRow = row + rowsOn, fromColumn = column + columnsOn;
        bool inside = fromRow >= 0 && fromRow < kRows && fromColumn >= 0 && fromColumn < kColumns;
        int64_t box = row / kTensorCopyRows * kTensorCopyRows * kTensorCopyColumns;
        EXPECT_EQ(out[box + placeInBox(row % kTensorCopyRows, column)],
                  inside ? uint16_t(fromRow * kColumns + fromColumn + 1) : 0)
            << row << ", " << column;
      }
  }

  alignas(256) uint16_t out[kRows * kTensorCopyColumns] = {};
  alignas(256) uint16_t matrix[kRows * kColumns]; // nothing of the kernel's behind it
  GlobalMemory memory;
  TensorMap map;
};

TEST_F(TensorCopy, PiecesAreExchangedByTheRow) {
  EXPECT_EQ(run(), "");
  expectBoxes(0, 64);
  EXPECT_EQ(out[64 + 8], matrix[kColumns + 64]); // row 1, piece 0, by hand
}

TEST_F(TensorCopy, OutsideAreZeros) {
  EXPECT_EQ(run({"mov.b32 %r5, 64;", "mov.b32 %r5, 100;"}), "");
  expectBoxes(0, 100);
  EXPECT_EQ(run({"mov.b32 %r5, 64;", "mov.b32 %r5, -8; sub.s32 %r4, %r4, 3;"}), "");
  expectBoxes(-3, -8);
}

TEST_F(TensorCopy, RowsThatTheMapHasAndMemoryHasNot) {
  map.rows = INT32_MAX;
  EXPECT_EQ(run(), "");
  expectBoxes(0, 64);
  std::string message = run({"mov.b32 %r5, 64;", "mov.b32 %r5, 64; add.s32 %r4, %r4, 1;"});
  EXPECT_TRUE(has(message, "expected 128 bytes within a buffer")) << message;
}

TEST_F(TensorCopy, WaitIsMissed) {
  std::string message = run({"@!%p2 bra AWAIT;", ""});
  EXPECT_TRUE(has(message, "which a bulk copy for mbarrier 0 wrote")) << message;
  EXPECT_TRUE(has(message, "expected a wait for its mbarrier's phase")) << message;
}

TEST_F(TensorCopy, OtherBytesAreExpected) {
  std::string message = run({"[%r3+1024], 1024;", "[%r3+1024], 2048;"});
  EXPECT_TRUE(has(message, "misses 0 of 1 arrivals and 1024 bytes")) << message;
  message = run({"[%r3+1024], 1024;", "[%r3+1024], 1008;"});
  EXPECT_TRUE(has(message, "but they bring 16 more")) << message;
}

TEST_F(TensorCopy, MbarrierIsNotMadeVisible) {
  std::string message = run({"fence.mbarrier_init.release.cluster;", ""});
  EXPECT_TRUE(has(message, "expected fence.mbarrier_init between")) << message;
}

/// A store of the thread itself before its copy goes another way to memory.
TEST_F(TensorCopy, FenceBehindAStoreIsMissed) {
  std::string message = run({"shl.b32 %r4, %r2, 3;", "shl.b32 %r4, %r2, 3; st.shared.b32 [%r3], %r4;"});
  EXPECT_TRUE(has(message, "proxy: ")) << message;
  EXPECT_EQ(
      run({"shl.b32 %r4, %r2, 3;", "shl.b32 %r4, %r2, 3; st.shared.b32 [%r3], %r4; fence.proxy.async.shared::cta;"}),
      "");
}

TEST_F(TensorCopy, AddressesThatAreNoMap) {
  constexpr const char *kExpected = "expected the generic address of a parameter that is a tensor map, but got another";
  EXPECT_TRUE(has(run({"cvta.param.u64 %rd2, %rd1;", "mov.b64 %rd2, %rd1;"}), kExpected));
  EXPECT_TRUE(has(run({"mov.b64 %rd1, map;", "mov.b64 %rd1, out;"}), kExpected));
  map.magic = 0;
  EXPECT_TRUE(has(run(), kExpected));
}

TEST_F(TensorCopy, TargetThatTheExchangeDoesNotFit) {
  std::string message = run({"bytes [%r3], [%rd2", "bytes [%r3+16], [%rd2"});
  EXPECT_TRUE(has(message, "expected a shared address that is a multiple of 1024, but got byte 16")) << message;
}

TEST_F(TensorCopy, OtherNumberOfCoordinates) {
  EXPECT_TRUE(has(run({"{%r5, %r4}", "{%r5}"}), "expected a tensor map and two coordinates"));
}

} // namespace
