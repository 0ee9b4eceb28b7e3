// Products of a warpgroup (wgmma): operands by descriptor or in registers, in flight until they are waited for.
//
// The numbers are computed when the last of the four warps issues the product. What a program may not do until it has
// waited is kept apart: accumulators must not be read or written, registers of the left operand not written
// (Warp::written, Warp::readBy), and shared memory that is read must not be written (RaceCheck::groupRead).
#include "test/codegen/nvptx/emulator/Machine.h"
#include "test/codegen/nvptx/emulator/Numbers.h"
#include <algorithm>

using namespace denim::ptx;

namespace {

/// immediate[1] of a product.
enum Flags : int64_t {
  kLhsInRegisters = 1,
  kLhsTransposed = 2,
  kRhsTransposed = 4,
  kScaleByPredicate = 8,
  kAccumulate = 16
};

/// A matrix in shared memory, as its descriptor says (PTX ISA, "Matrix Descriptor Format"), swizzled by 128 bytes:
/// the 16-byte pieces of a row of 128 bytes are exchanged by xor with the row's number mod 8.
///
///     along the contraction   row = outer index, 8 of them are a block; blocks follow in steps of `stride`
///     along the outer index   row = index of the contraction, 64 outer elements are a panel; panels follow in steps
///                             of `leading`, blocks of 8 rows in steps of `stride`
struct Matrix {
  int64_t start, leading, stride;
  bool outerContiguous;

  /// Address of 8 elements that lie together, from (outer, k).
  int64_t piece(int64_t outer, int64_t k) const {
    int64_t linear = outerContiguous ? start + outer / 64 * leading + k / 8 * stride + k % 8 * 128 + outer % 64 * 2
                                     : start + outer / 8 * stride + outer % 8 * 128 + k * 2;
    return linear ^ (linear >> 7 & 7) << 4;
  }
};

class Product {
public:
  Product(Block &block, const Instruction &i, uint32_t first)
      : block(block), i(i), first(first), columns(i.immediate[0]), flags(i.immediate[1]) {
    for (int n = 0; n < 4; ++n)
      clocks[n] = &block.warps[first + n]->clock;
  }

  void run() {
    for (uint32_t n = 0; n < 4 && !block.stopped; ++n)
      checkRegisters(*block.warps[first + n]);
    if (!block.stopped)
      readLhs();
    if (!block.stopped)
      readRhs();
    for (uint32_t n = 0; n < 4 && !block.stopped; ++n)
      accumulate(*block.warps[first + n], n);
  }

private:
  Warp &leader() { return *block.warps[first]; }
  uint32_t group() { return leader().groupsCommitted + 1; }

  void checkRegisters(Warp &warp) {
    if (warp.groupsCommitted != leader().groupsCommitted)
      return block.stop(i, "expected the warps of a warpgroup to commit alike");
    auto fenced = [&](Slot slot) { return warp.writtenSinceFence[slot] != warp.fences; };
    auto check = [&](Slot slot, const char *what) {
      if (!fenced(slot))
        block.stop(i, std::string("expected wgmma.fence between the write of a register and a product that takes it "
                                  "as ") +
                          what + ", but warp " + std::to_string(warp.index) + " has none");
    };
    for (Slot slot : i.accumulators) {
      check(slot, "an accumulator");
      if (warp.readBy[slot] > warp.groupsDone)
        block.stop(i, "expected wgmma.wait_group before the left operand of a product in flight is accumulated to");
      warp.written[slot] = group();
    }
    if (flags & kLhsInRegisters)
      for (int n = 0; n < 4; ++n) {
        check(i.slots[n], "its left operand");
        warp.readBy[i.slots[n]] = group();
      }
    warp.groupOpen = true;
  }

  bool decodeMatrix(Slot slot, bool outerContiguous, Matrix &to) {
    uint64_t bits = leader().slot<uint64_t>(slot)[0];
    for (uint32_t n = 0; n < 4; ++n)
      for (int lane = 0; lane < 32; ++lane)
        if (block.warps[first + n]->slot<uint64_t>(slot)[lane] != bits) {
          block.stop(i, "expected a matrix descriptor to be the same in all threads of a warpgroup");
          return false;
        }
    if (bits >> 62 != 1 || (bits >> 49 & 7) != 0) {
      block.stop(i, "expected a matrix descriptor with a swizzle of 128 bytes (1) and base offset 0, but got swizzle " +
                        std::to_string(bits >> 62) + " and base offset " + std::to_string(bits >> 49 & 7));
      return false;
    }
    to = {int64_t(bits & 0x3fff) << 4, int64_t(bits >> 16 & 0x3fff) << 4, int64_t(bits >> 32 & 0x3fff) << 4,
          outerContiguous};
    if (to.start >> 7 & 7) {
      block.stop(i, "expected a matrix to begin in the first of eight rows of 128 bytes, but got shared+" +
                        std::to_string(to.start - int64_t(kSharedBase)));
      return false;
    }
    return true;
  }

  /// 8 elements from (outer, k) on, along the outer index or the contraction.
  bool readPiece(const Matrix &matrix, int64_t outer, int64_t k, float *to) {
    int64_t address = matrix.piece(outer, k);
    const char *from = block.sharedBytes(i, leader(), 0, address, 16, 16);
    if (!from)
      return false;
    block.races.groupRead(clocks, first, group(), uint64_t(address - kSharedBase), 16, i.line);
    for (int n = 0; n < 8; ++n) {
      uint16_t bits;
      std::memcpy(&bits, from + n * 2, 2);
      to[n] = fromBrain(bits);
    }
    return true;
  }

  void readLhs() {
    if (flags & kLhsInRegisters) {
      for (int warp = 0; warp < 4; ++warp)
        for (int n = 0; n < 4; ++n) {
          auto *words = block.warps[first + warp]->slot<uint32_t>(i.slots[n]);
          for (int lane = 0; lane < 32; ++lane)
            for (int e = 0; e < 2; ++e)
              lhs[warp * 16 + lane / 4 + n % 2 * 8][lane % 4 * 2 + n / 2 * 8 + e] =
                  fromBrain(uint16_t(words[lane] >> 16 * e));
        }
      return;
    }
    Matrix matrix;
    if (!decodeMatrix(i.slots[0], flags & kLhsTransposed, matrix))
      return;
    float piece[8];
    for (int64_t k = 0; k < 16; k += matrix.outerContiguous ? 1 : 8)
      for (int64_t m = 0; m < 64; m += matrix.outerContiguous ? 8 : 1) {
        if (!readPiece(matrix, m, k, piece))
          return;
        for (int n = 0; n < 8; ++n)
          (matrix.outerContiguous ? lhs[m + n][k] : lhs[m][k + n]) = piece[n];
      }
  }

  void readRhs() {
    Matrix matrix;
    if (!decodeMatrix(i.slots[flags & kLhsInRegisters ? 4 : 1], flags & kRhsTransposed, matrix))
      return;
    float piece[8];
    for (int64_t k = 0; k < 16; k += matrix.outerContiguous ? 1 : 8)
      for (int64_t c = 0; c < columns; c += matrix.outerContiguous ? 8 : 1) {
        if (!readPiece(matrix, c, k, piece))
          return;
        for (int n = 0; n < 8; ++n)
          (matrix.outerContiguous ? rhs[k][c + n] : rhs[k + n][c]) = piece[n];
      }
  }

  /// D of warp n: its 16 rows; register 4j + 2h + e of a thread is row lane / 4 + 8h, column 8j + 2 (lane mod 4) + e.
  void accumulate(Warp &warp, uint32_t n) {
    bool adds = flags & kScaleByPredicate ? warp.predicate(i.slots.back()) == kAllLanes : flags & kAccumulate;
    if (flags & kScaleByPredicate && !adds && warp.predicate(i.slots.back()))
      return block.stop(i, "expected the predicate of a product to be the same in all lanes");
    float sums[16][256];
    auto forElements = [&](auto visit) {
      for (size_t r = 0; r < i.accumulators.size(); ++r) {
        float *values = warp.slot<float>(i.accumulators[r]);
        for (int lane = 0; lane < 32; ++lane)
          visit(values[lane], sums[lane / 4 + r / 2 % 2 * 8][r / 4 * 8 + lane % 4 * 2 + r % 2]);
      }
    };
    std::memset(sums, 0, sizeof sums);
    for (int row = 0; row < 16; ++row)
      for (int k = 0; k < 16; ++k) {
        float left = lhs[n * 16 + row][k];
        for (int64_t c = 0; c < columns; ++c)
          sums[row][c] += left * rhs[k][c];
      }
    forElements([&](float &value, float sum) { value = addCutOff(adds ? value : 0, sum); });
  }

  Block &block;
  const Instruction &i;
  uint32_t first;
  int64_t columns, flags;
  WarpClock *clocks[4];
  float lhs[64][16], rhs[16][256];
};

void product(Warp &warp, const Instruction &i, uint32_t) {
  Block &block = warp.block;
  uint32_t place = warp.index / 4, bit = 1u << warp.index % 4;
  if (place * 4 + 4 > block.warps.size())
    return block.stop(i, "expected four warps to a product");
  Warpgroup &group = block.warpgroups[place];
  if (group.passing & bit) {
    group.passing &= ~bit;
    return;
  }
  if (group.arrived && group.line != i.line)
    return block.stop(i, "expected the warps of a warpgroup to issue the same product, but another one is at line " +
                             std::to_string(group.line));
  group.line = i.line;
  block.progressed |= !(group.arrived & bit);
  group.arrived |= bit;
  if (group.arrived != 15) {
    warp.blocked = true;
    return;
  }
  Product(block, i, place * 4).run();
  group.arrived = 0;
  group.passing = 15 & ~bit;
}

void fence(Warp &warp, const Instruction &, uint32_t) {
  ++warp.fences;
}
void commit(Warp &warp, const Instruction &, uint32_t) {
  ++warp.groupsCommitted;
  warp.groupOpen = false;
}
void wait(Warp &warp, const Instruction &i, uint32_t lanes) {
  uint32_t most = uint32_t(i.immediate[0]);
  uint32_t done = warp.groupsCommitted > most ? warp.groupsCommitted - most : 0;
  if (done <= warp.groupsDone)
    return;
  warp.groupsDone = done;
  warp.block.races.learn(warp.clock, lanes, warp.block.races.groupActor(warp.index), done);
}

} // namespace

bool denim::ptx::decodeGroup(const Statement &s, Decoder &d, Instruction &to) {
  if (!s.is(0, "wgmma"))
    return false;
  const std::string name = s.name();
  to.flow = Flow::together;
  d.program.usesGroups = true;
  size_t count = s.operands.size();
  if (name == "wgmma.fence.sync.aligned" && count == 0)
    return to.execute = fence, true;
  if (name == "wgmma.commit_group.sync.aligned" && count == 0)
    return to.execute = commit, true;
  if (name == "wgmma.wait_group.sync.aligned" && count == 1) {
    to.immediate[0] = d.integer(s.operands[0]);
    return to.execute = wait, true;
  }
  // wgmma.mma_async.sync.aligned.m64nNk16.f32.bf16.bf16
  if (s.opcode.size() != 8 || !s.is(1, "mma_async") || !s.is(5, "f32") || !s.is(6, "bf16") || !s.is(7, "bf16"))
    return false;
  const std::string &shape = s.opcode[4];
  size_t end = shape.find("k16");
  int64_t columns = shape.rfind("m64n", 0) == 0 && end != std::string::npos ? std::atoi(shape.c_str() + 4) : 0;
  if (columns < 8 || columns > 256 || columns % 8 || count < 7)
    return false;
  bool inRegisters = s.operands[1].kind == Operand::Kind::list;
  if (count != (inRegisters ? 7u : 8u) || s.operands[0].kind != Operand::Kind::list ||
      int64_t(s.operands[0].list.size()) != columns / 2)
    return false;
  for (const Operand &operand : s.operands[0].list)
    to.accumulators.push_back(d.written(operand, "b32"));
  d.ins(to, s.operands[1], inRegisters ? "b32" : "b64");
  d.ins(to, s.operands[2], "b64");
  int64_t flags = inRegisters ? kLhsInRegisters : 0;
  if (s.operands[3].kind == Operand::Kind::integer) {
    flags |= s.operands[3].value ? kAccumulate : 0;
  } else {
    d.ins(to, s.operands[3], "pred");
    flags |= kScaleByPredicate;
  }
  if (d.integer(s.operands[4]) != 1 || d.integer(s.operands[5]) != 1)
    d.fail("expected operands of a product not to be negated");
  if (!inRegisters && d.integer(s.operands[6]))
    flags |= kLhsTransposed;
  if (d.integer(s.operands.back()))
    flags |= kRhsTransposed;
  to.immediate[0] = columns, to.immediate[1] = flags;
  to.execute = product;
  return true;
}
