// What the lanes of a warp do together: barriers, shuffles, 8x8 matrices, products of a warp.
#include "test/codegen/nvptx/emulator/Machine.h"
#include "test/codegen/nvptx/emulator/Numbers.h"
#include <algorithm>

using namespace denim::ptx;

namespace {

//===--------------------------------------------------------------------------------------------------------------===//
// Barriers
//===--------------------------------------------------------------------------------------------------------------===//

/// bar.sync id, threads: slots are the two. immediate[0]: bar.arrive, which does not wait.
void barrier(Warp &warp, const Instruction &i, uint32_t lanes) {
  Block &block = warp.block;
  uint32_t id = warp.slot<uint32_t>(i.slots[0])[0], bit = 1u << warp.index;
  int64_t all = int64_t(block.warps.size()) * 32;
  int64_t expected = i.slots.size() > 1 ? warp.slot<uint32_t>(i.slots[1])[0] : all;
  if (id >= 16 || expected < 32 || expected % 32 || expected > all)
    return block.stop(i, "expected a barrier below 16 and whole warps of the block's " + std::to_string(all) +
                             " threads, but got barrier " + std::to_string(id) + " of " + std::to_string(expected));
  NamedBarrier &to = block.barriers[id];
  if (to.passing & bit) {
    to.passing &= ~bit;
    block.races.acquire(warp.clock, lanes, to.passed);
    return;
  }
  if (to.waiting & bit) { // tried again
    warp.blocked = true;
    return;
  }
  bool arrives = i.immediate[0];
  if (!to.threads) {
    to.expected = expected;
    to.clock = block.races.unknown();
  } else if (to.expected != expected) {
    return block.stop(i, "expected barrier " + std::to_string(id) + " to be met with " + std::to_string(to.expected) +
                             " threads by all, but got " + std::to_string(expected));
  }
  to.threads += 32;
  block.races.release(warp.clock, lanes, to.clock);
  block.progressed = true;
  if (to.threads < expected) {
    if (!arrives)
      to.waiting |= bit, warp.blocked = true;
    return;
  }
  to.passing |= to.waiting;
  to.passed = to.clock;
  to.waiting = 0, to.threads = 0;
  if (!arrives)
    block.races.acquire(warp.clock, lanes, to.passed);
}

void warpBarrier(Warp &warp, const Instruction &, uint32_t lanes) {
  Knowledge all = warp.block.races.unknown();
  warp.block.races.release(warp.clock, lanes, all);
  warp.block.races.acquire(warp.clock, lanes, all);
}

void nothing(Warp &, const Instruction &, uint32_t) {}

//===--------------------------------------------------------------------------------------------------------------===//
// Shuffles
//===--------------------------------------------------------------------------------------------------------------===//

enum class Shuffle { exclusiveOr, up, down, index };

/// shfl.sync.MODE.b32 d, a, b, c, mask
template <Shuffle mode> void shuffle(Warp &warp, const Instruction &i, uint32_t lanes) {
  bool tells = i.outs == 2;
  uint32_t from[32], ok = 0;
  auto *a = warp.slot<uint32_t>(i.in(0)), *b = warp.slot<uint32_t>(i.in(1)), *c = warp.slot<uint32_t>(i.in(2));
  auto *members = warp.slot<uint32_t>(i.in(3));
  std::memcpy(from, a, sizeof from);
  auto *to = warp.slot<uint32_t>(i.slots[0]);
  forLanes(lanes, [&](int lane) {
    int clamp = int(c[lane] & 31), segment = int(c[lane] >> 8 & 31), by = int(b[lane] & 31);
    int most = (lane & segment) | (clamp & ~segment), least = lane & segment, source = lane;
    bool in = true;
    if (mode == Shuffle::up)
      source = lane - by, in = source >= most;
    else if (mode == Shuffle::down)
      source = lane + by, in = source <= most;
    else if (mode == Shuffle::exclusiveOr)
      source = lane ^ by, in = source <= most;
    else
      source = least | (by & ~segment), in = source <= most;
    if (!in)
      source = lane;
    ok |= uint32_t(in) << lane;
    if (!(members[lane] >> source & 1) || !(lanes >> source & 1))
      return warp.block.stop(i,
                             "expected lane " + std::to_string(source) + " to take part in a shuffle, but it does not");
    to[lane] = from[source];
  });
  if (tells)
    warp.predicate(i.slots[1]) = (warp.predicate(i.slots[1]) & ~lanes) | ok;
}

//===--------------------------------------------------------------------------------------------------------------===//
// Matrices
//===--------------------------------------------------------------------------------------------------------------===//

/// The row that a lane names, of matrix lane / 8; 16 bytes.
char *rowOf(Warp &warp, const Instruction &i, Slot addresses, int lane, uint64_t &offset) {
  int64_t address = addressOf(warp, i, addresses, lane);
  offset = uint64_t(address - kSharedBase);
  return warp.block.sharedBytes(i, warp, uint32_t(lane), address, 16, 16);
}

/// Lane l holds of matrix m in register m: row l / 4, columns 2 (l mod 4) and the next; transposed, the other way.
template <bool transposed> void loadMatrices(Warp &warp, const Instruction &i, uint32_t) {
  for (int matrix = 0; matrix < i.outs; ++matrix) {
    uint16_t values[8][8];
    for (int row = 0; row < 8; ++row) {
      uint64_t offset = 0;
      const char *from = rowOf(warp, i, i.slots[i.outs], matrix * 8 + row, offset);
      if (!from)
        return;
      // Who gets the row's values is who reads it.
      uint32_t readers = transposed ? 0x11111111u << (row / 2) : 15u << (row * 4);
      warp.block.races.read(RaceCheck::Space::shared, warp.clock, readers, offset, 16, i.line);
      std::memcpy(values[row], from, 16);
    }
    auto *to = warp.slot<uint32_t>(i.slots[matrix]);
    for (int lane = 0; lane < 32; ++lane) {
      int row = lane / 4, column = lane % 4 * 2;
      uint16_t low = transposed ? values[column][row] : values[row][column];
      uint16_t high = transposed ? values[column + 1][row] : values[row][column + 1];
      to[lane] = uint32_t(high) << 16 | low;
    }
  }
}

template <bool transposed> void storeMatrices(Warp &warp, const Instruction &i, uint32_t) {
  for (size_t matrix = 0; matrix + 1 < i.slots.size(); ++matrix) {
    uint16_t values[8][8];
    auto *from = warp.slot<uint32_t>(i.slots[matrix + 1]);
    for (int lane = 0; lane < 32; ++lane) {
      int row = lane / 4, column = lane % 4 * 2;
      (transposed ? values[column][row] : values[row][column]) = uint16_t(from[lane]);
      (transposed ? values[column + 1][row] : values[row][column + 1]) = uint16_t(from[lane] >> 16);
    }
    for (int row = 0; row < 8; ++row) {
      uint64_t offset = 0;
      int lane = int(matrix) * 8 + row;
      char *to = rowOf(warp, i, i.slots[0], lane, offset);
      if (!to)
        return;
      // Four lanes (eight, transposed) write the row's pieces, each the pair or element that it holds.
      for (int piece = 0; piece < (transposed ? 8 : 4); ++piece) {
        uint32_t writer = transposed ? uint32_t(piece * 4 + row / 2) : uint32_t(row * 4 + piece);
        int64_t bytes = transposed ? 2 : 4;
        bool same = !std::memcmp(to + piece * bytes, reinterpret_cast<char *>(values[row]) + piece * bytes, bytes);
        warp.block.races.write(RaceCheck::Space::shared, warp.clock, writer, offset + uint64_t(piece * bytes), bytes,
                               same, i.line);
      }
      std::memcpy(to, values[row], 16);
    }
  }
}

/// mma.m16n8k16: A 16x16 and B 16x8 of bf16, C and D 16x8 of f32 (PTX ISA, "Matrix Fragments for mma.m16n8k16").
void multiply(Warp &warp, const Instruction &i, uint32_t) {
  float a[16][16], b[16][8], c[16][8], products[16][8] = {};
  const uint32_t *aWords[4], *bWords[2];
  for (int n = 0; n < 4; ++n)
    aWords[n] = warp.slot<uint32_t>(i.in(n));
  for (int n = 0; n < 2; ++n)
    bWords[n] = warp.slot<uint32_t>(i.in(4 + n));
  for (int lane = 0; lane < 32; ++lane) {
    int g = lane / 4, t = lane % 4 * 2;
    for (int n = 0; n < 4; ++n)
      for (int e = 0; e < 2; ++e)
        a[g + n % 2 * 8][t + n / 2 * 8 + e] = fromBrain(uint16_t(aWords[n][lane] >> 16 * e));
    for (int n = 0; n < 2; ++n)
      for (int e = 0; e < 2; ++e)
        b[t + n * 8 + e][g] = fromBrain(uint16_t(bWords[n][lane] >> 16 * e));
    for (int n = 0; n < 4; ++n)
      c[g + n / 2 * 8][t + n % 2] = warp.slot<float>(i.in(6 + n))[lane];
  }
  for (int row = 0; row < 16; ++row)
    for (int k = 0; k < 16; ++k)
      for (int column = 0; column < 8; ++column)
        products[row][column] += a[row][k] * b[k][column];
  for (int lane = 0; lane < 32; ++lane)
    for (int n = 0; n < 4; ++n)
      warp.slot<float>(i.slots[n])[lane] = addCutOff(c[lane / 4 + n / 2 * 8][lane % 4 * 2 + n % 2],
                                                     products[lane / 4 + n / 2 * 8][lane % 4 * 2 + n % 2]);
}

} // namespace

bool denim::ptx::decodeWarp(const Statement &s, Decoder &d, Instruction &to) {
  const std::string name = s.name();
  to.flow = Flow::together;
  auto expects = [&](size_t count) {
    if (s.operands.size() != count)
      d.fail("expected " + std::to_string(count) + " operands");
    return s.operands.size() == count;
  };
  if (name == "bar.sync" || name == "barrier.sync.aligned" || name == "bar.arrive" ||
      name == "barrier.cta.sync.aligned" || name == "barrier.cta.sync.aligned.all") {
    bool arrives = s.is(1, "arrive");
    to.immediate[0] = arrives;
    to.execute = barrier;
    for (const Operand &operand : s.operands)
      d.ins(to, operand, "b32");
    return s.operands.size() == 2 || (s.operands.size() == 1 && !arrives);
  }
  if (name == "bar.warp.sync") {
    // Only whole warps: a partial mask would need lanes to meet that nobody else waits for.
    to.execute = warpBarrier;
    if (expects(1) && d.integer(s.operands[0]) != -1 && uint32_t(d.integer(s.operands[0])) != kAllLanes)
      d.fail("expected all lanes to meet");
    return true;
  }
  if (s.is(0, "setmaxnreg")) {
    int64_t count = expects(1) ? d.integer(s.operands[0]) : 0;
    if (count < 24 || count > 256 || count % 8)
      d.fail("expected 24 to 256 registers, a multiple of 8");
    to.execute = nothing;
    return true;
  }
  if (s.is(0, "shfl") && s.is(1, "sync") && s.is(3, "b32")) {
    size_t operands = s.operands.size();
    if (operands != 5 && operands != 6)
      return false;
    d.outs(to, s.operands[0], "b32");
    if (operands == 6)
      d.outs(to, s.operands[1], "pred");
    for (size_t n = operands - 4; n < operands; ++n)
      d.ins(to, s.operands[n], "b32");
    to.execute = s.is(2, "bfly")   ? shuffle<Shuffle::exclusiveOr>
                 : s.is(2, "up")   ? shuffle<Shuffle::up>
                 : s.is(2, "down") ? shuffle<Shuffle::down>
                 : s.is(2, "idx")  ? shuffle<Shuffle::index>
                                   : nullptr;
    return to.execute;
  }
  if (name.rfind("ldmatrix.sync.aligned.m8n8.x", 0) == 0 && s.is(s.opcode.size() - 1, "b16") && expects(2)) {
    d.outs(to, s.operands[0], "b32");
    to.slots.push_back(d.address(s.operands[1], to, true));
    to.execute = s.has("trans") ? loadMatrices<true> : loadMatrices<false>;
    return s.opcode[4] == "x" + std::to_string(to.outs);
  }
  if (name.rfind("stmatrix.sync.aligned.m8n8.x", 0) == 0 && s.is(s.opcode.size() - 1, "b16") && expects(2)) {
    to.slots.push_back(d.address(s.operands[0], to, true));
    d.ins(to, s.operands[1], "b32");
    to.execute = s.has("trans") ? storeMatrices<true> : storeMatrices<false>;
    return s.opcode[4] == "x" + std::to_string(to.slots.size() - 1);
  }
  if (name == "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32" && expects(4)) {
    d.outs(to, s.operands[0], "b32");
    for (int n = 1; n < 4; ++n)
      d.ins(to, s.operands[n], "b32");
    to.execute = multiply;
    return to.outs == 4 && to.slots.size() == 14;
  }
  to.flow = Flow::plain;
  return false;
}
